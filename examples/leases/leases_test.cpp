// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include <tidewait/bound_socket.hpp>
#include <tidewait/gtest.hpp>
#include <tidewait/listen_fds.hpp>

#include "echo_server.hpp"

namespace {

int listen_on_path(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool bound = ::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
  return bound && ::listen(listener, 1) == 0 ? listener : -1;
}

class Leases : public tidewait::gtest::fixture {};

TEST_F(Leases, NoNumberAtAll) {
  // [adopt]
  tidewait::listening_socket socket;
  const echo_server server{adopted_socket{socket.release()}};
  EXPECT_EQ(server.ask("hi"), "hi");
  // [adopt]
}

TEST_F(Leases, NoNumberForAChild) {
  char shell[] = "/bin/sh";
  char option[] = "-c";
  char script[] = "test \"$LISTEN_FDS $LISTEN_FDNAMES\" = '1 echo' && test $LISTEN_PID = $$";
  char* const arguments[] = {shell, option, script, nullptr};
  // [child]
  const tidewait::listening_socket socket;
  tidewait::listen_fds handed_over;
  handed_over.add(socket, "echo");
  const pid_t child = ::fork();
  if (child == 0) {
    if (char* const* environment = handed_over.enter_child()) {
      ::execve(arguments[0], arguments, environment);
    }
    ::_exit(127);
  }
  // [child]
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(Leases, OfEachKind) {
  // [kinds]
  const tidewait::port_lease http = lease_port();
  // One number for TCP and UDP:
  const tidewait::port_lease dns = lease_port(tidewait::protocol_set::tcp_and_udp);
  const auto peers = lease_ports(3);
  const auto cluster = tidewait::lease_block(3);  // numbers in a row, lowest first
  // [kinds]
  EXPECT_EQ(cluster[2].number(), cluster[0].number() + 2);
  EXPECT_NE(http.number(), dns.number());
  EXPECT_EQ(peers.size(), 3U);
}

TEST_F(Leases, OfAPath) {
  // [path]
  const tidewait::socket_path_lease path = lease_socket_path();
  const int listener = listen_on_path(path.path());  // at most 107 bytes, and nobody else has it
  // [path]
  EXPECT_GE(listener, 0);
  ::close(listener);
}

TEST_F(Leases, Held) {
  // [hold]
  tidewait::port_lease port = lease_port();
  port.hold();                              // nobody can take it; clients are refused
  const echo_server server{port.number()};  // sets SO_REUSEADDR, so it still can listen
  EXPECT_EQ(server.ask("hi"), "hi");
  // [hold]
}

TEST_F(Leases, Inherited) {
  // [inherit]
  const tidewait::port_lease port = lease_port();
  for (const int lock : port.lock_descriptors()) ::fcntl(lock, F_SETFD, 0);
  // [inherit]
  EXPECT_EQ(::fcntl(port.lock_descriptors().front(), F_GETFD), 0);
}

}  // namespace
