# SPDX-License-Identifier: BSL-1.0
#
# cmake -D ROOT=... -D COMMAND=... -D SERVER=... -D GTEST_SUBJECT=... -D DIRECTORY=... -P launched.cmake
#
# Builds launched/ and runs its tests: each must pass, or fail for its own reason.

file(REMOVE_RECURSE ${DIRECTORY})
file(WRITE ${DIRECTORY}/tidewait "#!/bin/sh\nexec wine '${COMMAND}' \"$@\"\n")
file(CHMOD ${DIRECTORY}/tidewait PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/launched -B ${DIRECTORY}/build -D SERVER=${SERVER}
          -D GTEST_SUBJECT=${GTEST_SUBJECT}
          -D TIDEWAIT_ROOT=${ROOT} -D TIDEWAIT_COMMAND_EXECUTABLE=${DIRECTORY}/tidewait
  COMMAND_ERROR_IS_FATAL ANY
)
execute_process(
  COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${DIRECTORY}/build --output-on-failure
  OUTPUT_VARIABLE output
  ECHO_OUTPUT_VARIABLE
)
foreach(wanted IN ITEMS
        "clean [.]+ +Passed"
        "leaves_a_process [.]+[^\n]*(Exception|Failed|Aborted)"
        "left 1 process running: subject_server.exe"
        "isolated [.]+[^\n]*(Exception|Failed|Aborted)"
        "was not run: no network namespace of its own: Windows has none"
        "Plain.ClosesItsListener [.]+ +Passed"
        "Plain.LeavesAListener [.]+[^\n]*(Exception|Failed|Aborted)"
        "Plain.LeavesAListener left 1 socket behind"
        "Fixture.ClosesItsListener [.]+ +Passed"
        "4 tests failed out of 7"
)
  if(NOT output MATCHES "${wanted}")
    message(FATAL_ERROR "not in the output: ${wanted}")
  endif()
endforeach()
