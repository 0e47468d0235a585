# SPDX-License-Identifier: BSL-1.0
#
# In a copy of the project, whose file of known findings changes.
set(source ${WORK}/source)
set(known ${source}/known_ports.txt)
set(build ${WORK}/of_source)
set(ctest ${CMAKE_CTEST_COMMAND} --test-dir ${build} --output-on-failure)
set(tidewait ${prefix}/bin/tidewait)
file(COPY ${PROJECT}/ DESTINATION ${source})
run(${CMAKE_COMMAND} -S ${source} -B ${build} -G ${GENERATOR} -C ${MACHINE} -D CMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${build})

# Before: two of three are red, and the gate says so once.
expect(COMMAND ${ctest} -j 3 EXIT 8 PRINTS "Server.IsNotClosed left 1 socket behind"
       "tidewait: looked after 3 tests: 2 left something behind" "the same in 1 more test")

# All that is there is recorded, by tests that run side by side, and nothing is red any more.
expect(COMMAND ${tidewait} known record --file ${known} -- ${ctest} -j 3
       EXIT 0 PRINTS "recorded 2 new rules" "known_ports.txt")
file(STRINGS ${known} rules REGEX "^[^#]")
if(NOT rules STREQUAL "listen+test=Client.IsNotClosedEither;listen+test=Server.IsNotClosed")
  message(FATAL_ERROR "recorded: ${rules}")
endif()
run(${CMAKE_COMMAND} --build ${build})
expect(COMMAND ${ctest} -j 3 EXIT 0 PRINTS "100% tests passed" "2 rules let 2 findings pass")

# What no longer occurs can go: known only where its test has run.
file(APPEND ${known} "listen+test=Server.IsClosed # fixed meanwhile\n")
run(${CMAKE_COMMAND} --build ${build})
expect(COMMAND ${ctest} -R IsNotClosed EXIT 0 NEVER "fixed: ")
expect(COMMAND ${ctest} EXIT 8 PRINTS "fixed: remove line 4 of " "listen.test=Server.IsClosed")
expect(COMMAND ${CMAKE_COMMAND} -E env TIDEWAIT_POLICY=@${known} ${tidewait} known prune -- ${ctest}
       EXIT 0 PRINTS "removed 1 rule from ")
run(${CMAKE_COMMAND} --build ${build})
expect(COMMAND ${ctest} EXIT 0 NEVER "fixed: ")
file(GLOB left ${build}/Testing/tidewait/runs/*)
if(left)
  message(FATAL_ERROR "left in the directory of runs: ${left}")
endif()

# A rule that cannot be read is an error when CMake configures, which it does when the file changes.
file(APPEND ${known} "lisen\n")
expect(COMMAND ${CMAKE_COMMAND} --build ${build} EXIT "[1-9].*" PRINTS "known_ports.txt:4:" "lisen: a rule is")
