# SPDX-License-Identifier: BSL-1.0
set(ctest ${CTEST} -j 8 --output-on-failure)

expect(COMMAND ${ctest} --repeat until-fail:5 -R ^unprotected EXIT 8 PRINTS "Address already in use")
expect(COMMAND ${ctest} --repeat until-fail:5 -R ^locked EXIT 0 PRINTS "100% tests passed")

execute_process(
  COMMAND ${WORK}/${TREE}/bin/tidewait run --isolate=require -- ${CMAKE_COMMAND} -E true
  RESULT_VARIABLE denied
)
if(denied)
  message("Private network namespaces are denied here")
  expect(COMMAND ${ctest} -R ^isolated EXIT 8 PRINTS "no network namespace of its own")
else()
  expect(COMMAND ${ctest} --repeat until-fail:5 -R ^isolated EXIT 0 PRINTS "100% tests passed")
endif()

# In a namespace of its own a test needs no lock.
expect(COMMAND ${CTEST} --show-only=json-v1 -R ^isolated EXIT 0 NEVER "RESOURCE_LOCK")
