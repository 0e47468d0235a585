# SPDX-License-Identifier: BSL-1.0
#
# cmake -D ROOT=... -D COMMAND=... -D SERVER=... -D GTEST_SUBJECT=... [-D CATCH2_SUBJECT=...
# -D CATCH2_MODULES=...] -D TOOLCHAIN=... -D DIRECTORY=... -P launched.cmake
#
# Builds launched/ and runs its tests: each must pass, or fail for its own reason.

file(REMOVE_RECURSE ${DIRECTORY})
file(WRITE ${DIRECTORY}/tidewait "#!/bin/sh\nexec wine '${COMMAND}' \"$@\"\n")
file(CHMOD ${DIRECTORY}/tidewait PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/launched -B ${DIRECTORY}/build -G Ninja
          --toolchain ${TOOLCHAIN} -D SERVER=${SERVER} -D GTEST_SUBJECT=${GTEST_SUBJECT}
          -D CATCH2_SUBJECT=${CATCH2_SUBJECT} -D CATCH2_MODULES=${CATCH2_MODULES}
          -D TIDEWAIT_ROOT=${ROOT} -D TIDEWAIT_COMMAND_EXECUTABLE=${DIRECTORY}/tidewait
  COMMAND_ERROR_IS_FATAL ANY
)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${DIRECTORY}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${DIRECTORY}/build --output-on-failure
  OUTPUT_VARIABLE output
  ECHO_OUTPUT_VARIABLE
)
set(of_catch2 "4 tests failed out of 7")
if(CATCH2_SUBJECT)
  set(of_catch2
      "closes its listener [.]+ +Passed"
      "leaves a listener [.]+[^\n]*(Exception|Failed|Aborted)"
      "leaves a listener left 1 socket behind"
      "5 tests failed out of 9"
  )
endif()
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
        ${of_catch2}
)
  if(NOT output MATCHES "${wanted}")
    message(FATAL_ERROR "not in the output: ${wanted}")
  endif()
endforeach()
