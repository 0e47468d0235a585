# SPDX-License-Identifier: BSL-1.0
include(HostHeaders)
include(FindPackageHandleStandardArgs)
tidewait_host_headers(CLI11 CLI11::CLI11 CLI)
find_package_handle_standard_args(CLI11 REQUIRED_VARS CLI11_HEADERS)
