// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/process/await_server.hpp>
#include <tidewait/detail/process/server_setup.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/listen_target.hpp>
#include <tidewait/server_exit.hpp>
#include <tidewait/server_options.hpp>
#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {

/// A server program under test, that leaves nothing behind.
///
///     const auto port = tidewait::lease_port();
///     tidewait::server_process redis{"redis-server", {"--port", port}};
///     redis.wait_until_listening(port, 5s);
///
/// It runs in a process group of its own, and inherits the locks of its leases, the sockets that it
/// is passed, a file that marks its descendants, and no other descriptor. What it prints is kept,
/// never holding it up. It is told to end when this process dies. Several threads may use one
/// object; the one that made it may end.
///
/// The destructor ends it as `stop()` does. It is silent if all is well. If the server had to be
/// killed, crashed, had ended by itself, or left descendants that had fled its group, and neither
/// `stop()` nor an exception has told so, then the next look of a `watch` reports it; where there
/// is no watch, it is printed to the standard error.
class server_process {
 public:
  using milliseconds = std::chrono::milliseconds;

  /// Starts `program`, searched in PATH if it has no '/'. Returns once it has been exec'd. Throws
  /// `server_error` if it cannot be.
  explicit server_process(std::string program, std::vector<argument> arguments = {},
                          server_options options = {},
                          source_location where = source_location::current())
      : self_{new self{{std::move(program), std::move(arguments), std::move(options)}, where}} {
    self_->run = detail::start_server(self_->setup);
  }
  server_process(server_process&&) noexcept = default;
  server_process& operator=(server_process&& other) noexcept {
    if (this != &other) {
      finish();
      self_ = std::move(other.self_);
    }
    return *this;
  }
  ~server_process() { finish(); }

  /// The process that was started, also after its end; of a daemon, the one that has gone.
  int pid() const { return current()->pid(); }

  /// Whether it has not ended. A daemon runs as long as one of its processes does.
  bool running() const { return !current()->over(); }

  /// Waits until a TCP socket listens on the target (of UDP: is bound), and every such socket on
  /// its port belongs to the server or its descendants. Looks at the socket table; never connects,
  /// which would itself leave a TIME_WAIT behind. Throws `server_error` if that is not so in time,
  /// if the server ends, or if a stranger shares the port; `observe_error` if it cannot look.
  void wait_until_listening(const listen_target& where, milliseconds timeout = default_timeout) {
    wait_until_listening(std::vector<listen_target>{where}, timeout);
  }
  /// The same for several ports: all of them have to be there.
  void wait_until_listening(const std::vector<listen_target>& all,
                            milliseconds timeout = default_timeout) {
    const auto run = current();
    guarded([&] { detail::await_listening(*run, all, timeout); });
  }
  /// The same for `lease_ports(n)`.
  void wait_until_listening(const std::vector<port_lease>& all,
                            milliseconds timeout = default_timeout) {
    wait_until_listening(std::vector<listen_target>(all.begin(), all.end()), timeout);
  }

  /// Waits for a line of output in which the pattern is found, and returns it. Lines that came
  /// earlier count, as far as they are kept; of a line its first 1000 bytes. Throws `server_error`
  /// if there is none in time, or the server ends without it.
  std::string wait_for_output(const std::regex& pattern, milliseconds timeout = default_timeout) {
    const auto run = current();
    std::string line;
    guarded([&] { line = detail::await_output(*run, pattern, timeout); });
    return line;
  }
  /// The same with the text of an ECMAScript pattern, which is named in the error.
  std::string wait_for_output(const std::string& pattern, milliseconds timeout = default_timeout) {
    const auto run = current();
    std::string line;
    guarded([&] { line = detail::await_output(*run, std::regex{pattern}, timeout, pattern); });
    return line;
  }

  /// What it has printed to standard output and error, line by line, as far as it is kept.
  std::vector<std::string> output() const { return current()->output().lines(); }

  /// Waits until it ends by itself, such as after a command to shut down, and then cleans up behind
  /// it. Throws `server_error` if it does not in time.
  server_exit wait_for_exit(milliseconds timeout = default_timeout) {
    const auto run = current();
    guarded([&] { detail::await_exit(*run, timeout); });
    return stop();
  }

  /// Ends it: the stop signal to its group, then SIGKILL to whoever is still there when the grace
  /// is over; waits for it; ends descendants that have left the group. Says how it ended. Ending it
  /// twice changes nothing.
  server_exit stop() {
    const auto run = current();
    const server_exit end = run->end();
    tell(run.get());
    return end;
  }

  /// `stop()`, then starts the same program with the same arguments, leases and sockets. If what
  /// the first run left in the kernel is in the second's way, as TIME_WAIT may be, the second
  /// cannot bind, and the error of `wait_until_listening` says so.
  server_exit restart() {
    server_exit end = stop();
    auto next = detail::start_server(self_->setup);
    const std::lock_guard hold{self_->mutex};
    self_->run = std::move(next);
    return end;
  }

  static constexpr milliseconds default_timeout{10000};

 private:
  struct self {
    self(detail::server_setup what, const source_location& place)
        : setup{std::move(what)}, where{place} {}

    detail::server_setup setup;
    source_location where;
    int process = ::getpid();
    std::mutex mutex;
    std::shared_ptr<detail::server_run> run;
    const detail::server_run* told = nullptr;  ///< Whose end the user has been told.
  };

  std::shared_ptr<detail::server_run> current() const {
    const std::lock_guard hold{self_->mutex};
    return self_->run;
  }

  void tell(const detail::server_run* run) {
    const std::lock_guard hold{self_->mutex};
    self_->told = run;
  }

  /// Runs a wait; an error that tells of the server's end counts as having told it.
  template <typename Wait>
  void guarded(Wait&& wait) {
    const auto run = current();
    try {
      wait();
    } catch (const server_error& error) {
      if (error.code() == errc::server_ended) tell(run.get());
      throw;
    }
  }

  void finish() noexcept {
    if (!self_) return;
    if (self_->process != ::getpid()) {
      // A fork has a copy of the object, and neither the server nor the thread.
      static_cast<void>(self_.release());
      return;
    }
    try {
      const auto run = current();
      const server_exit end = run->end();
      if (end.orderly() || self_->told == run.get()) return;
      detail::hand_in(detail::describe_end(*run, end, self_->where));
    } catch (...) {
      std::fputs("tidewait: a server could not be ended: no memory\n", stderr);
    }
    self_.reset();
  }

  std::unique_ptr<self> self_;
};

}  // namespace v0
}  // namespace tidewait
