// SPDX-License-Identifier: BSL-1.0
#include <netinet/in.h>
#include <spawn.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "../support/private_network.hpp"

// How long `tidewait list` and `tidewait why` take beside ss, netstat and lsof, in one run, in a
// network namespace of its own with 0, 5,000 and 40,000 sockets that other processes hold.
namespace {

using milliseconds = std::chrono::duration<double, std::milli>;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error{errno, std::generic_category(), what};
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return where;
}

/// A process that holds that many sockets, connections to a listener of its own on `port`.
std::unique_ptr<forked> hold(std::uint16_t port, int sockets) {
  auto holder = std::make_unique<forked>([&](auto say) {
    const auto where = loopback(port);
    const auto* const address = reinterpret_cast<const sockaddr*>(&where);
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    check(::bind(listener, address, sizeof where), "bind");
    check(::listen(listener, 128), "listen");
    for (int held = 1; held + 2 <= sockets; held += 2) {
      const int client = ::socket(AF_INET, SOCK_STREAM, 0);
      check(client, "socket");
      check(::connect(client, address, sizeof where), "connect");
      check(::accept(listener, nullptr, nullptr), "accept");
    }
    say("ready\n");
    ::pause();
  });
  if (const std::string said = holder->line(); said != "ready") throw std::runtime_error{said};
  return holder;
}

/// Runs a program with its output thrown away; how long it took.
milliseconds run(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& each : command) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const auto begin = std::chrono::steady_clock::now();
  pid_t pid = -1;
  int status = 0;
  const int error = ::posix_spawnp(&pid, argv[0], &quiet, nullptr, argv.data(), environ);
  if (error == 0) ::waitpid(pid, &status, 0);
  const milliseconds took = std::chrono::steady_clock::now() - begin;
  ::posix_spawn_file_actions_destroy(&quiet);
  if (error != 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
    throw std::runtime_error{command[0] + " is not installed or failed"};
  }
  return took;
}

/// Median times by name, all commands in turn, so that what else the machine does meets them alike.
std::map<std::string, double> measure(
    const std::map<std::string, std::vector<std::string>>& commands, std::size_t rounds) {
  std::map<std::string, std::vector<double>> times;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const auto& [name, command] : commands) times[name].push_back(run(command).count());
  }
  std::map<std::string, double> medians;
  for (auto& [name, list] : times) {
    const auto middle = list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2);
    std::nth_element(list.begin(), middle, list.end());
    medians[name] = *middle;
  }
  return medians;
}

int broken = 0;

void judge(const char* what, double ratio, double at_most) {
  const bool kept = ratio <= at_most;
  broken += kept ? 0 : 1;
  std::printf("%-4s%-68s %.4f (bar %.4f)\n", kept ? "ok" : "BAD", what, ratio, at_most);
}

void bench() {
  constexpr std::uint16_t free_port = 20000;
  constexpr std::uint16_t taken_port = 20001;
  constexpr std::uint16_t first_port = 20002;
  constexpr int per_process = 5000;
  constexpr std::uint16_t crowded_port = 30000;
  const std::string ours = BENCH_COMMAND;
  const std::map<std::string, std::vector<std::string>> lists{
      {"tidewait list", {ours, "list", "--tcp"}},
      {"list --json", {ours, "list", "--tcp", "--json"}},
      {"ss -tanp", {"ss", "-tanp"}},
      {"netstat -tanp", {"netstat", "-tanp"}},
      {"lsof -nP -iTCP", {"lsof", "-nP", "-iTCP"}}};
  const std::map<std::string, std::vector<std::string>> questions{
      {"why free", {ours, "why", std::to_string(free_port)}},
      {"why taken", {ours, "why", std::to_string(taken_port)}}};

  const auto server = hold(taken_port, 1);
  std::vector<std::unique_ptr<forked>> holders;
  std::map<int, std::map<std::string, double>> times;
  for (const int sockets : {0, 5000, 40000}) {
    while (static_cast<int>(holders.size()) * per_process < sockets) {
      const auto port = static_cast<std::uint16_t>(first_port + holders.size());
      holders.push_back(hold(port, per_process));
    }
    times[sockets] = measure(lists, 5);
    times[sockets].merge(measure(questions, 51));
    std::printf("%d sockets, median ms:\n", sockets);
    for (const auto& [name, ms] : times[sockets])
      std::printf("    %-16s %9.2f\n", name.c_str(), ms);
    std::fflush(stdout);
  }
  auto& most = times[40000];
  const double others = std::min({most["ss -tanp"], most["netstat -tanp"], most["lsof -nP -iTCP"]});
  std::printf("\n");
  judge("list / the fastest of ss, netstat, lsof at 40,000 sockets", most["tidewait list"] / others,
        1.0 / 4);
  judge("list --json / list at 40,000 sockets", most["list --json"] / most["tidewait list"], 1.5);
  judge("why of a free port at 40,000 sockets / at none", most["why free"] / times[0]["why free"],
        1.5);
  judge("why of a taken port / ss -tanp at 40,000 sockets", most["why taken"] / most["ss -tanp"],
        1.0 / 20);
  holders.push_back(hold(crowded_port, 16000));  // 8,000 at the port, and their 8,000 clients
  auto crowded =
      measure({{"why", {ours, "why", std::to_string(crowded_port)}}, {"ss", {"ss", "-tanp"}}}, 5);
  judge("why of a port with 8,000 sockets / ss -tanp", crowded["why"] / crowded["ss"], 1.0 / 20);
}

}  // namespace

int main() {
  const std::string said = in_private_network([](auto say) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    bench();
    std::fflush(stdout);
    say(broken == 0 ? "kept" : "a bar was not kept");
  });
  if (said == "kept") return 0;
  std::fprintf(stderr, "%s\n", said.c_str());
  return 1;
}
