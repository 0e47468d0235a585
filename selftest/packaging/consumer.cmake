# SPDX-License-Identifier: BSL-1.0
#
# What each downstream project builds and runs, and what the targets may ask of it.

set(main GTest::gtest_main)
if(NOT TARGET ${main})
  set(main GTest::Main) # of FindGTest below CMake 3.20
endif()
add_executable(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer_test.cpp)
target_link_libraries(consumer PRIVATE tidewait::gtest ${main})
add_executable(core_consumer ${CMAKE_CURRENT_LIST_DIR}/core_consumer.cpp)
target_link_libraries(core_consumer PRIVATE tidewait::core)
add_custom_target(run ALL COMMAND consumer COMMAND core_consumer)

if((TIDEWAIT_HEADER_ONLY AND TARGET tidewait_compiled)
   OR NOT (TIDEWAIT_HEADER_ONLY OR TARGET tidewait_compiled))
  message(SEND_ERROR "tidewait_compiled is made unless TIDEWAIT_HEADER_ONLY is set")
endif()

foreach(target IN ITEMS tidewait::core tidewait::gtest)
  foreach(property IN ITEMS
      COMPILE_DEFINITIONS COMPILE_OPTIONS LINK_DIRECTORIES LINK_OPTIONS PRECOMPILE_HEADERS SOURCES
      POSITION_INDEPENDENT_CODE)
    get_target_property(imposed ${target} INTERFACE_${property})
    if(imposed AND NOT imposed MATCHES "^[^;]*:TIDEWAIT_COMPILED>$")
      message(SEND_ERROR "${target} imposes ${property}: ${imposed}")
    endif()
  endforeach()
endforeach()
get_target_property(features tidewait::core INTERFACE_COMPILE_FEATURES)
if(NOT features STREQUAL "cxx_std_17")
  message(SEND_ERROR "tidewait::core asks for ${features}")
endif()
