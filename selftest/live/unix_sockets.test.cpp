// SPDX-License-Identifier: BSL-1.0
//
// Unix sockets for real: what a watch says of those that a test leaves, and what is said of a name.
#include <poll.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/unix_sockets.hpp>
#include <tidewait/explain_unix_bind.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/unix_server.hpp"

namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using tidewait::cause;
using tidewait::detail::unique_fd;

std::string own_name(const char* name) {
  return '@' + std::string{"selftest-"} + std::to_string(::getpid()) + '-' + name;
}

tidewait::unix_diagnosis explained(const std::string& name) {
  return tidewait::explain_unix_bind(tidewait::parse_unix_name(name)).why;
}

std::string text_of(const std::string& name) {
  const auto [why, seen] = tidewait::explain_unix_bind(tidewait::parse_unix_name(name));
  return render(why, seen);
}

cause only_cause(const tidewait::unix_diagnosis& why) {
  EXPECT_EQ(why.explanations.size(), 1U);
  return why.explanations.empty() ? cause::not_visible : why.explanations.front().what;
}

/// What the kernel shows of a socket file: reference count, flags, state.
std::string line_of(const std::string& path) {
  std::ifstream table{"/proc/net/unix"};
  std::string line;
  while (std::getline(table, line)) {
    if (line.size() > path.size() &&
        line.compare(line.size() - path.size(), path.size(), path) == 0)
      return line;
  }
  return {};
}

TEST(UnixSockets, OfEachTypeFailTheTestThatLeavesThem) {
  const socket_folder there;
  for (const std::string& name :
       {there / "a.sock", own_name("left"), there / "with blank \x1b[31m.sock"}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      tidewait::watch watch{{}, "Net.Leaves"};
      unix_server left = serve_unix(name, type);
      const tidewait::report found = watch.look();
      ASSERT_EQ(found.unix_findings.size(), 1U) << name;
      EXPECT_FALSE(found.clean());
      EXPECT_EQ(only_cause(found.unix_findings.front().why),
                type == SOCK_DGRAM ? cause::bound_not_listening : cause::listener_not_closed);
      const std::string text = render(found);
      EXPECT_THAT(text, StartsWith("tidewait: Net.Leaves left 1 Unix socket behind on "));
      EXPECT_EQ(text.find('\x1b'), std::string::npos) << "a name steers no terminal";
      EXPECT_TRUE(watch.look().clean()) << "reported twice";
      left.reset();
      ::unlink(name.c_str());
      EXPECT_TRUE(watch.look().clean());
    }
  }
}

TEST(UnixSockets, ClosedAndUnlinkedAreClean) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  tidewait::watch watch{{}, "Net.Cleans"};
  serve_unix(path).reset();
  ::unlink(path.c_str());
  const unique_fd unnamed{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const unique_fd one{pair[0]};
  const unique_fd other{pair[1]};
  EXPECT_TRUE(watch.look().silent());
}

TEST(UnixSockets, OfDatagramsAreSeenThoughAClientIsConnected) {
  const socket_folder there;
  for (const std::string& name : {there / "log.sock", own_name("log")}) {
    tidewait::watch watch{{}, "Net.Logs"};
    const unix_server server = serve_unix(name, SOCK_DGRAM);
    const unix_server client = connect_unix(name, SOCK_DGRAM);
    EXPECT_EQ(only_cause(explained(name)), cause::bound_not_listening) << name;
    EXPECT_EQ(watch.look().unix_findings.size(), 1U) << name;
  }
}

// A look at the name of a socket must not change it. A datagram socket that somebody connects to
// looks connected itself, and a listener has a connection to accept.
TEST(UnixSockets, AreNotTouchedByALook) {
  const socket_folder there;
  int number = 0;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const std::string path = there / std::to_string(++number);
    const unix_server server = serve_unix(path, type);
    const auto before = line_of(path);
    EXPECT_FALSE(explained(path).free());
    EXPECT_EQ(line_of(path), before);
    pollfd waiting{server.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0) << "has something to accept or to read";
  }
}

TEST(UnixSockets, ThatAreOpenElsewhereAreNoStaleFiles) {
  using life = tidewait::detail::unix_bind_facts::life;
  const socket_folder there;
  int number = 0;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    for (const bool listens : {true, false}) {
      const std::string path = there / std::to_string(++number);
      unix_server server = listens ? serve_unix(path, type, 1) : bind_unix(path, type);
      EXPECT_EQ(tidewait::detail::life_of(path), life::open) << type << ' ' << listens;
      std::vector<unix_server> clients;  // more than it will queue
      for (int i = 0; listens && type != SOCK_DGRAM && i < 3; ++i) {
        clients.push_back(connect_unix(path, type));
      }
      EXPECT_EQ(tidewait::detail::life_of(path), life::open) << type << ' ' << listens;
      server.reset();
      EXPECT_EQ(tidewait::detail::life_of(path), life::none) << type << ' ' << listens;
    }
  }
}

TEST(UnixSockets, LocksOfLeasesAreNoLeak) {
  tidewait::watch watch{{}, "Net.Leases"};
  const auto ports = tidewait::lease_ports(3);
  EXPECT_TRUE(watch.look().silent());
}

TEST(UnixSockets, OfAServerThatGoesLeaveAStaleFile) {
  const socket_folder there;
  const std::string path = there / "suite.sock";
  unix_server suite = serve_unix(path);
  {
    tidewait::watch watch{{}, "Net.Uses"};
    EXPECT_TRUE(watch.look().silent());
  }
  tidewait::watch watch{{}, "Net.Closes"};
  suite.reset();
  const tidewait::report found = watch.look();
  ASSERT_EQ(found.unix_findings.size(), 1U);
  EXPECT_EQ(only_cause(found.unix_findings.front().why), cause::stale_socket_file);
  EXPECT_THAT(render(found),
              StartsWith("tidewait: Net.Closes left 1 stale socket file behind: " + path + "\n"));
  EXPECT_TRUE(watch.look().silent()) << "reported twice";
}

TEST(UnixSockets, OfAChildThatOutlivesTheTestFailIt) {
  const std::string name = own_name("child");
  tidewait::watch watch{{}, "Net.Forks"};
  forked child{[&](auto say) {
    const unix_server left = serve_unix(name);
    say("up\n");
    ::pause();
  }};
  ASSERT_EQ(child.line(), "up");
  const tidewait::report found = watch.look();
  ASSERT_EQ(found.unix_findings.size(), 1U);
  EXPECT_EQ(only_cause(found.unix_findings.front().why), cause::child_listens);
}

TEST(UnixSockets, OfAnotherProgramFailNobody) {
  const std::string name = own_name("foreign");
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  // A grandchild that init or a subreaper takes over, without the mark of this run.
  forked parent{[&](auto say) {
    if (::fork() == 0) {
      ::close(ends[1]);
      ::clearenv();
      for (int fd = 3; fd < 1024; ++fd) {
        if (fd != ends[0]) ::close(fd);
      }
      const unix_server left = serve_unix(name);
      char c = 0;
      static_cast<void>(::read(ends[0], &c, 1));
      ::_exit(0);
    }
    say("");
  }};
  parent.wait();
  ::close(ends[0]);
  while (explained(name).free()) std::this_thread::yield();
  tidewait::watch watch{{}, "Net.Innocent"};
  const unique_fd opened{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  EXPECT_TRUE(watch.look().silent());
  EXPECT_EQ(only_cause(explained(name)), cause::listener_of_other);
  ::close(ends[1]);
  while (!explained(name).free()) std::this_thread::yield();
}

TEST(UnixSockets, WithANameSayWhoHasIt) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  unix_server server = serve_unix(path);
  EXPECT_EQ(only_cause(explained(path)), cause::listener_not_closed);
  EXPECT_THAT(text_of(path), StartsWith("tidewait: " + path + " is in use\n"));
  const unix_server abstract = serve_unix(own_name("a"), SOCK_DGRAM);
  EXPECT_EQ(only_cause(explained(own_name("a"))), cause::bound_not_listening);
  server.reset();
  EXPECT_EQ(only_cause(explained(path)), cause::stale_socket_file);
  EXPECT_THAT(text_of(path), AllOf(StartsWith("tidewait: " + path + " is a stale socket file\n"),
                                   HasSubstr("remove the file (rm " + path + ")")));
  ::unlink(path.c_str());
  EXPECT_EQ(text_of(path), "tidewait: " + path + " is free\n");
}

TEST(UnixSockets, OnARelativePathAreFoundByTheirFile) {
  const socket_folder there;
  forked child{[&](auto say) {
    if (::chdir(there.path().c_str()) != 0) return;
    const unix_server server = serve_unix("rel.sock");
    say("up\n");
    ::pause();
  }};
  ASSERT_EQ(child.line(), "up");
  EXPECT_EQ(only_cause(explained(there / "rel.sock")), cause::child_listens);
}

TEST(UnixSockets, WhoseFileWasRemovedAreNotInTheWay) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const unix_server older = serve_unix(path);
  ::unlink(path.c_str());
  const auto why = explained(path);
  EXPECT_TRUE(why.free());
  EXPECT_EQ(why.unrelated.size(), 1U);
  EXPECT_THAT(text_of(path), HasSubstr("its file has been removed from the path"));
  const unix_server newer = serve_unix(path);
  EXPECT_EQ(explained(path).conflicting.size(), 1U);
}

TEST(UnixSockets, OfAnotherNetworkNamespaceAreNotCalledStale) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const std::string name = own_name("isolated");
  forked child{[&](auto say) {
    if (const std::string why = enter_private_network(); !why.empty()) return void(say(why + '\n'));
    const unix_server server = serve_unix(path);
    const unix_server abstract = serve_unix(name);
    say("up\n");
    ::pause();
  }};
  const std::string said = child.line();
  SKIP_IF_DENIED(said);
  const auto why = explained(path);
  EXPECT_EQ(only_cause(why), cause::owner_hidden) << "abstract names are separate, paths are not";
  EXPECT_FALSE(why.free());
  EXPECT_TRUE(explained(name).free());
}

TEST(UnixSockets, ThatCannotBeBoundSayWhy) {
  const socket_folder there;
  EXPECT_EQ(only_cause(explained(there / "no/such/a.sock")), cause::directory_missing);
  EXPECT_THAT(text_of(there / "no/such/a.sock"),
              HasSubstr("mkdir -p " + there.path() + "/no/such\n"));
  EXPECT_EQ(only_cause(explained(there.path())), cause::not_a_socket);
  EXPECT_EQ(only_cause(explained(there / std::string(120, 'x'))), cause::path_too_long);
  EXPECT_EQ(only_cause(explained('@' + std::string(120, 'x'))), cause::path_too_long);
  ASSERT_EQ(::symlink("/nowhere", (there / "link").c_str()), 0);
  EXPECT_EQ(only_cause(explained(there / "link")), cause::not_a_socket);
  EXPECT_EQ(only_cause(explained(there / "link/a.sock")), cause::directory_missing);
  if (::geteuid() == 0) GTEST_SKIP() << "root may write to every directory";
  ASSERT_EQ(::chmod(there.path().c_str(), 0500), 0);
  EXPECT_EQ(only_cause(explained(there / "a.sock")), cause::directory_denied);
  ASSERT_EQ(::chmod(there.path().c_str(), 0700), 0);
}

TEST(UnixSockets, OfAnotherUserAreNotToBeRemovedByThisOne) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, and so a second user";
  const socket_folder there;
  const std::string path = there / "a.sock";
  serve_unix(path).reset();
  for (const mode_t folder : {mode_t{01777}, mode_t{0755}}) {
    ::chmod(there.path().c_str(), folder);
    ::chmod(path.c_str(), 0777);  // so that it can be asked who listens
    forked other{[&](auto say) {
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) return;
      const std::string text = text_of(path);
      say(text + (::unlink(path.c_str()) == 0 ? "removed" : "not removed"));
    }};
    EXPECT_THAT(other.all(),
                AllOf(HasSubstr("and belongs to uid 0"), HasSubstr("have uid 0 or root do so"),
                      HasSubstr("sudo rm " + path), EndsWith("not removed")));
  }
  EXPECT_THAT(text_of(path), HasSubstr("remove the file (rm " + path + ")"));
}

TEST(UnixSockets, CannotBeOnEveryFileSystem) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may write to /proc";
  EXPECT_THAT(text_of("/proc/tidewait.sock"),
              AllOf(StartsWith("tidewait: /proc/tidewait.sock cannot be bound\n"),
                    HasSubstr("the file system of /proc (proc) has no sockets")));
}

/// What is said of a bind is what the kernel says to one.
TEST(UnixSockets, SayWhatTheKernelSaysToTheBind) {
  const socket_folder there;
  const unix_server open = serve_unix(there / "open");
  serve_unix(there / "stale").reset();
  const unix_server abstract = serve_unix(own_name("open"));
  for (const std::string& name : {there / "open", there / "stale", there / "free", there / "none/a",
                                  there.path(), there / std::string(90, 'y'), own_name("open"),
                                  own_name("free"), std::string{"/sys/tidewait.sock"}}) {
    const std::error_code said = explained(name).bind;
    const tidewait::detail::unix_address where{tidewait::parse_unix_name(name)};
    const unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const bool bound = ::bind(fd.get(), where.get(), where.size) == 0;
    EXPECT_EQ(said.value(), bound ? 0 : errno) << name;
  }
}

}  // namespace
