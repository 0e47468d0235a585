# SPDX-License-Identifier: BSL-1.0
#
# No installed file may know where tidewait was built, or where it was installed to.

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
