# SPDX-License-Identifier: BSL-1.0
#
# The worked example of docs/ci_recipes.md: tests in Python under the launcher, clean and with a forgotten server.
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(MAKE_DIRECTORY ${WORK}/build)
set(run ${COMMAND_TIDEWAIT} run --ports 1 -- ${PYTHON} -B -W ignore -m unittest discover -s ${EXAMPLE})
expect(COMMAND ${run} EXIT 0 PRINTS "OK" NEVER "left [0-9]+ socket")
expect(COMMAND ${CMAKE_COMMAND} -E env FORGET=1 ${run} EXIT 97
       PRINTS "left 1 socket behind on 127.0.0.1:[0-9]+" "left 1 process running")
