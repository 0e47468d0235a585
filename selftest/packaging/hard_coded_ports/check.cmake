# SPDX-License-Identifier: BSL-1.0

# The port is nobody else's while this script checks.
set(tidewait ${WORK}/${TREE}/bin/tidewait)
if(NOT PORT)
  run(${tidewait} lease -- ${CMAKE_COMMAND} -D PORT={port:0} -D WORK=${WORK} -D TREE=${TREE}
      -D CTEST=${CTEST} -P ${CMAKE_CURRENT_LIST_FILE})
  return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/../expect.cmake)
expect(COMMAND ${CMAKE_COMMAND} -D PORT=${PORT} . EXIT 0)
expect(COMMAND ${CMAKE_COMMAND} --build . EXIT 0)

set(ctest ${CTEST} -j 8 --output-on-failure)

expect(COMMAND ${ctest} --repeat until-fail:5 -R ^unprotected EXIT 8 PRINTS "Address already in use")
expect(COMMAND ${ctest} --repeat until-fail:5 -R ^locked EXIT 0 PRINTS "100% tests passed")

execute_process(
  COMMAND ${tidewait} run --isolate=require -- ${CMAKE_COMMAND} -E true
  RESULT_VARIABLE denied
)
if(denied)
  message("Private network namespaces are denied here")
  expect(COMMAND ${ctest} -R ^isolated EXIT 8 PRINTS "no network namespace of its own")
else()
  expect(COMMAND ${ctest} --repeat until-fail:5 -R "^(isolated|day_one)" EXIT 0 PRINTS "100% tests passed")
endif()

# In a namespace of its own a test needs no lock.
expect(COMMAND ${CTEST} --show-only=json-v1 -R ^isolated EXIT 0 NEVER "RESOURCE_LOCK")
