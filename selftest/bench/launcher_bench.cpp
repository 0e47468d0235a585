// SPDX-License-Identifier: BSL-1.0
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "ratio.hpp"

/// What `tidewait run` adds to the shortest command there is.
namespace {

constexpr const char* plain = "true";
constexpr const char* launched = "tidewait run -- true";
constexpr const char* isolated = "tidewait run --isolate -- true";

void spawn(benchmark::State& state, std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& each : command) arguments.push_back(each.data());
  arguments.push_back(nullptr);
  for ([[maybe_unused]] const auto once : state) {
    pid_t child = 0;
    int status = -1;
    if (::posix_spawn(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0 ||
        ::waitpid(child, &status, 0) != child || status != 0) {
      state.SkipWithError("a command did not succeed");
      return;
    }
  }
}

/// Prints by how many milliseconds more a command takes, and whether that is promised.
bool within(const bench::collector& times, const char* measured, double most_ms) {
  const double base = times.median(plain);
  const double whole = times.median(measured);
  const bool kept = base > 0 && whole > 0 && whole - base <= most_ms;
  std::printf("%-4s%-32s %.2f ms over %s (bar %.0f ms), %.1f times as long\n", kept ? "ok" : "BAD",
              measured, whole - base, plain, most_ms, base > 0 ? whole / base : 0);
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const std::string tidewait = SELFTEST_TIDEWAIT;
  const std::vector<std::pair<const char*, std::vector<std::string>>> commands{
      {plain, {"/bin/true"}},
      {launched, {tidewait, "run", "--", "/bin/true"}},
      {isolated, {tidewait, "run", "--isolate=require", "--", "/bin/true"}}};
  for (const auto& [name, command] : commands) {
    benchmark::RegisterBenchmark(name, spawn, command)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->MinTime(0.05)
        ->Repetitions(25)
        ->ReportAggregatesOnly();
  }
  bench::collector times;
  bench::run_registered(times);
  std::printf("\n");
  const bool both = within(times, launched, 3) & within(times, isolated, 6);
  return both ? 0 : 1;
}
