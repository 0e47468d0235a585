# SPDX-License-Identifier: BSL-1.0
#
# expect(COMMAND <command>... EXIT <regex> [PRINTS <regex>...] [NEVER <regex>...])
#
# Runs a command in the build directory of the downstream project. PRINTS must match its output, in
# this order; NEVER must not. Lines are joined first: where tidewait and CMake break them depends on the
# length of paths.
function(expect)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "EXIT" "COMMAND;PRINTS;NEVER")
  execute_process(
    COMMAND ${arg_COMMAND}
    WORKING_DIRECTORY ${WORK}/build
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    RESULT_VARIABLE code
  )
  set(flaws "")
  if(NOT code MATCHES "^(${arg_EXIT})$")
    list(APPEND flaws "ends with ${code}, not ${arg_EXIT}")
  endif()
  string(REGEX REPLACE " *\n *" " " joined "${output}")
  set(rest "${joined}")
  foreach(regex IN LISTS arg_PRINTS)
    if(rest MATCHES "${regex}")
      string(FIND "${rest}" "${CMAKE_MATCH_0}" at)
      string(LENGTH "${CMAKE_MATCH_0}" length)
      math(EXPR at "${at} + ${length}")
      string(SUBSTRING "${rest}" ${at} -1 rest)
    else()
      list(APPEND flaws "does not print, or not in this place: ${regex}")
    endif()
  endforeach()
  foreach(regex IN LISTS arg_NEVER)
    if(joined MATCHES "${regex}")
      list(APPEND flaws "prints ${CMAKE_MATCH_0}")
    endif()
  endforeach()
  if(flaws)
    list(JOIN flaws "\n  " flaws)
    list(JOIN arg_COMMAND " " command)
    message(FATAL_ERROR "${command}\n  ${flaws}\nIt printed:\n${output}")
  endif()
endfunction()
