// SPDX-License-Identifier: BSL-1.0
//
// Many processes and threads that lease at once. TIDEWAIT_SELFTEST_SCALE multiplies the rounds.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using sockets::unique_fd;
using tidewait::port_lease;
using tidewait::reuse;

int scale() {
  const char* const text = std::getenv("TIDEWAIT_SELFTEST_SCALE");
  return text == nullptr ? 1 : std::max(1, std::atoi(text));
}

/// What all processes of a run write to, in memory that they share.
struct scoreboard {
  std::array<std::atomic<int>, 65536> user{};  ///< Who has each port; 0: nobody.
  /// Users that are being killed: nobody knows what they had.
  std::array<std::atomic<bool>, 65536> killed{};
  std::atomic<int> leases{0};
  std::atomic<int> leased_twice{0};
  std::atomic<int> lost_ports{0};
  std::atomic<int> errors{0};
  std::atomic<int> noise{0};
  std::atomic<bool> stop{false};

  static scoreboard& shared() {
    void* const memory = ::mmap(nullptr, sizeof(scoreboard), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *new (memory) scoreboard;
  }

  std::string verdict() const {
    return std::to_string(lost_ports) + " lost, " + std::to_string(leased_twice) +
           " leased twice, " + std::to_string(errors) + " errors";
  }
};

/// lease, wait, bind without SO_REUSEADDR, listen, close: as a test with a server does it.
void use_one_port(scoreboard& board, int user, std::minstd_rand& random) {
  const port_lease port = tidewait::lease_port();
  const int before = board.user[port.number()].exchange(user);
  if (before != 0 && !board.killed[static_cast<std::size_t>(before)]) ++board.leased_twice;
  ::usleep(static_cast<unsigned>(1000 + random() % 4000));
  {
    std::error_code error;
    const unique_fd server = sockets::listening(port.number(), error);
    if (error) ++board.lost_ports;
    ::usleep(500);
  }
  board.user[port.number()] = 0;
  ++board.leases;
}

void use_ports(scoreboard& board, int user, int count) {
  std::minstd_rand random{static_cast<unsigned>(user)};
  try {
    for (int i = 0; i < count && !board.stop; ++i) use_one_port(board, user, random);
  } catch (const std::exception&) {
    ++board.errors;
  }
}

/// A process that knows nothing of leases: outgoing connections, and sockets on any free port.
/// Calls `when_loud` once, after many connections.
template <typename Call>
void make_noise(scoreboard& board, Call when_loud) {
  std::error_code error;
  const unique_fd server = sockets::listening(0, error);
  const auto where = tidewait::detail::local_endpoint(server.get(), error);
  const tidewait::detail::socket_address address{where};
  std::vector<unique_fd> kept;
  while (!board.stop) {
    unique_fd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::connect(client.get(), address.get(), address.size) == 0 && ++board.noise == 100)
      when_loud();
    const unique_fd accepted{
        ::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    kept.push_back(sockets::bound(0, error));
    kept.push_back(std::move(client));
    if (kept.size() > 400) kept.erase(kept.begin(), kept.begin() + 200);
    ::usleep(300);
  }
}

/// Starts one, and waits until it is loud: how fast the machine is decides nothing.
forked start_noise(scoreboard& board) {
  forked noise{[&](auto say) { make_noise(board, [&] { say("loud\n"); }); }};
  noise.line();
  return noise;
}

/// How many locks of ports there are in this network namespace.
int locks_left() {
  std::ifstream file{"/proc/thread-self/net/unix"};
  int locks = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.find("@tidewait/") != std::string::npos) ++locks;
  }
  return locks;
}

constexpr int processes = 16;
constexpr int leases_each = 500;

/// All processes of one run, in the namespace of the caller.
void lease_in_many_processes(scoreboard& board, bool two_users) {
  forked noise = start_noise(board);
  std::vector<forked> users;
  for (int i = 1; i <= processes; ++i) {
    users.emplace_back([&](auto) {
      constexpr uid_t nobody = 65534;
      if (two_users && i % 2 == 0 && ::setuid(nobody) != 0) ++board.errors;
      use_ports(board, i, leases_each * scale());
    });
  }
  for (forked& each : users) each.wait();
  board.stop = true;
  noise.wait();
}

std::string expected() {
  return std::to_string(processes * leases_each * scale()) +
         " leases: 0 lost, 0 leased twice, 0 errors; 0 locks left; with noise";
}

template <typename Say>
void tell(scoreboard& board, Say say) {
  say(std::to_string(board.leases) + " leases: " + board.verdict() + "; " +
      std::to_string(locks_left()) + " locks left; " +
      (board.noise >= 100 ? "with noise" : "too quiet"));
}

TEST(LeaseStress, ManyProcessesNeverLoseAPort) {
  const std::string said = in_private_network([](auto say) {
    scoreboard& board = scoreboard::shared();
    lease_in_many_processes(board, false);
    tell(board, say);
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, expected());
}

TEST(LeaseStress, NorWithASmallEphemeralRange) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "20000 21023");
    scoreboard& board = scoreboard::shared();
    lease_in_many_processes(board, false);
    tell(board, say);
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, expected());
}

TEST(LeaseStress, NorBetweenTwoUsers) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be two users";
  const std::string said = in_private_network(
      [](auto say) {
        scoreboard& board = scoreboard::shared();
        lease_in_many_processes(board, true);
        tell(board, say);
      },
      user_ids::kept);
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, expected());
}

TEST(LeaseStress, KilledProcessesLeaveNothing) {
  const std::string said = in_private_network([](auto say) {
    scoreboard& board = scoreboard::shared();
    forked noise = start_noise(board);
    const auto start = [&](int user) {
      return forked{[&board, user](auto) { use_ports(board, user, 1 << 30); }};
    };
    std::vector<std::pair<int, std::unique_ptr<forked>>> users;
    int last = 0;
    while (last < processes) {
      ++last;
      users.emplace_back(last, std::make_unique<forked>(start(last)));
    }
    // What it had is nobody's from before its death on: the port may be leased again at once.
    const auto kill = [&](auto& user) {
      board.killed[static_cast<std::size_t>(user.first)] = true;
      user.second->kill();
    };
    constexpr int most_users = static_cast<int>(std::tuple_size_v<decltype(board.killed)>) - 1;
    constexpr int enough_kills = 50;
    std::minstd_rand random;
    int kills = 0;
    while (board.leases < processes * leases_each * scale() || kills < enough_kills) {
      ::usleep(10000);
      if (last == most_users) continue;
      auto& user = users[random() % users.size()];
      kill(user);
      ++kills;
      user.first = ++last;
      user.second = std::make_unique<forked>(start(last));
    }
    for (auto& user : users) kill(user);
    board.stop = true;
    noise.wait();
    say((kills >= enough_kills ? "many" : std::to_string(kills)) + " kills, " + board.verdict() +
        "; " + std::to_string(locks_left()) + " locks left");
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "many kills, 0 lost, 0 leased twice, 0 errors; 0 locks left");
}

// A copy of a probe's descriptor in a forked child would keep the port taken until its exec.
TEST(LeaseStress, ThreadsThatForkNeverBreakABind) {
  // Memory makes a fork take longer, between the copy of the descriptors and the exec.
  constexpr std::size_t ballast_size = std::size_t{64} << 20U;
  std::vector<char> ballast(ballast_size, 1);
  std::atomic<int> leases{0};
  std::atomic<int> lost{0};
  std::atomic<int> children{0};
  std::atomic<bool> stop{false};
  const int wanted = 400 * scale();

  std::vector<std::thread> spawners;
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  spawners.emplace_back([&] {
    while (!stop) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::execve(program, arguments, environ);
        ::_exit(127);
      }
      ::waitpid(child, nullptr, 0);
      ++children;
    }
  });
  spawners.emplace_back([&] {
    // Runs no handlers of pthread_atfork(3). Its actions take time: the same window.
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    for (int fd = 300; fd < 400; ++fd) {
      ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDONLY, 0);
    }
    while (!stop) {
      pid_t child = 0;
      if (::posix_spawn(&child, program, &actions, nullptr, arguments, environ) != 0) break;
      ::waitpid(child, nullptr, 0);
      ++children;
    }
    ::posix_spawn_file_actions_destroy(&actions);
  });
  std::vector<std::thread> users;
  for (int i = 0; i < 3; ++i) {
    users.emplace_back([&] {
      while (leases < wanted || children < wanted / 4) {
        const port_lease port = tidewait::lease_port();
        std::error_code error;
        const unique_fd server = sockets::listening(port.number(), error);
        if (error) ++lost;
        ++leases;
      }
    });
  }
  for (std::thread& each : users) each.join();
  stop = true;
  for (std::thread& each : spawners) each.join();
  EXPECT_EQ(lost, 0) << "of " << leases << " ports, while " << children << " children started";
  EXPECT_EQ(ballast[ballast_size / 2], 1);
}

}  // namespace
