# SPDX-License-Identifier: BSL-1.0
set(ctest ${CTEST} --output-on-failure)

# How many sockets and processes the test left, in the Test.xml of the last run.
function(expect_leaks count)
  file(STRINGS ${WORK}/build/Testing/TAG tag LIMIT_COUNT 1)
  file(READ ${WORK}/build/Testing/${tag}/Test.xml xml)
  if(NOT xml MATCHES "name=\"tidewait_leaks\">[ \t\r\n]*<Value>${count}</Value>")
    message(FATAL_ERROR "Test.xml does not say that ${count} were left: ${xml}")
  endif()
endfunction()

# Nobody sees it.
foreach(test IN ITEMS IsLeftRunning SkipsAndIsLeftRunning)
  expect(COMMAND ${ctest} -R "^unwatched[.]Server[.]${test}" EXIT 0)
  file(STRINGS ${WORK}/build/server.pid pid)
  expect(COMMAND kill ${pid} EXIT 0)
endforeach()
expect(COMMAND ${ctest} -R "^unwatched[.]Server[.]Is(Not)?Closed" EXIT 0 NEVER "tidewait: ")

# One library more on the link line.
expect(COMMAND ${ctest} -R "^linked[.]Server[.]IsClosed" EXIT 0 NEVER "tidewait: ")
expect(COMMAND ${ctest} -R "^linked[.]Server[.]IsNotClosed" EXIT 8
       PRINTS "tidewait: Server.IsNotClosed left 1 socket behind on 127.0.0.1:[0-9]+" "Failed")

# Not even that: what outlives the process, whatever rule of CTest would let it pass.
expect(COMMAND ${ctest} -R "^net[.]Server[.]Is(Not)?Closed" EXIT 0 NEVER "tidewait: ")
expect(COMMAND ${ctest} -T Test -R "^net[.]Server[.]IsClosed" EXIT 0)
expect_leaks(0)
foreach(test IN ITEMS
    net.Server.IsLeftRunning net.Server.SkipsAndIsLeftRunning rule.will_fail rule.pass_regex)
  string(REPLACE "." "[.]" regex ${test})
  expect(COMMAND ${ctest} -T Test -R "^${regex}$" EXIT "[1-9]+"
         PRINTS "tidewait: ${regex} left 1 socket behind on 127.0.0.1:[0-9]+" NEVER "[*]Skipped")
  expect_leaks(2) # the process and its listener
  file(STRINGS ${WORK}/build/server.pid pid)
  expect(COMMAND kill -0 ${pid} EXIT 1) # the launcher has ended it
endforeach()
