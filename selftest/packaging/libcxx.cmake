# SPDX-License-Identifier: BSL-1.0
#
# The headers and the witness work with Clang and its own library.
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${WORK})
file(COPY ${CMAKE_CURRENT_LIST_DIR}/libcxx/ DESTINATION ${WORK})
file(MAKE_DIRECTORY ${WORK}/build)
file(WRITE ${WORK}/empty.cpp "#include <version>\n")
execute_process(
  COMMAND ${CXX} -stdlib=libc++ -fsyntax-only ${WORK}/empty.cpp
  ERROR_QUIET
  RESULT_VARIABLE absent
)
if(absent)
  message("Skipped: no libc++")
  return()
endif()
expect(COMMAND ${CXX} -std=c++17 -stdlib=libc++ -g1 -Wall -Wextra -Wpedantic -Werror -pthread
               -I${TIDEWAIT_SOURCE}/include ../main.cpp -o program EXIT 0)
expect(COMMAND ./program EXIT 1
       PRINTS "Leaky left 2 sockets behind on 127.0.0.1:" "bound at main.cpp:[0-9]+ .serve.")
