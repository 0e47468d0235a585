// SPDX-License-Identifier: BSL-1.0
//
// wrapped <mode> [<argument>...]: what the scenarios of sweep.py run below tidewait. Its own calls
// are never made to fail. Exit code 0: it did what it was asked to.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "../support/sockets.hpp"

namespace {

/// Nobody outlives a sweep that was interrupted.
[[noreturn]] void stay() {
  ::alarm(120);
  for (;;) ::pause();
}

/// Leaves a process behind that runs `work` and stays; returns once it has done it.
template <typename Work>
void leave_behind(Work&& work) {
  int ready[2];
  sockets::check(::pipe2(ready, O_CLOEXEC), "pipe2");
  if (sockets::check(::fork(), "fork") == 0) {
    work();
    sockets::check(static_cast<int>(::write(ready[1], "", 1)), "write");
    ::close(ready[1]);
    stay();
  }
  ::close(ready[1]);
  char byte = 0;
  sockets::check(::read(ready[0], &byte, 1) == 1 ? 0 : -1, "the process left behind");
}

/// Whether each of TIDEWAIT_PORT_0, … is a port of its own, free, and locked by a descriptor that
/// this process has inherited.
bool has_ports(int count) {
  std::set<int> ports;
  for (int i = 0; i < count; ++i) {
    const char* const text = std::getenv(("TIDEWAIT_PORT_" + std::to_string(i)).c_str());
    if (text == nullptr) return false;
    const int port = std::atoi(text);
    ports.insert(port);
    ::close(sockets::listen_on(static_cast<std::uint16_t>(port)));
    bool locked = false;
    std::ifstream table{"/proc/net/unix"};
    for (std::string line; std::getline(table, line);) {
      const auto name = line.find("@tidewait");
      const std::string end = std::to_string(port);
      locked = locked || (name != std::string::npos && line.size() > end.size() &&
                          line.compare(line.size() - end.size(), end.size(), end) == 0);
    }
    if (!locked) return false;
  }
  return static_cast<int>(ports.size()) == count;
}

int run(std::string_view mode, const std::string& argument) {
  if (mode == "tidy") {
    ::close(sockets::listen_on(0));
  } else if (mode == "listener") {
    leave_behind([] { sockets::listen_on(0); });
  } else if (mode == "process") {
    leave_behind([] {});
  } else if (mode == "escaped") {  // its group's end does not reach it
    leave_behind([] { ::setsid(); });
  } else if (mode == "stubborn") {  // nor does SIGTERM
    leave_behind([] {
      ::setsid();
      ::signal(SIGTERM, SIG_IGN);
    });
  } else if (mode == "time_wait") {
    sockets::leave_time_wait(static_cast<std::uint16_t>(std::stoi(argument)), false);
  } else if (mode == "ports") {
    return has_ports(std::stoi(argument)) ? 0 : 9;
  } else if (mode == "serve") {  // until SIGTERM
    sockets::listen_on(static_cast<std::uint16_t>(std::stoi(argument)));
    stay();
  } else if (mode == "stay") {
    stay();
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wrapped: %s\n", error.what());
    return 8;
  }
}
