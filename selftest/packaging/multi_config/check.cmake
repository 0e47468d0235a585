# SPDX-License-Identifier: BSL-1.0
expect(COMMAND ${CMAKE} --build . --config Release EXIT 0)
foreach(configuration IN ITEMS Debug Release)
  set(ctest ${CTEST} -C ${configuration} --output-on-failure)
  expect(COMMAND ${ctest} -R "^Server[.]IsClosed" EXIT 0 PRINTS "100% tests passed" NEVER "tidewait: ")
  expect(COMMAND ${ctest} -R "^Server[.]IsLeftRunning" EXIT "[1-9]+"
         PRINTS "tidewait: Server.IsLeftRunning left 1 socket behind on 127.0.0.1:[0-9]+")
  expect(COMMAND ${ctest} -R "^plain$" EXIT "[1-9]+" PRINTS "tidewait: this run of the tests left 1 process alive")
endforeach()
