# SPDX-License-Identifier: BSL-1.0
#
# GoogleTest from the sources that Debian's libgtest-dev brings along (package googletest).
set(GTest_SOURCE /usr/src/googletest)
if(EXISTS ${GTest_SOURCE}/CMakeLists.txt AND NOT TARGET gtest)
  set(INSTALL_GTEST OFF)
  add_subdirectory(${GTest_SOURCE} ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
endif()
if(TARGET gtest AND NOT TARGET GTest::gtest)
  foreach(library IN ITEMS gtest gtest_main gmock gmock_main)
    add_library(GTest::${library} ALIAS ${library})
  endforeach()
endif()
include(FindPackageHandleStandardArgs)
set(GTest_TARGET ${GTest_SOURCE})
find_package_handle_standard_args(GTest REQUIRED_VARS GTest_TARGET)
