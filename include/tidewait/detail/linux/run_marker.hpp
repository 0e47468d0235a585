// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/kept_fd.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/process_state.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/run_marks.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The environment variable that holds the marks of the runs a process belongs to, outermost first,
/// separated by ':'. Each run adds its own, so that a run inside a run claims only what is its own.
inline constexpr const char* run_variable = "TIDEWAIT_RUN";
inline constexpr std::string_view run_memfd_prefix = "tidewait-run-";

/// The value of a variable in the text of a /proc/PID/environ; empty if it is not set.
inline std::string_view variable_in(std::string_view environment, std::string_view name) noexcept {
  while (!environment.empty()) {
    const std::string_view entry = environment.substr(0, environment.find('\0'));
    if (entry.substr(0, name.size()) == name && entry.substr(name.size(), 1) == "=")
      return entry.substr(name.size() + 1);
    environment.remove_prefix(std::min(environment.size(), entry.size() + 1));
  }
  return {};
}

/// Whether the text of a /proc/PID/environ carries the mark.
inline bool environment_has_mark(std::string_view environment, std::string_view id) noexcept {
  return has_mark(variable_in(environment, run_variable), id);
}

/// The mark of this run if `ensure_run_mark()` has made one; otherwise no process can carry it.
inline std::atomic<const std::string*> made_run_mark{nullptr};

/// The mark of this run, and the memfd that shows it.
struct run_mark_state {
  static constexpr const char* name = "tidewait-mark";
  meeting_point* met = nullptr;
  std::string id;
  descriptor_mark memfd{};

  run_mark_state() : id{random_name()} {}
  run_mark_state(const run_mark_state&) = delete;
  run_mark_state& operator=(const run_mark_state&) = delete;

  /// Opens the memfd if there is none, or none any more; never closes it. High, so that the
  /// descriptors which a test counts stay as they were.
  void open_memfd() {
    unique_fd low{::memfd_create((std::string{run_memfd_prefix} + id).c_str(), MFD_CLOEXEC)};
    const int high = low ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, 512) : -1;
    memfd = descriptor_mark::of(high >= 0 ? high : low.release());
  }
};

inline run_mark_state& run_mark_of_process() {
  static run_mark_state& only = [&]() -> run_mark_state& {
    run_mark_state& state = find_process_state<run_mark_state>();
    made_run_mark = &state.id;
    if (state.memfd.fd >= 0) return state;  // another copy of tidewait has put it on
    // Also in a setuid program: it only passes them on, and the runs around it find what it leaves.
    const char* outer = ::getenv(run_variable);
    const std::string marks =
        outer == nullptr || *outer == '\0' ? state.id : outer + (':' + state.id);
    ::setenv(run_variable, marks.c_str(), 1);
    state.open_memfd();
    return state;
  }();
  return only;
}

/// The mark of this run. The first call puts it on this process for all that it will start: into
/// the environment, which exec'd programs inherit, and as the name of a close-on-exec memfd, since
/// a fork without exec shows /proc the environment that its parent was started with.
inline const std::string& ensure_run_mark() { return run_mark_of_process().id; }

/// Puts it on again if the program under test has closed the memfd; whether it had.
inline bool renew_run_mark() {
  run_mark_state& state = run_mark_of_process();
  if (!state.memfd.lost()) return false;
  state.open_memfd();
  return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
