// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A command line that CommandLineToArgvW and the C library read as these arguments.
std::wstring to_command_line(const std::vector<std::string>& arguments);

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
