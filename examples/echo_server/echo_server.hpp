// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <thread>
#include <utility>

/// How an `echo_server` listens, and how it misbehaves.
struct echo_options {
  std::string address = "127.0.0.1";  ///< IPv4 or IPv6, as text; "::" takes IPv4 too.
  bool reuse_address = true;          ///< Sets SO_REUSEADDR, as most servers do.
  bool close_first = false;           ///< Hangs up after each reply, so TIME_WAIT is on its port.
};

/// A socket of somebody else's, to be taken over.
struct adopted_socket {
  int descriptor = -1;
};

/// A TCP server that sends each line back: the server under test in these examples.
///
/// It serves one client at a time, on a thread of its own. Errors of the system are thrown as
/// `std::system_error` that names the call and the endpoint.
class echo_server {
 public:
  /// Listens on `port`; 0 lets the system choose.
  explicit echo_server(std::uint16_t port, echo_options options = {});

  /// Serves on a socket that listens already, and closes it in the end.
  explicit echo_server(adopted_socket socket, echo_options options = {});

  /// Hangs up on the client, if any, and stops listening.
  ~echo_server();

  echo_server(const echo_server&) = delete;
  echo_server& operator=(const echo_server&) = delete;

  /// The port it listens on.
  std::uint16_t port() const noexcept { return port_; }

  /// Connects as a client, sends `line` and returns the reply, both without the line's end.
  std::string ask(const std::string& line) const;

  /// The classic mistake: stops serving, but forgets the listening socket. Returns its descriptor,
  /// which stays open when the server is gone.
  int leak_listener();

 private:
  /// An open file, closed at the end of its life.
  class descriptor {
   public:
    descriptor() = default;
    explicit descriptor(int fd) noexcept : fd_{fd} {}
    descriptor(descriptor&& other) noexcept : fd_{other.release()} {}
    descriptor& operator=(descriptor&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
    }
    ~descriptor();

    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

   private:
    int fd_ = -1;
  };

  void start();
  void serve() const;
  void converse(const descriptor& client) const;
  bool wait_for_input(const descriptor& socket) const;
  void stop();
  [[noreturn]] void fail(const char* call) const;

  echo_options options_;
  std::uint16_t port_;
  descriptor listener_;
  descriptor stop_reader_;  // a pipe: readable once the thread has to end
  descriptor stop_writer_;
  std::thread thread_;
};
