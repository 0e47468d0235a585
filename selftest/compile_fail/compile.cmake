# SPDX-License-Identifier: BSL-1.0
# cmake -D "COMMAND=<compiler>|<option>..." -D CASE=<file.cpp> -P compile.cmake

string(REPLACE "|" ";" COMMAND "${COMMAND}")
file(STRINGS ${CASE} expect LIMIT_COUNT 1)
if(NOT expect MATCHES "^// expect: (.+)")
  message(FATAL_ERROR "The first line of ${CASE} has to be: // expect: <regular expression>")
endif()
set(expect "${CMAKE_MATCH_1}")

execute_process(COMMAND ${COMMAND} -DTWIN ${CASE} RESULT_VARIABLE result ERROR_VARIABLE output)
if(result)
  message(FATAL_ERROR "The twin has to compile, but:\n${output}")
endif()

execute_process(COMMAND ${COMMAND} ${CASE} RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result)
  message(FATAL_ERROR "${CASE} compiles")
elseif(NOT output MATCHES "${expect}")
  message(FATAL_ERROR "Wanted: ${expect}\nThe compiler's words:\n${output}")
endif()
