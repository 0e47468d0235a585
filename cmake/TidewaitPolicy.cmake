# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitPolicy
--------------

Reads the rules of ``TOLERATE`` and ``MAX_WAIT`` while CMake configures, with or without a launcher: a
rule that cannot be read is an error here, not in the middle of a test.

Each argument of ``TOLERATE`` is one rule, in the grammar of ``TIDEWAIT_POLICY``::

  [tolerate:|warn:|fail:]condition[+condition]...     any instead of a condition: all that is left

  time_wait listen bound unconn established ...       a state of the socket
  bind_failed wildcard                                what the test does (fail: or warn: in front)
  port=8080  port=8000-8010                           its local port
  path=PATTERN                                        of a Unix socket or its stale file; * and ? match
  owner=NAME                                          the name of a process that holds it
  test=PATTERN                                        the full name of the test; * and ? as in a shell
  tag=PATTERN                                         a tag of the test (Catch2), likewise

  @FILE                                               the rules of a file, relative to the source folder
  max_wait=250ms  max_wait=2s  blind=skip  audit      a setting

A name with ``,`` ``;`` ``+`` ``"`` ``\`` or a blank is written in quotes, and the argument in brackets:
``TOLERATE [[test="name, rest"+time_wait]]``. In the quotes ``\"`` is a quote, ``\\`` a backslash, and
``\x0a`` the byte 10.
#]=======================================================================]

# A name as it is safe on its way to the test, in which each backslash begins an escape.
function(_tidewait_quote_name name result)
  # The escapes first, so that each backslash that is left begins one of ours.
  string(REPLACE "\\\\" "\\x5c" name "${name}")
  string(REPLACE "\\\"" "\\x22" name "${name}")
  foreach(hostile IN ITEMS 09 0a 0d 23 24 26 27 28 29 3b 3c 3e 40 5b 5d 60 7b 7c 7d)
    math(EXPR code "0x${hostile}")
    string(ASCII ${code} character)
    string(REPLACE "${character}" "\\x${hostile}" name "${name}")
  endforeach()
  if(name MATCHES "[^A-Za-z0-9_.*?:/-]")
    set(name "\"${name}\"")
  endif()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

# Checks a file of rules, one a line, relative to the source folder; CMake configures anew when it
# changes. <safe> is the item that names it.
function(_tidewait_read_rule_file path safe flaw)
  set(${flaw} "" PARENT_SCOPE)
  set(${safe} "" PARENT_SCOPE)
  if(path MATCHES "^\"(.*)\"$")
    set(path "${CMAKE_MATCH_1}")
    string(REPLACE "\\\"" "\"" path "${path}")
    string(REPLACE "\\\\" "\\" path "${path}")
  endif()
  set(file "${path}")
  if(NOT IS_ABSOLUTE "${file}")
    set(file "${CMAKE_CURRENT_SOURCE_DIR}/${path}")
  endif()
  if(NOT EXISTS "${file}" OR IS_DIRECTORY "${file}")
    set(${flaw} "there is no file ${file}" PARENT_SCOPE)
    return()
  endif()
  file(SIZE "${file}" size)
  if(size GREATER 1048576)
    set(${flaw} "${file} is larger than 1 MiB" PARENT_SCOPE)
    return()
  endif()
  file(READ "${file}" rest)
  set(quoted [==["([^"\]|\\.)*"]==])
  set(number 0)
  while(NOT rest STREQUAL "")
    math(EXPR number "${number} + 1")
    string(FIND "${rest}" "\n" end)
    set(line "${rest}")
    if(end EQUAL -1)
      set(rest "")
    else()
      string(SUBSTRING "${rest}" 0 ${end} line)
      math(EXPR end "${end} + 1")
      string(SUBSTRING "${rest}" ${end} -1 rest)
    endif()
    if(line MATCHES "^[ \t\r]*(#.*)?$")
      continue()
    endif()
    set(item "${line}")
    set(why "one rule a line; put a name with a separator or a blank in quotes")
    if(line MATCHES "^[ \t\r]*(([^ \t\r\"]|${quoted})+)([ \t\r]*[ \t]#.*|[ \t\r]*)$")
      set(item "${CMAKE_MATCH_1}")
      if(item MATCHES "^@")
        set(why "a file of rules names no other file")
      elseif(NOT item MATCHES "^[,;]|[,;]$")
        _tidewait_read_rule("${item}" unused why)
      endif()
    endif()
    if(why)
      set(${flaw} "${file}:${number}: ${item}: ${why}" PARENT_SCOPE)
      return()
    endif()
  endwhile()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  string(REPLACE "\\" "\\\\" file "${file}")
  string(REPLACE "\"" "\\\"" file "${file}")
  _tidewait_quote_name("${file}" file)
  set(${safe} "@${file}" PARENT_SCOPE)
endfunction()

# What <tidewait/policy.hpp> reads; selftest/packaging/policy compares the two. <flaw> is "" for a
# good rule, and <safe> is the same rule without a character that means something to CMake's lists,
# generator expressions or a shell on its way to the test: such a character becomes \x3b.
function(_tidewait_read_rule text safe flaw)
  set(quoted [==["([^"\]|\\["\]|\\x[0-9a-fA-F][0-9a-fA-F])+"]==])
  set(plain "[^,; \t\n+\"\\]+")
  set(states established syn_sent syn_recv fin_wait1 fin_wait2 time_wait unconn close_wait last_ack
             listen closing bound bind_failed wildcard)
  set(result "")
  set(seen "")
  set(why "")

  string(REGEX REPLACE "^[,; \t\n]+" "" rest "${text}")
  string(REGEX REPLACE "[,; \t\n]+$" "" rest "${rest}")

  if(rest MATCHES "^max_wait=(.*)$")
    set(duration "${CMAKE_MATCH_1}")
    set(why "a duration is written max_wait=250ms or max_wait=2s, up to an hour")
    if((duration MATCHES "^([0-9]+)(ms)?$" AND NOT CMAKE_MATCH_1 GREATER 3600000)
       OR (duration MATCHES "^([0-9]+)s$" AND NOT CMAKE_MATCH_1 GREATER 3600))
      set(why "")
    endif()
    set(result "${rest}")
  elseif(rest MATCHES "^blind=")
    if(NOT rest MATCHES "^blind=(skip|fail)$")
      set(why "it is blind=skip or blind=fail")
    endif()
    set(result "${rest}")
  elseif(rest MATCHES "^@(.+)$")
    _tidewait_read_rule_file("${CMAKE_MATCH_1}" result why)
  elseif(rest STREQUAL "audit" OR rest STREQUAL "warn:all" OR rest STREQUAL "")
    set(result "${rest}")
  else()
    if(rest MATCHES "^(tolerate:|warn:|fail:)(.*)$")
      set(result "${CMAKE_MATCH_1}")
      set(rest "${CMAKE_MATCH_2}")
    endif()
    set(more TRUE)
    if(rest STREQUAL "any")
      string(APPEND result any)
      set(more FALSE)
    endif()
    while(more)
      set(kind "")
      if(rest MATCHES "^(owner|test|tag|path)=(${quoted})(.*)$")
        set(kind ${CMAKE_MATCH_1})
        set(name "${CMAKE_MATCH_2}")
        set(rest "${CMAKE_MATCH_4}")
        string(REGEX REPLACE "^\"|\"$" "" name "${name}")
      elseif(rest MATCHES "^(owner|test|tag|path)=(${plain})(.*)$")
        set(kind ${CMAKE_MATCH_1})
        set(name "${CMAKE_MATCH_2}")
        set(rest "${CMAKE_MATCH_3}")
      elseif(rest MATCHES "^(owner|test|tag|path)=(\"\"|[+]|$)")
        set(why "an empty name would match everything: leave it out")
        break()
      elseif(rest MATCHES "^port=([0-9]+)(-([0-9]+))?(.*)$")
        set(kind port)
        set(first ${CMAKE_MATCH_1})
        set(final "${CMAKE_MATCH_3}")
        set(rest "${CMAKE_MATCH_4}")
        if(final STREQUAL "")
          set(final ${first})
        endif()
        if(first LESS 1 OR final GREATER 65535 OR first GREATER final)
          set(why "a port is 1 to 65535: port=8080 or port=8000-8010")
          break()
        endif()
      elseif(rest MATCHES "^([A-Za-z0-9_-]+)(.*)$")
        set(state "${CMAKE_MATCH_1}")
        set(tail "${CMAKE_MATCH_2}")
        string(TOLOWER "${state}" lower)
        string(REPLACE "-" "_" lower "${lower}")
        if(lower IN_LIST states)
          set(kind state)
          set(rest "${tail}")
        endif()
      endif()

      if(NOT kind OR NOT (rest STREQUAL "" OR rest MATCHES "^[+]"))
        string(CONCAT why
          "a rule is [tolerate:|warn:|fail:] and a state (listen, time_wait, bound, unconn, "
          "established, ...), bind_failed, wildcard, port=N, path=PATTERN, owner=NAME, test=PATTERN, tag=PATTERN or any; combine "
          "conditions with '+'; also @FILE, max_wait=250ms, blind=skip, audit and warn:all. Each argument is "
          "one rule. Put a name with ',', ';', '+', '\"', '\\' or a blank in quotes: [[test=\"name, rest\"+time_wait]]"
        )
        break()
      endif()
      if(kind IN_LIST seen)
        set(why "only one state, port, path, owner, test and tag fit in a rule: write two")
        break()
      endif()
      list(APPEND seen ${kind})
      if(port IN_LIST seen AND path IN_LIST seen)
        set(why "no socket has both a port and a path: write two rules")
        break()
      endif()
      if(kind STREQUAL "state" AND lower MATCHES "^(bind_failed|wildcard)$")
        list(APPEND seen conduct)
      endif()
      if("conduct" IN_LIST seen AND ("owner" IN_LIST seen OR "path" IN_LIST seen))
        set(why "bind_failed and wildcard go with port= and test= only")
        break()
      endif()

      if(kind STREQUAL "state")
        string(APPEND result "${state}")
      elseif(kind STREQUAL "port")
        string(APPEND result "port=${first}-${final}")
      else()
        _tidewait_quote_name("${name}" name)
        string(APPEND result "${kind}=${name}")
      endif()
      set(more FALSE)
      if(rest MATCHES "^[+](.*)$")
        set(rest "${CMAKE_MATCH_1}")
        string(APPEND result "+")
        set(more TRUE)
      endif()
    endwhile()
  endif()
  set(${safe} "${result}" PARENT_SCOPE)
  set(${flaw} "${why}" PARENT_SCOPE)
endfunction()

# The rule as it goes to the test; an error that quotes what <keyword> was given if it is none.
function(_tidewait_check_rule keyword text safe)
  _tidewait_read_rule("${text}" result flaw)
  if(flaw)
    message(FATAL_ERROR "${keyword}: invalid policy item '${text}': ${flaw}.")
  endif()
  set(${safe} "${result}" PARENT_SCOPE)
endfunction()
