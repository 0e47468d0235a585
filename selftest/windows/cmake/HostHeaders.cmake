# SPDX-License-Identifier: BSL-1.0
#
# tidewait_host_headers(<package> <target> <name below /usr/include>)
#
# A target for headers that this system has and that compile anywhere. They are reached through a link:
# with /usr/include itself on the search path, the compiler for Windows would read the C library's.
function(tidewait_host_headers package target folder)
  set(path /usr/include/${folder})
  if(EXISTS ${path} AND NOT TARGET ${target})
    set(place ${CMAKE_BINARY_DIR}/host/${package})
    file(MAKE_DIRECTORY ${place})
    file(CREATE_LINK ${path} ${place}/${folder} SYMBOLIC)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} SYSTEM INTERFACE ${place})
  endif()
  set(${package}_HEADERS ${path} PARENT_SCOPE)
  if(NOT EXISTS ${path})
    set(${package}_HEADERS "" PARENT_SCOPE)
  endif()
endfunction()
