// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/policy_line.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

[[noreturn]] inline void refuse_policy(std::string_view item, const char* wanted) {
  throw policy_error{errc::bad_policy, "reading '" + sanitised(item) + '\'', wanted};
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

/// A name: as it stands, or in quotes, where \" \\ and \x2c are a quote, a backslash and a byte.
inline std::string read_name(std::string_view text, std::string_view whole) {
  constexpr const char* quoting =
      "put a name with ',', ';', '+', '\"', '\\' or a blank in quotes: test=\"name, rest\"; in the "
      "quotes write \\\" for a quote, \\\\ for a backslash, \\x0a for any other byte";
  if (text.empty()) refuse_policy(whole, "an empty name would match everything: leave it out");
  if (text.front() != '"') {
    if (text.find_first_of("\"\\") != std::string_view::npos) refuse_policy(whole, quoting);
    return std::string{text};
  }
  std::string name;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    char next = text.front();
    text.remove_prefix(1);
    if (next == '\\') {
      std::string_view digits = text.substr(std::min<std::size_t>(text.size(), 1), 2);
      const bool byte = digits.size() == 2 && text.front() == 'x';
      const auto value = byte ? take_number(digits, 255, 16) : std::nullopt;
      if (value && digits.empty()) {
        next = static_cast<char>(*value);
        text.remove_prefix(3);
      } else if (!text.empty() && (text.front() == '"' || text.front() == '\\')) {
        next = text.front();
        text.remove_prefix(1);
      } else {
        refuse_policy(whole, quoting);
      }
    }
    name += next;
  }
  if (text != "\"") refuse_policy(whole, text.empty() ? "the closing quote is missing" : quoting);
  if (name.empty()) refuse_policy(whole, "an empty name would match everything: leave it out");
  return name;
}

inline std::optional<conduct> parse_conduct(std::string_view item) {
  std::string name = lower_case(item);
  std::replace(name.begin(), name.end(), '-', '_');
  for (const conduct each : {conduct::bind_failed, conduct::wildcard}) {
    if (name == to_string(each)) return each;
  }
  return std::nullopt;
}

inline void read_condition(std::string_view item, std::string_view whole, policy_rule& rule) {
  bool twice = false;
  if (const auto state = parse_socket_state(item)) {
    twice = rule.state.has_value();
    rule.state = state;
  } else if (const auto conduct = parse_conduct(item)) {
    twice = rule.conduct.has_value();
    rule.conduct = conduct;
  } else if (const auto ports = value_of(item, "port")) {
    twice = rule.ports.has_value();
    rule.ports = parse_ports(*ports);
    if (!rule.ports) refuse_policy(whole, "a port is 1 to 65535: port=8080 or port=8000-8010");
  } else if (const auto owner = value_of(item, "owner")) {
    twice = !rule.owner.empty();
    rule.owner = read_name(*owner, whole);
  } else if (const auto test = value_of(item, "test")) {
    twice = !rule.test.empty();
    rule.test = read_name(*test, whole);
  } else if (const auto path = value_of(item, "path")) {
    twice = !rule.path.empty();
    rule.path = read_name(*path, whole);
  } else if (const auto tag = value_of(item, "tag")) {
    twice = !rule.tag.empty();
    rule.tag = read_name(*tag, whole);
    if (rule.tag.size() > 2 && rule.tag.front() == '[' && rule.tag.back() == ']')
      rule.tag = rule.tag.substr(1, rule.tag.size() - 2);
    // Catch2 makes two tags of "[.net]", "." and "net".
    if (rule.tag.size() > 1 && rule.tag.front() == '.' && rule.tag.find_first_of("*?") != 1)
      rule.tag.erase(0, 1);
  } else {
    refuse_policy(
        whole,
        "a rule is [tolerate:|warn:|fail:] and a state (listen, time_wait, bound, unconn, "
        "established, ...), bind_failed, wildcard, port=N, path=PATTERN, owner=NAME, test=PATTERN, "
        "tag=PATTERN or any; combine conditions with '+'; also @FILE, max_wait=250ms, blind=skip, "
        "audit and warn:all");
  }
  if (rule.ports && !rule.path.empty())
    refuse_policy(whole, "no socket has both a port and a path: write two rules");
  if (twice || (rule.state && rule.conduct))
    refuse_policy(whole,
                  "only one state, port, path, owner, test and tag fit in a rule: write two");
  if (rule.conduct && (!rule.owner.empty() || !rule.path.empty()))
    refuse_policy(whole, "bind_failed and wildcard go with port= and test= only");
}

inline void read_item(std::string_view item, policy& rules) {
  if (const auto max_wait = value_of(item, "max_wait")) {
    const auto longest = parse_duration(*max_wait);
    if (!longest)
      refuse_policy(item, "a duration is written max_wait=250ms or max_wait=2s, up to an hour");
    rules.max_wait(*longest);
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
  if (item == "warn:all") {
    rules.warn_all();
    return;
  }
  if (item.front() == '@') refuse_policy(item, "a file of rules names no other file");
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
  bool more = rest != "any";
  while (more) {
    const std::string_view condition = before_any("+", rest);
    read_condition(condition, item, rule);
    more = condition.size() < rest.size();
    rest.remove_prefix(condition.size() + (more ? 1 : 0));
  }
  rules.add(std::move(rule));
}

/// A name as `read_name` reads it: in quotes only if it must be.
inline std::string quoted_name(std::string_view name) {
  std::string text;
  bool plain = !name.empty();
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      plain = false;
      text += "\\x";
      text += "0123456789abcdef"[byte / 16];
      text += "0123456789abcdef"[byte % 16];
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    if (std::string_view{",; +\"\\"}.find(c) != std::string_view::npos) plain = false;
    text += c;
  }
  return plain ? text : '"' + text + '"';
}

}  // namespace detail

TIDEWAIT_INLINE std::string to_string(const policy_rule& rule) {
  std::string conditions;
  const auto add = [&conditions](const std::string& condition) {
    if (!conditions.empty()) conditions += '+';
    conditions += condition;
  };
  if (rule.state) add(detail::lower_case(to_string(*rule.state)));
  if (rule.conduct) add(std::string{to_string(*rule.conduct)});
  if (rule.ports) {
    const auto& [first, last] = *rule.ports;
    add("port=" + std::to_string(first) + (last == first ? "" : '-' + std::to_string(last)));
  }
  if (!rule.owner.empty()) add("owner=" + detail::quoted_name(rule.owner));
  if (!rule.path.empty()) add("path=" + detail::quoted_name(rule.path));
  if (!rule.test.empty()) add("test=" + detail::quoted_name(rule.test));
  if (!rule.tag.empty()) add("tag=" + detail::quoted_name(rule.tag));
  if (conditions.empty()) conditions = "any";
  switch (rule.action) {
    case action::fail: return "fail:" + conditions;
    case action::warn: return "warn:" + conditions;
    case action::tolerate: break;
  }
  return conditions;
}

TIDEWAIT_INLINE std::string to_string(const policy& rules) {
  std::vector<std::string> items;
  for (const policy_rule& rule : rules.rules()) items.push_back(to_string(rule));
  const policy usual;
  if (rules.max_wait() != usual.max_wait()) {
    items.push_back("max_wait=" + std::to_string(rules.max_wait().count()) + "ms");
  }
  if (rules.on_blind() != usual.on_blind()) items.emplace_back("blind=skip");
  if (rules.audited()) items.emplace_back("audit");
  if (rules.warns_only()) items.emplace_back("warn:all");
  return detail::joined(items, ", ");
}

TIDEWAIT_INLINE policy parse_policy(std::string_view text, policy onto) {
  while (!text.empty()) {
    const std::string_view item = detail::before_any(detail::policy_separators, text);
    if (!item.empty() && item.front() == '@') {
      onto = read_policy_file(detail::read_name(item.substr(1), item), std::move(onto));
    } else if (!item.empty()) {
      detail::read_item(item, onto);
    }
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return onto;
}

TIDEWAIT_INLINE policy policy_from_environment(policy onto) {
  const char* const text = detail::environment(policy_variable);
  return text == nullptr ? onto : parse_policy(text, std::move(onto));
}

}  // namespace v0
}  // namespace tidewait
