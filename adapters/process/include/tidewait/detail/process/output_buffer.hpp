// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// The last part of what a server printed. Bounded, so that the writer is never waited for.
class output_buffer {
 public:
  explicit output_buffer(std::size_t kept) : kept_{kept} {}

  void append(std::string_view bytes) {
    const std::lock_guard hold{mutex_};
    text_.append(bytes);
    if (text_.size() <= 2 * kept_) return;
    // Whole lines, where a line's end is to be had.
    std::size_t cut = text_.size() - kept_;
    if (const auto end = text_.find('\n', cut - 1); end != std::string::npos) cut = end + 1;
    text_.erase(0, cut);
    dropped_ += cut;
  }

  /// Nothing more will come.
  void finish() {
    const std::lock_guard hold{mutex_};
    finished_ = true;
  }

  struct piece {
    std::string text{};
    std::uint64_t missed = 0;  ///< Bytes between the last piece and this one that were dropped.
    bool finished = false;
  };

  /// What came from offset `from` on. `from` moves on to the begin of the line that has not ended
  /// yet, so that the next piece has the whole of it.
  piece read(std::uint64_t& from) const {
    const std::lock_guard hold{mutex_};
    piece next;
    if (from < dropped_) next.missed = dropped_ - std::exchange(from, dropped_);
    next.text = text_.substr(static_cast<std::size_t>(from - dropped_));
    next.finished = finished_;
    const auto end = next.text.rfind('\n');
    if (end != std::string::npos) from += end + 1;
    return next;
  }

  /// The lines that are kept, without their ends; of the last ones at most `most`.
  std::vector<std::string> lines(std::size_t most = std::string::npos) const {
    const std::lock_guard hold{mutex_};
    std::vector<std::string> found;
    std::string_view rest = text_;
    if (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
    while (!text_.empty() && found.size() < most) {
      const auto begin = rest.rfind('\n');
      const std::size_t at = begin == std::string_view::npos ? 0 : begin + 1;
      found.emplace_back(rest.substr(at));
      if (begin == std::string_view::npos) break;
      rest = rest.substr(0, begin);
    }
    return {found.rbegin(), found.rend()};
  }

 private:
  mutable std::mutex mutex_{};
  std::string text_{};
  std::uint64_t dropped_ = 0;
  std::size_t kept_;
  bool finished_ = false;
};

/// The last lines as a message shows them.
inline std::string render_output(const output_buffer& output) {
  constexpr std::size_t most_lines = 20;
  constexpr std::size_t most_columns = 160;
  const auto lines = output.lines(most_lines);
  if (lines.empty()) return "output: none\n";
  std::string text = "output, last lines:\n";
  for (const std::string& line : lines) {
    text += "  " + clipped(sanitised(line), most_columns) + '\n';
  }
  return text;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
