// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/linux/terminate.hpp>

#include "tree_process.hpp"
#include "unblocked_output.hpp"

namespace tidewait::command {

/// What one look at the tree saw.
struct tree_walk {
  std::vector<tree_process> found;  ///< Parents before children.
  std::size_t spared = 0;           ///< Left out, not counting those below them.
  bool whole = false;               ///< Nobody was missed (detail::process_walker).
};

/// Who could not be ended by SIGTERM, or not at all: a line for each kind; empty if there is none.
std::string to_text(const detail::termination& ended);

/// A command and all that it starts. Whoever loses its parent falls to this process (prctl(2),
/// PR_SET_CHILD_SUBREAPER), so nobody gets away; as pid 1 of a container that is so anyway.
///
/// While it exists, this process takes signals only inside `wait_for_command` and `wait_for_all`,
/// and hands them on: what it is sent by kill(2) goes to the command's process group. It does so as
/// well while this process waits for room in an output of its own (`write_to_stream`).
class process_tree {
 public:
  /// `keeper`: a child of this process that is no part of the tree; 0: none.
  explicit process_tree(pid_t keeper = 0);
  ~process_tree();
  process_tree(const process_tree&) = delete;
  process_tree& operator=(const process_tree&) = delete;

  /// Puts a pipe of ours between the command and each of its outputs that is a pipe: a process that
  /// outlives us then holds ours, and nobody waits for it. To be called before `start`.
  void relay_output();

  /// Starts the command (PATH is searched) in a process group of its own, with this process's
  /// standard streams and signal dispositions. If this process leads the foreground job of a
  /// terminal, the command's group becomes the foreground group; if it is only one of several in
  /// that job (a test under an interactive ctest), the command stays in it, so that Ctrl-C reaches
  /// all. The command dies with this process (PR_SET_PDEATHSIG), its descendants need not.
  /// `inherited` descriptors stay open in it. `prepare` runs in the child, last before exec, and
  /// must be async-signal-safe; an errno from it is a start error. Throws `std::system_error` if it
  /// cannot fork.
  void start(const std::vector<std::string>& command, const std::vector<int>& inherited = {},
             const std::function<int()>& prepare = nullptr);

  /// Waits until the command has ended; false if it still runs after `longest`. This and
  /// `wait_for_all` throw `std::system_error` where a system call that they need fails; from then
  /// on they do without it, as far as that goes, so that `end_all` can still be called.
  /// What the command had written when it ended has been handed on by then, unless a signal that
  /// asks to end came and the reader does not read.
  bool wait_for_command(std::chrono::microseconds longest);
  /// Waits until there is something to read from a line to the command, or the line is closed, as
  /// it is when the command ends.
  void wait_for_input(int fd);
  /// Waits until nothing of the tree is alive; false if something still is after `longest`.
  bool wait_for_all(std::chrono::microseconds longest);

  /// Whether there is a command: `start` has been called and has not thrown.
  bool started() const noexcept { return command_ != 0; }
  bool ended() const noexcept { return ended_; }
  /// Why the command could not be started; empty if it was. To be asked when it has ended.
  std::error_code start_error() const;
  /// Of the command that has ended, as a shell has it: its exit code, 128 + n if signal n ended it.
  int status() const noexcept { return status_; }
  /// The signal that ended it; 0: it ended by itself.
  int ended_by() const noexcept { return ended_by_; }

  /// Whom to leave out, with all below it.
  using spared = std::function<bool(const tree_process&)>;

  /// Looks once at who is alive below this process. Zombies are not.
  tree_walk look(const spared& spare = nullptr);
  /// Whether /proc shows this process.
  bool can_look() { return walker_.can_look(); }

  /// Ends who is alive: SIGTERM to all, then SIGKILL to those that are left after `grace`.
  detail::termination end_all(std::chrono::milliseconds grace, const spared& spare = nullptr);

 private:
  [[noreturn]] void become(const std::vector<std::string>& command,
                           const std::vector<int>& inherited, const std::function<int()>& prepare,
                           bool foreground, int error_pipe);
  void handle(int signal, bool from_kernel);
  void reap();
  void stop();
  bool in_foreground() const noexcept;
  void take_terminal_back() const noexcept;
  void restore_signals() const noexcept;
  void signal_group(int signal) const noexcept;
  bool walk(const spared& spare, std::size_t& left_out,
            const std::function<void(detail::living_process&&, tree_process&&)>& found);
  void note_earlier_children();
  void pump(std::size_t which);
  bool handed_on() const;
  bool wait_until(const std::function<bool()>& done, std::chrono::microseconds longest,
                  pollfd also = {-1, 0, 0});
  bool wait_for_room(const unblocked_output& out);

  /// How the command's process group stands to the terminal.
  enum class group : unsigned char { own, shared };

  /// One relayed output: `to` stays ours, the command gets `write_end` in its place.
  struct relay {
    int to = -1;
    unblocked_output out;  // `to`
    detail::unique_fd read_end;
    detail::unique_fd write_end;
    std::string kept;      // read, and not handed on yet; nothing more is read until it is
    std::size_t owed = 0;  // of what the command had written when it ended

    void close();
  };

  relay relays_[2];
  detail::process_walker walker_;
  std::vector<std::pair<int, std::uint64_t>> before_;  // pid and start of those that were there
  detail::unique_fd signals_;                          // a signalfd
  detail::unique_fd terminal_;                         // the controlling terminal, if there is one
  detail::unique_fd start_error_;
  sigset_t former_mask_{};
  struct sigaction former_child_action_ {};
  group group_ = group::own;
  bool leads_job_ = false;  // the job control of a shell acts on this process
  pid_t keeper_ = 0;
  pid_t command_ = 0;
  bool ended_ = false;
  bool all_ended_ = false;
  bool cannot_wait_ = false;
  bool cannot_reap_ = false;
  bool ending_ = false;  // then a failure must not keep us from ending the rest
  int status_ = 0;
  int ended_by_ = 0;
  std::optional<std::chrono::steady_clock::time_point>
      drop_output_;  // then no reader is waited for
};

}  // namespace tidewait::command
