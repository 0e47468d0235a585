// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// What a server is started with, again and again.
struct server_setup {
  std::string program;
  std::vector<argument> arguments;
  server_options options;
};

/// The program's file name, by which messages call the server.
inline std::string short_name(const std::string& program, const char* separators) {
  return program.substr(program.find_last_of(separators) + 1);
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
