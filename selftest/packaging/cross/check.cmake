# SPDX-License-Identifier: BSL-1.0
file(GLOB command ${WORK}/install/bin/tidewait)
expect(COMMAND ${CMAKE} -D CHECK=ON . EXIT 1
       PRINTS "tidewait::command is made for" "-D[ \n]+TIDEWAIT_COMMAND_EXECUTABLE=/usr/bin/tidewait")
expect(COMMAND ${CMAKE} -D TIDEWAIT_COMMAND_EXECUTABLE=/bin/false . EXIT 1
       PRINTS "TIDEWAIT_COMMAND_EXECUTABLE is /bin/false")
expect(COMMAND ${CMAKE} -D TIDEWAIT_COMMAND_EXECUTABLE=${command} . EXIT 0)
expect(COMMAND ${CTEST} -V EXIT 0 PRINTS "/bin/tidewait[^a-z]+run" "of-the-test" "100% tests passed")
