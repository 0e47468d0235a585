// SPDX-License-Identifier: BSL-1.0
//
// The witness of binds where it is not allowed all that it asks for, and beside what else wants to
// watch the command.
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/linux/bind_socket.hpp>
#include <tidewait/error.hpp>
#include <tidewait/explain_bind.hpp>

#include "../command/namespaces.hpp"
#include "../support/private_network.hpp"
#include "bind_calls.hpp"
#include "bind_witness.hpp"
#include "run_launcher.hpp"
#include "witness_harness.hpp"

namespace {

using testing::HasSubstr;

/// What a command does: a server on any port, and a bind to one that is taken.
std::string serve_and_fail(const tidewait::endpoint& taken) {
  const auto error_of = [](auto make) {
    try {
      make();
      return 0;
    } catch (const tidewait::error& error) {
      return error.code().value();
    }
  };
  std::optional<tidewait::listening_socket> server;
  const int listens = error_of([&] { server.emplace(tidewait::endpoint{taken.address, 0}, 1); });
  const int fails = error_of([&] {
    const tidewait::bound_socket second{tidewait::bind_request{tidewait::protocol::tcp, taken}};
  });
  return std::to_string(listens) + ' ' + std::to_string(fails);
}

struct denial {
  const char* name;
  std::vector<long> calls;
  int error;
  bool sees_socket;   ///< The witness still gets hold of the caller's socket,
  bool reads_memory;  ///< and of the address that it binds to.
};

/// How a denial is tried: what becomes of the calls, in a process that is denied them.
template <typename Work>
std::string tried_under(const denial& what, Work work) {
  forked container{[&](auto say) {
    forbid_calls(what.calls, what.error);
    witness::setup with;
    with.why = tidewait::command::explain_failure;
    const witness::outcome result = witness::run([&](auto said) { said(work()); }, with);
    if (result.skip()) {
      say("skip: " + result.why_skip());
      return;
    }
    say(result.said + "; exit " + std::to_string(result.status) + '\n');
    for (const auto& each : result.binds) {
      say(std::string{each.asked ? "asked " : "- "} + std::string{to_string(each.kind)} +
          (each.listening ? " listening" : "") + (each.error ? " failed" : "") +
          (each.partial.empty() ? "\n" : " partial\n"));
    }
    for (const auto& each : result.failures) {
      const bool held = each.why && !each.why->conflicting.empty();
      say("held by " + (held ? to_string(each.why->conflicting.front().local) : "?") + '\n');
    }
  }};
  return container.all();
}

class WitnessDenied : public testing::TestWithParam<denial> {};

TEST_P(WitnessDenied, ChangesNothingForTheCommandAndRecordsWhatItCan) {
  const denial& what = GetParam();
  const tidewait::listening_socket taken;
  const std::string seen = tried_under(what, [&] { return serve_and_fail(taken.local()); });
  if (seen.rfind("skip: ", 0) == 0 || seen.rfind("exception: ", 0) == 0) GTEST_SKIP() << seen;
  const std::string partial = what.sees_socket ? "\n" : " partial\n";
  const std::string address = what.reads_memory ? "asked " : "- ";
  EXPECT_EQ(seen, "0 98; exit 0\n" + address + "tcp listening" + partial + address + "tcp" +
                      (what.reads_memory ? " failed" : "") + partial +
                      (what.reads_memory ? "held by " + to_string(taken.local()) + '\n' : ""));
}

TEST_P(WitnessDenied, ForeseesNoFailureOfWhatAnOptionMayLetThrough) {
  const denial& what = GetParam();
  // It does not listen, so a second bind with SO_REUSEADDR succeeds.
  const int first = witness::tcp_socket(SO_REUSEADDR);
  ASSERT_EQ(witness::try_bind(first, 0), 0);
  std::error_code error;
  const tidewait::endpoint there = tidewait::detail::local_endpoint(first, error);
  const std::string seen = tried_under(what, [&] {
    return witness::number(witness::try_bind(witness::tcp_socket(SO_REUSEADDR), there.port));
  });
  ::close(first);
  if (seen.rfind("skip: ", 0) == 0 || seen.rfind("exception: ", 0) == 0) GTEST_SKIP() << seen;
  EXPECT_THAT(seen, testing::StartsWith("0 ; exit 0\n"));
  EXPECT_THAT(seen, testing::Not(HasSubstr("failed")));
}

TEST_P(WitnessDenied, TakesNoQuestionOfTidewaitForAFailure) {
  const denial& what = GetParam();
  const tidewait::listening_socket taken;
  const std::string seen = tried_under(what, [&] {
    const auto answer = tidewait::probe_bind({tidewait::protocol::tcp, taken.local()});
    return std::to_string(answer.plain.value());
  });
  if (seen.rfind("skip: ", 0) == 0 || seen.rfind("exception: ", 0) == 0) GTEST_SKIP() << seen;
  EXPECT_THAT(seen, testing::StartsWith(std::to_string(EADDRINUSE) + "; exit 0\n"));
  EXPECT_THAT(seen, testing::Not(HasSubstr("failed")));
}

INSTANTIATE_TEST_SUITE_P(
    Container, WitnessDenied,
    testing::Values(denial{"nothing", {}, EPERM, true, true},
                    denial{"docker", {SYS_pidfd_getfd}, EPERM, false, true},
                    denial{"old_docker", {SYS_pidfd_getfd, SYS_pidfd_open}, ENOSYS, false, true},
                    denial{"no_memory", {SYS_process_vm_readv}, EPERM, true, false},
                    denial{"no_kcmp", {SYS_kcmp}, EPERM, true, true},
                    denial{"all",
                           {SYS_pidfd_getfd, SYS_pidfd_open, SYS_process_vm_readv, SYS_kcmp},
                           EPERM,
                           false,
                           false}),
    [](const auto& each) { return std::string{each.param.name}; });

/// Makes one call through io_uring; its result, or nothing if there is no io_uring here.
class uring {
 public:
  uring() {
    io_uring_params params{};
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params));
    if (fd_ < 0) return;
    const auto map = [&](std::size_t size, off_t what) {
      return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    };
    submissions_ =
        static_cast<char*>(map(params.sq_off.array + 4 * params.sq_entries, IORING_OFF_SQ_RING));
    completions_ = static_cast<char*>(
        map(params.cq_off.cqes + sizeof(io_uring_cqe) * params.cq_entries, IORING_OFF_CQ_RING));
    entry_ = static_cast<io_uring_sqe*>(map(sizeof(io_uring_sqe), IORING_OFF_SQES));
    params_ = params;
  }
  uring(const uring&) = delete;
  uring& operator=(const uring&) = delete;
  ~uring() { ::close(fd_); }

  bool works() const { return fd_ >= 0; }

  int call(int operation, int socket, const void* address, std::uint64_t size_or_backlog) {
    std::memset(entry_, 0, sizeof *entry_);
    entry_->opcode = static_cast<__u8>(operation);
    entry_->fd = socket;
    entry_->addr = reinterpret_cast<std::uint64_t>(address);
    if (address != nullptr) {
      entry_->off = size_or_backlog;
    } else {
      entry_->len = static_cast<__u32>(size_or_backlog);
    }
    number(submissions_, params_.sq_off.array) = 0;
    __atomic_add_fetch(&number(submissions_, params_.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1) {
      return -errno;
    }
    std::uint32_t& head = number(completions_, params_.cq_off.head);
    const std::uint32_t at = head & number(completions_, params_.cq_off.ring_mask);
    io_uring_cqe done{};
    std::memcpy(&done, completions_ + params_.cq_off.cqes + at * sizeof done, sizeof done);
    __atomic_add_fetch(&head, 1, __ATOMIC_RELEASE);
    return done.res;
  }

 private:
  static std::uint32_t& number(char* ring, std::uint32_t offset) {
    return *reinterpret_cast<std::uint32_t*>(ring + offset);
  }

  int fd_ = -1;
  char* submissions_ = nullptr;
  char* completions_ = nullptr;
  io_uring_sqe* entry_ = nullptr;
  io_uring_params params_{};
};

TEST(WitnessRestricted, DoesNotSeeBindsOfIoUringAsTheManualSays) {
  const witness::outcome result = witness::run([](auto say) {
    uring ring;
    if (!ring.works()) return static_cast<void>(say("skip: no io_uring"));
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    constexpr int bind_operation = 56;    // IORING_OP_BIND, Linux 6.11
    constexpr int listen_operation = 57;  // IORING_OP_LISTEN
    const int bound = ring.call(bind_operation, fd, &where, sizeof where);
    if (bound == -EINVAL) return static_cast<void>(say("skip: io_uring cannot bind"));
    const int listening = ring.call(listen_operation, fd, nullptr, 1);
    // The next call that the filter sees knows what happened before.
    say(std::to_string(bound) + ' ' + std::to_string(listening) + ' ' +
        std::to_string(::listen(fd, 2)));
  });
  SKIP_WITHOUT_FILTER(result);
  if (result.said.rfind("skip: ", 0) == 0) GTEST_SKIP() << result.said;
  EXPECT_EQ(result.said, "0 0 0");
  ASSERT_EQ(result.binds.size(), 1U) << "listen(2) alone";
  EXPECT_FALSE(result.binds.front().asked);
  EXPECT_TRUE(result.binds.front().got);
}

/// The options of a server are not seen where its socket may not be taken, but its TIME_WAIT has
/// them.
TEST(WitnessRestricted, JudgesATimeWaitByTheOptionOfAServerThatItMayNotTake) {
  for (const char* const reuse : {"0", "1"}) {
    const std::string seen = in_private_network([&](auto say) {
      forbid_calls({SYS_pidfd_getfd}, EPERM);
      const outcome got = run(wrapped({}, python("import socket\n"
                                                 "s = socket.socket()\n"
                                                 "s.setsockopt(1, socket.SO_REUSEADDR, " +
                                                 std::string{reuse} +
                                                 ")\n"
                                                 "s.bind(('127.0.0.1', 8080)); s.listen()\n"
                                                 "c = socket.create_connection(s.getsockname())\n"
                                                 "a, _ = s.accept(); s.close(); a.close()\n"
                                                 "c.recv(1); c.close()")));
      say(std::to_string(got.status) + '\n' + got.err);
    });
    SKIP_IF_DENIED(seen);
    if (seen.rfind("exception: ", 0) == 0) GTEST_SKIP() << seen;
    if (reuse[0] == '1') {
      EXPECT_THAT(seen, testing::StartsWith("0\n  note: 1 TIME_WAIT on 127.0.0.1:8080: harmless"));
    } else {
      EXPECT_THAT(seen, testing::StartsWith("97\n"));
    }
  }
}

/// A kernel, or a sandbox, without seccomp's notifications. In a network of its own: elsewhere a
/// listener of nobody in sight, as other tests plant it, would be noted.
TEST(WitnessRestricted, FallsBackWhereTheKernelHasNoFilter) {
  for (const int error : {ENOSYS, EINVAL, EPERM}) {
    const auto without = [error](const words& command) {
      return in_private_network([&](auto say) {
        forbid_calls({SYS_seccomp}, error);
        const outcome got = run(command);
        say(std::to_string(got.status) + '\n' + got.out + got.err);
      });
    };
    const words server =
        python("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()");
    const std::string plain = without(wrapped({}, server));
    SKIP_IF_DENIED(plain);
    if (plain.rfind("exception: ", 0) == 0) GTEST_SKIP() << plain;
    EXPECT_EQ(plain, "0\n");
    EXPECT_THAT(without(wrapped({"--witness"}, server)),
                testing::AllOf(testing::StartsWith("0\n"),
                               HasSubstr("warning: binds are not witnessed: ")));
    EXPECT_THAT(without(wrapped({"--witness=require"}, server)), testing::StartsWith("3\n"));
    EXPECT_THAT(without({program_path, "doctor"}),
                testing::ContainsRegex("binds while it runs +no +"));
  }
}

/// A server of another user, which starts while the command runs.
TEST(WitnessRestricted, TakesNoServerOfAnotherUserForTheCommands) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  const auto beside_a_server = [](const char* option) {
    const directory there;
    EXPECT_EQ(::chmod((there / "").c_str(), 0755), 0);
    selftest::run_options as_nobody;
    as_nobody.prepare = [] { permitted(witness::become_nobody(), "to be another user"); };
    running launched{wrapped({option}, python("import os, time\nprint('runs', flush=True)\n"
                                              "while not os.path.exists('" +
                                              there / "go" + "'): time.sleep(0.01)")),
                     as_nobody};
    EXPECT_TRUE(launched.says("runs"));
    const tidewait::listening_socket server;
    std::ofstream{there / "go"};
    return launched.finish().err;
  };
  const std::string unknown = beside_a_server("--no-witness");
  EXPECT_THAT(unknown, HasSubstr("may have left "));
  const std::string known = beside_a_server("--witness");
  if (known.find("not witnessed") != std::string::npos) GTEST_SKIP() << known;
  EXPECT_EQ(known, "");
}

TEST(WitnessRestricted, SaysWhichOfTwoLaunchersWatches) {
  if (const outcome got = run(wrapped({"--witness=require"}, {"true"})); got.status != 0)
    GTEST_SKIP() << got.err;
  const outcome got =
      run(wrapped({"--witness", "--explain=always"},
                  wrapped({"--witness", "--explain=always"},
                          python("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0))"))));
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_THAT(got.err, testing::AllOf(HasSubstr("outer `tidewait run`"),
                                      HasSubstr("tidewait: 1 bind witnessed")));
}

}  // namespace
