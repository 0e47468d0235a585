// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/report_brief.hpp>
#include <tidewait/detail/report_columns.hpp>
#include <tidewait/detail/report_parts.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The table, the consequence, causes and remedies.
inline std::string render_diagnosis(const finding& found) {
  const diagnosis& why = found.why;
  std::string text = found.count() == 0 ? std::string{} : render_rows(found) + '\n';
  const std::string bind = std::string{"next bind to "} +
                           (why.request.protocol == protocol::udp ? "UDP " : "") +
                           to_string(why.request.local);
  text += render_line(bind, why.next_bind);
  for (std::size_t i = 0; i < why.explanations.size(); ++i) {
    const explanation& each = why.explanations[i];
    text += render_line("why", each.why);
    const bool said_next =
        i + 1 < why.explanations.size() && why.explanations[i + 1].fix == each.fix;
    if (!said_next) text += render_line("fix", each.fix);
  }
  return text + render_unrelated(why) + render_tests(why);
}

inline std::string render_finding(const finding& found, const report& whole) {
  std::string text = render_diagnosis(found);
  const std::string binders = list_binders(found.why, whole.test);
  if (!binders.empty()) text += render_line("bound in", binders);
  if (found.lease && found.lease->where.line != 0) {
    text += render_line("leased at", to_text(found.lease->where));
  }
  const std::string tolerate = render_tolerate(found, whole);
  return tolerate.empty() ? text : text + render_line("tolerate", tolerate);
}

/// "127.0.0.1:8080 and UDP [::]:9090", "3 ports, among them ...", each place once.
inline std::string list_places(const std::vector<const finding*>& findings) {
  std::vector<std::string> places;
  for (const finding* each : findings) {
    const bool udp = each->why.request.protocol == protocol::udp;
    std::string place = (udp ? "UDP " : "") + to_string(each->why.request.local);
    if (std::find(places.begin(), places.end(), place) == places.end())
      places.push_back(std::move(place));
  }
  return places.size() <= 2
             ? joined(places, " and ")
             : std::to_string(places.size()) + " ports, among them " + places.front();
}

/// "left 2 sockets behind on 127.0.0.1:20111", the whole story in one line.
inline std::string render_headline(const std::vector<const finding*>& findings) {
  std::vector<const finding*> left;
  std::vector<const finding*> shared;
  std::size_t sockets = 0;
  for (const finding* each : findings) {
    (each->only_shared() ? shared : left).push_back(each);
    if (!each->only_shared()) sockets += each->left();
  }
  const std::string sharing =
      shared.empty() ? "" : "shared " + list_places(shared) + " with another program";
  if (left.empty()) return sharing;
  const bool taken = findings.size() == 1 && !left.front()->why.explanations.empty() &&
                     left.front()->why.explanations.front().what == cause::leased_port_taken;
  if (taken) return "lost its leased port " + list_places(left) + " to another process";
  if (sockets == 0) return "left " + list_places(left) + " taken";
  return (left.front()->certain ? "left " : "may have left ") + counted(sockets, "socket") +
         " behind on " + list_places(left) + (sharing.empty() ? "" : ", and " + sharing);
}

// Of Unix sockets: see unix_report.hpp.
inline std::string render_unix_headline(const std::vector<const unix_finding*>& findings);
inline std::string render_unix_findings(const std::vector<const unix_finding*>& findings,
                                        const report& whole);

/// "before", "Net.Echo", "Net.Echo and Net.Bulk": whose reports have told all that there is to say
/// of these findings; empty if something is new.
inline std::string told_by(const std::vector<const finding*>& findings,
                           const std::vector<const unix_finding*>& unix_findings,
                           const std::string& test) {
  std::vector<std::string> others;
  bool any_new = false;
  const auto add = [&](const std::string& other) {
    any_new = any_new || other.empty();
    std::string name = other == test ? "before" : sanitised(other);
    if (std::find(others.begin(), others.end(), name) == others.end())
      others.push_back(std::move(name));
  };
  for (const finding* each : findings) add(each->same_as);
  for (const unix_finding* each : unix_findings) add(each->same_as);
  constexpr std::size_t most = 3;
  others.resize(std::min(others.size(), most));
  return any_new ? std::string{} : joined(others, " and ");
}

inline std::string render_group(const report& whole, const std::vector<const finding*>& findings,
                                const std::vector<const unix_finding*>& unix_findings,
                                std::string_view severity) {
  if (findings.empty() && unix_findings.empty()) return {};
  std::string text = "tidewait: ";
  text += severity;
  text += subject_of(whole) + ' ' + (findings.empty() ? "left " : render_headline(findings));
  if (!findings.empty() && !unix_findings.empty()) text += " and ";
  if (!unix_findings.empty()) text += render_unix_headline(unix_findings);
  const std::string told = told_by(findings, unix_findings, whole.test);
  if (!told.empty()) return text + ": as " + told + '\n';
  text += '\n';
  constexpr std::size_t most_ports = 6;
  for (std::size_t i = 0; i < findings.size() && i < most_ports; ++i) {
    text += whole.detail == report_detail::brief ? render_brief(*findings[i], whole)
                                                 : '\n' + render_finding(*findings[i], whole);
  }
  if (findings.size() > most_ports) {
    text += (whole.detail == report_detail::brief ? "  and " : "\n  and ") +
            std::to_string(findings.size() - most_ports) + " more ports\n";
  }
  return text + render_unix_findings(unix_findings, whole);
}

}  // namespace detail

TIDEWAIT_INLINE report::report() = default;
TIDEWAIT_INLINE report::report(const report&) = default;
TIDEWAIT_INLINE report::report(report&&) noexcept = default;
TIDEWAIT_INLINE report& report::operator=(const report&) = default;
TIDEWAIT_INLINE report& report::operator=(report&&) noexcept = default;
TIDEWAIT_INLINE report::~report() = default;

TIDEWAIT_INLINE bool report::clean() const noexcept {
  for (const finding& each : findings) {
    if (each.fails) return false;
  }
  for (const unix_finding& each : unix_findings) {
    if (each.fails) return false;
  }
  return incidents.empty() && (blind.empty() || !blind_fails);
}

TIDEWAIT_INLINE bool report::silent() const noexcept {
  return findings.empty() && unix_findings.empty() && incidents.empty() && warnings.empty() &&
         !tells_blind() && notes.empty();
}

TIDEWAIT_INLINE std::string render(const report& whole) {
  std::vector<const finding*> failures;
  std::vector<const finding*> warnings;
  for (const finding& each : whole.findings) (each.fails ? failures : warnings).push_back(&each);
  std::vector<const unix_finding*> unix_failures;
  std::vector<const unix_finding*> unix_warnings;
  for (const unix_finding& each : whole.unix_findings)
    (each.fails ? unix_failures : unix_warnings).push_back(&each);
  std::string text = detail::render_group(whole, failures, unix_failures, "");
  for (const std::string& incident : whole.incidents) text += detail::render_aside(whole, incident);
  if (whole.tells_blind()) {
    text += detail::render_aside(whole, "could not look: " + whole.blind.why);
    if (!whole.blind.fix.empty()) text += detail::render_line("fix", whole.blind.fix);
  }
  for (const std::string& each : whole.warnings)
    text += detail::render_aside(whole, each, "warning: ");
  text += detail::render_group(whole, warnings, unix_warnings, "warning: ");
  if ((!whole.findings.empty() || !whole.unix_findings.empty()) &&
      whole.detail == report_detail::full) {
    if (whole.waited.count() != 0) {
      text += detail::render_line(
          "waited", detail::to_text(whole.waited) + " for sockets that close by themselves");
    }
    text += detail::render_line("seen by", to_string(whole.seen));
  }
  for (const std::string& note : whole.notes) text += detail::render_line("note", note);
  return detail::sanitised_lines(text);
}

TIDEWAIT_INLINE std::string render(const failed_bind& failed) {
  std::string text = "a bind to " + detail::place_of(failed.record) + " failed";
  if (failed.times > 1) text += ' ' + std::to_string(failed.times) + " times";
  text += ": " + failed.record.error.message() + '\n';
  const std::string where = detail::bound_at(failed.record);
  if (!where.empty()) text += detail::render_line("called at", where);
  finding found;
  if (failed.why) found.why = *failed.why;
  return detail::sanitised_lines(failed.why ? text + '\n' + detail::render_diagnosis(found) : text);
}

TIDEWAIT_INLINE std::string render(const diagnosis& why, const visibility& seen) {
  const endpoint& local = why.request.local;
  const bool everywhere =
      why.free() && local.address == ip_address::any_v6() && why.request.ipv6_only == ipv6_only::no;
  const std::string place = std::string{why.request.protocol == protocol::udp ? "UDP " : ""} +
                            (everywhere ? "port " + std::to_string(local.port) : to_string(local));
  const std::string is_free = everywhere ? " is free on every address" : " is free";
  finding found;
  found.why = why;
  const bool nothing = found.count() == 0 && why.explanations.empty();
  if (why.free() && nothing) return "tidewait: " + place + is_free + '\n';
  const bool unreachable =
      std::any_of(why.explanations.begin(), why.explanations.end(),
                  [](const explanation& each) { return each.what == cause::loopback_down; });
  const bool in_use = why.outcome.plain == std::errc::address_in_use;
  return detail::sanitised_lines(
      "tidewait: " + place +
      (why.free() && unreachable ? is_free + ", but cannot be reached\n\n"
       : why.free()              ? is_free + "\n\n"
       : in_use                  ? " is in use\n\n"
                                 : " cannot be bound\n\n") +
      detail::render_diagnosis(found) + detail::render_line("seen by", to_string(seen)));
}

}  // namespace v0
}  // namespace tidewait

#include <tidewait/detail/impl/unix_report.hpp>  // the other half
