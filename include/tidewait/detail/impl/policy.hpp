// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/glob.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bool applies(const policy_rule& rule, const std::vector<process>& owners,
                    const test_id& test) {
  const auto holds = [&](const process& owner) { return owner.name == rule.owner; };
  return !rule.conduct &&
         (rule.owner.empty() || std::any_of(owners.begin(), owners.end(), holds)) &&
         concerns(rule, test);
}

inline bool applies(const policy_rule& rule, const observed_socket& socket, const test_id& test) {
  return (!rule.state || *rule.state == socket.state) &&
         (!rule.ports || rule.ports->contains(socket.local.port)) && rule.path.empty() &&
         applies(rule, socket.owners, test);
}

inline bool applies(const policy_rule& rule, const observed_unix& socket, const test_id& test) {
  return (!rule.state || (!socket.stale_file && *rule.state == socket.state)) && !rule.ports &&
         (rule.path.empty() || matches(rule.path, unix_name_text(socket.name))) &&
         applies(rule, socket.owners, test);
}

/// Of the rules that apply the last one; or one before it that says the same and names the test:
/// then the wide rule is what can go.
template <typename Socket>
const policy_rule* last_match(const std::vector<policy_rule>& rules, const Socket& socket,
                              const test_id& test) {
  const policy_rule* found = nullptr;
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    const bool names_test = !rule->test.empty() || !rule->tag.empty();
    if (found != nullptr && (!names_test || rule->action != found->action)) continue;
    if (!applies(*rule, socket, test)) continue;
    if (names_test) return &*rule;
    found = &*rule;
  }
  return found;
}

inline policy_rule rule_for(action what, socket_state state, std::string reason) {
  policy_rule rule;
  rule.action = what;
  rule.state = state;
  rule.reason = std::move(reason);
  return rule;
}

inline policy_rule rule_for(action action, conduct what, std::string reason) {
  policy_rule rule;
  rule.action = action;
  rule.conduct = what;
  rule.reason = std::move(reason);
  return rule;
}

}  // namespace detail

TIDEWAIT_INLINE policy& policy::fail(conduct what, std::string reason) {
  return add(detail::rule_for(action::fail, what, std::move(reason)));
}

TIDEWAIT_INLINE policy& policy::warn(conduct what, std::string reason) {
  return add(detail::rule_for(action::warn, what, std::move(reason)));
}

TIDEWAIT_INLINE const policy_rule* policy::match(conduct what, std::uint16_t port,
                                                 const test_id& test) const {
  const auto& all = rules();
  const auto found = std::find_if(all.rbegin(), all.rend(), [&](const policy_rule& rule) {
    return rule.conduct == what && (!rule.ports || rule.ports->contains(port)) &&
           concerns(rule, test);
  });
  return found == all.rend() ? nullptr : &*found;
}

TIDEWAIT_INLINE bool concerns(const policy_rule& rule, const test_id& test) {
  const auto has_tag = [&](const std::string& tag) {
    return detail::matches(detail::lower_case(rule.tag), detail::lower_case(tag));
  };
  return (rule.test.empty() || detail::matches(rule.test, test.name)) &&
         (rule.tag.empty() || std::any_of(test.tags.begin(), test.tags.end(), has_tag));
}

TIDEWAIT_INLINE policy& policy::add(policy_rule rule) {
  if (!rules_ || rules_.use_count() != 1)
    rules_ = std::make_shared<std::vector<policy_rule>>(rules());
  rules_->push_back(std::move(rule));
  return *this;
}

TIDEWAIT_INLINE policy& policy::add(const policy& more) {
  if (rules().empty()) {
    rules_ = more.rules_;
  } else {
    for (const policy_rule& each : std::vector<policy_rule>{more.rules()}) add(each);
  }
  if (more.max_wait_) max_wait_ = more.max_wait_;
  if (more.blind_) blind_ = more.blind_;
  audit_ = audit_ || more.audit_;
  warn_all_ = warn_all_ || more.warn_all_;
  by_consequence_ = by_consequence_ || more.by_consequence_;
  return *this;
}

TIDEWAIT_INLINE const std::vector<policy_rule>& policy::rules() const noexcept {
  static const std::vector<policy_rule>& none = *new std::vector<policy_rule>;  // see boot_id()
  return rules_ ? *rules_ : none;
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

TIDEWAIT_INLINE policy& policy::tolerate_path(std::string pattern, std::string reason) {
  policy_rule rule;
  rule.path = std::move(pattern);
  rule.reason = std::move(reason);
  return add(std::move(rule));
}

TIDEWAIT_INLINE const policy_rule* policy::match(const observed_socket& socket,
                                                 const test_id& test) const {
  return detail::last_match(rules(), socket, test);
}

TIDEWAIT_INLINE const policy_rule* policy::match(const observed_unix& socket,
                                                 const test_id& test) const {
  return detail::last_match(rules(), socket, test);
}

TIDEWAIT_INLINE action policy::judge(const observed_socket& socket, const test_id& test) const {
  const policy_rule* const rule = match(socket, test);
  return rule == nullptr ? action::fail : rule->action;
}

}  // namespace v0
}  // namespace tidewait
