// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/glob.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bool applies(const policy_rule& rule, const observed_socket& socket, std::string_view test) {
  const auto holds = [&](const process& owner) { return owner.name == rule.owner; };
  return (!rule.state || *rule.state == socket.state) &&
         (!rule.ports || rule.ports->contains(socket.local.port)) &&
         (rule.owner.empty() || std::any_of(socket.owners.begin(), socket.owners.end(), holds)) &&
         (rule.test.empty() || matches(rule.test, test));
}

inline policy_rule rule_for(action what, socket_state state, std::string reason) {
  policy_rule rule;
  rule.action = what;
  rule.state = state;
  rule.reason = std::move(reason);
  return rule;
}

}  // namespace detail

TIDEWAIT_INLINE policy& policy::add(policy_rule rule) {
  rules_.push_back(std::move(rule));
  return *this;
}

TIDEWAIT_INLINE policy& policy::tolerate(socket_state state, std::string reason) {
  return add(detail::rule_for(action::tolerate, state, std::move(reason)));
}

TIDEWAIT_INLINE policy& policy::warn(socket_state state, std::string reason) {
  return add(detail::rule_for(action::warn, state, std::move(reason)));
}

TIDEWAIT_INLINE policy& policy::fail(socket_state state, std::string reason) {
  return add(detail::rule_for(action::fail, state, std::move(reason)));
}

TIDEWAIT_INLINE policy& policy::tolerate(std::uint16_t port, std::string reason) {
  policy_rule rule;
  rule.ports = port_range{port, port};
  rule.reason = std::move(reason);
  return add(std::move(rule));
}

TIDEWAIT_INLINE policy& policy::tolerate_owner(std::string name, std::string reason) {
  policy_rule rule;
  rule.owner = std::move(name);
  rule.reason = std::move(reason);
  return add(std::move(rule));
}

TIDEWAIT_INLINE const policy_rule* policy::match(const observed_socket& socket,
                                                 std::string_view test) const {
  const auto found = std::find_if(rules_.rbegin(), rules_.rend(), [&](const policy_rule& rule) {
    return detail::applies(rule, socket, test);
  });
  return found == rules_.rend() ? nullptr : &*found;
}

TIDEWAIT_INLINE action policy::judge(const observed_socket& socket, std::string_view test) const {
  const policy_rule* const rule = match(socket, test);
  return rule == nullptr ? action::fail : rule->action;
}

}  // namespace v0
}  // namespace tidewait
