// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/detail/tally.hpp>

namespace tidewait::command {

/// The tally of a run that this process begins: a file of which all that it starts know by
/// TIDEWAIT_TALLY, and, if there is none, a journal (TIDEWAIT_JOURNAL): that one socket is reported
/// once, and by the test that left it. Both are removed at the end.
class run_tally {
 public:
  /// Does nothing where a run around this one has a tally. Throws `std::system_error` if the file
  /// cannot be made.
  run_tally();
  run_tally(const run_tally&) = delete;
  run_tally& operator=(const run_tally&) = delete;
  ~run_tally();

  /// This process has begun the run, and judges it.
  bool own() const noexcept { return !path_.empty(); }
  /// What has come together so far.
  detail::tally read() const;

 private:
  std::string path_;
  std::string journal_;
};

/// Whether the journal is one that a run has made for itself: nobody reads it when the run is over.
bool has_journal_of_run();

/// The tally in a file.
detail::tally read_tally(const std::string& path);

/// Whether a command line of ctest leaves tests out.
bool selects_tests(const std::vector<std::string>& ctest);

/// Whether all the tests of a run of this command have run, as far as that can be known.
bool ran_all_tests(const std::vector<std::string>& command, const detail::tally& run);

/// The end of a run.
struct run_verdict {
  std::string text;                       ///< For people; empty if there is nothing to say.
  std::vector<detail::tally_rule> fixed;  ///< Rules that let nothing pass any more.
  std::string blind;                      ///< Why rules could not be judged; empty if they were.
};

/// Judges a run. `command`: what was run, as `known record` and `known prune` would be given it.
/// `spared`: rules, as `to_string` writes them, that are not judged.
run_verdict judge_run(const detail::tally& run, bool whole, const std::string& command,
                      const std::vector<std::string>& spared = {});

/// A path as it is shorter from here.
std::string from_here(const std::string& path);

}  // namespace tidewait::command
