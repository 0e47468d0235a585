# SPDX-License-Identifier: BSL-1.0
#
# What each downstream project builds and runs, and what it must not get along with tidewait.

add_executable(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer_test.cpp)
target_link_libraries(consumer PRIVATE tidewait::gtest GTest::gtest_main)
add_custom_target(run ALL COMMAND consumer)

foreach(target IN ITEMS tidewait::core tidewait::gtest)
  foreach(property IN ITEMS COMPILE_DEFINITIONS COMPILE_OPTIONS LINK_OPTIONS)
    get_target_property(imposed ${target} INTERFACE_${property})
    if(imposed)
      message(FATAL_ERROR "${target} imposes ${property}: ${imposed}")
    endif()
  endforeach()
endforeach()
foreach(internal IN ITEMS tidewait_developer echo_server selftest_unit)
  if(TARGET ${internal})
    message(FATAL_ERROR "${internal} is no target for a consumer")
  endif()
endforeach()
