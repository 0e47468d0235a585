// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tidewait/detail/process/output_buffer.hpp>
#include <tidewait/detail/process/servers_before.hpp>
#include <tidewait/server_exit.hpp>
#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// One life of a server, from its start to the end of its last process. Which processes these are
/// (`Process`), and how they are ended, the system says, which also has the thread that reads their
/// output.
template <typename Process>
class server_life {
 public:
  server_life(const server_life&) = delete;
  server_life& operator=(const server_life&) = delete;

  /// Whether a serving socket is older than the server.
  bool was_there_before(const observed_socket& socket) const {
    return std::binary_search(before_.begin(), before_.end(), identity(socket));
  }

  /// Of the process that was started.
  virtual int pid() const noexcept = 0;
  const std::string& name() const noexcept { return name_; }
  /// "redis-server (pid 4711)".
  std::string title() const { return name_ + " (pid " + std::to_string(pid()) + ')'; }
  const output_buffer& output() const noexcept { return output_; }
  const server_options& options() const noexcept { return options_; }

  /// How the process that was started has ended, if it has.
  std::optional<server_exit> leader_exit() const {
    const std::lock_guard hold{state_};
    return ended_ ? ended_ : peek_exit();
  }

  /// The living processes of this run.
  std::vector<Process> processes() const {
    const std::lock_guard hold{state_};
    return ended_ ? std::vector<Process>{} : find_processes();
  }

  /// Whether there is no server any more: the process that was started has ended, and it did not
  /// leave a daemon behind.
  bool over() const {
    const auto end = leader_exit();
    if (!end) return false;
    const bool to_background = end->how == ending::exited && end->value == 0;
    return !options_.is_daemon() || !to_background || processes().empty();
  }

  /// Ends every process of the run. Safe to call twice, and by two threads at once: both get the
  /// same answer.
  server_exit end() {
    const std::lock_guard one_at_a_time{ending_};
    {
      const std::lock_guard hold{state_};
      if (ended_) return *ended_;
    }
    server_exit result;
    end_processes(result);
    conclude(result);
    stop_reading();
    return result;
  }

 protected:
  server_life(std::string name, const server_options& options)
      : name_{std::move(name)}, options_{options}, output_{options.kept_output()} {}
  ~server_life() = default;

  /// Notes which sockets are there already.
  void note_servers_before() { before_ = identities_of_servers(); }

  std::string name_;
  server_options options_;
  output_buffer output_;
  std::thread reader_{};
  mutable std::mutex state_{};  // whether the leader has been reaped, and its pid is nobody's

 private:
  virtual std::optional<server_exit> peek_exit() const = 0;
  virtual std::vector<Process> find_processes() const = 0;
  /// Ends them all; says of the result how that went.
  virtual void end_processes(server_exit& result) = 0;
  /// Whether a process that was ended as we end it ends with this value.
  virtual bool is_of_our_signal(int value) const noexcept = 0;
  /// Lets go of the pid of the process that was started.
  virtual void reap(const server_exit& exit) = 0;
  virtual void stop_reading() = 0;

  void conclude(server_exit& result) {
    const std::lock_guard hold{state_};
    if (const auto exit = peek_exit()) {
      result.how = exit->how;
      result.value = exit->value;
      reap(*exit);
    }
    const bool ours = is_of_our_signal(result.value) || !result.killed.empty();
    result.crashed = result.how == ending::signalled && (result.by_itself || !ours);
    ended_ = result;
  }

  mutable std::mutex ending_{};          // taken before state_
  std::vector<std::uint64_t> before_{};  // sorted identities of sockets
  std::optional<server_exit> ended_{};
};

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
