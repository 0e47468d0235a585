# SPDX-License-Identifier: BSL-1.0
#
# Of each program the test that forgets a listener fails, and once, and no other.
expect(COMMAND ${CTEST} --show-only=json-v1 EXIT 0 PRINTS "gtest_main_in_an_archive")
file(STRINGS ${WORK}/build/CTestTestfile.cmake tests REGEX "^add_test")
foreach(test IN LISTS tests)
  string(REGEX REPLACE "^add_test\\(([a-z0-9_]+) .*" "\\1" name "${test}")
  set(closed "")
  if(NOT name MATCHES "catch2")
    set(closed "OK . Server.IsClosed")
  endif()
  expect(COMMAND ${WORK}/build/${name} EXIT "[1-9][0-9]*"
         PRINTS ${closed} "tidewait: [^\n]+ left 1 socket behind on 127.0.0.1:[0-9]+"
         NEVER "left 1 socket behind.*left 1 socket behind")
endforeach()
