// SPDX-License-Identifier: BSL-1.0
//
// Each call of the seam to the system fails in turn, in this process: once, and from some call on.
// What strace can do from outside is in sweep.py.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using tidewait::detail::sys;
using tidewait::detail::system_calls;

/// Which call fails, counted from 1 since the fault was armed, and how; 0: none.
struct fault {
  int at = 0;
  bool from_then_on = false;
  int error = 0;
};

fault planned;
int made = 0;

bool fails() {
  ++made;
  const bool now =
      planned.at != 0 && (planned.from_then_on ? made >= planned.at : made == planned.at);
  if (now) errno = planned.error;
  return now;
}

/// Puts a counting and failing function in the place of one call of the seam.
template <auto Member, typename Result, typename... Arguments>
void replace(Result (*system_calls::*)(Arguments...)) {
  static Result (*real)(Arguments...) = nullptr;
  real = sys.*Member;
  sys.*Member = [](Arguments... arguments) -> Result {
    return fails() ? static_cast<Result>(-1) : real(arguments...);
  };
}

template <auto Member>
void arm() {
  replace<Member>(Member);
}

int fail_or_openat(int at, const char* path, int flags, ...) {
  return fails() ? -1 : ::openat(at, path, flags);
}
void arm_openat() { sys.openat = fail_or_openat; }

struct call {
  const char* name;
  void (*arm)();
  std::vector<int> errors;
};

const std::vector<call>& calls() {
  static const std::vector<call> all{
      {"socket", arm<&system_calls::socket>, {EMFILE, ENOMEM, EPERM, EAFNOSUPPORT}},
      {"bind", arm<&system_calls::bind>, {ENOMEM, EACCES, EPERM, EINVAL}},
      {"listen", arm<&system_calls::listen>, {ENOMEM, EPERM}},
      {"connect", arm<&system_calls::connect>, {ECONNREFUSED, EAGAIN, EPERM, EINTR}},
      {"setsockopt", arm<&system_calls::setsockopt>, {ENOMEM, ENOPROTOOPT, EPERM}},
      {"sendto", arm<&system_calls::sendto>, {ENOBUFS, EPERM, ECONNREFUSED, EINTR}},
      {"recv", arm<&system_calls::recv>, {ENOBUFS, ENOMEM, EAGAIN, EINTR}},
      {"openat", arm_openat, {EMFILE, ENOMEM, EACCES, ENOENT}},
      {"read", arm<&system_calls::read>, {EIO, ENOMEM, EINTR}},
      {"write", arm<&system_calls::write>, {ENOSPC, EIO, EINTR}},
      {"readlinkat", arm<&system_calls::readlinkat>, {EACCES, ENOMEM, ENOENT}},
  };
  return all;
}

/// One scenario: what it says is "" if all is well. It runs in a process of its own each time.
struct scenario {
  const char* name;
  std::string (*run)();
};
void PrintTo(const scenario& what, std::ostream* out) { *out << what.name; }

void start(const call& which, const fault& what) {
  planned = what;
  made = 0;
  which.arm();
}

/// The call and the fault of this process, for a scenario to start when it is ready.
const call* current = nullptr;
fault wanted;
void start() { start(*current, wanted); }
void stop() { planned = {}; }

std::string verdict_on(tidewait::watch& look_after) {
  const tidewait::report found = look_after.look();
  stop();
  return found.clean() ? "a leak passed as clean" : "";
}

std::string look_at_a_listener() {
  tidewait::watch look_after;
  sockets::listen_on(0);
  start();
  return verdict_on(look_after);
}

std::string look_at_a_leased_listener() {
  tidewait::watch look_after;
  const auto port = tidewait::lease_port();
  sockets::listen_on(port.number());
  start();
  return verdict_on(look_after);
}

std::string look_at_a_bound_socket() {
  tidewait::watch look_after;
  const auto port = tidewait::lease_port();
  sockets::bind_to(port.number());
  start();
  return verdict_on(look_after);
}

std::string look_at_a_udp_socket() {
  tidewait::watch look_after;
  const auto port = tidewait::lease_port(tidewait::protocol_set::udp);
  sockets::bind_to(port.number(), SOCK_DGRAM);
  start();
  return verdict_on(look_after);
}

std::string look_at_time_wait() {
  tidewait::watch look_after;
  const auto port = tidewait::lease_port();
  sockets::leave_time_wait(port.number(), false);
  start();
  return verdict_on(look_after);
}

/// The baseline is affected, too.
std::string watch_a_listener() {
  start();
  tidewait::watch look_after;
  sockets::listen_on(0);
  return verdict_on(look_after);
}

std::string lease_a_port() {
  start();
  try {
    const auto port = tidewait::lease_port();
    stop();
    const auto holder = tidewait::detail::lock_holder(tidewait::protocol::tcp, port.number());
    if (holder != ::getpid()) return "a lease without a lock";
    sockets::listen_on(port.number());
    return "";
  } catch (const std::system_error& error) {
    stop();
    return std::string{error.what()}.empty() ? "an error without a word" : "";
  }
}

/// One line for each fault that something passed under, and how many faults there were.
std::string sweep(const scenario& what) {
  std::string wrong;
  int injected = 0;
  for (const call& each : calls()) {
    current = &each;
    // How often it is called where nothing fails; on a detour it is called more often.
    const std::string count = forked{[&](auto say) {
                                what.run();
                                say(std::to_string(made));
                              }}.all();
    constexpr int most_places = 5;
    const int last = std::stoi(count);
    for (int at = 1; at <= last; at += 1 + last / most_places) {
      for (const int error : each.errors) {
        for (const bool from_then_on : {false, true}) {
          if (from_then_on && error != each.errors.front()) continue;  // how it fails matters less
          ++injected;
          const std::string said = forked{[&](auto say) {
                                     ::alarm(10);  // a hang is a failure
                                     wanted = {at, from_then_on, error};
                                     const std::string verdict = what.run();
                                     say(verdict.empty() ? "as it should be" : verdict);
                                   }}.all();
          if (said == "as it should be") continue;
          wrong += std::string{each.name} + " number " + std::to_string(at) +
                   (from_then_on ? " and all after it: " : ": ") +
                   std::error_code{error, std::system_category()}.message() + ": " +
                   (said.empty() ? "it hangs or dies" : said) + '\n';
        }
      }
    }
  }
  return wrong + std::to_string(injected > 20 ? 0 : injected);
}

class Seam : public testing::TestWithParam<scenario> {};

TEST_P(Seam, LetsNothingPassWhereACallFails) {
  forked private_place{[](auto say) {
    // Where nobody else's sockets are to be sorted out each time.
    static_cast<void>(enter_private_network(user_ids::kept));
    say(sweep(GetParam()));
  }};
  EXPECT_EQ(private_place.all(), "0");
}

INSTANTIATE_TEST_SUITE_P(Each, Seam,
                         testing::Values(scenario{"Listener", look_at_a_listener},
                                         scenario{"LeasedListener", look_at_a_leased_listener},
                                         scenario{"BoundSocket", look_at_a_bound_socket},
                                         scenario{"UdpSocket", look_at_a_udp_socket},
                                         scenario{"TimeWait", look_at_time_wait},
                                         scenario{"ListenerWithBaseline", watch_a_listener},
                                         scenario{"Lease", lease_a_port}),
                         [](const testing::TestParamInfo<scenario>& each) {
                           return each.param.name;
                         });

/// Of SIGXFSZ, by which a write beyond RLIMIT_FSIZE ends a process.
std::string state_of_limit_signal() {
  sigset_t pending;
  sigset_t blocked;
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return std::string{::sigismember(&pending, SIGXFSZ) == 1 ? "pending" : "none"} +
         (::sigismember(&blocked, SIGXFSZ) == 1 ? ", blocked" : "");
}

TEST(FileSizeLimit, IsAnErrorOfAWriteAndDoesNotEndTheProcess) {
  const std::string path = testing::TempDir() + "tidewait-limit-" + std::to_string(::getpid());
  forked child{[&](auto say) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    const auto append = [&] {
      const auto done = tidewait::detail::append_own_file(path.c_str(), "line\n");
      say((done.error == std::errc::file_too_large ? "EFBIG, " : done.error.message()) +
          state_of_limit_signal() + '\n');
    };
    append();
    // A program that has blocked it keeps what was pending.
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    append();
    ::raise(SIGXFSZ);
    append();
  }};
  EXPECT_EQ(child.all(), "EFBIG, none\nEFBIG, none, blocked\nEFBIG, pending, blocked\n");
  ::unlink(path.c_str());
}

}  // namespace
