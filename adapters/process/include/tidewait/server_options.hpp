// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/error.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/socket_path_lease.hpp>

namespace tidewait {
inline namespace v0 {

namespace process_impl {
using namespace detail;

/// Descriptors of our own, shared by the copies of what a server is started with.
using shared_descriptors = std::vector<std::shared_ptr<const unique_fd>>;

/// The locks of a lease go to a server: copies of their descriptors. Throws `observe_error`.
void share_locks(const port_lease& lease, shared_descriptors& to);
void share_locks(const socket_path_lease& lease, shared_descriptors& to);

}  // namespace process_impl

/// One argument of a server's command line: text, a number, or a lease. Of a lease the argument is
/// the port's number, or the path, and the server inherits the lock of the lease, so that the port
/// stays leased while the server lives, even if the test is killed.
class argument {
 public:
  /// A text, passed on as it is.
  argument(std::string text) : text_{std::move(text)} {}  // NOLINT: an argument is its text
  /// The same.
  argument(std::string_view text) : text_{text} {}  // NOLINT
  /// The same.
  argument(const char* text) : text_{text} {}  // NOLINT
  template <typename Number,
            std::enable_if_t<std::is_integral_v<Number> && !std::is_same_v<Number, bool> &&
                                 !std::is_same_v<Number, char>,
                             int> = 0>
  /// A number, in decimal.
  argument(Number value) : text_{std::to_string(value)} {}  // NOLINT
  /// The number of a leased port, in decimal. The server inherits the lock.
  argument(const port_lease& lease)  // NOLINT
      : text_{std::to_string(lease.number())} {
    process_impl::share_locks(lease, locks_);
  }
  argument(const port_lease&&) = delete;
  /// A leased path. The server inherits the lock.
  argument(const socket_path_lease& lease) : text_{lease.path()} {  // NOLINT
    process_impl::share_locks(lease, locks_);
  }
  argument(const socket_path_lease&&) = delete;
  /// Several parts of one argument: `{"--listen=127.0.0.1:", port}`.
  argument(std::initializer_list<argument> parts) {
    for (const argument& part : parts) {
      text_ += part.text_;
      locks_.insert(locks_.end(), part.locks_.begin(), part.locks_.end());
    }
  }

  /// What the program gets.
  const std::string& text() const noexcept { return text_; }
  /// The locks of the leases in it.
  const process_impl::shared_descriptors& locks() const noexcept { return locks_; }

 private:
  std::string text_{};
  process_impl::shared_descriptors locks_{};
};

/// What happens to the lines that a server prints, beside being kept for `output()`.
enum class echo : std::uint8_t {
  off,        ///< Output is kept and not passed on.
  to_stderr,  ///< Each line goes to the standard error, with the server's name in front.
};

/// How a server is started and stopped.
///
///     server_options{}.environment("LC_ALL", "C").grace(500ms)
class server_options {
 public:
  using milliseconds = std::chrono::milliseconds;  ///< The unit of all times here.

  /// Sets a variable in the server's environment; the rest is the test's own.
  server_options& environment(std::string name, std::string value) {
    variables_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  /// Where the server starts; the program and its arguments are not rewritten for it. A relative
  /// program path counts from the test's own directory.
  server_options& working_directory(std::string path) {
    directory_ = std::move(path);
    return *this;
  }
  /// What asks the server to end; default SIGTERM. On Windows CTRL_BREAK does, and any number but
  /// SIGTERM and SIGBREAK is an error at the start.
  server_options& stop_signal(int number) {
    stop_signal_ = number;
    return *this;
  }
  /// How long the server may take to end after the signal, before it is killed; default 5 s.
  server_options& grace(milliseconds time) {
    grace_ = time;
    return *this;
  }
  /// A lease whose port the server learns in another way than by an argument, such as a file: it
  /// inherits the lock. Where no lease is named, neither here nor as an argument, it inherits the
  /// locks of all live ones.
  server_options& lease(const port_lease& port) {
    process_impl::share_locks(port, locks_);
    return *this;
  }
  /// Hands the server a `bound_socket` or `listening_socket` by the protocol of sd_listen_fds(3):
  /// the first is its descriptor 3, the next 4, … (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES). No
  /// number is raced for, and clients of a listening one may connect at once. The descriptor is
  /// copied: close your own when you no longer need it.
  server_options& pass_socket(const bound_socket& socket, std::string name = "unknown") {
    return pass_descriptor(socket.native_handle(), std::move(name));
  }
  /// The same for a socket that somebody else made.
  server_options& pass_descriptor(detail::native_handle descriptor, std::string name = "unknown");
  /// The program puts itself into the background (double fork): that the process which was started
  /// exits with status 0 is no failure, and its descendants, found by their mark, are the server.
  server_options& daemon() {
    daemon_ = true;
    return *this;
  }
  /// Whether lines are passed on while they come; default off.
  server_options& echo_output(echo where = echo::to_stderr) {
    echo_ = where;
    return *this;
  }
  /// How much of the output is kept: at least its last so many bytes, at most twice that; default
  /// 1 MiB. What is older is dropped: the server never waits for a reader.
  server_options& keep_output(std::size_t bytes) {
    kept_output_ = bytes;
    return *this;
  }

  /// Environment variables to set, by name.
  const std::vector<std::pair<std::string, std::string>>& variables() const { return variables_; }
  /// Empty: that of the test.
  const std::string& working_directory() const noexcept { return directory_; }
  /// The signal that stops the server: SIGTERM by default.
  int stop_signal() const noexcept { return stop_signal_; }
  /// How long the server may take after the stop signal before it gets SIGKILL.
  milliseconds grace() const noexcept { return grace_; }
  /// The process that was started may exit; its descendants are the server.
  bool is_daemon() const noexcept { return daemon_; }
  /// Whether output goes to standard error of the test as well.
  echo echoes() const noexcept { return echo_; }
  /// How many bytes of output are kept.
  std::size_t kept_output() const noexcept { return kept_output_; }
  /// Locks of leases that the server inherits.
  const process_impl::shared_descriptors& locks() const noexcept { return locks_; }
  /// Sockets that the server is passed, as descriptors 3, 4, ….
  const process_impl::shared_descriptors& sockets() const noexcept { return sockets_; }
  /// Their names for LISTEN_FDNAMES.
  const std::vector<std::string>& socket_names() const noexcept { return socket_names_; }

 private:
  std::vector<std::pair<std::string, std::string>> variables_;
  std::string directory_;
  int stop_signal_ = SIGTERM;
  milliseconds grace_{5000};
  bool daemon_ = false;
  echo echo_ = echo::off;
  std::size_t kept_output_ = std::size_t{1} << 20U;
  process_impl::shared_descriptors locks_{};
  process_impl::shared_descriptors sockets_;
  std::vector<std::string> socket_names_;
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/process/impl/server_options.hpp>
#endif
