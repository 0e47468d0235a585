// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

/// Runs the registered benchmarks interleaved, and prints what is promised of them as ratios of
/// medians within this run: machines differ, and so do moments.
namespace bench {

struct promise {
  std::string what;
  std::string measured;  ///< The name of a benchmark.
  std::string baseline;  ///< The name of that against which it is measured.
  double at_most;        ///< The bar for measured / baseline.
};

class collector : public benchmark::ConsoleReporter {
 public:
  collector() : ConsoleReporter{::isatty(1) != 0 ? OO_ColorTabular : OO_Tabular} {}

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median") {
        medians_[run.run_name.function_name] = run.GetAdjustedRealTime();
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }
  double median(const std::string& name) const {
    const auto found = medians_.find(name);
    return found == medians_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, double> medians_;
};

/// Runs what is registered and forgets it, so that the next call runs what was registered since.
inline void run_registered(collector& times) {
  benchmark::RunSpecifiedBenchmarks(&times);
  benchmark::ClearRegisteredBenchmarks();
}

/// Prints each promise with what became of it. Returns the exit code: 1 if one was not kept.
inline int judge(const collector& times, const std::vector<promise>& promises) {
  int broken = 0;
  std::printf("\n");
  for (const promise& each : promises) {
    const double baseline = times.median(each.baseline);
    const double ratio = baseline == 0 ? 0 : times.median(each.measured) / baseline;
    const bool kept = ratio != 0 && ratio <= each.at_most;
    broken += kept ? 0 : 1;
    std::printf("%-4s%-60s %.5f (bar %g)\n", kept ? "ok" : "BAD", each.what.c_str(), ratio,
                each.at_most);
  }
  return broken == 0 ? 0 : 1;
}

/// Few repetitions of short runs, interleaved, medians only.
inline void settings(benchmark::internal::Benchmark* each) {
  each->Unit(benchmark::kMicrosecond)->Repetitions(9)->MinTime(0.05)->ReportAggregatesOnly(true);
}

}  // namespace bench
