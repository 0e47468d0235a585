// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <time.h>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Withholds a signal from the calling thread while it exists: SIGPIPE, or SIGXFSZ (setrlimit(2),
/// RLIMIT_FSIZE), by which a write ends the process. The error of the write says as much.
class withheld_signal {
 public:
  explicit withheld_signal(int number) noexcept {
    ::sigemptyset(&only_);
    ::sigaddset(&only_, number);
    ::pthread_sigmask(SIG_BLOCK, &only_, &former_);
    sigset_t pending;
    // Only what the program blocks itself can have come before.
    was_pending_ = ::sigismember(&former_, number) == 1 && ::sigpending(&pending) == 0 &&
                   ::sigismember(&pending, number) == 1;
  }
  withheld_signal(const withheld_signal&) = delete;
  withheld_signal& operator=(const withheld_signal&) = delete;
  ~withheld_signal() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }

  /// To be called after a write that has raised it.
  void take() const noexcept {
    const timespec now{};
    if (!was_pending_) ::sigtimedwait(&only_, nullptr, &now);
  }

 private:
  sigset_t only_{};
  sigset_t former_{};
  bool was_pending_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
