# SPDX-License-Identifier: BSL-1.0
set(ctest ${CTEST} --output-on-failure)
execute_process(COMMAND ${CMAKE} --version OUTPUT_VARIABLE version)
if(version MATCHES "version 3[.](1[0-9]|2[01])[.]") # no choice of tests, no blank in a name
  list(APPEND ctest -E "^one|net[.](Late|OneTest)|late[.](Environment|OneTest)")
endif()

expect(COMMAND ${ctest} -j 2 EXIT 0
       PRINTS "net.Environment.HasTheNameThatCTestHasForTheTest" "late.Late.HasTheNameAndNoJournal"
              "100% tests passed")

# A journal does not grow for ever, be it of discovered tests or of those that were added.
string(REPEAT "x" 4000001 long)
set(journals ${WORK}/build/journal.jsonl ${WORK}/build/Testing/tidewait-journal.jsonl)
foreach(journal IN LISTS journals)
  file(WRITE ${journal} "${long}")
endforeach()
expect(COMMAND ${ctest} -R HasTheRules EXIT 0)
foreach(journal IN LISTS journals)
  if(EXISTS ${journal})
    file(SIZE ${journal} size)
    if(size GREATER 4000000)
      message(FATAL_ERROR "${journal} is still there, ${size} bytes long")
    endif()
  endif()
endforeach()

# Locks: those of the project stay; where a test may have to go on unisolated, there is one, too.
expect(COMMAND ${ctest} --show-only=json-v1 EXIT 0
       PRINTS "RESOURCE_LOCK[^]]*own_lock[^]]*tidewait_port_8080[^]]*9000[^]]*9001[^]]*9002")
expect(COMMAND ${ctest} --show-only=json-v1 -R ^late EXIT 0 PRINTS "RESOURCE_LOCK[^]]*tidewait_port_8080")

function(expect_mistake mistake message)
  expect(COMMAND ${CMAKE} -D "MISTAKE=${mistake}" . EXIT 1 PRINTS ${message} ${ARGN})
endfunction()
expect_mistake("no framework" "program links neither GoogleTest nor Catch2" "FRAMEWORK gtest")
expect_mistake("no target" "nothing is not a target")
expect_mistake("not a port" "FIXED_PORTS: 0 is outside 1-65535")
expect_mistake("not a number" "PORTS takes a count, got some")
expect_mistake("no rule" "TOLERATE: invalid policy item 'test=name, rest.time_wait': a rule is"
               "Put a name with")
expect_mistake("no rule of one test" "TOLERATE: invalid policy item 'owner=': an empty name")
expect_mistake("no duration" "MAX_WAIT: invalid policy item 'max_wait=2h': a duration is")
expect_mistake("no command" "tidewait_add_test.. needs NAME and COMMAND")

if(NOT OPTIONS MATCHES "WITH_COMMAND=ON")
  # Said once, and an error where nothing else can do it.
  expect_mistake("no component" "leaks that outlive a test process" "TIDEWAIT_COMMAND ON"
                 "ISOLATE and PORTS need the command tidewait")
  expect_mistake("no gate" "tidewait_add_gate.. needs the component command")
endif()
