// SPDX-License-Identifier: BSL-1.0
//
// Readers of a gate's output that the shell starts while the gate already ends what was left.
#include <poll.h>

#include <gmock/gmock.h>

#include "private_world.hpp"

namespace {

using testing::HasSubstr;
using namespace world;

/// `gate end | cat >LOG`, where the shell starts the reader once the gate has written, and the
/// reader then takes its time to read. Returns how both ended.
std::string pipeline_with_a_late_reader(const std::string& runs, const std::string& log) {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t gate = ::fork();
  if (gate == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execl(SELFTEST_COMMAND, "tidewait", "gate", "end", "--runs", runs.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  pollfd written{ends[0], POLLIN, 0};
  ::poll(&written, 1, -1);
  const pid_t reader = ::fork();
  if (reader == 0) {
    constexpr int as_slow_as_on_a_busy_machine = 100000;  // us
    ::usleep(as_slow_as_on_a_busy_machine);
    ::dup2(ends[0], 0);
    ::close(ends[0]);
    ::dup2(::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 1);
    ::execlp("cat", "cat", nullptr);
    ::_exit(127);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(gate, &status, 0);
  std::string said = "gate " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  ::waitpid(reader, &status, 0);
  return said + ", reader " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1) + '\n';
}

TEST(GateEnd, SparesAReaderOfItsOutputThatStartsLate) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    const std::string log = runs / "log";
    // One that has to be killed: the gate goes on looking until its grace is over.
    process left{sleeper, ::getuid(), mark, [] { ::signal(SIGTERM, SIG_IGN); }};
    forked shell{[&](auto tell) {
      wear(mark);
      tell(pipeline_with_a_late_reader(runs.path(), log));
    }};
    say(shell.all());
    say(left.state() + '\n' + text_of(log));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("gate 1, reader 0\nended\n"));
  EXPECT_THAT(said, HasSubstr("left 1 process alive"));
  EXPECT_THAT(said, HasSubstr("\n  terminated\n"));
}

}  // namespace
