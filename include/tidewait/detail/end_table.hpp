// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What is told once, when the program ends, on its standard error: for each topic a headline and a
/// table with a line for each test.
class end_table {
 public:
  enum class topic : std::uint8_t { harmless, failed_binds };

  /// True the first time in a process: then the caller has it printed at the end.
  bool begin() {
    const std::lock_guard hold{mutex_};
    return std::exchange(pid_, process_id()) == 0;
  }
  /// A line: the test first.
  void add(topic about, std::vector<std::string> cells) {
    const std::lock_guard hold{mutex_};
    auto& lines = lines_[static_cast<std::size_t>(about)];
    ++lines.count;
    constexpr std::size_t most_kept = 4096;
    if (lines.rows.size() < most_kept) lines.rows.push_back(std::move(cells));
  }

  /// Prints what there is, once. From then on the program is ending.
  void print() {
    if (pid_ != process_id()) return;
    ended_ = true;
    std::string text = render(topic::failed_binds, "warning: binds failed in tests that passed");
    text += render(topic::harmless,
                   "these tests left connections in TIME_WAIT that block no later bind");
    std::fputs(text.c_str(), stderr);
    lines_ = {};
  }
  bool ended() const noexcept { return ended_; }

  /// One topic as text; empty if there is nothing to tell.
  std::string render(topic about, const std::string& headline) const {
    table all = lines_[static_cast<std::size_t>(about)];
    if (all.rows.empty()) return {};
    std::sort(all.rows.begin(), all.rows.end());
    constexpr std::size_t most_shown = 20;
    text_table shown;
    for (std::size_t i = 0; i < all.rows.size() && i < most_shown; ++i)
      shown.add(std::move(all.rows[i]));
    std::string text = "tidewait: " + headline + '\n' + shown.render("  ", report_width);
    if (all.count > most_shown)
      text += "  and " + std::to_string(all.count - most_shown) + " more\n";
    return sanitised_lines(text);
  }

  /// In a child of fork(), with the mutex held.
  void forget() { lines_ = {}; }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  struct table {
    std::vector<std::vector<std::string>> rows{};
    std::size_t count = 0;
  };

  std::mutex mutex_{};
  std::array<table, 2> lines_{};
  int pid_ = 0;
  bool ended_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
