// SPDX-License-Identifier: BSL-1.0
#include "streams.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/withheld_signal.hpp>

#include "unblocked_output.hpp"

namespace tidewait::command {
namespace {

room_waiter& waiter() {
  static room_waiter one;
  return one;
}

}  // namespace

void wait_for_room_by(room_waiter who) { waiter() = std::move(who); }

std::error_code write_to_stream(int stream, std::string_view text) {
  if (!waiter()) return detail::write_all(stream, text);
  const unblocked_output out{stream};
  const detail::withheld_signal too_large{SIGXFSZ};
  while (!text.empty()) {
    const ssize_t written = out.write(text);
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written >= 0 || errno == EINTR) continue;
    const std::error_code error = detail::last_error();
    if (error == std::errc::file_too_large) too_large.take();
    if (error != std::errc::resource_unavailable_try_again) return error;
    if (!waiter()(out)) return std::make_error_code(std::errc::timed_out);
  }
  return {};
}

std::error_code write_quietly(int stream, std::string_view text) {
  const detail::withheld_signal nobody_reads{SIGPIPE};
  const auto error = write_to_stream(stream, text);
  if (error == std::errc::broken_pipe) nobody_reads.take();
  return error;
}

bool is_terminal(int stream) { return ::isatty(stream) == 1; }

/// A standard stream that is closed is no place for a socket that we open: what we print would go
/// there, without an error. The command gets it closed, as it was.
void prepare_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg)
    if (::fcntl(stream, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

std::vector<std::string> utf8_arguments(int argc, const char* const* argv) {
  return {argv, argv + argc};
}

}  // namespace tidewait::command
