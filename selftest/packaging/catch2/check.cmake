# SPDX-License-Identifier: BSL-1.0
expect(COMMAND ${CTEST} -V EXIT 8
       PRINTS "TIDEWAIT_POLICY=cmake_list_append:time_wait"
              "TIDEWAIT_TEST=set:seen.a listener is closed" "Passed"
              "tidewait: a listener is forgotten left 1 socket behind" "Failed"
              "a listener is forgotten, and tolerated [.]+ +Passed")
foreach(way IN ITEMS unity precompiled)
  expect(COMMAND ${WORK}/build/${way}_test [tidy] EXIT 0)
  expect(COMMAND ${WORK}/build/${way}_test [untidy] EXIT "[1-9][0-9]*" PRINTS "left 1 socket behind")
endforeach()
expect(COMMAND ${CTEST} --show-only=json-v1 EXIT 0 PRINTS "RESOURCE_LOCK[^]]*tidewait_port_8080")
