// SPDX-License-Identifier: BSL-1.0
//
// One lease against its raw system calls, with many processes at once, and with nine of ten ports
// taken.

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <new>
#include <vector>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/port_lease.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "ratio.hpp"

namespace {

using clock_type = std::chrono::steady_clock;
using sockets::unique_fd;
using tidewait::port_lease;
using tidewait::protocol;

/// How many are kept at a time: their end is no part of what is measured.
constexpr std::size_t most_kept = 100;

/// Measures each call of `work`, which returns something that is to be kept.
template <typename Work>
void measure(benchmark::State& state, Work&& work) {
  std::vector<decltype(work())> kept;
  kept.reserve(most_kept);
  for (auto _ : state) {
    if (kept.size() == most_kept) kept.clear();
    const auto before = clock_type::now();
    kept.push_back(work());
    state.SetIterationTime(std::chrono::duration<double>(clock_type::now() - before).count());
  }
}

/// What a lease cannot do without: one abstract bind that listens, and one bind probe.
void raw(benchmark::State& state) {
  std::uint16_t port = 10000;
  measure(state, [&port] {
    port = port == 19999 ? 10000 : static_cast<std::uint16_t>(port + 1);
    unique_fd lock{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const tidewait::detail::lock_name name{protocol::tcp, port};
    ::bind(lock.get(), name.get(), name.size);
    ::listen(lock.get(), 4096);
    const int probe = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int off = 0;
    ::setsockopt(probe, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    ::bind(probe, reinterpret_cast<const sockaddr*>(&any), sizeof any);
    ::close(probe);
    return lock;
  });
}

void lease(benchmark::State& state) {
  measure(state, [] { return tidewait::lease_port(); });
}

void whole_life(benchmark::State& state) {
  for (auto _ : state) const port_lease port = tidewait::lease_port();
}

void lease_beside_a_thread(benchmark::State& state) {
  // From the first thread on, a probe needs a helper thread: another may fork.
  pthread_t other;
  ::pthread_create(
      &other, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  ::pthread_join(other, nullptr);
  measure(state, [] { return tidewait::lease_port(); });
}

/// Takes nine of ten candidates in a process of its own, by leases or by sockets.
template <typename Take>
forked take_most(Take&& take) {
  forked child{[&](auto say) {
    take();
    say("taken\n");
    ::pause();
  }};
  child.line();
  return child;
}

constexpr std::uint16_t window_first = 1024;
constexpr std::uint16_t window_ports = 5000;

std::vector<port_lease> nine_of_ten_leases() {
  return tidewait::lease_ports(window_ports * 9 / 10);
}

/// Mean and 99th percentile over all leases of processes that lease at once.
struct spread {
  double mean = 0;
  double p99 = 0;
};

spread many_processes() {
  constexpr std::size_t processes = 8;
  constexpr std::size_t each = 3000;
  using table = std::array<std::array<float, each>, processes>;
  void* const memory =
      ::mmap(nullptr, sizeof(table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  table& times = *new (memory) table{};
  std::vector<forked> children;
  for (std::size_t process = 0; process < processes; ++process) {
    children.emplace_back([&times, process](auto) {
      std::vector<port_lease> kept;
      kept.reserve(most_kept);
      for (float& time : times[process]) {
        if (kept.size() == most_kept) kept.clear();
        const auto before = clock_type::now();
        kept.push_back(tidewait::lease_port());
        time = std::chrono::duration<float, std::micro>(clock_type::now() - before).count();
      }
    });
  }
  for (forked& child : children) child.wait();
  std::vector<float> all;
  for (const auto& row : times) all.insert(all.end(), row.begin(), row.end());
  std::sort(all.begin(), all.end());
  spread result;
  for (const float time : all) result.mean += time / static_cast<double>(all.size());
  result.p99 = all[all.size() * 99 / 100];
  return result;
}

bool judge_spread(const spread& crowd) {
  constexpr double bar = 5;
  const double ratio = crowd.p99 / crowd.mean;
  std::printf("%-4s%-60s %.5f (bar %g); mean %.1f us, p99 %.1f us\n", ratio <= bar ? "ok" : "BAD",
              "lease, 8 processes at once: p99 against the mean", ratio, bar, crowd.mean,
              crowd.p99);
  return ratio <= bar;
}

void add(const char* name, void (*run)(benchmark::State&)) {
  bench::settings(benchmark::RegisterBenchmark(name, run)->UseManualTime());
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const rlimit many{20000, 20000};
  const std::string denied = enter_private_network();
  if (::setrlimit(RLIMIT_NOFILE, &many) != 0 || !denied.empty()) {
    std::printf("lease_bench needs 20000 descriptors and a network namespace of its own %s\n",
                denied.c_str());
    return 1;
  }
  const spread crowd = many_processes();
  bench::collector times;
  add("raw_system_calls", raw);
  add("lease", lease);
  bench::settings(benchmark::RegisterBenchmark("whole_life", whole_life));
  bench::run_registered(times);

  // A new namespace, since the rules are read once in each.
  enter_private_network();
  set_rule("ipv4/ip_local_port_range", std::to_string(window_first + window_ports) + " 65535");
  {
    std::printf("\n90 %% of the candidates are leased by others:\n");
    const forked others = take_most([] { static const auto leases = nine_of_ten_leases(); });
    add("lease_among_leases", lease);
    bench::run_registered(times);
  }
  {
    std::printf("\n90 %% of the candidates are taken by sockets:\n");
    const forked others = take_most([] {
      static std::vector<unique_fd> taken;
      for (const port_lease& port : nine_of_ten_leases()) {
        std::error_code error;
        taken.push_back(sockets::bound(port.number(), error));
      }
    });
    add("lease_among_sockets", lease);
    bench::run_registered(times);
  }
  // After the first thread; no promise is made of it.
  std::printf("\n");
  add("lease_beside_a_thread", lease_beside_a_thread);
  bench::run_registered(times);

  // One candidate of ten is free: ten tries each, on average, and a try may cost 1.5 leases.
  const int code = bench::judge(
      times, {{"lease, against its raw system calls", "lease", "raw_system_calls", 1.5},
              {"lease, 90 % leased, against none", "lease_among_leases", "lease", 15},
              {"lease, 90 % taken by sockets, against none", "lease_among_sockets", "lease", 15}});
  return judge_spread(crowd) ? code : 1;
}
