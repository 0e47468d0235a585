// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <string>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Writes into the journal, if there is one, that a test begins, and that it ends.
class noted_test {
 public:
  /// Before the watch over the test is one of `shared`: the first of several writes.
  noted_test(shared_state& shared, const std::string& test)
      : shared_{shared},
        test_{test},
        writes_{!journal_path().empty() && !test.empty() && !shared.watches.has(test)} {
    write([&] { return test_begin_line(test_, shared_.journal.launched); });
  }
  noted_test(const noted_test&) = delete;
  noted_test& operator=(const noted_test&) = delete;
  ~noted_test() {
    if (pid_ != process_id()) return;
    write([&] { return test_end_line(test_, outcome_, waited_); });
  }

  /// Takes from a look what the end is to say.
  void note(const report& found) noexcept {
    if (!found.clean()) outcome_ = test_outcome::failed;
    waited_ += found.waited;
  }

 private:
  template <typename Line>
  void write(Line&& line) noexcept {
    try {
      if (writes_) note_journal(shared_.told, shared_.journal.add(line()));
    } catch (...) {
      writes_ = false;  // no memory: the reader sees that a line is missing
    }
  }

  shared_state& shared_;
  std::string test_;
  bool writes_;
  int pid_ = process_id();  // a child of fork() has a copy
  test_outcome outcome_ = test_outcome::unknown;
  std::chrono::milliseconds waited_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
