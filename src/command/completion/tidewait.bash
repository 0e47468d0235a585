# SPDX-License-Identifier: BSL-1.0
#
# Completion for bash. Verbs and options come from --help, so they are those of the installed version.

_tidewait() {
  local command=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local verbs=() word help i
  COMPREPLY=()

  help=$("$command" --help 2>/dev/null)
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -- ]]; then # another command begins
      if declare -F _command_offset >/dev/null; then
        _command_offset $((i + 1))
      elif ((i + 1 == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
      else
        _tidewait_files -f
      fi
      return
    fi
    if [[ $help == *SUBCOMMAND* && $help == *$'\n  '"$word  "* ]]; then
      verbs+=("$word")
      help=$("$command" "${verbs[@]}" --help 2>/dev/null)
    fi
  done

  # Readline splits --option=value at the equals sign.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
    --color) word='auto always never' ;;
    --explain) word='always failure never' ;;
    --isolate) word='prefer require' ;;
    --witness) word='require' ;;
    --state) word=$(_tidewait_states) ;;
    *) word='' ;;
  esac
  if [[ $word && ($previous != --isolate && $previous != --witness || ${COMP_WORDS[*]} == *=*) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
  elif [[ $previous == -* && $help =~ "$previous "(FILE|DIR|BEFORE)" " ]]; then
    if [[ ${BASH_REMATCH[1]} == DIR ]]; then _tidewait_files -d; else _tidewait_files -f; fi
  elif [[ $current == -* ]]; then
    word=$(sed -nE 's/^  (-\w, )?(--[a-z-]+).*/\2/p' <<<"$help")
    mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
  elif [[ $help == *SUBCOMMAND* ]]; then
    word=$(sed -nE 's/^  ([a-z]+)  .*/\1/p' <<<"$help")
    mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
  else
    _tidewait_files -f # a path of a Unix socket, a journal
  fi
}

_tidewait_files() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
  compopt -o filenames 2>/dev/null
}

_tidewait_states() {
  echo ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT UNCONN CLOSE_WAIT LAST_ACK LISTEN CLOSING BOUND
}

complete -F _tidewait tidewait
