// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <tidewait/detail/compiled.hpp>
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
  using milliseconds = std::chrono::milliseconds;  ///< The unit of all times here.

  /// How long the waiting functions wait if not told otherwise.
  static constexpr milliseconds default_timeout{10000};

  /// Starts `program`, searched in PATH if it has no '/'. Returns once it has been exec'd. Throws
  /// `server_error` if it cannot be.
  explicit server_process(std::string program, std::vector<argument> arguments = {},
                          server_options options = {},
                          source_location where = source_location::current());
  /// The source has no server afterwards.
  server_process(server_process&& other) noexcept;
  /// Stops the server that is there first.
  server_process& operator=(server_process&& other) noexcept;
  ~server_process();

  /// The process that was started, also after its end; of a daemon, the one that has gone.
  int pid() const;

  /// Whether it has not ended. A daemon runs as long as one of its processes does.
  bool running() const;

  /// Waits until a TCP socket listens on the target (of UDP: is bound), and every such socket on
  /// its port belongs to the server or its descendants. Looks at the socket table; never connects,
  /// which would itself leave a TIME_WAIT behind. Throws `server_error` if that is not so in time,
  /// if the server ends, or if a stranger shares the port; `observe_error` if it cannot look.
  void wait_until_listening(const listen_target& where, milliseconds timeout = default_timeout);
  /// The same for several ports: all of them have to be there.
  void wait_until_listening(const std::vector<listen_target>& all,
                            milliseconds timeout = default_timeout);
  /// The same for `lease_ports(n)`.
  void wait_until_listening(const std::vector<port_lease>& all,
                            milliseconds timeout = default_timeout);

  /// Waits for a line of output in which the pattern is found, and returns it. Lines that came
  /// earlier count, as far as they are kept; of a line its first 1000 bytes. Throws `server_error`
  /// if there is none in time, or the server ends without it.
  /// `pattern` is the text of an ECMAScript pattern (std::regex), which is named in the error.
  std::string wait_for_output(const std::string& pattern, milliseconds timeout = default_timeout);
  /// The same with a `std::regex`, or another type that has a `regex_search(begin, end, pattern)`.
  template <typename Regex,
            std::enable_if_t<!std::is_convertible_v<const Regex&, std::string>, int> = 0>
  std::string wait_for_output(const Regex& pattern, milliseconds timeout = default_timeout) {
    return wait_for_line(
        &pattern,
        [](const void* regex, std::string_view line) {
          return regex_search(line.data(), line.data() + line.size(),
                              *static_cast<const Regex*>(regex));
        },
        timeout);
  }

  /// What it has printed to standard output and error, line by line, as far as it is kept.
  std::vector<std::string> output() const;

  /// Waits until it ends by itself, such as after a command to shut down, and then cleans up behind
  /// it. Throws `server_error` if it does not in time.
  server_exit wait_for_exit(milliseconds timeout = default_timeout);

  /// Ends it: the stop signal to its group, then SIGKILL to those that are still there when the
  /// grace is over; waits for it; ends descendants that have left the group. Says how it ended.
  /// Ending it twice changes nothing.
  server_exit stop();

  /// `stop()`, then starts the same program with the same arguments, leases and sockets. If what
  /// the first run left in the kernel is in the second's way, as TIME_WAIT may be, the second
  /// cannot bind, and the error of `wait_until_listening` says so.
  server_exit restart();

 private:
  struct state;

  std::string wait_for_line(const void* pattern, bool (*matches)(const void*, std::string_view),
                            milliseconds timeout);
  void finish() noexcept;

  std::unique_ptr<state> self_;
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/process/impl/server_process.hpp>
#endif
