# SPDX-License-Identifier: BSL-1.0
#
# The single header is made and alone makes a program of two files, which finds the listener that it leaves.
# What cannot be put into one file is refused.
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/build)
set(script ${PYTHON} -B ${TIDEWAIT_SOURCE}/src/library/single_header.py)
expect(COMMAND ${script} ${TIDEWAIT_SOURCE} ${WORK}/tidewait.hpp EXIT 0)

file(STRINGS ${WORK}/tidewait.hpp left REGEX "include *[<\"]tidewait|_WIN32|TIDEWAIT_BACKEND|namespace windows")
file(STRINGS ${WORK}/tidewait.hpp once REGEX "pragma once|SPDX-License-Identifier|include <string>")
list(LENGTH once count)
if(left OR NOT count EQUAL 3)
  message(FATAL_ERROR "The single header has: ${left}\nand once each: ${once}")
endif()
file(STRINGS ${WORK}/tidewait.hpp directives REGEX "^# *(error|include)")
if(NOT directives MATCHES "^#error")
  message(FATAL_ERROR "A wrong compiler meets something else before the #error: ${directives}")
endif()

# refused(<reason> <line of the umbrella>...)
function(refused reason)
  list(JOIN ARGN "\n" text)
  file(WRITE ${WORK}/flawed/include/tidewait/tidewait.hpp "${text}\n")
  foreach(name IN ITEMS detail/requirements version)
    file(WRITE ${WORK}/flawed/include/tidewait/${name}.hpp "")
  endforeach()
  expect(COMMAND ${script} ${WORK}/flawed ${WORK}/flawed/tidewait.hpp EXIT 1
         PRINTS "tidewait/tidewait.hpp:?[0-9]*: ${reason}")
endfunction()
refused("only the compiler knows whether to include this" "#ifdef __SSE2__" "#include <tidewait/version.hpp>" "#endif")
refused("only the compiler knows whether this holds" "#ifdef _WIN32" "#elif defined(__SSE2__)" "#endif")
refused("includes of the system that come later" "#define _GNU_SOURCE" "#include <string>")
refused("neither a header of tidewait" "#include \"version.hpp\"")
refused("an #if without #endif" "#if 1")
refused("no #if before it" "#endif")

file(COPY ${CMAKE_CURRENT_LIST_DIR}/single_header/ DESTINATION ${WORK})
expect(COMMAND ${CXX} -std=c++17 -Wall -Wextra -Wpedantic -Werror -pthread ../main.cpp ../server.cpp -o program
       EXIT 0)
expect(COMMAND ./program EXIT 0)
expect(COMMAND ./program leak EXIT 1 PRINTS "test left 1 socket behind" "LISTEN 127.0.0.1:" "leased at: main.cpp:[0-9]+")
