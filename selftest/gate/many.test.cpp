// SPDX-License-Identifier: BSL-1.0
//
// What a gate does where it has few descriptors, or cannot read one of the processes.
#include <gmock/gmock.h>

#include "private_world.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using namespace world;

constexpr int many = 60;
constexpr rlim_t few = 24;

/// Starts that many processes that wear the mark and wait.
std::vector<forked> start(int count, const std::string& which) {
  std::vector<forked> all;
  all.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    all.emplace_back([&](auto say) {
      wear(which);
      ::prctl(PR_SET_NAME, "leftover");
      ::setsid();
      say("\n");
      for (;;) ::pause();
    });
  }
  for (forked& each : all) each.line();
  return all;
}

TEST(GateEnd, EndsMoreProcessesThanItMayOpenFiles) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    const auto left = start(many, mark);
    gate_options options;
    options.prepare = [] {
      const rlimit limit{few, few};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    };
    say(in_words(gate("end", runs.path(), options)));
    say(std::to_string(wearers(mark, "leftover")) + " alive");
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), HasSubstr("left 60 processes alive"),
                          HasSubstr("\n  terminated\n"), testing::EndsWith("\n0 alive")));
}

/// What becomes of a leftover where another process cannot be read.
std::string with_an_unreadable_process(const std::string& what, const std::string& marked,
                                       const std::vector<std::string>& more = {}) {
  return in_private_world([&](auto say) {
    const directory runs;
    if (marked == other_mark) write_text(runs / other_mark, to_text(interrupted_note()));
    const auto left = start(2, marked);
    process stranger{sleeper, ::getuid(), ""};
    gate_options options;
    options.more = more;
    options.prepare = [&] {
      const std::string file = "/proc/" + std::to_string(stranger.pid()) + "/environ";
      // Its first byte is at no address: EIO.
      if (::unshare(CLONE_NEWNS) != 0 ||
          ::mount("/proc/self/mem", file.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        throw std::runtime_error{"skip: nothing can be mounted over /proc/PID/environ"};
      }
    };
    const run_result result = gate(what, runs.path(), options);
    if (result.status == 126) {
      say(result.err);
      return;
    }
    say(in_words(result) + std::to_string(wearers(marked, "leftover")) + " alive, stranger " +
        stranger.state() + ", the note is " +
        (text_of(runs / other_mark) == "(none)" ? "gone" : "there"));
  });
}

TEST(GateEnd, EndsWhatItFindsAndFailsWhereItCannotReadAnotherProcess) {
  const std::string said = with_an_unreadable_process("end", mark);
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 3\n"), HasSubstr("left 2 processes alive"),
                          HasSubstr("\n  terminated\n"), HasSubstr("/environ: Input/output error"),
                          HasSubstr("\n0 alive, stranger alive")));
}

TEST(GateEnd, FailsWhereItCannotReadAProcessAndKeepsOrphans) {
  const std::string said = with_an_unreadable_process("end", mark, {"--keep-orphans"});
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 3\n"), HasSubstr("left 2 processes alive"),
                          HasSubstr("\n2 alive, stranger alive")));
}

TEST(GateBegin, EndsWhatItFindsAndFailsWhereItCannotReadAnotherProcess) {
  const std::string said = with_an_unreadable_process("begin", other_mark);
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 3\n"), HasSubstr("\n  terminated\n"),
                          HasSubstr("/environ: Input/output error"),
                          HasSubstr("\n0 alive, stranger alive, the note is there")));
}

}  // namespace
