// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>

#include <tidewait/detail/look_depth.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {

struct report;  // <tidewait/report.hpp>, which costs much to compile

namespace detail {
class watch_state;
}

/// Notes which sockets there are when it is made, and later says which ones were left behind since.
///
///     tidewait::watch watch;
///     run();
///     if (const tidewait::report report = watch.look(); !report.clean()) std::cerr <<
///     render(report);
///
/// What counts is what belongs to this process, its descendants, orphans that carry the run's mark,
/// and whatever uses a leased port. A socket is reported once, however many watches see it. In
/// a child of fork() a watch of the parent judges nothing.
class [[nodiscard]] watch {
 public:
  /// `test` names in the report what was watched; if empty, TIDEWAIT_TEST does. The rules of
  /// TIDEWAIT_POLICY come on top of `rules`. Never throws for lack of sight: what kept it from
  /// taking the baseline is in the report of the look.
  [[nodiscard]] explicit watch(policy rules = {}, test_id test = {},
                               look_depth depth = look_depth::quick);
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;
  ~watch();

  /// Looks now. Some 0.1 ms if nothing was left; only otherwise are owners searched and closing
  /// connections waited for, at most as long as the policy allows. Never throws: whatever kept it
  /// from looking is in the report, which is then not clean.
  [[nodiscard]] report look() noexcept;

  /// The same, as closely as `depth` says: a thorough look after a quick baseline may also warn of
  /// bound sockets that were there before and whose holder cannot be seen.
  [[nodiscard]] report look(look_depth depth) noexcept;

  /// The test was skipped, or failed half-way: that it left nothing does not show that a rule of
  /// the policy which is about it can go.
  void cut_short() noexcept;

 private:
  std::unique_ptr<detail::watch_state> state_;
};

}  // namespace v0
}  // namespace tidewait
