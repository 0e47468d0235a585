# SPDX-License-Identifier: BSL-1.0
#
# cpack -G DEB makes two packages. They are unpacked, never installed, and used from where they lie: by a
# project that finds the library, and by a call of the command.
include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)

foreach(tool IN ITEMS dpkg-deb dpkg-shlibdeps gzip)
  find_program(path_${tool} ${tool})
  if(NOT path_${tool})
    message("Skipped: there is no ${tool} (Debian, Ubuntu: dpkg-dev)")
    return()
  endif()
endforeach()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/build)
expect(COMMAND ${CPACK} -G DEB --config ${TIDEWAIT_BUILD}/CPackConfig.cmake -B ${WORK} EXIT 0)
file(REMOVE_RECURSE ${WORK}/_CPack_Packages)

# What each package says of itself, and what it brings. Nothing else is made.
file(GLOB library ${WORK}/libtidewait-dev_*_all.deb)
file(GLOB command ${WORK}/tidewait_*.deb)
file(GLOB packages ${WORK}/*.deb)
if(NOT packages STREQUAL "${library};${command}")
  message(FATAL_ERROR "cpack made ${packages}")
endif()
expect(COMMAND dpkg-deb --info ${library} EXIT 0 NEVER "Depends:"
       PRINTS "Recommends: tidewait " "Section: libdevel" "Suggests: .*catch2.*libboost-dev.*libgtest-dev")
expect(COMMAND dpkg-deb --contents ${library} EXIT 0 NEVER "/bin/" "/man/" "tidewait-command.cmake"
       PRINTS "/usr/include/tidewait/gtest.hpp " "/usr/include/tidewait/tidewait.hpp "
              "/usr/share/cmake/tidewait/tidewait.cpp " "/usr/share/cmake/tidewait/tidewaitConfig.cmake "
              "/usr/share/doc/libtidewait-dev/README.md " "/usr/share/doc/libtidewait-dev/docs/cmake.md "
              "/usr/share/pkgconfig/tidewait.pc ")
expect(COMMAND dpkg-deb --info ${command} EXIT 0 PRINTS "Depends: libc6 " "Section: devel")
expect(COMMAND dpkg-deb --contents ${command} EXIT 0 NEVER "/include/" "[.]md "
       PRINTS "rwxr-xr-x root/root [^/]*/usr/bin/tidewait " "/usr/share/bash-completion/completions/tidewait "
              "/usr/share/cmake/tidewait/tidewait-command.cmake "
              "/usr/share/fish/vendor_completions.d/tidewait.fish "
              "/usr/share/man/man1/tidewait-run.1.gz " "/usr/share/man/man1/tidewait.1.gz "
              "/usr/share/zsh/vendor-completions/_tidewait ")
foreach(package IN ITEMS library command)
  expect(COMMAND dpkg-deb --contents ${${package}} EXIT 0
         PRINTS "/changelog.Debian.gz " "/usr/share/doc/[a-z-]+/copyright ")
  expect(COMMAND dpkg-deb --extract ${${package}} ${WORK}/tree EXIT 0)
endforeach()

# Nothing names the machine that they were made on.
foreach(folder IN ITEMS ${TIDEWAIT_SOURCE} ${WORK})
  expect(COMMAND grep -rlF ${folder} ${WORK}/tree EXIT 1)
endforeach()

expect(COMMAND ${WORK}/tree/usr/bin/tidewait --version EXIT 0 PRINTS "^tidewait [0-9.]+ $")
foreach(project IN ITEMS components find_package)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -D PROJECT=${CMAKE_CURRENT_LIST_DIR}/${project} -D PREFIX=${WORK}/tree/usr
            -D WORK=${WORK}/${project} -D MACHINE=${MACHINE} -D GENERATOR=${GENERATOR}
            -D OPTIONS=TIDEWAIT_HEADER_ONLY=ON # compiles in less time
            -P ${CMAKE_CURRENT_LIST_DIR}/downstream.cmake
    COMMAND_ERROR_IS_FATAL ANY
  )
endforeach()
