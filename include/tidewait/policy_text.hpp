// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

[[noreturn]] inline void refuse_policy(std::string_view item, const char* wanted) {
  throw observe_error{errc::bad_policy, "reading '" + std::string{item} + '\'', wanted};
}

/// "250ms", "2s", or a number of milliseconds.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept {
  const auto number = take_number(text, 3600000);
  if (!number) return std::nullopt;
  if (text == "s") return std::chrono::seconds{*number};
  if (text.empty() || text == "ms") return std::chrono::milliseconds{*number};
  return std::nullopt;
}

/// "8080" or "8000-8010".
inline std::optional<port_range> parse_ports(std::string_view text) noexcept {
  const auto first = take_number(text, 65535);
  auto last = first;
  if (!text.empty() && text.front() == '-') {
    text.remove_prefix(1);
    last = take_number(text, 65535);
  }
  if (!first || !last || *first == 0 || *first > *last || !text.empty()) return std::nullopt;
  return port_range{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

/// "key=value" → value, if the key is that one.
inline std::optional<std::string_view> value_of(std::string_view item,
                                                std::string_view key) noexcept {
  if (item.size() <= key.size() || item.substr(0, key.size()) != key || item[key.size()] != '=') {
    return std::nullopt;
  }
  return item.substr(key.size() + 1);
}

inline void read_condition(std::string_view item, std::string_view whole, policy_rule& rule) {
  if (const auto state = parse_socket_state(item)) {
    rule.state = state;
  } else if (item == "udp" || item == "UDP") {
    rule.state = socket_state::close;
  } else if (const auto ports = value_of(item, "port")) {
    rule.ports = parse_ports(*ports);
    if (!rule.ports) refuse_policy(whole, "a port is 1 to 65535: port=8080 or port=8000-8010");
  } else if (const auto owner = value_of(item, "owner")) {
    rule.owner = *owner;
  } else if (const auto test = value_of(item, "test")) {
    rule.test = *test;
  } else {
    refuse_policy(
        whole,
        "a rule is [tolerate:|warn:|fail:] and a state (listen, time_wait, bound, udp, "
        "established, ...), port=N, owner=NAME or test=PATTERN, joined by '+' where several "
        "must hold; besides there are settle=250ms, blind=skip and audit");
  }
}

inline void read_item(std::string_view item, policy& rules) {
  if (const auto settle = value_of(item, "settle")) {
    const auto longest = parse_duration(*settle);
    if (!longest)
      refuse_policy(item, "a duration is written settle=250ms or settle=2s, up to an hour");
    rules.settle(*longest);
    return;
  }
  if (const auto blind = value_of(item, "blind")) {
    if (*blind != "skip" && *blind != "fail") refuse_policy(item, "it is blind=skip or blind=fail");
    rules.on_blind(*blind == "skip" ? when_blind::skip : when_blind::fail);
    return;
  }
  if (item == "audit") {
    rules.audit();
    return;
  }
  policy_rule rule;
  std::string_view rest = item;
  constexpr std::pair<std::string_view, action> actions[] = {
      {"tolerate:", action::tolerate}, {"warn:", action::warn}, {"fail:", action::fail}};
  for (const auto& [prefix, what] : actions) {
    if (rest.substr(0, prefix.size()) != prefix) continue;
    rule.action = what;
    rest.remove_prefix(prefix.size());
    break;
  }
  do {
    const std::string_view condition = rest.substr(0, rest.find('+'));
    read_condition(condition, item, rule);
    rest.remove_prefix(std::min(rest.size(), condition.size() + 1));
  } while (!rest.empty());
  rules.add(std::move(rule));
}

}  // namespace detail

/// A rule as `parse_policy` reads it: "warn:time_wait+port=8080"; "any" if it has no condition.
inline std::string to_string(const policy_rule& rule) {
  std::string conditions;
  const auto add = [&conditions](const std::string& condition) {
    if (!conditions.empty()) conditions += '+';
    conditions += condition;
  };
  if (rule.state) add(detail::lower_case(to_string(*rule.state)));
  if (rule.ports) {
    const auto& [first, last] = *rule.ports;
    add("port=" + std::to_string(first) + (last == first ? "" : '-' + std::to_string(last)));
  }
  if (!rule.owner.empty()) add("owner=" + rule.owner);
  if (!rule.test.empty()) add("test=" + rule.test);
  if (conditions.empty()) conditions = "any";
  switch (rule.action) {
    case action::fail: return "fail:" + conditions;
    case action::warn: return "warn:" + conditions;
    case action::tolerate: break;
  }
  return conditions;
}

/// Adds the rules of a text to a policy. It is the grammar of TIDEWAIT_POLICY, of the command's
/// `--tolerate` and of TOLERATE in CMake: items separated by commas, semicolons or spaces, of which
/// the last that matches a socket counts.
///
///     time_wait                    a state: tolerate it
///     warn:bound                   print it, and pass (also tolerate:, fail:)
///     port=8080  port=8000-8010    whatever is left on these local ports
///     owner=redis-server           whatever a process of that name holds
///     time_wait+port=8080          both must hold
///     test=Slow.*+listen           only in tests whose full name matches
///     settle=500ms  blind=skip     as `policy::settle` and `policy::on_blind`
///     audit                        as `policy::audit`
///
/// Throws `observe_error` (`errc::bad_policy`) that quotes the item and says what can be written.
inline policy parse_policy(std::string_view text, policy onto = {}) {
  constexpr std::string_view separators = ",; \t\n";
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find_first_of(separators));
    if (!item.empty()) detail::read_item(item, onto);
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return onto;
}

/// The environment variable whose rules come on top of those in the code, for every look.
inline constexpr const char* policy_variable = "TIDEWAIT_POLICY";

/// `onto` with the rules of TIDEWAIT_POLICY on top. Throws as `parse_policy`.
inline policy policy_from_environment(policy onto = {}) {
  const char* const text = std::getenv(policy_variable);
  return text == nullptr ? onto : parse_policy(text, std::move(onto));
}

}  // namespace v0
}  // namespace tidewait
