// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/toleration_ledger.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the policies of this process let pass, if one of them asks for a list of that.
class audit {
 public:
  /// Adds these rules to the list. True at the first call in a process: the caller then arranges
  /// for the list to be printed at the end.
  bool begin(const policy& rules) {
    const std::lock_guard hold{mutex_};
    ledger_.know(rules);
    return std::exchange(pid_, process_id()) == 0;
  }
  /// `rule` let this pass: "127.0.0.1:8080 in Suite.Test".
  void let_pass(const policy_rule& rule, std::string what) {
    const std::lock_guard hold{mutex_};
    if (pid_ != 0) ledger_.add(rule, std::move(what));
  }
  void print() const {
    if (pid_ == process_id()) std::fputs(ledger_.render().c_str(), stderr);
  }

  /// In a child of fork(), with the mutex held.
  void forget() { ledger_ = {}; }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  std::mutex mutex_{};
  toleration_ledger ledger_{};
  int pid_ = 0;  // a forked child that calls exit(3) has nothing to list
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
