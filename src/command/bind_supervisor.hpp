// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <vector>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/socket_entry.hpp>

#include "bind_filter.hpp"
#include "testimony.hpp"

namespace tidewait::command {

/// How much the supervisor keeps, and what it may use.
struct supervisor_limits {
  std::size_t records = 100000;  ///< Calls that are recorded; the rest is counted.
  std::size_t explained = 16;    ///< Failures that are explained, and kept.
  /// How long the culprit on an endpoint is taken for the same one.
  std::chrono::steady_clock::duration same_culprit = std::chrono::seconds{1};
  bool thread_descriptors = true;  ///< pidfd_open(2) with PIDFD_THREAD (Linux 6.9).
};

/// Looks at each bind(2) and listen(2) that a filter has stopped, writes it down, and lets the
/// kernel make it as the caller asked for (seccomp_unotify(2), SECCOMP_USER_NOTIF_FLAG_CONTINUE):
/// it never makes a call for somebody, nor refuses one.
///
/// What it reads of the caller may have changed by the time the kernel reads it again: a record is
/// a witness's word, and no check.
class bind_supervisor {
 public:
  /// Says why a bind fails that a stopped thread is about to make.
  using explain = std::function<std::optional<diagnosis>(const witnessed_bind&)>;

  explicit bind_supervisor(detail::unique_fd listener, explain why = nullptr,
                           const supervisor_limits& limits = {});

  /// To be polled: POLLIN means that a thread waits for `answer_one`, POLLHUP that nobody who has
  /// the filter is alive.
  int fd() const noexcept { return listener_.get(); }

  /// Answers one call, after POLLIN: with the two context switches it costs the caller some 50 µs,
  /// and more only where a failure is explained. False if the descriptor is of no more use.
  bool answer_one();

  /// Closes the descriptor: the kernel answers ENOSYS to all who wait or will call. For where a
  /// caller would otherwise wait for ever.
  void give_up() noexcept { listener_.reset(); }

  /// When to call `complete`; nothing if no record waits for it.
  std::optional<std::chrono::steady_clock::time_point> next_look() const noexcept;
  /// Looks into the socket table how calls ended: at most a twentieth of the time goes into that.
  void complete();
  /// The same once more, and what is not to be seen by now stays inferred.
  void finish();

  const std::vector<witnessed_bind>& binds() const noexcept { return binds_; }
  const std::vector<failed_bind>& failures() const noexcept { return failures_; }
  /// Calls that are not among `binds`, since there were too many.
  std::size_t unrecorded() const noexcept { return unrecorded_; }
  /// Failed calls that are not among `failures`, since there were too many endpoints.
  std::size_t unexplained() const noexcept { return unexplained_; }

 private:
  struct subject;

  bool look_at(const seccomp_notif& call, call_arguments arguments, subject& seen);
  void name_caller(witnessed_bind& bind, bool leads) const;
  std::optional<std::error_code> answer_for_rights_of(int thread, const endpoint& asked,
                                                      const std::error_code& ours) const;
  void note_bind(subject& seen);
  void note_listen(subject& seen);
  void note_failure(const witnessed_bind& bind);
  std::optional<std::size_t> add(witnessed_bind bind);
  void wait_for_end_of(std::size_t index);
  void take_back_failure(witnessed_bind& bind);
  void deny_success_of(std::uint64_t socket);
  bool settle(witnessed_bind& bind, int looks, const observed_socket* socket,
              const std::vector<observed_socket>& there);
  bool is_alive(std::uint64_t id) const noexcept;

  detail::unique_fd listener_;
  explain why_;
  supervisor_limits limits_;
  std::uint64_t own_net_cookie_ = 0;
  std::uint16_t unprivileged_start_ = 1024;
  bool proc_has_our_numbers_ = false;
  std::vector<std::uint64_t> call_space_;    // seccomp_notif, as large as this kernel's
  std::vector<std::uint64_t> answer_space_;  // seccomp_notif_resp
  std::vector<witnessed_bind> binds_;
  std::vector<failed_bind> failures_;
  std::size_t unrecorded_ = 0;
  std::size_t unexplained_ = 0;
  std::size_t looks_ = 0;  // at a culprit that was known before
  std::unordered_map<std::uint64_t, std::size_t> by_socket_;
  std::unordered_map<std::size_t, int> pending_;  // how often the table did not show its end
  std::chrono::steady_clock::time_point next_look_;
};

}  // namespace tidewait::command
