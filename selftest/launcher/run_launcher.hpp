// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/run_program.hpp"

using selftest::running;
using selftest::words;
using outcome = selftest::run_result;

inline const std::string program_path = SELFTEST_TIDEWAIT;

inline outcome run(const words& command, const words& environment = {}) {
  selftest::run_options options;
  options.environment = environment;
  return selftest::run_program(command, options);
}

/// `tidewait run <options> -- <command>`
inline words wrapped(const words& options, const words& command) {
  words whole{program_path, "run"};
  whole.insert(whole.end(), options.begin(), options.end());
  whole.emplace_back("--");
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

inline words shell(const std::string& script) { return {"sh", "-c", script}; }
inline words python(const std::string& script) { return {"/usr/bin/python3", "-c", script}; }

inline outcome run_shell(const words& options, const std::string& script,
                         const words& environment = {}) {
  return run(wrapped(options, shell(script)), environment);
}

inline bool installed(const std::string& program) {
  return run(shell("command -v " + program)).status == 0;
}

/// How long a sleep takes that no other test, nor another run of this one, asks for.
inline std::string unique_seconds() {
  static int count = 0;
  return std::to_string(10000 + ::getpid() % 80000) + "." + std::to_string(1000 + count++);
}

/// Whether a process with this argument is alive. (The pattern does not match itself.)
inline bool is_alive(const std::string& argument) {
  const std::string pattern = '[' + argument.substr(0, 1) + ']' + argument.substr(1);
  return run(shell("grep -qzsx -- '" + pattern + "' /proc/[0-9]*/cmdline")).status == 0;
}

/// Waits until the condition holds; false if it still does not after half a minute.
inline bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::usleep(20000);
  }
  return true;
}

/// A directory that ends with the test.
class directory {
 public:
  directory() { ::mkdtemp(path_.data()); }
  ~directory() { run({"rm", "-rf", path_}); }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_ = testing::TempDir() + "tidewait-XXXXXX";
};

/// Why there is no isolation here; empty if there is.
inline std::string isolation_denied() { return run(wrapped({"--isolate=require"}, {"true"})).err; }

#define SKIP_WITHOUT_ISOLATION() \
  if (const std::string why = isolation_denied(); !why.empty()) GTEST_SKIP() << why

#define SKIP_WITHOUT(program) \
  if (!installed(program)) GTEST_SKIP() << (program) << " is not installed"

/// Kills the process whose pid the text begins with; false if it begins with none.
inline bool end_process(const std::string& text) {
  const int pid = std::atoi(text.c_str());
  return pid > 1 && ::kill(pid, SIGKILL) == 0;
}

/// How often the words are in the text.
inline std::size_t count_of(const std::string& what, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}
