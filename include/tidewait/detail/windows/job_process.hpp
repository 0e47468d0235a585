// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/windows/native_handle.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A process that is alive, as a value; its texts are sanitised.
struct running_process {
  int pid = 0;
  int parent = 0;
  std::string name;
  std::string command;
};

/// What to start in a job.
struct job_command {
  std::vector<std::string>
      arguments;  ///< The program first, which is searched as CreateProcess does.
  std::vector<std::pair<std::string, std::string>> variables;  ///< To set; the rest is our own.
  std::string directory;                                       ///< Empty: ours.
  std::vector<native_handle> inherited;                        ///< Beside its standard streams.
  bool without_console = false;  ///< It shows none, and hears no CTRL_BREAK.
};

/// A program that runs in a job of its own, with all that it starts: they end with this object, and
/// with this process. It leads a process group, its standard input is empty, and what it prints
/// comes through a pipe.
class job_process {
 public:
  job_process() = default;
  job_process(const job_process&) = delete;
  job_process& operator=(const job_process&) = delete;
  ~job_process() = default;

  /// Starts it. Where it fails, `failed` says at which call.
  std::error_code start(const job_command& what, const char*& failed);

  /// The pid of the program; 0 before it was started.
  int pid() const noexcept { return pid_; }
  /// With what it has ended; nothing while it runs.
  std::optional<std::uint32_t> exit_code() const noexcept;
  /// Who is alive in the job. Throws `std::system_error`.
  std::vector<running_process> processes() const;

  /// Sends CTRL_BREAK to its process group. False: this process has no console, or none of the
  /// group's.
  bool ask_to_end() const noexcept;
  /// Ends whatever is in the job at once; each gets the exit code 1.
  void end_all() const noexcept;

  /// Waits for output. Nothing: there will be no more, since nobody has the other end, or
  /// `stop_reading` was called and all is read. For one thread.
  std::optional<std::string> read_output();
  void stop_reading() const noexcept;

 private:
  unique_fd job_{};
  unique_fd process_{};
  unique_fd output_{};
  unique_fd arrived_{};  // an event: output has come
  unique_fd stop_{};     // an event: nobody waits for more
  int pid_ = 0;
};

/// Another handle of the same object, which no child inherits. Throws `std::system_error`.
unique_fd duplicate(native_handle handle);

/// Another handle of the lock of a port that this user has taken; none if nobody has.
unique_fd open_own_lock(protocol which, std::uint16_t port);

/// Writes to the standard error of this process, as far as that is open.
void write_standard_error(std::string_view text) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
