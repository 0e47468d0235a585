// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

/// Runs programs that are meant to fail, and compares what they print with a file.
namespace selftest {

struct program_run {
  int status = 0;      ///< Exit code; 128 + n for signal n.
  std::string output;  ///< Standard output and error together.
};

using environment_changes = std::vector<std::pair<std::string, std::string>>;

/// Runs a program to its end, with standard input from /dev/null.
inline program_run run_program(const std::vector<std::string>& command,
                               const environment_changes& environment = {}) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {-1, "pipe2"};
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  program_run run;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (got > 0) run.output.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

/// The text with what differs from run to run replaced: leased ports and ephemeral ports (P), pids
/// (N), descriptors (F), times (T), directories, and the padding of columns that depends on their
/// width.
inline std::string normalised(std::string text) {
  const std::pair<const char*, const char*> rules[] = {
      {R"((127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::\]|\[::1\]):\d{4,5})", "$1:P"},
      {R"(\n {6,})", " "},
      // What other tests do at the same time.
      {R"(  note: a TIME_WAIT appeared[^\n]*\n)", ""},
      {R"(  waited: [^\n]* for what passes by itself\n)", ""},
      // Where the tests themselves are in a pid namespace, as in a container.
      {R"(, or its process is in another pid namespace)", ""},
      {R"( of this pid namespace visible)", " visible"},
      {R"(owners of (all processes visible|other users hidden))", "owners as far as visible"},
      {R"(pid \d+)", "pid N"},
      {R"(\bfd \d+)", "fd F"},
      {R"(\bthread \d+)", "thread N"},
      {R"(\d+(\.\d+)? (ms|s)\b)", "T"},
      {R"(ignore\(\d+\))", "ignore(P)"},
      {R"((\.\.)?(/[^ :/]+)+/([^ :/]+):\d+)", "$3:L"},
      {R"((\w+\.[ch]pp):\d+)", "$1:L"},
      {R"( {2,}(?=\S))", "  "},
      {R"( +\n)", "\n"},
      {R"(\((T) total\))", "(T total)"},
  };
  for (const auto& [pattern, replacement] : rules) {
    text = std::regex_replace(text, std::regex{pattern}, replacement);
  }
  return text;
}

/// Compares with selftest/golden/<name>.txt; SELFTEST_UPDATE_GOLDEN=1 writes the file instead.
inline void expect_golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string{SELFTEST_GOLDEN_DIR} + '/' + name + ".txt";
  if (std::getenv("SELFTEST_UPDATE_GOLDEN") != nullptr) {
    std::ofstream{path} << actual;
    return;
  }
  std::ostringstream wanted;
  wanted << std::ifstream{path}.rdbuf();
  EXPECT_EQ(actual, wanted.str()) << "golden file: " << name << ".txt";
}

}  // namespace selftest
