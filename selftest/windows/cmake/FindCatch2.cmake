# SPDX-License-Identifier: BSL-1.0
#
# Catch2 2.13, a single header.
include(HostHeaders)
include(FindPackageHandleStandardArgs)
tidewait_host_headers(Catch2 Catch2::Catch2 catch2)
if(EXISTS "${Catch2_HEADERS}/catch.hpp")
  file(STRINGS ${Catch2_HEADERS}/catch.hpp Catch2_VERSION REGEX "^ \\*  Catch v[0-9.]+")
  string(REGEX REPLACE ".* v([0-9.]+).*" "\\1" Catch2_VERSION "${Catch2_VERSION}")
else()
  set(Catch2_HEADERS "")
endif()
find_package_handle_standard_args(Catch2 REQUIRED_VARS Catch2_HEADERS VERSION_VAR Catch2_VERSION)
