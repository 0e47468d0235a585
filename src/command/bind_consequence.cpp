// SPDX-License-Identifier: BSL-1.0
#include "bind_consequence.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <tidewait/detail/text.hpp>
#include <tidewait/explain_bind.hpp>

namespace tidewait::command {
namespace {

/// Why the same bind succeeds now; "" if it does not, or if that is not known.
std::string why_next_succeeds(const witnessed_bind& bind) {
  if (bind.kernel_chose_port) return "the kernel chose the port";
  // A TIME_WAIT keeps the option of its server: where that is not known, the kernel tells.
  const bool from_afar = bind.inode != 0;
  if (!bind.asked || (!bind.partial.empty() && !from_afar)) return {};
  if (!from_afar && !bind.reuse_address && !bind.reuse_port) return {};
  bind_request request;
  request.local = *bind.asked;
  request.ipv6_only = bind.scope;
  const bind_outcome next = probe_bind(request);
  if ((from_afar || bind.reuse_address) && !next.reuse_address)
    return "the server sets SO_REUSEADDR";
  if (bind.reuse_port && !next.reuse_port) return "the server sets SO_REUSEPORT";
  return {};
}

}  // namespace

std::string why_harmless(const testimony& seen, std::uint16_t port) {
  std::string why;
  std::vector<const witnessed_bind*> asked;  // a server that was started again and again, once
  for (const witnessed_bind& each : seen.binds) {
    if (each.kind != socket_kind::tcp || port_of(each) != port) continue;
    const bool known = std::any_of(asked.begin(), asked.end(), [&](const witnessed_bind* other) {
      return other->asked == each.asked && other->scope == each.scope &&
             other->reuse_address == each.reuse_address && other->reuse_port == each.reuse_port &&
             other->kernel_chose_port == each.kernel_chose_port && other->partial == each.partial;
    });
    if (known) continue;
    asked.push_back(&each);
    const std::string next = why_next_succeeds(each);
    if (next.empty()) return {};
    if (why.empty()) why = next;
  }
  return why;
}

void judge_conduct(report& found, const testimony& seen, const policy& rules,
                   const std::function<bool(const witnessed_bind&)>& is_judged) {
  const auto fails = [](const policy_rule& each) {
    return each.conduct && each.action == action::fail;
  };
  const auto& all = rules.rules();
  const auto rule = std::find_if(all.begin(), all.end(), fails);
  const bool all_seen = seen.absent.empty() && seen.unrecorded == 0;
  if (rule != all.end() && !all_seen && found.blind.empty()) {
    found.blind = seen.absent.empty() ? gap{"there were too many", ""} : seen.absent;
    found.blind.why = "not all binds were witnessed, so " + to_string(*rule) +
                      " cannot be checked: " + found.blind.why;
    if (found.blind.fix.empty()) found.blind.fix = "remove the rule";
    found.blind_fails = rules.on_blind() == when_blind::fail;
  }
  std::set<std::string> told;
  const auto tell = [&](conduct what, const endpoint& where, std::string text) {
    const policy_rule* const decides = rules.match(what, where.port, found.test);
    if (decides == nullptr || decides->action == action::tolerate) return;
    if (!told.insert(text).second) return;
    (decides->action == action::fail ? found.incidents : found.warnings).push_back(std::move(text));
  };
  for (const witnessed_bind& each : seen.binds) {
    if (is_judged(each)) continue;
    const std::string udp = each.kind == socket_kind::udp ? "UDP " : "";
    const std::string who = detail::sanitised(each.command);
    if (each.error && each.asked) {
      tell(conduct::bind_failed, *each.asked,
           "a bind of " + who + " to " + udp + to_string(*each.asked) +
               " failed: " + error_name(each.error));
    } else if (!each.error && each.got && each.got->address.is_wildcard() &&
               (each.listening || each.kind == socket_kind::udp)) {
      const char* const loopback = each.got->address.is_v6() ? "::1" : "127.0.0.1";
      tell(conduct::wildcard, *each.got,
           who + " serves on the wildcard address " + udp + to_string(*each.got) +
               "\nwhy: every machine that reaches this one can connect\nfix: bind to " + loopback);
    }
  }
}

std::vector<std::string> describe(const std::vector<harmless_remainder>& ports) {
  std::vector<std::string> reasons;
  for (const harmless_remainder& each : ports) {
    if (std::find(reasons.begin(), reasons.end(), each.why) == reasons.end()) {
      reasons.push_back(each.why);
    }
  }
  std::vector<std::string> texts;
  for (const std::string& why : reasons) {
    constexpr std::size_t most_places = 5;
    std::vector<std::string> places;
    std::size_t sockets = 0;
    for (const harmless_remainder& each : ports) {
      if (each.why != why) continue;
      sockets += each.count;
      places.push_back(to_string(each.local));
    }
    const std::size_t more = places.size() > most_places ? places.size() - most_places : 0;
    places.resize(places.size() - more);
    texts.push_back(detail::counted(sockets, "TIME_WAIT") + " on " + detail::joined(places, ", ") +
                    (more == 0 ? "" : " and " + std::to_string(more) + " more") +
                    ": harmless, since " + why);
  }
  return texts;
}

}  // namespace tidewait::command
