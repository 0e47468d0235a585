// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/process/await_server.hpp>
#include <tidewait/detail/process/server_backend.hpp>
#include <tidewait/server_process.hpp>

namespace tidewait {
inline namespace v0 {

struct server_process::state {
  state(process_impl::server_setup what, const source_location& place)
      : setup{std::move(what)}, where{place} {}
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  std::shared_ptr<process_impl::server_run> current() {
    const std::lock_guard hold{mutex};
    return run;
  }

  void tell(const process_impl::server_run* which) {
    const std::lock_guard hold{mutex};
    told = which;
  }

  /// Runs a wait; an error that tells of the server's end counts as having told it.
  template <typename Wait>
  void guarded(Wait&& wait) {
    const auto now = current();
    try {
      wait(*now);
    } catch (const server_error& error) {
      if (error.code() == errc::server_ended) tell(now.get());
      throw;
    }
  }

  process_impl::server_setup setup;
  source_location where;
  int process = detail::process_id();
  std::mutex mutex{};
  std::shared_ptr<process_impl::server_run> run{};
  const process_impl::server_run* told = nullptr;  ///< Whose end the user has been told.
};

TIDEWAIT_INLINE server_process::server_process(std::string program, std::vector<argument> arguments,
                                               server_options options, source_location where)
    : self_{new state{{std::move(program), std::move(arguments), std::move(options)}, where}} {
  self_->run = process_impl::start_server(self_->setup);
}
TIDEWAIT_INLINE server_process::server_process(server_process&& other) noexcept = default;
TIDEWAIT_INLINE server_process& server_process::operator=(server_process&& other) noexcept {
  if (this != &other) {
    finish();
    self_ = std::move(other.self_);
  }
  return *this;
}
TIDEWAIT_INLINE server_process::~server_process() { finish(); }

TIDEWAIT_INLINE int server_process::pid() const { return self_->current()->pid(); }
TIDEWAIT_INLINE bool server_process::running() const { return !self_->current()->over(); }

TIDEWAIT_INLINE void server_process::wait_until_listening(const listen_target& where,
                                                          milliseconds timeout) {
  wait_until_listening(std::vector<listen_target>{where}, timeout);
}
TIDEWAIT_INLINE void server_process::wait_until_listening(const std::vector<listen_target>& all,
                                                          milliseconds timeout) {
  self_->guarded([&](const process_impl::server_run& run) {
    process_impl::await_listening(run, all, timeout);
  });
}
TIDEWAIT_INLINE void server_process::wait_until_listening(const std::vector<port_lease>& all,
                                                          milliseconds timeout) {
  wait_until_listening(std::vector<listen_target>(all.begin(), all.end()), timeout);
}

TIDEWAIT_INLINE std::string server_process::wait_for_output(const std::string& pattern,
                                                            milliseconds timeout) {
  const std::regex wanted{pattern};
  const auto matches = [&](std::string_view line) {
    return std::regex_search(line.data(), line.data() + line.size(), wanted);
  };
  std::string line;
  self_->guarded([&](const process_impl::server_run& run) {
    line = process_impl::await_output(run, matches, timeout, pattern);
  });
  return line;
}
TIDEWAIT_INLINE std::string server_process::wait_for_line(
    const void* pattern, bool (*matches)(const void*, std::string_view), milliseconds timeout) {
  std::string line;
  self_->guarded([&](const process_impl::server_run& run) {
    line = process_impl::await_output(
        run, [&](std::string_view text) { return matches(pattern, text); }, timeout);
  });
  return line;
}

TIDEWAIT_INLINE std::vector<std::string> server_process::output() const {
  return self_->current()->output().lines();
}

TIDEWAIT_INLINE server_exit server_process::wait_for_exit(milliseconds timeout) {
  self_->guarded(
      [&](const process_impl::server_run& run) { process_impl::await_exit(run, timeout); });
  return stop();
}

TIDEWAIT_INLINE server_exit server_process::stop() {
  const auto run = self_->current();
  server_exit end = run->end();
  self_->tell(run.get());
  return end;
}

TIDEWAIT_INLINE server_exit server_process::restart() {
  server_exit end = stop();
  auto next = process_impl::start_server(self_->setup);
  const std::lock_guard hold{self_->mutex};
  self_->run = std::move(next);
  return end;
}

TIDEWAIT_INLINE void server_process::finish() noexcept {
  if (!self_) return;
  if (self_->process != detail::process_id()) {
    // A fork has a copy of the object, and neither the server nor the thread.
    static_cast<void>(self_.release());
    return;
  }
  try {
    const auto run = self_->current();
    const server_exit end = run->end();
    if (end.orderly() || self_->told == run.get()) return;
    process_impl::hand_in(process_impl::describe_end(*run, end, self_->where));
  } catch (...) {
    std::fputs("tidewait: a server could not be ended: no memory\n", stderr);
  }
  self_.reset();
}

}  // namespace v0
}  // namespace tidewait
