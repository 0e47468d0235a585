# SPDX-License-Identifier: BSL-1.0
#
# No installed file may know where tidewait was built, or where it was installed to. With the command come
# its manual pages, and only these.

file(REMOVE_RECURSE ${WORK})
execute_process(
  COMMAND ${CMAKE_COMMAND} --install ${TIDEWAIT_BUILD} --prefix ${WORK} COMMAND_ERROR_IS_FATAL ANY
)
file(GLOB_RECURSE files ${WORK}/*)
if(NOT files)
  message(FATAL_ERROR "Nothing is installed")
endif()
foreach(file IN LISTS files)
  file(READ ${file} text)
  foreach(directory IN ITEMS ${TIDEWAIT_SOURCE} ${TIDEWAIT_BUILD} ${WORK})
    string(FIND "${text}" "${directory}" at)
    if(NOT at EQUAL -1)
      message(SEND_ERROR "${file} names ${directory}")
    endif()
  endforeach()
endforeach()

file(GLOB installed RELATIVE ${WORK}/share/man/man1 ${WORK}/share/man/man1/*)
file(GLOB pages RELATIVE ${TIDEWAIT_SOURCE}/src/command/man ${TIDEWAIT_SOURCE}/src/command/man/*.1)
if(WITH_COMMAND AND NOT installed STREQUAL pages)
  message(SEND_ERROR "The manual pages are ${pages}, installed are: ${installed}")
endif()
