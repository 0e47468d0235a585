# SPDX-License-Identifier: BSL-1.0
include(HostHeaders)
include(FindPackageHandleStandardArgs)
tidewait_host_headers(nlohmann_json nlohmann_json::nlohmann_json nlohmann)
find_package_handle_standard_args(nlohmann_json REQUIRED_VARS nlohmann_json_HEADERS)
