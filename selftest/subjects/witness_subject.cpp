// SPDX-License-Identifier: BSL-1.0
//
// Servers as people write them, with plain sockets: a program that knows nothing of tidewait. The
// driver says by SUBJECT_PORT which fixed port to use; each test adds its own number to it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "witness_tests.hpp"

namespace {

std::uint16_t fixed_port(int number) {
  const char* const base = std::getenv("SUBJECT_PORT");
  return static_cast<std::uint16_t>((base == nullptr ? 0 : std::atoi(base)) + number);
}

struct options {
  bool reuse_address = false;
  bool reuse_port = false;
  bool six = false;
  bool dual = false;
  bool any = false;
};

/// A server that answers one connection at a time.
class server {
 public:
  explicit server(std::uint16_t port, options how = {}) {
    fd_ = ::socket(how.six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    const int only = how.dual ? 0 : 1;
    if (how.reuse_address) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (how.reuse_port) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    int bound = 0;
    if (how.six) {
      ::setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
      sockaddr_in6 where{};
      where.sin6_family = AF_INET6;
      where.sin6_addr = how.dual ? in6addr_any : in6addr_loopback;
      where.sin6_port = htons(port);
      bound = ::bind(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where);
    } else {
      sockaddr_in where{};
      where.sin_family = AF_INET;
      where.sin_addr.s_addr = htonl(how.any ? INADDR_ANY : INADDR_LOOPBACK);
      where.sin_port = htons(port);
      bound = ::bind(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where);
    }
    works_ = bound == 0 && ::listen(fd_, 16) == 0;
  }
  ~server() { close(); }
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  bool works() const { return works_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void leak() { fd_ = -1; }

  /// A client of 127.0.0.1, or of ::1.
  int connect() const {
    sockaddr_storage where{};
    socklen_t size = sizeof where;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size);
    if (where.ss_family == AF_INET) {
      sockaddr_in four{};
      std::memcpy(&four, &where, sizeof four);
      four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      std::memcpy(&where, &four, sizeof four);
    } else {
      sockaddr_in6 six{};
      std::memcpy(&six, &where, sizeof six);
      six.sin6_addr = in6addr_loopback;
      std::memcpy(&where, &six, sizeof six);
    }
    const int client = ::socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::connect(client, reinterpret_cast<const sockaddr*>(&where), size);
    return client;
  }
  int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }

  /// One connection that this side closes first: TIME_WAIT stays on the server's port.
  void closes_first() const {
    const int client = connect();
    const int peer = accept();
    ::close(peer);
    char byte = 0;
    static_cast<void>(::read(client, &byte, 1));
    ::close(client);
  }
  /// One that the client closes first: TIME_WAIT stays on the client's port.
  void client_closes_first() const {
    const int client = connect();
    const int peer = accept();
    ::close(client);
    char byte = 0;
    static_cast<void>(::read(peer, &byte, 1));
    ::close(peer);
  }

 private:
  int fd_ = -1;
  bool works_ = false;
};

int udp(std::uint16_t port, std::uint32_t address = INADDR_LOOPBACK, int option = 0) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (option != 0) ::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(address);
  where.sin_port = htons(port);
  ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where);
  return fd;
}

/// Threads that serve all tests from the first that needs them to the end of the program, as those
/// of gRPC do.
class pool {
 public:
  explicit pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~pool() {
    for (std::size_t i = 0; i < threads_.size(); ++i) add(nullptr);
    for (std::thread& each : threads_) each.join();
  }
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  /// Has one of them do it, and waits.
  void run(const std::function<void()>& job) {
    std::promise<void> done;
    add([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  void add(std::function<void()> job) {
    {
      const std::lock_guard<std::mutex> alone{mutex_};
      jobs_.push(std::move(job));
    }
    added_.notify_one();
  }
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> alone{mutex_};
      added_.wait(alone, [this] { return !jobs_.empty(); });
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop();
      alone.unlock();
      if (!job) return;
      job();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::queue<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
};

pool& workers() {
  static pool all{3};
  return all;
}

constexpr options reusing{true, false, false, false, false};
constexpr options sharing{false, true, false, false, false};
constexpr options v6{false, false, true, false, false};
constexpr options dual{false, false, true, true, false};

server* program_wide = nullptr;

void begin_program() {
  program_wide = new server{0};
  program_wide->closes_first();
}

}  // namespace

WITNESS_PROGRAM(begin_program(), delete program_wide)

WITNESS_TEST(BindsNothing) {}
WITNESS_TEST(ClosesWhatItOpens) { const server one{fixed_port(1)}; }
WITNESS_TEST(LeavesAListener) { server{fixed_port(2)}.leak(); }
WITNESS_TEST(LeavesAListenerOnAChosenPort) { server{0}.leak(); }
WITNESS_TEST(ClosesFirst) { server{fixed_port(3)}.closes_first(); }
WITNESS_TEST(ClosesFirstWithReuse) { server{fixed_port(4), reusing}.closes_first(); }
WITNESS_TEST(ClosesFirstWithReusePort) { server{fixed_port(5), sharing}.closes_first(); }
WITNESS_TEST(ClosesFirstOnAChosenPort) { server{0}.closes_first(); }
WITNESS_TEST(ClosesManyFirst) {
  const server one{fixed_port(6)};
  for (int i = 0; i < 20; ++i) one.closes_first();
}
WITNESS_TEST(LetsTheClientClose) { server{fixed_port(7)}.client_closes_first(); }
WITNESS_TEST(ClosesFirstOnV6) { server{fixed_port(8), v6}.closes_first(); }
WITNESS_TEST(ClosesFirstOnDualStack) { server{fixed_port(9), dual}.closes_first(); }
WITNESS_TEST(ClosesFirstOnDualStackWithReuse) {
  options how = dual;
  how.reuse_address = true;
  server{fixed_port(10), how}.closes_first();
}
WITNESS_TEST(ClosesFirstOnTheWildcard) {
  options how;
  how.any = true;
  server{fixed_port(11), how}.closes_first();
}
WITNESS_TEST(LeavesAConnection) {
  const server one{fixed_port(12)};
  one.connect();
  one.accept();
}
WITNESS_TEST(LeavesAConnectionThatTheClientClosed) {
  const server one{fixed_port(13)};
  const int client = one.connect();
  one.accept();
  ::close(client);
}
WITNESS_TEST(LeavesAUdpSocket) { udp(fixed_port(14)); }
WITNESS_TEST(LeavesAUdpSocketOnAChosenPort) { udp(0, INADDR_ANY); }
WITNESS_TEST(ClosesAUdpSocket) { ::close(udp(fixed_port(15))); }
WITNESS_TEST(RunsSeveralServers) {
  const server one{fixed_port(16)};
  const server two{fixed_port(17), reusing};
  const server three{0};
  one.closes_first();
  two.closes_first();
  three.closes_first();
}
WITNESS_TEST(ServesOnAThread) {
  std::thread{[] { server{fixed_port(18)}.closes_first(); }}.join();
}
WITNESS_TEST(ServesOnAThreadWithDescriptorsOfItsOwn) {
  std::thread{[] {
    if (::unshare(CLONE_FILES) == 0) server{fixed_port(27)}.closes_first();
  }}.join();
}
WITNESS_TEST(LeavesOneOfItsWorkers) {
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([leaks = i == 2] {
      server one{fixed_port(28), sharing};
      if (leaks) one.leak();
    });
  }
  for (std::thread& each : workers) each.join();
}
WITNESS_TEST(ServesOnThePool) {
  workers().run([] { server{fixed_port(30)}.closes_first(); });
}
WITNESS_TEST(ServesOnThePoolAndCleansUp) {
  workers().run([] { const server one{fixed_port(31)}; });
}
WITNESS_TEST(LeavesAListenerOfThePool) {
  workers().run([] { server{fixed_port(32)}.leak(); });
}
WITNESS_TEST(ServesInAForkedChild) {
  const pid_t child = ::fork();
  if (child == 0) {
    server{fixed_port(19)}.closes_first();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}
WITNESS_TEST(UsesTheProgramsServer) { program_wide->closes_first(); }
WITNESS_TEST(BindsTwice) {
  const server one{fixed_port(20)};
  const server two{fixed_port(20)};
}
WITNESS_TEST(BindsTwiceAndFails) {
  const server one{fixed_port(21)};
  const server two{fixed_port(21)};
  WITNESS_CHECK(two.works());
}
WITNESS_TEST(BindsAgainAfterTimeWait) {
  server{fixed_port(22)}.closes_first();
  WITNESS_CHECK(!server{fixed_port(22)}.works());
}
WITNESS_TEST(MaySharePorts) {
  const server one{fixed_port(25), sharing};
  const int two = udp(fixed_port(26), INADDR_LOOPBACK, SO_REUSEADDR);
  ::close(two);
}

#ifdef WITNESS_FIXTURE
WITNESS_TEST(CallsWithWhatIsWrong) {
  const auto* const nowhere = reinterpret_cast<const sockaddr*>(8);
  EXPECT_EQ(::bind(-1, nowhere, sizeof(sockaddr_in)), -1);
  EXPECT_EQ(errno, EBADF);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, nowhere, sizeof(sockaddr_in)), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::bind(fd, nowhere, 100000), -1);
  EXPECT_EQ(errno, EINVAL);
  ::close(fd);
  // The child has this process's memory and must not search it for who has the port.
  const server taken{fixed_port(24)};
  const pid_t child = ::vfork();
  if (child == 0) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(fixed_port(24));
    const int second = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::_exit(::bind(second, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ? 1 : 0);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}
WITNESS_TEST(ServesInADeathTest) {
  const auto serve = [] {
    server{fixed_port(29)}.closes_first();
    ::_exit(3);
  };
  EXPECT_EXIT(serve(), testing::ExitedWithCode(3), "");
}
WITNESS_TEST(AsksWhatItBound) {
  const server one{fixed_port(23)};
  // [query]
  ASSERT_EQ(tidewait::bound_by_this_test().size(), 1U);
  EXPECT_TRUE(only_loopback(tidewait::bound_by_this_test()));
  // [query]
  options how;
  how.any = true;
  const server two{0, how};
  const auto records = tidewait::bound_by_this_test();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_FALSE(only_loopback(records));
  EXPECT_TRUE(records[0].listening);
  EXPECT_FALSE(records[0].kernel_chose_port);
  EXPECT_TRUE(records[1].kernel_chose_port);
  EXPECT_EQ(records[0].test, "Served.AsksWhatItBound");
}
#endif

#ifdef WITNESS_GTEST
/// A server for all tests of a suite.
template <int number, bool reuses>
class Suite : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    options how;
    how.reuse_address = reuses;
    one_ = new server{fixed_port(number), how};
  }
  static void TearDownTestSuite() { delete one_; }
  static inline server* one_ = nullptr;
};
class SuiteServer : public Suite<33, false> {};
class SuiteServerWithReuse : public Suite<34, true> {};
TEST_F(SuiteServer, ClosesFirst) { one_->closes_first(); }
TEST_F(SuiteServer, ClosesFirstAgain) { one_->closes_first(); }
TEST_F(SuiteServerWithReuse, ClosesFirst) { one_->closes_first(); }
#endif
