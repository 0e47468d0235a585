// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>

namespace tidewait::command {

using named_places = std::map<std::uint64_t, std::vector<code_place>>;

/// Names the code in programs and libraries, until 20 s have passed. Each system has its own.
class module_names {
 public:
  module_names();

  /// Why no code is named, if the reader can do something about it; otherwise empty.
  std::string why_not() const;
  /// What is known of these offsets of a module that ran at that time, in microseconds since 1970.
  named_places ask(const std::string& module, std::int64_t since,
                   const std::vector<std::uint64_t>& wanted) const;

 private:
  std::string tool_;
  std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds{20};
};

}  // namespace tidewait::command
