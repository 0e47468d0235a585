# SPDX-License-Identifier: BSL-1.0
#
# Every public header, found by a plain -I and so no system header, is free of the warnings that projects
# turn into errors: alone and with the compiled library.

set(flags
  -std=c++17 -fsyntax-only -Werror -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
  -Wold-style-cast -Weffc++ -Wswitch-enum -Wnon-virtual-dtor -Woverloaded-virtual -Wundef -Wcast-qual
  -Wformat=2
)
file(REMOVE_RECURSE ${WORK})
set(headers "")
foreach(folder IN ITEMS include adapters/gtest/include adapters/process/include adapters/catch2/include)
  list(APPEND flags -I${TIDEWAIT_SOURCE}/${folder})
  file(GLOB_RECURSE names RELATIVE ${TIDEWAIT_SOURCE}/${folder} ${TIDEWAIT_SOURCE}/${folder}/*.hpp)
  list(FILTER names EXCLUDE REGEX "/detail/")
  if(folder MATCHES "catch2" AND NOT WITH_CATCH2 OR folder MATCHES "process" AND NOT WITH_PROCESS)
    set(names "")
  endif()
  list(APPEND headers ${names})
endforeach()
list(LENGTH headers count)
if(count LESS 20)
  message(FATAL_ERROR "Only these headers were found: ${headers}")
endif()
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>")
list(JOIN headers "\n" text)
file(WRITE ${WORK}/headers.cpp "${text}\n")

foreach(part IN ITEMS "" -DTIDEWAIT_COMPILED)
  execute_process(
    COMMAND ${CXX} ${flags} ${part} ${WORK}/headers.cpp
    ERROR_VARIABLE errors
    RESULT_VARIABLE code
  )
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${CXX} ${part}:\n${errors}")
  endif()
endforeach()
