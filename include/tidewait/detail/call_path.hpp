// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/addr2line.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A function without its arguments: "(anonymous namespace)::server::start".
inline std::string_view bare_name(std::string_view function) noexcept {
  std::size_t depth = 0;  // of angle brackets
  for (std::size_t i = 0; i < function.size(); ++i) {
    constexpr std::string_view anonymous = "(anonymous namespace)";
    constexpr std::string_view call_operator = "operator()";
    const std::string_view rest = function.substr(i);
    if (rest.substr(0, anonymous.size()) == anonymous) {
      i += anonymous.size() - 1;
    } else if (rest.substr(0, call_operator.size()) == call_operator) {
      i += call_operator.size() - 1;
    } else if (rest.front() == '<') {
      ++depth;
    } else if (rest.front() == '>' && depth != 0) {
      --depth;
    } else if (rest.front() == '(' && depth == 0) {
      return function.substr(0, i);
    }
  }
  return function;
}

inline bool begins(std::string_view text, std::string_view with) noexcept {
  return text.substr(0, with.size()) == with;
}

/// Of tidewait itself, or of the C and C++ runtime.
inline bool is_plumbing(const code_place& place) noexcept {
  const std::string_view name = bare_name(place.function);
  constexpr std::array<std::string_view, 9> own{
      "tidewait::", "tidewait_witnessed_", "std::",  "void std::", "__",
      "_start",     "start_thread",        "clone3", "clone"};
  if (name == "bind" || name == "listen" || is_runtime_module(place.module)) return true;
  return std::any_of(own.begin(), own.end(), [&](std::string_view each) {
    return begins(name, each) && (each.back() == ':' || each.back() == '_' || name == each);
  });
}

/// Of a test framework, which calls the test: what is further out is no test.
inline bool is_framework(const code_place& place) noexcept {
  const std::string_view name = place.function;
  constexpr std::array<std::string_view, 6> frameworks{
      "testing::", "void testing::", "bool testing::",
      "Catch::",   "doctest::",      "boost::unit_test::"};
  return bare_name(name) == "main" ||
         std::any_of(frameworks.begin(), frameworks.end(),
                     [&](std::string_view each) { return begins(name, each); });
}

/// Of a library that the test uses, such as Boost.Asio: installed, or without a line in a module
/// that is not the program. `program` is the module of the outermost frames.
inline bool is_library(const code_place& place, std::string_view program) noexcept {
  const std::string_view file = place.file;
  for (const std::string_view part : {"/usr/include/", "/usr/lib/", "/usr/local/include/"}) {
    if (begins(file, part)) return true;
  }
  const std::string_view name = place.function;
  for (const std::string_view part : {"boost::", "asio::", "uv_", "zmq::", "httplib::"}) {
    if (begins(name, part)) return true;
  }
  return file.empty() && place.module != program;
}

/// What a reader wants to know of a stack: null where it does not tell.
struct call_path {
  const code_place* made_at = nullptr;      ///< The innermost place in the user's code.
  const code_place* called_from = nullptr;  ///< The outermost one before the framework, if another.
};

/// Finds them in a stack whose places are named, innermost first.
inline call_path find_call_path(const std::vector<code_place>& stack) {
  call_path path;
  const std::string_view program = stack.empty() ? std::string_view{} : stack.back().module;
  const code_place* fallback = nullptr;  // a library's, if nothing is the user's
  for (const code_place& each : stack) {
    if (is_plumbing(each)) continue;
    if (is_framework(each) && (path.made_at != nullptr || fallback != nullptr)) break;
    if (is_library(each, program)) {
      if (fallback == nullptr) fallback = &each;
      continue;
    }
    if (path.made_at == nullptr) {
      path.made_at = &each;
    } else {
      path.called_from = &each;
    }
  }
  if (path.made_at == nullptr) path.made_at = fallback;
  return path;
}

/// "echo_server.cpp:12 (echo_server::echo_server)"; without a line "echo_server::echo_server";
/// without a name "net_tests+0x1234".
inline std::string to_text(const code_place& place) {
  const std::string function = without_anonymous(std::string{bare_name(place.function)});
  if (place.line != 0) {
    const std::string where =
        place.file.substr(place.file.rfind('/') + 1) + ':' + std::to_string(place.line);
    return function.empty() ? where : where + " (" + function + ')';
  }
  if (!function.empty()) return function;
  return place.module.substr(place.module.rfind('/') + 1) + '+' + hexadecimal(place.offset);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
