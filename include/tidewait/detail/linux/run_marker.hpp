// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The environment variable that holds the marks of the runs a process belongs to, outermost first,
/// separated by ':'. Each run adds its own, so that a run inside a run claims only what is its own.
inline constexpr const char* run_variable = "TIDEWAIT_RUN";
inline constexpr std::string_view run_memfd_prefix = "tidewait-run-";

/// Whether `id` is one of the marks in the text of a TIDEWAIT_RUN variable.
inline bool has_mark(std::string_view marks, std::string_view id) noexcept {
  while (!marks.empty()) {
    const std::string_view mark = marks.substr(0, marks.find(':'));
    if (mark == id) return true;
    marks.remove_prefix(std::min(marks.size(), mark.size() + 1));
  }
  return false;
}

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

/// The mark of this run if `run_mark()` has made one; otherwise no process can carry it.
inline std::atomic<const std::string*> made_run_mark{nullptr};

/// The mark of this run. The first call puts it on this process for all that it will start: into
/// the environment, which exec'd programs inherit, and as the name of a close-on-exec memfd, since
/// a fork without exec shows /proc the environment that its parent was started with.
inline const std::string& run_mark() {
  // Never destroyed: a look may come when the statics are gone.
  static const std::string& id = *new std::string{[] {
    const std::string text = random_name();
    // Also in a setuid program: it only passes them on, and the runs around it find what it leaves.
    const char* outer = ::getenv(run_variable);
    const std::string marks = outer == nullptr || *outer == '\0' ? text : outer + (':' + text);
    ::setenv(run_variable, marks.c_str(), 1);
    const std::string name = std::string{run_memfd_prefix} + text;
    // Never closed. High, so that the descriptors which a test counts stay as they were.
    unique_fd memfd{::memfd_create(name.c_str(), MFD_CLOEXEC)};
    if (memfd && ::fcntl(memfd.get(), F_DUPFD_CLOEXEC, 512) < 0) memfd.release();
    return text;
  }()};
  made_run_mark = &id;
  return id;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
