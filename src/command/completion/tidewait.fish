# SPDX-License-Identifier: BSL-1.0
#
# Completion for fish. Verbs and options come from --help, so they are those of the installed version.

# The help of the verb on the command line; nothing if another command has begun.
function __tidewait_help
    set -l words (commandline -opc)
    set -l verbs
    set -l help (command $words[1] --help 2>/dev/null)
    for word in $words[2..-1]
        if test "$word" = --
            return
        end
        if string match -q '*SUBCOMMAND*' -- $help; and string match -q -- "  $word  *" $help
            set -a verbs $word
            set help (command $words[1] $verbs --help 2>/dev/null)
        end
    end
    printf '%s\n' $help
end

function __tidewait_options
    __tidewait_help | string replace -rf '^  (?:-\w, )?(--[a-z-]+)(?: [^ ]+)*(?:  +(.*))?$' '$1\t$2'
end

function __tidewait_verbs
    set -l help (__tidewait_help)
    if string match -q '*SUBCOMMAND*' -- $help
        string replace -rf '^  ([a-z]+)  +(.*)$' '$1\t$2' -- $help
    end
end

function __tidewait_before_command
    not contains -- -- (commandline -opc)
end

function __tidewait_after_option
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

complete -c tidewait -n '__tidewait_before_command; and string match -q -- "-*" (commandline -ct)' -a '(__tidewait_options)'
complete -c tidewait -n '__tidewait_before_command; and test -n "(__tidewait_verbs)"' -f -a '(__tidewait_verbs)'
complete -c tidewait -n '__tidewait_after_option --color' -f -a 'auto always never'
complete -c tidewait -n '__tidewait_after_option --explain' -f -a 'always failure never'
complete -c tidewait -n 'not __tidewait_before_command' -a '(__fish_complete_subcommand --fcs-skip=(contains -i -- -- (commandline -opc)))'
