// SPDX-License-Identifier: BSL-1.0
//
// The looks after 200 tests that leave nothing, beside a server of the whole program whose
// connections come and go meanwhile, against the same tests after those connections: the kernel
// walks over their TIME_WAITs in both.

#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include <tidewait/tidewait.hpp>

#include "../support/sockets.hpp"
#include "ratio.hpp"

namespace {

using clock = std::chrono::steady_clock;

constexpr int tests = 200;

/// A server that answers each client and keeps its side of the connection a little longer than the
/// client does: there is always one in CLOSE_WAIT.
class server {
 public:
  server() : port_{tidewait::lease_port()}, listener_{sockets::listen_on(port_.number())} {
    thread_ = std::thread{[this] {
      int last = -1;
      for (int next = 0; (next = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        if (last >= 0) ::close(last);
        char byte = 0;
        if (::read(next, &byte, 1) == 1 && ::write(next, &byte, 1) != 1) break;
        last = next;
      }
      if (last >= 0) ::close(last);
    }};
  }
  ~server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  void answer() const {
    const int client = sockets::connect_to(port_.number());
    char byte = 'x';
    if (::write(client, &byte, 1) != 1 || ::read(client, &byte, 1) != 1) std::abort();
    ::close(client);
  }

 private:
  tidewait::port_lease port_;
  int listener_;
  std::thread thread_;
};

/// Runs 200 tests; the time is that of their baselines and looks.
template <typename Before, typename Test>
void looks(benchmark::State& state, Before&& before, Test&& test) {
  for (auto _ : state) {
    before();
    clock::duration spent{0};
    for (int i = 0; i < tests; ++i) {
      const auto begin = clock::now();
      tidewait::watch watch{{}, "Net.T" + std::to_string(i)};
      spent += clock::now() - begin;
      test();
      const auto end = clock::now();
      const tidewait::report found = watch.look();
      spent += clock::now() - end;
      if (!found.clean()) state.SkipWithError(render(found).c_str());
    }
    state.SetIterationTime(std::chrono::duration<double>(spent).count());
  }
}

void alone(benchmark::State& state) {
  const auto traffic = [] {
    const server running;
    for (int i = 0; i < tests; ++i) running.answer();
  };
  looks(state, traffic, [] {});
}

void beside_a_server(benchmark::State& state) {
  static const server running;  // of the program, not of a repetition
  running.answer();
  looks(
      state, [] {}, [] { running.answer(); });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  bench::collector times;
  for (auto* const each :
       {benchmark::RegisterBenchmark("looks_alone", alone),
        benchmark::RegisterBenchmark("looks_beside_a_server", beside_a_server)}) {
    bench::settings(each->UseManualTime());
  }
  bench::run_registered(times);
  return bench::judge(times, {{"looks beside a server of the program, against those alone",
                               "looks_beside_a_server", "looks_alone", 1.3}});
}
