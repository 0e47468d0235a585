# SPDX-License-Identifier: BSL-1.0
#
# What a project must not get along with tidewait: include() this before, and call untouched() after.

set(directory_properties
  CMAKE_CONFIGURE_DEPENDS
  COMPILE_DEFINITIONS
  COMPILE_OPTIONS
  INCLUDE_DIRECTORIES
  LINK_DIRECTORIES
  LINK_LIBRARIES
  LINK_OPTIONS
  RULE_LAUNCH_COMPILE
  TEST_INCLUDE_FILES
  TESTS
)
set(global_properties ENABLED_LANGUAGES RULE_LAUNCH_COMPILE RULE_LAUNCH_LINK USE_FOLDERS)

# What may appear: our own names, what CMake itself leaves of project(), find_package() and
# FetchContent, what looking for threads and for frameworks leaves, and the variables of this file.
string(CONCAT expected
  "^(TIDEWAIT_|tidewait_|CMAKE_PROJECT_VERSION|PACKAGE_PREFIX_DIR|FETCHCONTENT_|__cmake_|"
  "Threads_|CMAKE_HAVE_|CMAKE_THREAD_|CMAKE_USE_PTHREADS|FIND_PACKAGE_MESSAGE_DETAILS_|"
  "(GTest|Catch2|Boost|boost_headers)_DIR$|"
  "ARG|CMAKE_CURRENT_FUNCTION|(CONFIG_FILES|_DIR|property|what)$)|_before$|_after$"
)
if(CMAKE_VERSION VERSION_LESS 3.21) # what packages of others leave there
  string(APPEND expected "|^(comp|_target)$")
endif()

macro(remember when)
  get_cmake_property(cache_${when} CACHE_VARIABLES)
  get_cmake_property(variables_${when} VARIABLES)
  foreach(property IN LISTS directory_properties)
    get_property(directory_${property}_${when} DIRECTORY PROPERTY ${property})
  endforeach()
  foreach(property IN LISTS global_properties)
    get_property(global_${property}_${when} GLOBAL PROPERTY ${property})
  endforeach()
endmacro()

function(untouched)
  remember(after)
  foreach(what IN ITEMS cache variables)
    list(REMOVE_ITEM ${what}_after ${${what}_before})
    list(FILTER ${what}_after EXCLUDE REGEX "${expected}")
    if(${what}_after)
      message(SEND_ERROR "tidewait leaves ${what}: ${${what}_after}")
    endif()
  endforeach()
  foreach(what IN LISTS directory_properties)
    if(NOT "${directory_${what}_before}" STREQUAL "${directory_${what}_after}")
      message(SEND_ERROR "tidewait changes ${what} of the directory: ${directory_${what}_after}")
    endif()
  endforeach()
  foreach(what IN LISTS global_properties)
    if(NOT "${global_${what}_before}" STREQUAL "${global_${what}_after}")
      message(SEND_ERROR "tidewait changes the global ${what}: ${global_${what}_after}")
    endif()
  endforeach()

  get_property(directories DIRECTORY PROPERTY SUBDIRECTORIES)
  while(directories)
    list(POP_FRONT directories directory)
    foreach(property IN ITEMS TESTS BUILDSYSTEM_TARGETS SUBDIRECTORIES)
      get_property(${property} DIRECTORY ${directory} PROPERTY ${property})
    endforeach()
    list(APPEND directories ${SUBDIRECTORIES})
    list(FILTER BUILDSYSTEM_TARGETS EXCLUDE REGEX "^tidewait_(core|compiled|gtest|gtest_auto|catch2|catch2_auto|process|process_compiled|witness|witness_compiled)$")
    if(BUILDSYSTEM_TARGETS OR TESTS)
      message(SEND_ERROR "tidewait makes targets and tests: ${BUILDSYSTEM_TARGETS} ${TESTS}")
    endif()
  endwhile()
endfunction()

remember(before)
