// SPDX-License-Identifier: BSL-1.0
//
// The look after a test on its clean path: against its raw system calls, also where the test bound
// a port, and on a crowded machine against an empty one and against ss. A bind that the witness of
// the process records: against the same past it.

#include <benchmark/benchmark.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <tidewait/tidewait.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "ratio.hpp"

namespace {

/// What a clean look with one lease cannot do without: who we are, the open ports, a bind.
void raw_system_calls() {
  using namespace tidewait;
  struct stat info {};
  ::stat("/proc/thread-self/ns/net", &info);
  static char buffer[32768];
  const int diag = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  std::uint32_t sequence = 0;
  for (const int type : {IPPROTO_TCP, IPPROTO_UDP}) {
    for (const int family : {AF_INET, AF_INET6}) {
      struct {
        nlmsghdr header;
        inet_diag_req_v2 request;
      } question{};
      question.header.nlmsg_len = sizeof question;
      question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
      question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
      question.header.nlmsg_seq = ++sequence;
      question.request.sdiag_family = static_cast<__u8>(family);
      question.request.sdiag_protocol = static_cast<__u8>(type);
      question.request.idiag_states = type == IPPROTO_TCP ? 1U << 10U : 1U << 7U;
      sockaddr_nl kernel{};
      kernel.nl_family = AF_NETLINK;
      ::sendto(diag, &question, sizeof question, 0, reinterpret_cast<sockaddr*>(&kernel),
               sizeof kernel);
      for (bool done = false; !done;) {
        const ssize_t got = ::recv(diag, buffer, sizeof buffer, 0);
        done = got <= 0;
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer);
             !done && header < reinterpret_cast<nlmsghdr*>(buffer + got);
             header = reinterpret_cast<nlmsghdr*>(reinterpret_cast<char*>(header) +
                                                  NLMSG_ALIGN(header->nlmsg_len))) {
          done = header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR;
        }
      }
    }
  }
  ::close(diag);
  detail::try_whole_port(protocol::tcp, 9);
}

void clean_look(benchmark::State& state) {
  const tidewait::port_lease port = tidewait::lease_port();
  tidewait::watch watch;
  for (auto _ : state) {
    const tidewait::report found = watch.look();
    if (!found.clean()) state.SkipWithError(render(found).c_str());
  }
}

void raw(benchmark::State& state) {
  for (auto _ : state) raw_system_calls();
}

/// Opens a listener and closes it, by the functions of the C library, which the witness records, or
/// by the same system calls past it.
bool open_a_listener(bool witnessed) {
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* where = reinterpret_cast<const sockaddr*>(&local);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool open = witnessed ? ::bind(fd, where, sizeof local) == 0 && ::listen(fd, 8) == 0
                              : ::syscall(SYS_bind, fd, where, sizeof local) == 0 &&
                                    ::syscall(SYS_listen, fd, 8) == 0;
  ::close(fd);
  return open;
}

template <bool witnessed>
void listen_once(benchmark::State& state) {
  for (auto _ : state) {
    if (!open_a_listener(witnessed)) state.SkipWithError("bind or listen failed");
  }
}

/// A whole test that binds: baseline, bind, look.
void watch_a_bind(benchmark::State& state) {
  const tidewait::port_lease port = tidewait::lease_port();
  for (auto _ : state) {
    tidewait::watch watch;
    if (!open_a_listener(true)) state.SkipWithError("bind or listen failed");
    const tidewait::report found = watch.look();
    if (!found.clean()) state.SkipWithError(render(found).c_str());
  }
  const tidewait::watch watch;
  open_a_listener(true);
  if (tidewait::bound_by_this_test().size() != 1) state.SkipWithError("the witness saw no bind");
}

void watch_a_bind_raw(benchmark::State& state) {
  for (auto _ : state) {
    raw_system_calls();
    if (!open_a_listener(false)) state.SkipWithError("bind or listen failed");
    raw_system_calls();
  }
}

/// Processes that hold 5,000 connections each, as many as a usual limit of descriptors allows, and
/// leave 5,000 TIME_WAITs, until this object ends. Their ports are no concern of the look.
class crowd {
 public:
  explicit crowd(int processes) {
    for (int i = 0; i < processes; ++i) {
      int ready[2];
      if (::pipe2(ready, O_CLOEXEC) != 0) std::abort();
      const pid_t child = ::fork();
      if (child == 0) {
        make(static_cast<std::uint16_t>(5000 + i));
        if (::write(ready[1], "", 1) == 1) ::pause();
        ::_exit(1);
      }
      ::close(ready[1]);
      children_.push_back(child);
      char byte = 0;
      complete_ = complete_ && ::read(ready[0], &byte, 1) == 1;
      ::close(ready[0]);
    }
  }
  ~crowd() {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
  bool complete() const { return complete_; }

 private:
  static void make(std::uint16_t port) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit enough{11000, 11000};
    ::setrlimit(RLIMIT_NOFILE, &enough);
    const int listener = sockets::listen_on(port);
    for (int i = 0; i < 5000; ++i) sockets::connection(listener, port);
    // More than are wanted: a client port that comes again takes the place of its old TIME_WAIT.
    for (int i = 0; i < 7000; ++i) {
      const auto [client, server] = sockets::connection(listener, port);
      ::close(server);
      ::close(client);
    }
  }
  std::vector<pid_t> children_;
  bool complete_ = true;
};

void ss(benchmark::State& state) {
  for (auto _ : state) {
    if (std::system("ss -tanp >/dev/null") != 0)
      state.SkipWithError("ss is not installed (iproute2)");
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (const std::string why = enter_private_network(user_ids::kept); !why.empty()) {
    std::printf("look_bench needs root and a network namespace of its own: %s\n", why.c_str());
    return 1;
  }
  set_rule("ipv4/ip_local_port_range", "16384 65000");
  bench::collector times;
  bench::settings(benchmark::RegisterBenchmark("raw_system_calls", raw));
  bench::settings(benchmark::RegisterBenchmark("look", clean_look));
  bench::settings(benchmark::RegisterBenchmark("raw_watch_with_a_bind", watch_a_bind_raw));
  bench::settings(benchmark::RegisterBenchmark("watch_with_a_bind", watch_a_bind));
  bench::settings(benchmark::RegisterBenchmark("listen_raw", listen_once<false>));
  bench::settings(benchmark::RegisterBenchmark("listen_witnessed", listen_once<true>));
  bench::run_registered(times);

  const crowd around{4};
  const auto waiting = tidewait::time_wait_count().value_or(0);
  std::printf("\nbeside 20,000 connections and %u TIME_WAITs:\n", waiting);
  bench::settings(benchmark::RegisterBenchmark("look_in_a_crowd", clean_look));
  bench::settings(benchmark::RegisterBenchmark("ss", ss));
  bench::run_registered(times);
  constexpr double most_microseconds = 3;
  const double added = times.median("listen_witnessed") - times.median("listen_raw");
  const bool cheap = added <= most_microseconds;
  std::printf("\n%-4smicroseconds that the witness adds to a bind and a listen: %.2f (bar %g)\n",
              cheap ? "ok" : "BAD", added, most_microseconds);
  return bench::judge(times,
                      {{"look, against its raw system calls", "look", "raw_system_calls", 1.5},
                       {"watch with a bind, against its raw system calls", "watch_with_a_bind",
                        "raw_watch_with_a_bind", 1.5},
                       {"look in a crowd, against itself alone", "look_in_a_crowd", "look", 1.3},
                       {"look in a crowd, against ss -tanp", "look_in_a_crowd", "ss", 0.001}}) |
         (cheap && around.complete() && waiting >= 20000 ? 0 : 1);
}
