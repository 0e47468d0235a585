// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/process/os_calls.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// Passes on what a server prints: each line to our standard error, with its name in front.
class line_echo {
 public:
  /// Of a server without a name nothing is passed on.
  explicit line_echo(std::string server) : server_{std::move(server)} {}

  void add(std::string_view bytes) {
    constexpr std::size_t most_in_a_line = 4096;
    while (!server_.empty() && !bytes.empty()) {
      const auto end = bytes.find('\n');
      begun_ += bytes.substr(0, end);
      bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
      if (end == std::string_view::npos && begun_.size() < most_in_a_line) return;
      write_standard_error('[' + server_ + "] " + sanitised(begun_) + '\n');
      begun_.clear();
    }
  }

  /// The last line, if nothing has ended it.
  void finish() {
    if (!begun_.empty()) add("\n");
  }

 private:
  std::string server_;
  std::string begun_{};  // a line that has not ended
};

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
