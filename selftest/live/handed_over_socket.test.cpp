// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include <echo_server.hpp>
#include <tidewait/bound_socket.hpp>
#include <tidewait/listen_fds.hpp>
#include <tidewait/watch.hpp>

#include "../support/forked.hpp"
#include "../support/sockets.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using tidewait::bound_socket;
using tidewait::listen_fds;
using tidewait::listening_socket;
using tidewait::protocol;
using tidewait::reuse;

std::string inode(int fd) {
  struct stat info {};
  ::fstat(fd, &info);
  return "socket:[" + std::to_string(info.st_ino) + ']';
}

TEST(HandedOverSocket, HasItsPortFromTheFirstMoment) {
  const bound_socket socket;
  EXPECT_EQ(to_string(socket.local()), "127.0.0.1:" + std::to_string(socket.port()));
  EXPECT_NE(socket.port(), 0);
  std::error_code error;
  const auto rival = sockets::bound(socket.port(), error);
  EXPECT_EQ(error, std::errc::address_in_use);
  EXPECT_EQ(sockets::answer_to_client(socket.port()), std::errc::connection_refused);
}

TEST(HandedOverSocket, ThatListensTakesClientsBeforeItIsAdopted) {
  listening_socket socket;
  const std::uint16_t port = socket.port();
  EXPECT_EQ(sockets::answer_to_client(port), std::error_code{});
  const echo_server server{adopted_socket{socket.release()}};
  EXPECT_EQ(socket.native_handle(), -1);
  EXPECT_EQ(server.port(), port);
  EXPECT_EQ(server.ask("hi"), "hi");
}

TEST(HandedOverSocket, IsClosedByItsLastOwner) {
  int fd = -1;
  {
    listening_socket first;
    listening_socket second = std::move(first);
    fd = second.native_handle();
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
  tidewait::detail::unique_fd kept;
  {
    listening_socket socket;
    kept = tidewait::detail::unique_fd{socket.release()};
  }
  EXPECT_EQ(::fcntl(kept.get(), F_GETFD), FD_CLOEXEC);
}

TEST(HandedOverSocket, ComesForUdpAndIPv6) {
  const bound_socket udp{{protocol::udp, *tidewait::parse_endpoint("127.0.0.1:0")}};
  EXPECT_NE(udp.port(), 0);
  try {
    const listening_socket six{*tidewait::parse_endpoint("[::1]:0"), 1};
    EXPECT_THAT(to_string(six.local()), StartsWith("[::1]:"));
  } catch (const tidewait::lease_error& error) {
    GTEST_SKIP() << "no IPv6: " << error.what();
  }
}

TEST(HandedOverSocket, SaysWhyItCannotBe) {
  const listening_socket first;
  try {
    const listening_socket second{first.local()};
    FAIL() << "two listeners on one endpoint";
  } catch (const tidewait::lease_error& error) {
    EXPECT_EQ(error.code(), std::errc::address_in_use);
    EXPECT_THAT(error.what(), AllOf(StartsWith("binding 127.0.0.1:"), HasSubstr("tidewait why")));
  }
  try {
    const bound_socket none{{protocol::tcp, *tidewait::parse_endpoint("192.0.2.1:0")}};
    FAIL() << "a socket on the address of nobody";
  } catch (const tidewait::error& error) {
    EXPECT_EQ(error.code(), std::errc::address_not_available);
  }
}

TEST(HandedOverSocket, ThatNobodyClosesIsALeftover) {
  tidewait::watch watch;
  listening_socket socket;
  const tidewait::detail::unique_fd forgotten{socket.release()};
  EXPECT_FALSE(watch.look().clean());
}

/// What a shell prints that has been started with the sockets.
std::string told_by_child(listen_fds& handed_over, std::string script) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
  char shell[] = "/bin/sh";
  char option[] = "-c";
  char* const arguments[] = {shell, option, script.data(), nullptr};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    if (char* const* environment = handed_over.enter_child()) {
      ::execve(shell, arguments, environment);
    }
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string text;
  for (char c = '\0'; ::read(ends[0], &c, 1) == 1;) text += c;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return text;
}

TEST(ListenFds, AreTheDescriptorsOfAChildFromThreeOn) {
  // The second socket has the lower descriptor, so that one is in the other's way.
  bound_socket low;
  listening_socket high;
  listen_fds handed_over;
  handed_over.add(high, "http");
  handed_over.add(low);
  const std::string told = told_by_child(handed_over,
                                         "readlink /proc/$$/fd/3 /proc/$$/fd/4;"
                                         "echo $LISTEN_FDS $LISTEN_FDNAMES;"
                                         "test $LISTEN_PID = $$ && echo mine");
  EXPECT_EQ(told, inode(high.native_handle()) + '\n' + inode(low.native_handle()) +
                      "\n2 http:unknown\nmine\n");
}

TEST(ListenFds, ReplaceWhatTheEnvironmentSaidBefore) {
  ::setenv("LISTEN_FDS", "7", 1);
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("SELFTEST_OTHER", "kept", 1);
  listening_socket socket;
  listen_fds handed_over;
  handed_over.add(socket);
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "SELFTEST_OTHER"}) ::unsetenv(name);
  EXPECT_EQ(told_by_child(handed_over,
                          "env | grep -c ^LISTEN_; echo $LISTEN_FDS $SELFTEST_OTHER;"
                          "test $LISTEN_PID = $$ && echo mine"),
            "3\n1 kept\nmine\n");
}

TEST(ListenFds, FindTheirPidByAShellWhereTheChildIsSpawned) {
  listen_fds handed_over;
  const listening_socket socket;
  handed_over.add(socket, "http");
  const auto environment = handed_over.environment();
  EXPECT_THAT(environment, testing::ElementsAre("LISTEN_FDS=1", "LISTEN_FDNAMES=http"));
  // The words of the header, run as posix_spawn would.
  EXPECT_EQ(told_by_child(handed_over,
                          "unset LISTEN_PID;"
                          "exec /bin/sh -c 'LISTEN_PID=$$ exec \"$@\"' sh "
                          "sh -c 'test $LISTEN_PID = $$ && echo mine'"),
            "mine\n");
}

TEST(ListenFds, LetAChildServeWhatTheParentBound) {
  std::uint16_t port = 0;
  listen_fds handed_over;
  listening_socket socket;
  port = socket.port();
  handed_over.add(socket);
  forked server{[&](auto say) {
    if (handed_over.enter_child() == nullptr) return say("no descriptor\n");
    const echo_server echo{adopted_socket{3}};
    say("serving\n");
    ::pause();
    return true;
  }};
  ASSERT_EQ(server.line(), "serving");
  ::close(socket.release());
  EXPECT_EQ(sockets::answer_to_client(port), std::error_code{});
  server.kill();
  EXPECT_EQ(sockets::answer_to_client(port), std::errc::connection_refused);
}

TEST(ListenFds, SayThatDescriptorsRanOut) {
  forked child{[](auto say) {
    listening_socket socket;
    listen_fds handed_over;
    handed_over.add(socket);
    const rlimit few{static_cast<rlim_t>(socket.native_handle()) + 1, 4096};
    ::setrlimit(RLIMIT_NOFILE, &few);
    while (::dup(0) >= 0) {
    }
    const bool refused = handed_over.enter_child() == nullptr;
    say(refused ? std::generic_category().message(errno) : "entered");
  }};
  EXPECT_THAT(child.all(), testing::AnyOf("Too many open files", "Invalid argument"));
}

}  // namespace
