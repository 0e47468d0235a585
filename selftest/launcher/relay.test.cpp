// SPDX-License-Identifier: BSL-1.0
//
// Output that `tidewait run --keep-orphans` hands on, and what the launcher itself says: to readers
// that are slow, or do not read.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "run_launcher.hpp"

namespace {

enum class kind { pipe, fifo, socket, terminal };

/// What a command writes to, and its other end.
class channel {
 public:
  channel(kind which, bool blocking) {
    int ends[2] = {-1, -1};
    const std::string path = place_ / "fifo";
    if (which == kind::pipe) {
      EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    } else if (which == kind::socket) {
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    } else if (which == kind::terminal) {
      EXPECT_EQ(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), 0);
      for (const int each : ends) EXPECT_EQ(::fcntl(each, F_SETFD, FD_CLOEXEC), 0);
      termios raw{};
      ::cfmakeraw(&raw);
      raw.c_cflag |= CREAD;
      EXPECT_EQ(::tcsetattr(ends[1], TCSANOW, &raw), 0);
    } else {
      EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
      ends[0] = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
      ends[1] = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
      EXPECT_EQ(::fcntl(ends[0], F_SETFL, 0), 0);
    }
    const int flags = ::fcntl(ends[1], F_GETFL);
    EXPECT_EQ(::fcntl(ends[1], F_SETFL, flags | (blocking ? 0 : O_NONBLOCK)), 0);
    from_ = ends[0];
    to_ = ends[1];
  }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel() {
    close_reader();
    close_writer();
  }

  int to() const { return to_; }
  void close_reader() {
    if (from_ >= 0) ::close(std::exchange(from_, -1));
  }
  void close_writer() {
    if (to_ >= 0) ::close(std::exchange(to_, -1));
  }
  /// Returns how much that is.
  std::size_t fill() const {
    const int flags = ::fcntl(to_, F_GETFL);
    EXPECT_EQ(::fcntl(to_, F_SETFL, flags | O_NONBLOCK), 0);
    std::size_t size = 0;
    for (ssize_t put = 0; (put = ::write(to_, "................", 16)) > 0;)
      size += static_cast<std::size_t>(put);
    EXPECT_EQ(::fcntl(to_, F_SETFL, flags), 0);
    return size;
  }
  bool is_full() const {
    pollfd ready{to_, POLLOUT, 0};
    return ::poll(&ready, 1, 0) == 0;
  }
  /// All that is read until every writer has gone.
  std::string all() const {
    std::string text;
    char part[65536];
    for (ssize_t got = 0; (got = ::read(from_, part, sizeof part)) > 0;)
      text.append(part, static_cast<std::size_t>(got));
    return text;
  }

 private:
  directory place_;
  int from_ = -1;
  int to_ = -1;
};

class Relay : public testing::TestWithParam<std::pair<kind, bool>> {
 protected:
  channel output{GetParam().first, GetParam().second};

  selftest::run_options into_output() const {
    selftest::run_options options;
    options.out = output.to();
    options.together = true;
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(Into, Relay,
                         testing::Values(std::pair{kind::pipe, true}, std::pair{kind::pipe, false},
                                         std::pair{kind::fifo, true}, std::pair{kind::fifo, false},
                                         std::pair{kind::socket, true},
                                         std::pair{kind::socket, false}));

TEST_P(Relay, HearsASignalWhileNobodyReads) {
  running command{wrapped({"--keep-orphans"}, {"yes"}), into_output()};
  ASSERT_TRUE(eventually([&] { return output.is_full(); }));
  ::kill(command.pid(), SIGTERM);
  ASSERT_TRUE(eventually([&] { return !command.alive(); }));
  EXPECT_EQ(command.finish().status, 128 + SIGTERM);
}

TEST_P(Relay, HearsASignalWhileNobodyReadsWhatAnEndedCommandLeft) {
  const directory place;
  const std::string ended = place / "ended";
  // As much as the pipes have room for.
  running command{wrapped({"--keep-orphans"}, shell("seq 20000; : >" + ended)), into_output()};
  const pid_t launcher = command.pid();
  ASSERT_TRUE(eventually([&] { return ::access(ended.c_str(), F_OK) == 0; }));
  ::kill(launcher, SIGTERM);
  EXPECT_TRUE(eventually([&] { return !command.alive(); }));
}

TEST_P(Relay, LosesNothingForAReaderThatIsLate) {
  running command{wrapped({"--keep-orphans"}, shell("seq 100000; echo end; exit 7")),
                  into_output()};
  ASSERT_TRUE(eventually([&] { return output.is_full(); }));
  output.close_writer();
  const std::string got = output.all();
  EXPECT_EQ(got.size(), 588895U + 4U);
  EXPECT_EQ(got.substr(got.size() - 11), "100000\nend\n");
  EXPECT_EQ(command.finish().status, 7);
}

TEST_P(Relay, EndsTheCommandWhereTheReaderGoes) {
  running command{wrapped({"--keep-orphans"}, {"yes"}), into_output()};
  ASSERT_TRUE(eventually([&] { return output.is_full(); }));
  output.close_reader();
  ASSERT_TRUE(eventually([&] { return !command.alive(); }));
  EXPECT_EQ(command.finish().status, 128 + SIGPIPE);
}

/// A command that leaves a process behind, about which the launcher has something to say.
class Said : public testing::TestWithParam<std::pair<kind, bool>> {
 protected:
  channel output{GetParam().first, GetParam().second};
  directory place;
  const std::string ended = place / "ended";
  const std::string left = unique_seconds();

  words leave_something() const {
    const std::string away = place / "away";
    // A signal to the group ends neither: what the command ended with stays its own.
    return wrapped({}, shell("setsid sh -c ': >" + away + "; exec sleep " + left +
                             "' >/dev/null 2>&1 & while ! [ -e " + away +
                             " ]; do :; done; trap '' TERM; : >" + ended));
  }
  selftest::run_options into_output() const {
    selftest::run_options options;
    options.out = output.to();
    options.together = true;
    return options;
  }
  bool has_ended() const {
    return eventually([this] { return ::access(ended.c_str(), F_OK) == 0; });
  }
};

INSTANTIATE_TEST_SUITE_P(Into, Said,
                         testing::Values(std::pair{kind::pipe, true}, std::pair{kind::pipe, false},
                                         std::pair{kind::socket, true},
                                         std::pair{kind::terminal, true}));

TEST_P(Said, HearsASignalWhileNobodyReads) {
  output.fill();
  running command{leave_something(), into_output()};
  ASSERT_TRUE(has_ended());
  ::kill(command.pid(), SIGTERM);
  ASSERT_TRUE(eventually([&] { return !command.alive(); }));
  EXPECT_EQ(command.finish().status, 97);
  EXPECT_FALSE(is_alive(left));
}

TEST_P(Said, LosesNothingForAReaderThatIsLate) {
  const std::size_t before = output.fill();
  running command{leave_something(), into_output()};
  ASSERT_TRUE(has_ended());
  output.close_writer();
  const std::string got = output.all().substr(before);
  EXPECT_EQ(got.rfind("tidewait: ", 0), 0U) << got;
  EXPECT_NE(got.find("left 1 process running: sleep"), std::string::npos) << got;
  EXPECT_NE(got.find("  fix: end what the command starts"), std::string::npos) << got;
  EXPECT_EQ(command.finish().status, 97);
}

TEST_P(Said, EndsWhatIsLeftAlthoughTheReaderGoes) {
  output.fill();
  running command{leave_something(), into_output()};
  ASSERT_TRUE(has_ended());
  output.close_reader();
  ASSERT_TRUE(eventually([&] { return !command.alive(); }));
  EXPECT_EQ(command.finish().status, 97);
  EXPECT_FALSE(is_alive(left));
}

}  // namespace
