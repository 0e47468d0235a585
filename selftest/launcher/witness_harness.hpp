// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../support/forked.hpp"
#include "bind_supervisor.hpp"

/// Runs a function of the test in a child that has the filter, with the supervisor in this process.
namespace witness {

using tidewait::command::bind_supervisor;
using tidewait::command::failed_bind;
using tidewait::command::filter_line;
using tidewait::command::filter_step;
using tidewait::command::no_new_privs;
using tidewait::command::supervisor_limits;
using tidewait::command::witnessed_bind;

struct setup {
  /// Who lacks the rights needs no_new_privs.
  no_new_privs privileges = ::geteuid() == 0 ? no_new_privs::leave : no_new_privs::set;
  bind_supervisor::explain why;
  supervisor_limits limits;
  /// Called when it is known how every call so far has ended.
  std::function<void(const std::vector<witnessed_bind>&)> settled;
};

/// Keeps the child until this process opens it.
class barrier {
 public:
  barrier() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::system_error{errno, std::system_category()};
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;
  ~barrier() {
    open();
    ::close(ends_[0]);
  }
  void open() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }
  /// In the child.
  void wait() {
    open();
    char none = 0;
    while (::read(ends_[0], &none, 1) < 0 && errno == EINTR) {
    }
  }

 private:
  int ends_[2] = {-1, -1};
};

struct outcome {
  filter_step step = filter_step::installed;
  int error = 0;
  int status = -1;   ///< Of the child, as a shell has it.
  std::string said;  ///< What the child said.
  std::vector<witnessed_bind> binds;
  std::vector<failed_bind> failures;
  std::size_t unrecorded = 0;

  bool skip() const { return step != filter_step::installed; }
  std::string why_skip() const {
    return to_string(tidewait::command::explain_no_filter(step, error));
  }
};

/// Answers until nobody who has the filter is alive.
inline void supervise(bind_supervisor& supervisor,
                      const decltype(setup::settled)& settled = nullptr) {
  using std::chrono::steady_clock;
  for (;;) {
    int timeout = -1;
    if (const auto next = supervisor.next_look()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*next - steady_clock::now()).count();
      timeout = left > 0 ? static_cast<int>(left) : 0;
    }
    pollfd ready{supervisor.fd(), POLLIN, 0};
    const int got = ::poll(&ready, 1, timeout);
    if (got < 0 && errno != EINTR) break;
    if (got == 0) supervisor.complete();
    if (got > 0 && (ready.revents & POLLIN) != 0 && !supervisor.answer_one()) break;
    if (got > 0 && (ready.revents & POLLIN) == 0) break;
    if (settled && !supervisor.binds().empty() && !supervisor.next_look())
      settled(supervisor.binds());
  }
  supervisor.finish();
}

template <typename Work>
outcome run(Work work, const setup& with = {}) {
  filter_line line;
  forked child{[&](auto say) {
    if (line.install(with.privileges) == filter_step::hand_over) {
      say("hand_over");
    } else {
      work(say);
    }
  }};
  outcome result;
  auto answer = line.receive();
  result.step = answer.step;
  result.error = answer.error;
  const bool installed = static_cast<bool>(answer.listener);
  if (installed) {
    bind_supervisor supervisor{std::move(answer.listener), with.why, with.limits};
    supervise(supervisor, with.settled);
    result.binds = supervisor.binds();
    result.failures = supervisor.failures();
    result.unrecorded = supervisor.unrecorded();
  }
  if (!installed && with.settled) child.kill();  // it would wait for a call that never comes
  result.said = child.all();
  result.status = child.wait();
  return result;
}

/// As `nobody`, where this process is root; another user keeps what it is.
inline bool become_nobody() {
  if (::geteuid() != 0) return true;
  if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return false;
  return ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

}  // namespace witness

/// Where seccomp is denied altogether there is nothing to test.
#define SKIP_WITHOUT_FILTER(result) \
  if ((result).skip()) GTEST_SKIP() << (result).why_skip()
