// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// How a program is run, and what is done in its process just before.
struct run_options {
  std::vector<std::pair<std::string, std::string>> environment;  ///< Beside the test's own.
  std::function<void()> prepare;
  int out = -1;  ///< Instead of a pipe; `run_result::out` is then empty.
};

struct run_result {
  int status =
      -1;  ///< The exit code; of a program that a signal ended 128 and the signal's number.
  std::string out;
  std::string err;
};

/// Runs a program with its standard input empty, and waits for its end. The program's file is
/// opened first, so that `prepare` may take the rights away to find it.
inline run_result run_program(const std::string& program, std::vector<std::string> arguments,
                              const run_options& options = {}) {
  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  const int file = ::open(program.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    throw std::system_error{errno, std::generic_category(), program};
  }
  arguments.insert(arguments.begin(), program);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    ::dup2(options.out >= 0 ? options.out : out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
    try {
      if (options.prepare) options.prepare();
    } catch (const std::exception& error) {
      ::dprintf(STDERR_FILENO, "%s", error.what());
      ::_exit(126);
    }
    std::vector<char*> argv;
    for (std::string& each : arguments) argv.push_back(each.data());
    argv.push_back(nullptr);
    ::fexecve(file, argv.data(), environ);
    ::dprintf(STDERR_FILENO, "cannot run %s", program.c_str());
    ::_exit(127);
  }
  ::close(file);
  ::close(out[1]);
  ::close(err[1]);
  run_result result;
  pollfd ends[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  std::string* const texts[] = {&result.out, &result.err};
  for (int open = 2; open > 0 && ::poll(ends, 2, -1) > 0;) {
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char part[65536];
      const ssize_t got = ::read(ends[i].fd, part, sizeof part);
      if (got > 0) {
        texts[i]->append(part, static_cast<std::size_t>(got));
      } else {
        ends[i].fd = -1;
        --open;
      }
    }
  }
  ::close(out[0]);
  ::close(err[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// Runs the command that was built with these tests.
inline run_result tidewait_command(std::vector<std::string> arguments,
                                   const run_options& options = {}) {
  return run_program(SELFTEST_COMMAND, std::move(arguments), options);
}

#define SKIP_IF_NOT_PERMITTED(result) \
  if ((result).status == 126) GTEST_SKIP() << (result).err
