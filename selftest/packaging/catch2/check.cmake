# SPDX-License-Identifier: BSL-1.0
expect(COMMAND ${CTEST} -V EXIT 8
       PRINTS "TIDEWAIT_POLICY=cmake_list_append:time_wait"
              "TIDEWAIT_TEST=set:seen.a listener is closed" "Passed"
              "tidewait: a listener is forgotten left 1 socket behind" "Failed"
              "a listener is forgotten, and tolerated [.]+ +Passed")
expect(COMMAND ${CTEST} --show-only=json-v1 EXIT 0 PRINTS "RESOURCE_LOCK[^]]*tidewait_port_8080")
