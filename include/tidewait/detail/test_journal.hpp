// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/journal.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How a test ended, as far as tidewait knows.
enum class test_outcome : std::uint8_t { unknown, passed, failed };

/// "" for `unknown`, "passed", "failed".
inline std::string_view to_string(test_outcome outcome) noexcept {
  return outcome == test_outcome::passed   ? "passed"
         : outcome == test_outcome::failed ? "failed"
                                           : "";
}

/// Begins a line of the journal: the version of the format, and what happened in which test.
inline json_line begin_journal_line(std::string_view event, std::string_view test) {
  json_line line;
  line.add("journal", 1);
  line.add("event", event);
  line.add("test", test);
  line.add("ctest", test_of_environment());
  return line;
}

/// Ends it with who wrote it, and when and where that was.
inline std::string end_journal_line(json_line line) {
  line.add("pid", static_cast<std::uint64_t>(process_id()));
  line.add("run", ensure_run_mark());
  line.add("program", program_name());
  line.add("time", wall_clock());
  add_origin(line, host_name(), boot_id(), uptime());
  return line.text();
}

/// With the ephemeral range, "32768-60999": a number in it may be one that the kernel chose.
/// `launched`: the program that `tidewait run` starts; otherwise empty.
inline std::string test_begin_line(std::string_view test, std::string_view launched = {}) {
  // Never destroyed: the last watch may begin after the destructors of static objects.
  static const std::string& range = *new std::string{[] {
    const port_range ephemeral = read_port_rules().ephemeral;
    return std::to_string(ephemeral.first) + '-' + std::to_string(ephemeral.last);
  }()};
  json_line line = begin_journal_line("test_begin", test);
  line.add("ephemeral", range);
  if (!launched.empty()) line.add("launched", launched);
  return end_journal_line(std::move(line));
}

/// `waited`: how long the look waited for connections and servers that were just ending.
inline std::string test_end_line(std::string_view test, test_outcome outcome,
                                 std::chrono::milliseconds waited) {
  json_line line = begin_journal_line("test_end", test);
  if (outcome != test_outcome::unknown) line.add("outcome", to_string(outcome));
  if (waited.count() > 0) line.add("waited", static_cast<std::uint64_t>(waited.count()));
  return end_journal_line(std::move(line));
}

/// One line for each protocol that the lease is for.
inline std::string lease_lines(std::string_view test, const lease_note& lease) {
  std::string lines;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (!includes(lease.kind, which)) continue;
    json_line line = begin_journal_line("leased", test);
    line.add("protocol", to_string(which));
    line.add("port", lease.port);
    line.add("place", to_text(lease.where));
    line.add("namespace", std::to_string(lease.net_cookie));
    lines += end_journal_line(std::move(line));
  }
  return lines;
}

/// Lines of the journal that may be written a little later, so that a test which opens no port does
/// not pay for opening a file: together with the next line that may not wait, once there are some,
/// or when the program ends. A program that is killed loses them.
class journal_backlog {
 public:
  /// Takes lines, and appends what there is to the journal when there is enough of it.
  opened_file add(std::string lines) {
    const std::lock_guard hold{mutex_};
    if (!registered_) std::atexit(&journal_backlog::at_exit);
    registered_ = true;
    opened_file written = take(lines);
    constexpr std::size_t enough = 16384;
    return written.error || (text_.size() < enough && !ending()) ? std::move(written) : write();
  }
  /// Appends what there is, and then these lines.
  opened_file flush(std::string_view lines = {}) {
    const std::lock_guard hold{mutex_};
    opened_file written = take(lines);
    return written.error ? std::move(written) : write();
  }

  /// Of `tidewait run`: the program that it starts. Set before the first watch.
  std::string launched{};

  /// In a child of fork(), with the mutex held: the lines are the parent's to write.
  void forget() { text_.clear(); }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  static bool& ending() {
    static bool is = false;
    return is;
  }
  static void at_exit();

  opened_file take(std::string_view lines) {
    opened_file written;
    if (!text_.empty() && path_ != journal_path()) written = write();
    path_ = journal_path();
    text_ += lines;
    return written;
  }
  opened_file write() {
    const std::string text = std::exchange(text_, {});
    return text.empty() || path_.empty() ? opened_file{} : append_own_file(path_.c_str(), text);
  }

  std::mutex mutex_{};
  std::string path_{};  // of the journal that the lines are for
  std::string text_{};
  bool registered_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
