// SPDX-License-Identifier: BSL-1.0
#include "echo_server.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

namespace {

using address_info = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// The endpoint in the form that the system calls take. Asks no name service.
address_info parse(const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* result = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &result) != 0) {
    throw std::system_error{std::make_error_code(std::errc::invalid_argument),
                            '"' + address + "\" as an IP address"};
  }
  return {result, &::freeaddrinfo};
}

std::uint16_t port_of(const sockaddr_storage& address, socklen_t size) {
  std::array<char, NI_MAXSERV> port{};
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, nullptr, 0, port.data(),
                port.size(), NI_NUMERICSERV);
  return static_cast<std::uint16_t>(std::stoi(port.data()));
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

echo_server::descriptor::~descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

echo_server::echo_server(std::uint16_t port, echo_options options)
    : options_{std::move(options)}, port_{port} {
  const auto endpoint = parse(options_.address, port);
  // Non-blocking, since a client may be gone again between poll() and accept().
  const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  listener_ = descriptor{::socket(endpoint->ai_family, type, 0)};
  if (listener_.get() < 0) fail("socket for");
  const int reuse = options_.reuse_address ? 1 : 0;
  if (::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) < 0) {
    fail("SO_REUSEADDR for");
  }
  if (::bind(listener_.get(), endpoint->ai_addr, endpoint->ai_addrlen) < 0) fail("bind");
  if (::listen(listener_.get(), SOMAXCONN) < 0) fail("listen on");
  start();
}

echo_server::echo_server(adopted_socket socket, echo_options options)
    : options_{std::move(options)}, port_{0}, listener_{socket.descriptor} {
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) < 0) fail("adopting");
  start();
}

// The thread ends first and the listener closes after it: a listener that is closed while a thread
// sits in accept() on it keeps its port.
echo_server::~echo_server() { stop(); }

void echo_server::start() {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    fail("getsockname of");
  }
  port_ = port_of(address, size);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) fail("pipe for");
  stop_reader_ = descriptor{ends[0]};
  stop_writer_ = descriptor{ends[1]};
  thread_ = std::thread{&echo_server::serve, this};
}

int echo_server::leak_listener() {
  stop();
  return listener_.release();
}

std::string echo_server::ask(const std::string& line) const {
  const auto endpoint = parse(options_.address, port_);
  const descriptor client{::socket(endpoint->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (client.get() < 0) fail("socket for");
  const timeval patience{5, 0};
  if (::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
    fail("SO_RCVTIMEO for");
  }
  if (::connect(client.get(), endpoint->ai_addr, endpoint->ai_addrlen) < 0) fail("connect to");
  if (!send_all(client.get(), line + '\n')) fail("send to");

  // Whoever hangs up first keeps TIME_WAIT: a server that is to be the first is waited for.
  std::string reply;
  std::array<char, 1024> buffer;
  while (options_.close_first || reply.empty() || reply.back() != '\n') {
    const auto received = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (received < 0) fail("receive from");
    if (received == 0) break;
    reply.append(buffer.data(), static_cast<std::size_t>(received));
  }
  return reply.substr(0, reply.find('\n'));
}

void echo_server::serve() const {
  while (wait_for_input(listener_)) {
    const descriptor client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (client.get() >= 0) converse(client);
  }
}

void echo_server::converse(const descriptor& client) const {
  std::array<char, 1024> buffer;
  while (wait_for_input(client)) {
    const auto received = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return;
    const std::string_view bytes{buffer.data(), static_cast<std::size_t>(received)};
    if (!send_all(client.get(), bytes)) return;
    if (options_.close_first && bytes.back() == '\n') return;
  }
}

/// False: the server has to stop.
bool echo_server::wait_for_input(const descriptor& socket) const {
  std::array<pollfd, 2> files{pollfd{socket.get(), POLLIN, 0},
                              pollfd{stop_reader_.get(), POLLIN, 0}};
  while (::poll(files.data(), files.size(), -1) < 0 && errno == EINTR) {
  }
  return files[1].revents == 0;
}

void echo_server::stop() {
  if (!thread_.joinable()) return;
  // A byte, not close(): a forked child may hold the pipe open.
  while (::write(stop_writer_.get(), "", 1) < 0 && errno == EINTR) {
  }
  thread_.join();
}

void echo_server::fail(const char* call) const {
  const int error = errno;
  const bool v6 = options_.address.find(':') != std::string::npos;
  const std::string host = v6 ? '[' + options_.address + ']' : options_.address;
  throw std::system_error{error, std::generic_category(),
                          std::string{call} + ' ' + host + ':' + std::to_string(port_)};
}
