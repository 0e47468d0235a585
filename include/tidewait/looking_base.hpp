// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <utility>
#include <vector>

#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
inline namespace v0 {

/// Looks after a test from its construction to its destruction: the base of an adapter's fixtures.
/// `Framework` has two static functions: `test_name()`, of the test that runs now, and
/// `raise(const report&) noexcept`, which turns a report into the framework's failure.
template <typename Framework>
class looking_base {
 public:
  looking_base(const looking_base&) = delete;
  looking_base& operator=(const looking_base&) = delete;

 protected:
  explicit looking_base(policy rules = {}) : watch_{std::move(rules), Framework::test_name()} {}
  ~looking_base() { Framework::raise(watch_.look()); }

  /// As `tidewait::lease_port`.
  static port_lease lease_port(transport kind = transport::tcp,
                               source_location where = source_location::current()) {
    return ::tidewait::lease_port(kind, where);
  }
  /// As `tidewait::lease_ports`.
  static std::vector<port_lease> lease_ports(std::size_t count, transport kind = transport::tcp,
                                             source_location where = source_location::current()) {
    return ::tidewait::lease_ports(count, kind, where);
  }

 private:
  watch watch_;
};

}  // namespace v0
}  // namespace tidewait
