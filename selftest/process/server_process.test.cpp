// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <regex>
#include <thread>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/process/linux/server_run.hpp>
#include <tidewait/socket_table.hpp>

#include "../support/journal_file.hpp"
#include "bad_server.hpp"

namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using tidewait::server_exit;
using tidewait::server_options;
using tidewait::server_process;

class ServerProcess : public server_test {};

TEST_F(ServerProcess, IsReadyWhenItListensAndEndsWhenItIsStopped) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  server.wait_until_listening(port, long_enough);
  EXPECT_TRUE(server.running());
  const server_exit end = server.stop();
  EXPECT_EQ(to_string(end), "exit status 0");
  EXPECT_TRUE(end.orderly());
  EXPECT_FALSE(server.running());
  EXPECT_TRUE(reaped(server.pid()));
  EXPECT_TRUE(tidewait::gtest::is_free(port));
  EXPECT_EQ(to_string(server.stop()), "exit status 0") << "twice is as once";
}

TEST_F(ServerProcess, IsInTheJournalWhileItLives) {
  const journal_file journal;
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  server.wait_until_listening(port, long_enough);
  const std::vector<tidewait::journal_entry> entries = tidewait::read_journal();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].event, tidewait::journal_event::listening);
  EXPECT_EQ(entries[0].test, "ServerProcess.IsInTheJournalWhileItLives");
  EXPECT_EQ(entries[0].socket.local.port, port.number());
  EXPECT_THAT(entries[0].command, HasSubstr(" serve "));
  EXPECT_THAT(entries[0].leased_at, HasSubstr("server_process.test.cpp:"));
  EXPECT_THAT(tidewait::gtest::is_free(port.number()).message(), Not(HasSubstr("used by")))
      << "the running test is not another one";
}

TEST_F(ServerProcess, IsEndedByItsDestructor) {
  const tidewait::port_lease port = lease_port();
  int pid = 0;
  {
    auto server = bad_server("serve", port);
    server.wait_until_listening(port, long_enough);
    pid = server.pid();
    server_process moved{std::move(server)};
    EXPECT_FALSE(gone(pid));
  }
  EXPECT_TRUE(reaped(pid));
}

TEST_F(ServerProcess, SaysWhyAProgramCannotBeStarted) {
  EXPECT_THAT(error_of([] { server_process{"no-such-server"}; }),
              StartsWith("starting no-such-server: No such file or directory; no such program in "
                         "PATH"));
  EXPECT_THAT(error_of([] { server_process{"/no/such/server"}; }),
              StartsWith("starting /no/such/server, executing it: No such file or directory"));
  EXPECT_THAT(error_of([] { server_process{"/dev/null"}; }), HasSubstr("Permission denied"));
  EXPECT_THAT(
      error_of([] {
        server_process{"true", {}, server_options{}.working_directory("/no/where")};
      }),
      StartsWith("starting true, entering its working directory: No such file or directory"));
}

TEST_F(ServerProcess, GetsItsArgumentsEnvironmentAndDirectory) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("tell", port,
                           server_options{}
                               .environment("COLOUR", "red")
                               .environment("COLOUR", "blue")
                               .working_directory("/"),
                           {"plain", "", 42, {"--listen=127.0.0.1:", port, "/x"}});
  server.wait_for_output("^ready$", long_enough);
  const std::string number = std::to_string(port.number());
  EXPECT_THAT(
      server.output(),
      AllOf(Contains("argument plain"), Contains("argument "), Contains("argument 42"),
            Contains("argument --listen=127.0.0.1:" + number + "/x"), Contains("COLOUR=blue"),
            Not(Contains("COLOUR=red")), Contains("directory /"), Contains("to standard error")));
  const std::string pid = std::to_string(server.pid());
  EXPECT_THAT(server.output(), Contains("pid " + pid + " group " + pid));
}

std::string link_of(int fd) {
  char text[64] = "";
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof text);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

std::vector<std::string> descriptors(const server_process& server) {
  std::vector<std::string> found;
  for (const std::string& line : server.output()) {
    if (line.substr(0, 3) == "fd ") found.push_back(line.substr(line.find(' ', 3) + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST_F(ServerProcess, InheritsTheLockOfItsLeaseAndNothingElse) {
  const tidewait::port_lease port = lease_port();
  const tidewait::port_lease unrelated = lease_port();
  const tidewait::detail::unique_fd carelessly_opened{::open("/dev/zero", O_RDONLY)};
  auto server = bad_server("tell", port);
  server.wait_for_output("^ready$", long_enough);
  EXPECT_THAT(descriptors(server),
              ElementsAre("/dev/null", StartsWith("/memfd:tidewait-run-"), StartsWith("pipe:"),
                          StartsWith("pipe:"), link_of(port.lock_descriptors().front())));
}

TEST_F(ServerProcess, InheritsTheLocksOfAllLeasesIfItNamesNone) {
  const tidewait::port_lease tcp = lease_port();
  const tidewait::port_lease both = lease_port(tidewait::protocol_set::tcp_and_udp);
  server_process server{SELFTEST_BAD_SERVER, {"tell", 0}};
  server.wait_for_output("^ready$", long_enough);
  for (const auto* lease : {&tcp, &both}) {
    for (const int lock : lease->lock_descriptors()) {
      EXPECT_THAT(descriptors(server), Contains(link_of(lock)));
    }
  }
}

TEST_F(ServerProcess, InheritsTheLockOfALeaseThatAFileNames) {
  const tidewait::port_lease in_the_file = lease_port();
  const tidewait::port_lease unrelated = lease_port();
  server_process server{SELFTEST_BAD_SERVER, {"tell", 0}, server_options{}.lease(in_the_file)};
  server.wait_for_output("^ready$", long_enough);
  EXPECT_THAT(descriptors(server), Contains(link_of(in_the_file.lock_descriptors().front())));
  EXPECT_THAT(descriptors(server), Not(Contains(link_of(unrelated.lock_descriptors().front()))));
}

TEST_F(ServerProcess, IsHandedSocketsAsSystemdDoes) {
  std::optional<tidewait::listening_socket> first{std::in_place};
  const std::uint16_t port = first->port();
  const tidewait::detail::unique_fd second{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const std::string first_link = link_of(first->native_handle());
  server_process server{
      SELFTEST_BAD_SERVER,
      {"serve_passed", port},
      server_options{}.pass_socket(*first, "web").pass_descriptor(second.get(), "log")};
  server.wait_until_listening(port, long_enough);  // for the test holds it, too
  first.reset();
  server.wait_until_listening(port, long_enough);
  server.wait_for_output("^ready$", long_enough);
  EXPECT_THAT(server.output(),
              AllOf(Contains("LISTEN_FDS=2"), Contains("LISTEN_FDNAMES=web:log"),
                    Contains("LISTEN_PID=" + std::to_string(server.pid())),
                    Contains("fd 3 " + first_link), Contains("fd 4 " + link_of(second.get()))));
}

TEST_F(ServerProcess, PrintsWithoutBeingHeldUp) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("flood", port, server_options{}.keep_output(10000));
  server.wait_until_listening(port, long_enough);  // after 100 MB
  server.wait_for_output("^ready$", long_enough);
  std::size_t kept = 0;
  for (const std::string& line : server.output()) kept += line.size() + 1;
  EXPECT_GE(kept, 10000 - 100);
  EXPECT_LE(kept, 20000);
  EXPECT_THAT(server.output().front(), SizeIs(99)) << "the first line is a whole one";
}

TEST_F(ServerProcess, CanBeWaitedForByALineThatHasNotEnded) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("unfinished_line", port);
  EXPECT_EQ(server.wait_for_output("^log.n:", long_enough), "login: ");
  EXPECT_EQ(server.wait_for_output(std::regex{"login"}, long_enough), "login: ")
      << "it still counts";
  EXPECT_THAT(error_of([&] { server.wait_for_output("password", 50ms); }),
              AllOf(HasSubstr("to print \"password\": Connection timed out; no such line after"),
                    HasSubstr("  output, last lines:\n    login: ")));
}

TEST_F(ServerProcess, EchoesItsOutputWhereAsked) {
  const tidewait::port_lease port = lease_port();
  testing::internal::CaptureStderr();
  {
    auto server = bad_server("tell", port, server_options{}.echo_output(), {"loud"});
    server.wait_for_output("^ready$", long_enough);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("[bad_server] argument loud\n"), HasSubstr("[bad_server] ready\n")));
}

TEST_F(ServerProcess, IsSentTheSignalThatItsOptionsName) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port, server_options{}.stop_signal(SIGUSR1));
  server.wait_for_output("^ready$", long_enough);
  EXPECT_EQ(to_string(server.stop()), "exit status 10");
}

TEST_F(ServerProcess, MayEndByItselfWhereThatIsAwaited) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve_and_exit", port);
  const server_exit end = server.wait_for_exit(long_enough);
  EXPECT_EQ(to_string(end), "exit status 5");
  EXPECT_TRUE(end.by_itself);
  auto other = bad_server("serve", port);
  EXPECT_THAT(error_of([&] { other.wait_for_exit(10ms); }), HasSubstr("it runs on after 10 ms"));
}

TEST_F(ServerProcess, StartsAgainOnItsPort) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  for (int i = 0; i < 3; ++i) {
    server.wait_until_listening(port, long_enough);
    const int pid = server.pid();
    EXPECT_EQ(to_string(server.restart()), "exit status 0");
    EXPECT_NE(server.pid(), pid);
    EXPECT_TRUE(reaped(pid));
  }
}

bool has_time_wait(std::uint16_t port) {
  tidewait::socket_query query;
  query.states = tidewait::socket_state::time_wait;
  query.ports = {port};
  return !tidewait::socket_table::current(query).sockets.empty();
}

TEST_F(ServerProcess, SaysThatTimeWaitKeepsItFromItsPortAfterARestart) {
  tidewait::watch closer{tidewait::policy{}.tolerate(tidewait::socket_state::time_wait)};
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("hang_up", port);
  server.wait_until_listening(port, long_enough);
  // On a busy machine the client's end may arrive later than its close() returns, or first.
  for (int i = 0; !has_time_wait(port.number()) && i < 5000; ++i) {
    if (i % 100 == 0) ask(port.number(), "bye\n", 1);
    tidewait::detail::sleep_for(1ms);
  }
  server.restart();
  const std::string error = error_of([&] { server.wait_until_listening(port, long_enough); });
  EXPECT_THAT(error, AllOf(HasSubstr("the server has ended; it ended with exit status 3"),
                           HasSubstr("bind: Address already in use"), HasSubstr("TIME_WAIT"),
                           HasSubstr("SO_REUSEADDR")));
  EXPECT_TRUE(closer.look().clean());
}

TEST_F(ServerProcess, OutlivesTheThreadThatStartedIt) {
  const tidewait::port_lease port = lease_port();
  std::unique_ptr<server_process> server;
  std::thread{[&] { server = std::make_unique<server_process>(bad_server("serve", port)); }}.join();
  server->wait_until_listening(port, long_enough);
  EXPECT_EQ(ask(port.number(), "", 0), "");
  EXPECT_TRUE(server->stop().orderly());
}

TEST_F(ServerProcess, MayBeOneOfFifty) {
  const auto ports = lease_ports(50);
  std::vector<server_process> servers;
  for (const tidewait::port_lease& port : ports) servers.push_back(bad_server("serve", port));
  for (std::size_t i = 0; i < ports.size(); ++i) {
    servers[i].wait_until_listening(ports[i], long_enough);
  }
  std::vector<std::thread> threads;
  std::atomic<int> orderly{0};
  for (server_process& server : servers) {
    threads.emplace_back([&] { orderly += server.stop().orderly() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(orderly, 50);
}

TEST_F(ServerProcess, MayBeUsedByManyThreads) {
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  std::vector<std::thread> threads;
  std::atomic<int> orderly{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      server.wait_until_listening(port, long_enough);
      server.wait_for_output("ready", long_enough);
    });
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { orderly += server.stop().orderly() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(orderly, 4);
}

std::atomic<int> child_signals{0};

TEST_F(ServerProcess, LeavesTheHandlerOfSigchldAlone) {
  struct sigaction mine {};
  struct sigaction before {};
  mine.sa_handler = [](int) { ++child_signals; };
  mine.sa_flags = SA_RESTART;
  ::sigaction(SIGCHLD, &mine, &before);
  child_signals = 0;
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  server.wait_until_listening(port, long_enough);
  EXPECT_TRUE(server.stop().orderly());
  struct sigaction after {};
  ::sigaction(SIGCHLD, &before, &after);
  EXPECT_EQ(after.sa_handler, mine.sa_handler);
  EXPECT_EQ(child_signals, 1);
}

TEST_F(ServerProcess, BearsThatItsStatusIsTakenByAnotherWait) {
  struct sigaction ignored {};
  struct sigaction before {};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignored, &before);
  const tidewait::port_lease port = lease_port();
  auto server = bad_server("serve", port);
  server.wait_until_listening(port, long_enough);
  const server_exit end = server.stop();
  ::sigaction(SIGCHLD, &before, nullptr);
  EXPECT_EQ(end.how, tidewait::ending::unknown);
  EXPECT_TRUE(end.orderly());
  EXPECT_TRUE(reaped(server.pid()));
}

TEST_F(ServerProcess, IsNotEndedByAForkOfTheTest) {
  const tidewait::port_lease port = lease_port();
  std::unique_ptr<server_process> server{new server_process{bad_server("serve", port)}};
  server->wait_until_listening(port, long_enough);
  const pid_t copy = ::fork();
  if (copy == 0) {
    server.reset();
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(copy, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(server->running());
}

#ifdef SELFTEST_INSTALLED_BOOST
TEST(Boost, IsAnotherOneHere) { EXPECT_STRNE(BOOST_LIB_VERSION, SELFTEST_INSTALLED_BOOST); }
#endif

/// Starts a server, says who it is, and dies without a chance to clean up.
[[noreturn]] void die_with_a_server(const std::string& note) {
  auto server = bad_server("serve", tidewait::lease_port());
  server.wait_for_output("^ready$", long_enough);
  std::ofstream{note} << server.pid() << std::endl;
  ::raise(SIGKILL);
  std::abort();
}

TEST(ServerProcessDeathTest, DiesWithTheTest) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string note = testing::TempDir() + "tidewait-" + std::to_string(::getppid());
  // The same name in the child, whose parent is this process.
  const bool inside = testing::internal::InDeathTestChild();
  const std::string path =
      inside ? note : testing::TempDir() + "tidewait-" + std::to_string(::getpid());
  EXPECT_EXIT(die_with_a_server(path), testing::KilledBySignal(SIGKILL), "");
  int pid = 0;
  std::ifstream{path} >> pid;
  ASSERT_GT(pid, 0);
  for (tidewait::process_impl::backoff time{long_enough}; !gone(pid) && !time.over();) time.pause();
  EXPECT_TRUE(gone(pid)) << "pid " << pid;
  ::unlink(path.c_str());
}

}  // namespace
