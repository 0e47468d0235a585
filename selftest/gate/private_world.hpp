// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <marked_processes.hpp>
#include <run_notes.hpp>
#include <tidewait/detail/linux/entropy.hpp>

#include "../command/run_command.hpp"
#include "../support/forked.hpp"
#include "../support/private_network.hpp"

/// A pid namespace with its own /proc, in which gates may kill whatever they take for theirs: when
/// the test ends, all that is in it ends.
namespace world {

// From outside, other gates see into this pid namespace: each test has marks of its own.
inline const std::string mark = tidewait::detail::random_name();
inline const std::string other_mark = tidewait::detail::random_name();
inline constexpr uid_t alice = 64101;
inline constexpr uid_t bob = 64102;

/// Enters it; what the caller goes on with is the child of its first process, which reaps orphans.
/// Says why it could not; "" if it could.
inline std::string enter() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0) {
      return std::string{"skip: no pid namespace of one's own: "} + std::strerror(errno);
    }
    become_root_of_namespace(user, group);
  }
  for (int level = 0; level < 2; ++level) {
    const pid_t child = ::fork();
    if (child < 0) return std::string{"skip: fork: "} + std::strerror(errno);
    if (child == 0) continue;
    // The test kills what it forked; the first process of the namespace takes the rest with it.
    int status = 0;
    for (pid_t ended = 0; (ended = ::wait(&status)) != child;) {
      if (ended < 0 && errno != EINTR) ::_exit(1);
    }
    ::_exit(0);
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", 0, nullptr) != 0) {
    return std::string{"skip: no /proc of one's own: "} + std::strerror(errno);
  }
  return "";
}

/// What `work(say)` says in there, or "skip: ...".
template <typename Work>
std::string in_private_world(Work work) {
  forked child{[&](auto say) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (const std::string why = enter(); !why.empty()) {
      say(why);
    } else {
      try {
        work(say);
      } catch (const std::exception& error) {
        say(std::string{"exception: "} + error.what());
      }
    }
    ::_exit(0);
  }};
  return child.all();
}

/// An empty directory of that user's, to which nobody else may write.
class directory {
 public:
  explicit directory(uid_t owner = ::geteuid()) {
    char name[] = "/tmp/tidewait-gate-XXXXXX";
    path_ = ::mkdtemp(name);
    if (::chown(name, owner, static_cast<gid_t>(-1)) != 0) std::perror("chown");
  }
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  ~directory() {
    const std::string command = "rm -rf " + path_;
    if (std::system(command.c_str()) != 0) std::perror("rm");
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

inline void write_text(const std::string& path, const std::string& text, uid_t owner = 0) {
  std::ofstream{path, std::ios::binary} << text;
  ::chmod(path.c_str(), 0600);
  if (owner != 0 && ::chown(path.c_str(), owner, static_cast<gid_t>(-1)) != 0) std::perror("chown");
}

/// What the file holds; "(none)" without one.
inline std::string text_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return "(none)";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void become(uid_t user) {
  if (user == ::getuid()) return;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
      ::setresuid(user, user, user) != 0) {
    ::_exit(125);
  }
}

/// Puts the mark on this process, for all that it starts.
inline void wear(const std::string& which) {
  ::setenv("TIDEWAIT_RUN", which.c_str(), 1);
  static_cast<void>(tidewait::command::put_mark_limit(0, which));
}

/// A program of that user's which wears a mark and runs until it is ended.
/// `prepare` runs before.
class process : public selftest::running {
 public:
  explicit process(const std::vector<std::string>& command, uid_t user = ::getuid(),
                   const std::string& which = mark, const std::function<void()>& prepare = {})
      : running{command, silent(user, which, prepare)} {
    await_exec();
  }
  /// "alive" or "ended", for a test's text.
  std::string state() { return alive() ? "alive" : "ended"; }

 private:
  static run_options silent(uid_t user, const std::string& which,
                            const std::function<void()>& prepare) {
    static const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    run_options options;
    options.out = nothing;
    options.together = true;
    options.prepare = [=] {
      if (!which.empty()) wear(which);
      world::become(user);
      if (prepare) prepare();
    };
    return options;
  }
};

inline const std::vector<std::string> sleeper{"sleep", "60"};

struct gate_options {
  uid_t user = ::getuid();
  std::string which = mark;
  std::vector<std::string> more;  ///< Further arguments.
  std::function<void()> prepare;
};

/// Runs `tidewait gate WHAT --runs DIR`.
inline run_result gate(const std::string& what, const std::string& runs,
                       const gate_options& options = {}) {
  run_options how;
  how.environment = {"TIDEWAIT_RUN=" + options.which};
  how.prepare = [&] {
    become(options.user);
    if (options.prepare) options.prepare();
  };
  std::vector<std::string> arguments{"gate", what, "--runs", runs};
  arguments.insert(arguments.end(), options.more.begin(), options.more.end());
  return tidewait_command(arguments, how);
}

inline std::string in_words(const run_result& result) {
  return "exit code " + std::to_string(result.status) + '\n' + result.out + result.err;
}

/// Runs a shell script with the mark in its environment, GATE for the gate's end and RUNS for the
/// directory.
inline run_result shell(const std::string& script, const std::string& runs) {
  run_options how;
  how.environment = {"TIDEWAIT_RUN=" + mark, "RUNS=" + runs,
                     "GATE=" + std::string{SELFTEST_COMMAND} + " gate end --runs " + runs};
  return run_program({"/bin/sh", "-c", script}, how);
}

/// How many processes of that name have the limit of the mark, the most of several counts.
inline std::size_t wearers(const std::string& which, const std::string& name) {
  constexpr int counts = 20;
  const auto limit = tidewait::command::mark_limit(which);
  std::size_t most = 0;
  for (int i = 0; i < counts; ++i) {
    std::size_t count = 0;
    tidewait::detail::for_each_name(AT_FDCWD, "/proc", [&](int, const char* pid) {
      const auto process = tidewait::detail::open_process(pid);
      const auto stat = tidewait::detail::read_process_stat(process.get());
      std::string limits;
      if (!stat || stat->ended() || stat->name != name) return;
      tidewait::detail::read_file(process.get(), "limits", limits);
      if (tidewait::command::limit_in(limits) == limit) ++count;
    });
    most = std::max(most, count);
  }
  return most;
}

/// The note of a run whose process has ended, by which its processes are ended.
inline tidewait::command::run_note interrupted_note() {
  tidewait::command::run_note note = tidewait::command::note_of_this_run();
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  note.pid = gone;
  return note;
}

}  // namespace world

#define SKIP_UNLESS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "two users are needed, and so root"
