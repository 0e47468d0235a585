# SPDX-License-Identifier: BSL-1.0
set(server "127.0.0.1:[0-9]+ +leave_server")
set(left "tidewait: this run of the tests left ")

# Ends the process that the last test has left and nobody has ended.
function(end_server)
  file(STRINGS ${WORK}/build/server.pid pid)
  expect(COMMAND kill ${pid} EXIT 0)
endfunction()

foreach(test IN ITEMS tolerated also_tolerated)
  expect(COMMAND ${CTEST} -R "clean|^${test}" EXIT 0 PRINTS "our own" NEVER "tidewait: ")
  end_server()
endforeach()
expect(COMMAND ${CTEST} -R leaves_plainly EXIT 8
       PRINTS "100% tests passed" "${left}1 process alive" "${server}" "terminated")
foreach(test IN ITEMS writes_over_its_environment has_no_environment)
  expect(COMMAND ${CTEST} -R ${test} EXIT 8 PRINTS "${left}1 process alive" "${server}" "terminated")
endforeach()
# The same, but it is gone: the run before has ended it.
expect(COMMAND ${CTEST} -R clean EXIT 0 NEVER "tidewait: ")
expect(COMMAND ${CTEST} -j 4 -E "never_ends|tolerated" EXIT 8
       PRINTS "${left}4 processes alive" "leaves_by_name +${server}" "terminated")
# CTest ends what it knows of a test after its timeout. The server is not of that.
expect(COMMAND ${CTEST} -R never_ends EXIT 8 PRINTS "Timeout" "${left}1 process alive" "${server}")

# What the journal tells of this run, and only of this one, is in the report.
expect(COMMAND ${CTEST} -R journaled EXIT 0
       PRINTS "1 finding on the ports of this run: see ${WORK}/build/Testing/tidewait-report.html")
expect(COMMAND grep -c "<td>journaled<td>0.0.0.0" ${WORK}/build/Testing/tidewait-report.html EXIT 0)
expect(COMMAND ${CTEST} -R clean EXIT 0 NEVER "tidewait: ")

# After Ctrl-C no command of CTest is run any more. (A shell has its background jobs ignore SIGINT.)
file(REMOVE ${WORK}/build/never_ends.started)
file(WRITE ${WORK}/interrupt.sh [[
env --default-signal=INT "$1" -R never_ends --timeout 60 &
for i in $(seq 600); do
  test -e never_ends.started && break
  sleep 0.1
done
kill -INT $!
wait $!
]])
expect(COMMAND sh ${WORK}/interrupt.sh ${CTEST} EXIT "[1-9].*" NEVER "tidewait: ")
expect(COMMAND ${CTEST} -R clean EXIT 0
       PRINTS "tidewait: an earlier run that was interrupted left [12] process" "${server}" "terminated")
expect(COMMAND ${CTEST} -R clean EXIT 0 NEVER "tidewait: ")

# A configuration that asks for no gate has none, with or without tidewait, the project's own commands
# stay, and the next configuration may have it again.
foreach(without IN ITEMS GATE TIDEWAIT)
  expect(COMMAND ${CMAKE_COMMAND} -D WITH_${without}=OFF . EXIT 0)
  expect(COMMAND ${CTEST} -R leaves_plainly EXIT 0 PRINTS "our own" NEVER "tidewait: ")
  end_server()
  expect(COMMAND ${CMAKE_COMMAND} -D WITH_${without}=ON . EXIT 0)
  expect(COMMAND ${CTEST} -R leaves_plainly EXIT 8 PRINTS "our own" "${left}1 process alive")
endforeach()

# A rule that cannot be read.
file(WRITE ${WORK}/mistake/CMakeLists.txt [[
cmake_minimum_required(VERSION 3.24)
project(mistake LANGUAGES CXX)
find_package(tidewait CONFIG REQUIRED COMPONENTS command)
tidewait_add_gate(TOLERATE owner=redis ownr=nginx)
]])
expect(COMMAND ${CMAKE_COMMAND} -S ${WORK}/mistake -B ${WORK}/mistake/build -G ${GENERATOR} -C ${MACHINE}
               -D CMAKE_PREFIX_PATH=${prefix}
       EXIT 1 PRINTS "TOLERATE: invalid policy item 'ownr=nginx'" "a rule is")
