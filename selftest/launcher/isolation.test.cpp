// SPDX-License-Identifier: BSL-1.0
#include <cerrno>

#include <gmock/gmock.h>

#include <isolation.hpp>

namespace {

using testing::HasSubstr;
using tidewait::command::explain_denial;
using tidewait::command::isolation_rules;
using tidewait::command::isolation_step;

TEST(IsolationDenied, ByAppArmor) {
  isolation_rules rules;
  rules.apparmor_userns = "1";
  // Ubuntu 24.04 lets the namespace be made, and then denies every right in it.
  for (const auto step : {isolation_step::make_user, isolation_step::map_user,
                          isolation_step::loopback_up, isolation_step::enter}) {
    EXPECT_THAT(explain_denial(step, EPERM, rules),
                HasSubstr("kernel.apparmor_restrict_unprivileged_userns=1"));
  }
}

TEST(IsolationDenied, ByDebiansSwitch) {
  isolation_rules rules;
  rules.unprivileged_userns = "0";
  EXPECT_THAT(explain_denial(isolation_step::make_user, EPERM, rules),
              HasSubstr("kernel.unprivileged_userns_clone=0"));
}

TEST(IsolationDenied, ByACountOfZero) {
  isolation_rules rules;
  rules.max_user_namespaces = "0";
  rules.max_net_namespaces = "1000";
  EXPECT_THAT(explain_denial(isolation_step::make_user, ENOSPC, rules),
              HasSubstr("user.max_user_namespaces=0"));
  rules.max_user_namespaces = "1000";
  EXPECT_THAT(explain_denial(isolation_step::make_user, ENOSPC, rules),
              HasSubstr("too many namespaces"));
}

TEST(IsolationDenied, BySeccomp) {
  isolation_rules rules;
  rules.process_status = "Name:\ttidewait\nSeccomp:\t2\nSeccomp_filters:\t1\n";
  EXPECT_THAT(explain_denial(isolation_step::make_user, EPERM, rules), HasSubstr("seccomp"));
  rules.process_status = "Name:\ttidewait\nSeccomp:\t0\nSeccomp_filters:\t0\n";
  EXPECT_THAT(explain_denial(isolation_step::make_user, EPERM, rules), HasSubstr("chroot"));
}

TEST(IsolationDenied, ByAnOldKernel) {
  EXPECT_THAT(explain_denial(isolation_step::make_user, EINVAL, {}), HasSubstr("kernel"));
}

TEST(IsolationDenied, ByNothingKnownNamesTheStep) {
  EXPECT_THAT(explain_denial(isolation_step::loopback_up, EPERM, {}),
              HasSubstr("bringing the loopback up: Operation not permitted"));
}

}  // namespace
