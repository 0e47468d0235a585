// SPDX-License-Identifier: BSL-1.0
//
// tsan_subject <rounds>: a clean program, compiled with -fsanitize=thread, in which eight threads
// lease and look at once. Whatever ThreadSanitizer says of it is wrong, and is tidewait's fault.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([rounds] {
      for (int round = 0; round < rounds; ++round) {
        tidewait::watch watch;
        const auto port = tidewait::lease_port();
        if (const auto found = watch.look(); !found.clean())
          std::fputs(render(found).c_str(), stdout);
      }
    });
  }
  for (std::thread& each : threads) each.join();
}
