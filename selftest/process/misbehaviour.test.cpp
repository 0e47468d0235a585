// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/process/linux/server_run.hpp>
#include <tidewait/socket_table.hpp>

#include "bad_server.hpp"

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;
using tidewait::server_exit;
using tidewait::server_options;

class Misbehaviour : public server_test {
 protected:
  /// What the destructor of a server hands to the next look.
  template <typename Test>
  static std::vector<std::string> incidents_of(Test&& test) {
    tidewait::watch watch;
    test();
    return watch.look().incidents;
  }
};

TEST_F(Misbehaviour, ThatIgnoresSigtermIsKilledAndReported) {
  const tidewait::port_lease port = lease_port();
  const auto incidents = incidents_of([&] {
    auto server = bad_server("ignore_sigterm", port, server_options{}.grace(100ms));
    server.wait_until_listening(port, long_enough);
  });
  ASSERT_THAT(incidents, SizeIs(1));
  EXPECT_THAT(incidents.front(),
              MatchesRegex("bad_server \\(pid [0-9]+\\), started at misbehaviour.test.cpp:[0-9]+, "
                           "did not end within 100 ms of signal 15, so it was killed: "
                           "pid [0-9]+ \\(bad_server\\)\noutput, last lines:\n  ready\n"));
}

TEST_F(Misbehaviour, ThatStopHasToldIsNotReportedAgain) {
  const tidewait::port_lease port = lease_port();
  EXPECT_THAT(incidents_of([&] {
                auto server = bad_server("ignore_sigterm", port, server_options{}.grace(50ms));
                server.wait_until_listening(port, long_enough);
                const server_exit end = server.stop();
                EXPECT_EQ(to_string(end), "signal 9 (SIGKILL)");
                EXPECT_THAT(end.killed, SizeIs(1));
                EXPECT_FALSE(end.crashed);
              }),
              IsEmpty());
}

TEST_F(Misbehaviour, OfAWorkerIsThatOfTheServer) {
  const tidewait::port_lease port = lease_port();
  // The server has to end within it, however busy the machine is; the worker never does.
  auto server = bad_server("stubborn_worker", port, server_options{}.grace(3s));
  server.wait_until_listening(port, long_enough);
  const server_exit end = server.stop();
  EXPECT_EQ(to_string(end), "exit status 0");
  ASSERT_THAT(end.killed, SizeIs(1));
  EXPECT_NE(end.killed.front().pid, server.pid());
  EXPECT_TRUE(gone(end.killed.front().pid));
}

TEST_F(Misbehaviour, OfAStoppedProcessDoesNotKeepItFromEnding) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("stopped", port);
  server.wait_for_output("^ready$", long_enough);
  EXPECT_TRUE(server.stop().orderly());
}

/// A program that is hard to end: selftest/subjects/unruly.cpp. All that it starts keeps a file
/// locked; only a free lock shows that a process which forks and exits on and on has ended.
class Unruly : public Misbehaviour {
 protected:
  Unruly() { EXPECT_NE(::mkdtemp(directory_.data()), nullptr); }
  ~Unruly() override {
    ::unlink(lock().c_str());
    ::rmdir(directory_.c_str());
  }
  std::string lock() const { return directory_ + "/lock"; }
  bool all_ended() const {
    const tidewait::detail::unique_fd file{::open(lock().c_str(), O_RDWR | O_CLOEXEC)};
    return file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
  }
  /// Whether the main thread has ended, and others run on.
  static bool has_only_its_threads(int pid) {
    return static_cast<bool>(
        tidewait::detail::open_live_thread(tidewait::detail::open_process(pid).get()));
  }
  server_exit stop(const std::vector<std::string>& ways, server_options options = {}) {
    const tidewait::port_lease port = lease_port();
    std::vector<tidewait::argument> arguments{"lock", lock()};
    arguments.insert(arguments.end(), ways.begin(), ways.end());
    arguments.emplace_back(port);
    tidewait::server_process server{SELFTEST_UNRULY, std::move(arguments), std::move(options)};
    server.wait_for_output("^ready$", long_enough);
    const bool main_ends = std::find(ways.begin(), ways.end(), "serve_thread") != ways.end();
    while (main_ends && !has_only_its_threads(server.pid())) std::this_thread::yield();
    server.wait_until_listening(port, long_enough);
    return server.stop();
  }

 private:
  std::string directory_ = testing::TempDir() + "tidewait-XXXXXX";
};

TEST_F(Unruly, AServerWhoseMainThreadHasEndedIsStopped) {
  const server_exit end = stop({"serve_thread"});
  EXPECT_TRUE(end.orderly());
  EXPECT_EQ(to_string(end), "signal 15 (SIGTERM)");
  EXPECT_TRUE(all_ended());
}

TEST_F(Unruly, AServerWhoseMainThreadHasEndedAndThatIgnoresSigtermIsKilled) {
  const server_exit end = stop({"ignore_sigterm", "serve_thread"}, server_options{}.grace(100ms));
  EXPECT_FALSE(end.orderly());
  EXPECT_THAT(end.killed, SizeIs(1));
  EXPECT_EQ(to_string(end), "signal 9 (SIGKILL)");
  EXPECT_TRUE(all_ended());
}

TEST_F(Unruly, ADescendantThatForksAndExitsIsEnded) {
  for (const char* way : {"hop", "hop_sessions"}) {
    const server_exit end = stop({way, "serve"}, server_options{}.grace(100ms));
    EXPECT_TRUE(all_ended()) << way;
    EXPECT_FALSE(end.uncertain);
    EXPECT_THAT(end.survivors, IsEmpty());
  }
}

TEST_F(Unruly, ADescendantWhoseMainThreadHasEndedIsEnded) {
  const server_exit end =
      stop({"ignore_sigterm", "thread", "serve"}, server_options{}.grace(100ms));
  EXPECT_TRUE(all_ended());
  EXPECT_THAT(end.killed, SizeIs(2));
}

TEST_F(Unruly, AnEnvironmentOfGigabytesIsNotRead) {
  unsigned size = 0;
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) != 0) {
    GTEST_SKIP() << "this kernel has no PR_SET_MM_MAP";
  }
  const server_exit end = stop({"ignore_sigterm", "huge", "serve"}, server_options{}.grace(100ms));
  EXPECT_TRUE(all_ended());
  EXPECT_THAT(end.killed, SizeIs(2));
}

TEST_F(Unruly, ADescendantThatHasBecomeAnotherUserIsEndedByRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot become another user";
  stop({"as_nobody", "serve"});
  EXPECT_TRUE(all_ended());
}

TEST_F(Misbehaviour, AtTheStartIsAnErrorWithTheLastWords) {
  const tidewait::port_lease port = lease_port();
  EXPECT_THAT(incidents_of([&] {
                auto crash = bad_server("crash", port);
                const std::string pid = std::to_string(crash.pid());
                EXPECT_EQ(error_of([&] { crash.wait_until_listening(port, long_enough); }),
                          "waiting for bad_server (pid " + pid + ") to listen on port " +
                              std::to_string(port.number()) +
                              ": the server has ended; it ended with signal 6 (SIGABRT)\n"
                              "  output, last lines:\n"
                              "    about to crash\n");
                auto refuse = bad_server("refuse", port);
                EXPECT_THAT(error_of([&] { refuse.wait_for_output("never", long_enough); }),
                            AllOf(HasSubstr("it ended with exit status 4"),
                                  HasSubstr("bad configuration")));
              }),
              IsEmpty())
      << "the error has told it";
}

TEST_F(Misbehaviour, ThatNobodyHasSeenIsReported) {
  const tidewait::port_lease port = lease_port();
  const auto incidents = incidents_of([&] {
    auto server = bad_server("serve_and_exit", port);
    while (server.running()) tidewait::detail::sleep_for(1ms);
  });
  EXPECT_THAT(incidents, ElementsAre(HasSubstr(", had ended by itself with exit status 5\n")));
}

TEST_F(Misbehaviour, AtTheEndIsReported) {
  const tidewait::port_lease port = lease_port();
  const auto incidents = incidents_of(
      [&] { bad_server("crash_at_the_end", port).wait_for_output("^ready$", long_enough); });
  EXPECT_THAT(incidents,
              ElementsAre(HasSubstr(", crashed when it was stopped: signal 6 (SIGABRT)\n")));
}

TEST(MisbehaviourWithoutWatch, IsPrinted) {
  testing::internal::CaptureStderr();
  {
    const tidewait::port_lease port = tidewait::lease_port();
    auto server = bad_server("ignore_sigterm", port, server_options{}.grace(50ms));
    server.wait_until_listening(port, long_enough);
  }
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      MatchesRegex("tidewait: this process: bad_server (.|\n)* so it was[ \n]+killed(.|\n)*"));
}

/// Until somebody listens there, whoever it is.
void await_listener(std::uint16_t port) {
  tidewait::socket_query query;
  query.states = tidewait::socket_state::listen;
  query.ports = {port};
  for (tidewait::process_impl::backoff time{long_enough}; !time.over(); time.pause()) {
    if (!tidewait::socket_table::current(query).sockets.empty()) return;
  }
  ADD_FAILURE() << "nobody listens on " << port;
}

TEST_F(Misbehaviour, OfADaemonThatWasNotAnnouncedIsNamed) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("background", port);
  await_listener(port.number());
  EXPECT_THAT(
      error_of([&] { server.wait_for_output("never", long_enough); }),
      AllOf(HasSubstr("it ended with exit status 0; pid "),
            HasSubstr("(bad_server) goes on without it: if the program puts itself into the "
                      "background, say server_options::daemon()")));
}

TEST_F(Misbehaviour, ThatEscapesIsFoundAndEnded) {
  for (const char* mode : {"leave_descendant", "background", "background_without_environment",
                           "background_without_descriptors"}) {
    SCOPED_TRACE(mode);
    const tidewait::port_lease port = lease_port();
    auto server = bad_server(mode, port);
    const bool leader_stays = std::string{mode} == "leave_descendant";
    await_listener(port.number());
    while (!leader_stays && server.running()) tidewait::detail::sleep_for(1ms);
    const server_exit end = server.stop();
    EXPECT_THAT(end.escaped, Not(IsEmpty()));  // one, or two that were still parent and child
    for (const tidewait::process& each : end.escaped) {
      EXPECT_EQ(each.name, "bad_server");
      EXPECT_TRUE(gone(each.pid));
    }
    EXPECT_EQ(end.by_itself, !leader_stays);
  }
}

TEST_F(Misbehaviour, IsNoneOfAnAnnouncedDaemon) {
  for (const char* mode :
       {"background", "background_without_environment", "background_without_descriptors"}) {
    SCOPED_TRACE(mode);
    const tidewait::port_lease port = lease_port();
    auto server = bad_server(mode, port, server_options{}.daemon());
    server.wait_until_listening(port, long_enough);
    EXPECT_TRUE(server.running());
    EXPECT_TRUE(server.stop().orderly());
    EXPECT_TRUE(tidewait::gtest::is_free(port));
  }
}

TEST_F(Misbehaviour, OnTheWrongPortIsNamed) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("wrong_port", port);
  server.wait_for_output("^ready$", long_enough);
  EXPECT_THAT(error_of([&] { server.wait_until_listening(port, 50ms); }),
              MatchesRegex("waiting for bad_server \\(pid [0-9]+\\) to listen on port [0-9]+: "
                           "Connection timed out; nothing listens on port [0-9]+ after 50 ms; it "
                           "serves 127.0.0.1:[0-9]+ instead\n(.|\n)*"));
}

TEST_F(Misbehaviour, OnOneOfSeveralPortsIsNamed) {
  const auto ports = lease_ports(2);
  auto server = bad_server("serve", ports[0]);
  server.wait_until_listening(ports[0], long_enough);
  EXPECT_THAT(error_of([&] { server.wait_until_listening(ports, 50ms); }),
              HasSubstr("nothing listens on port " + std::to_string(ports[1].number()) + " after"));
}

TEST_F(Misbehaviour, ThatServesNothingIsNamed) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("silent", port);
  EXPECT_THAT(error_of([&] { server.wait_until_listening(port, 50ms); }),
              HasSubstr("after 50 ms; it serves no port at all\n"));
}

bool has_ipv6() {
  std::error_code error;
  tidewait::detail::bind_socket({tidewait::protocol::tcp, {*tidewait::parse_address("::1"), 0}},
                                tidewait::reuse::none, error);
  return !error;
}

TEST_F(Misbehaviour, OnIPv6OnlyIsSeenWhereTheAddressMatters) {
  if (!has_ipv6()) GTEST_SKIP() << "this machine has no ::1";
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("ipv6_only", port);
  server.wait_until_listening(port, long_enough);
  const tidewait::endpoint v4{*tidewait::parse_address("127.0.0.1"), port.number()};
  const tidewait::endpoint v6{*tidewait::parse_address("::1"), port.number()};
  server.wait_until_listening(v6, long_enough);
  EXPECT_THAT(error_of([&] { server.wait_until_listening(v4, 50ms); }),
              HasSubstr("nothing listens on " + to_string(v4) + " after 50 ms; it serves " +
                        to_string(v6) + " instead"));
}

TEST_F(Misbehaviour, OfAUdpServerIsNone) {
  const tidewait::port_lease port = lease_port(tidewait::protocol_set::udp);
  auto server = bad_server("udp", port);
  server.wait_until_listening(port, long_enough);
  EXPECT_THAT(
      error_of([&] { server.wait_until_listening(tidewait::listen_target{port.number()}, 50ms); }),
      HasSubstr("nothing listens on port"));
}

TEST_F(Misbehaviour, OfAStrangerOnThePortIsNotTakenForReadiness) {
  const tidewait::port_lease port = lease_port();
  std::error_code error;
  const tidewait::bind_request request{tidewait::protocol::tcp,
                                       {*tidewait::parse_address("127.0.0.1"), port.number()}};
  const auto stranger = tidewait::detail::bind_socket(request, tidewait::reuse::port, error);
  ASSERT_EQ(::listen(stranger.get(), 1), 0);
  auto sharing = bad_server("reuse_port", port);
  sharing.wait_for_output("^ready$", long_enough);
  EXPECT_THAT(error_of([&] { sharing.wait_until_listening(port, long_enough); }),
              HasSubstr("another process serves the port; " + to_string(request.local) +
                        " belongs to pid " + std::to_string(::getpid())));
  auto refused = bad_server("serve", port);
  EXPECT_THAT(error_of([&] { refused.wait_until_listening(port, long_enough); }),
              AllOf(HasSubstr("exit status 3"), HasSubstr("bind: Address already in use"),
                    HasSubstr("is in use")));
}

}  // namespace
