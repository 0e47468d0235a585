# SPDX-License-Identifier: BSL-1.0
#
# Projects that are built without CMake, by pkg-config: the compiled part, and tests that are watched with
# no change to their code. One of the two tests forgets a listener.
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/build)
execute_process(
  COMMAND ${CMAKE_COMMAND} --install ${TIDEWAIT_BUILD} --prefix ${WORK}/install
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY
)
set(ENV{PKG_CONFIG_PATH} ${WORK}/install/share/pkgconfig:$ENV{PKG_CONFIG_PATH})
set(ENV{CXX} ${CXX})
set(tests ${WORK}/build/tests)

if(KIND STREQUAL "make")
  expect(COMMAND make -C ${WORK}/build -f ${CMAKE_CURRENT_LIST_DIR}/make/Makefile CXX=${CXX}
                 VPATH=${CMAKE_CURRENT_LIST_DIR}/make
         EXIT 0)
elseif(KIND STREQUAL "meson")
  file(COPY ${CMAKE_CURRENT_LIST_DIR}/meson ${CMAKE_CURRENT_LIST_DIR}/make DESTINATION ${WORK})
  expect(COMMAND ${MESON} setup ${WORK}/build ${WORK}/meson EXIT 0)
  expect(COMMAND ${MESON} compile -C ${WORK}/build EXIT 0)
  # The line of docs/ci_recipes.md.
  if(COMMAND_TIDEWAIT)
    expect(COMMAND ${MESON} test -C ${WORK}/build --print-errorlogs --wrapper "${COMMAND_TIDEWAIT} run --"
           EXIT 1 PRINTS "FAILED  . Listener.IsForgotten")
  endif()
endif()
expect(COMMAND ${tests} EXIT 1
       PRINTS "OK . Listener.IsClosed" "left 1 socket behind" "FAILED  . Listener.IsForgotten")
