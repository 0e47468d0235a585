// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

/// What the witness of `tidewait run` costs the command: the program runs itself under it and
/// without, in turn, and compares medians.
namespace {

using clock = std::chrono::steady_clock;

double microseconds_since(clock::time_point start) {
  return std::chrono::duration<double, std::micro>{clock::now() - start}.count();
}

/// Microseconds for a bind and a listen.
double pair_of_calls(int times) {
  double whole = 0;
  for (int i = 0; i < times; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto start = clock::now();
    if (::bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) return -1;
    if (::listen(fd, 8) != 0) return -1;
    whole += microseconds_since(start);
    ::close(fd);
  }
  return whole / times;
}

/// Nanoseconds of processor time for a call that no filter stops.
double other_call() {
  constexpr int times = 200000;
  const auto used = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  };
  const double start = used();
  for (int i = 0; i < times; ++i) ::syscall(SYS_getppid);
  return (used() - start) / times;
}

/// A filter that allows everything: what no filter can do better than.
bool allow_everything() {
  sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog program{1, &all};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                   &program) == 0;
}

/// How long the slowest of 16 processes that bind at once takes, by the fastest.
double spread() {
  constexpr int processes = 16;
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  int go[2];
  if (::pipe(go) != 0) return -1;
  for (int i = 0; i < processes; ++i) {
    if (::fork() != 0) continue;
    ::close(go[1]);
    char none = 0;
    static_cast<void>(::read(go[0], &none, 1) < 0);
    const auto start = clock::now();
    pair_of_calls(200);
    const double took = microseconds_since(start);
    static_cast<void>(::write(ends[1], &took, sizeof took) < 0);
    ::_exit(0);
  }
  ::close(go[0]);
  ::close(go[1]);
  std::vector<double> all(processes);
  for (double& each : all) {
    if (::read(ends[0], &each, sizeof each) != static_cast<ssize_t>(sizeof each)) return -1;
  }
  while (::wait(nullptr) > 0) {
  }
  const auto [fastest, slowest] = std::minmax_element(all.begin(), all.end());
  return *slowest / *fastest;
}

int measure(const std::string& what) {
  if (what == "filter" && !allow_everything()) return 1;
  std::printf("pair %f\ncall %f\n", pair_of_calls(300), other_call());
  if (what == "witness") std::printf("spread %f\n", spread());
  return 0;
}

std::string quoted(const std::string& text) { return '\'' + text + '\''; }

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return measure(argv[1]);
  const std::string self = quoted(argv[0]);
  const std::string run = quoted(SELFTEST_TIDEWAIT) + " run ";
  const std::map<std::string, std::string> commands{
      {"plain", run + "--no-witness -- " + self + " plain"},
      {"filter", run + "--no-witness -- " + self + " filter"},
      {"witness", run + "--witness=require -- " + self + " witness"}};
  std::map<std::string, std::vector<double>> values;
  constexpr int rounds = 7;
  for (int i = 0; i < rounds; ++i) {
    for (const auto& [name, command] : commands) {
      std::FILE* const pipe = ::popen(command.c_str(), "r");
      if (pipe == nullptr) return 1;
      char key[16];
      double value = 0;
      while (std::fscanf(pipe, "%15s %lf", key, &value) == 2) {
        values[name + ' ' + key].push_back(value);
      }
      if (::pclose(pipe) != 0) {
        std::printf("a run did not succeed: %s\n", command.c_str());
        return 1;
      }
    }
  }
  const auto median = [&](const std::string& name) {
    std::vector<double>& all = values[name];
    std::sort(all.begin(), all.end());
    return all.empty() ? 0 : all[all.size() / 2];
  };
  int broken = 0;
  const auto judge = [&](const char* what, double value, double bar) {
    const bool kept = value > 0 && value <= bar;
    broken += kept ? 0 : 1;
    std::printf("%-4s%-68s %.2f (bar %g)\n", kept ? "ok" : "BAD", what, value, bar);
  };
  judge("microseconds for a bind and a listen under the witness", median("witness pair"), 120);
  judge("another call under the witness / under a filter that allows all",
        median("witness call") / median("filter call"), 1.1);
  judge("the slowest of 16 processes that bind at once / the fastest", median("witness spread"), 2);
  std::printf(
      "    (bind and listen without: %.2f us; another call without a filter: %.0f ns, with "
      "one that allows all: %.0f ns)\n",
      median("plain pair"), median("plain call"), median("filter call"));
  return broken;
}
