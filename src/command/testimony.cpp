// SPDX-License-Identifier: BSL-1.0
#include "testimony.hpp"

#include <algorithm>
#include <cerrno>

#include <tidewait/detail/text.hpp>

namespace tidewait::command {
namespace {

/// The test that has a socket, where that is another one than whose bind failed.
struct other_test {
  std::string name;
  bool runs = false;
};

other_test test_of(const observed_socket& socket, const witnessed_bind& failed,
                   const testimony& seen) {
  if (!socket.test.empty()) return {socket.test, !socket.left_behind};
  if (socket.cookie == 0 || socket.owners.empty()) return {};
  for (const witnessed_bind& each : seen.binds) {
    if (each.cookie == socket.cookie && each.test != failed.test) return {each.test, true};
  }
  return {};
}

std::string holder_of(const observed_socket& socket, const other_test& whose) {
  std::string text;
  if (socket.owners.empty()) {
    text = socket.state == socket_state::time_wait ? "a TIME_WAIT"
           : socket.owned == ownership::hidden     ? "a process that is not visible here"
                                                   : "no visible process";
  } else {
    text = "pid " + std::to_string(socket.owners.front().pid) + ' ' + socket.owners.front().name;
    if (socket.owners.size() > 1) {
      text += " and " + std::to_string(socket.owners.size() - 1) + " more";
    }
  }
  if (!whose.name.empty()) {
    text += " (test " + whose.name + (whose.runs ? ", running now)" : ", ended)");
  }
  return text;
}

/// Whether the caller itself has the socket in the way.
bool is_own(const failed_bind& failure) {
  const auto& owners = failure.why->conflicting.empty() ? std::vector<process>{}
                                                        : failure.why->conflicting.front().owners;
  return std::any_of(owners.begin(), owners.end(),
                     [&](const process& each) { return each.pid == failure.first.pid; });
}

/// What to do; "" if nobody knows.
std::string next_step(const failed_bind& failure, const other_test& whose) {
  if (!failure.why) return {};
  if (is_own(failure)) {
    const auto& all = failure.why->explanations;
    const auto covers = std::find_if(all.begin(), all.end(), [](const explanation& each) {
      return each.what == cause::wildcard_covers;
    });
    const bool path = failure.first.kind == socket_kind::local;
    const std::string own =
        std::string{"the same process has this "} + (path ? "path" : "port") + " already: ";
    return own + (covers != all.end()
                      ? covers->fix
                      : "bind it once, or close the first socket before the second bind");
  }
  // Two tests that run at once want one port: no wait and no option of one of them helps.
  if (whose.runs && failure.first.asked) {
    return "lease_port(), FIXED_PORTS " + std::to_string(failure.first.asked->port) +
           ", or ISOLATE";
  }
  return failure.why->explanations.empty() ? "" : failure.why->explanations.front().fix;
}

}  // namespace

std::string_view to_string(socket_kind kind) noexcept {
  switch (kind) {
    case socket_kind::tcp: return "tcp";
    case socket_kind::udp: return "udp";
    case socket_kind::local: return "unix";
    case socket_kind::other: break;
  }
  return "other";
}

std::string_view to_string(certainty sure) noexcept {
  switch (sure) {
    case certainty::seen: return "seen";
    case certainty::inferred: return "inferred";
    case certainty::unknown: break;
  }
  return "unknown";
}

bool is_of(const bind_entry& entry, const witnessed_bind& bind) {
  return entry.cookie == bind.cookie && entry.net_cookie == bind.net_cookie &&
         entry.asked == bind.asked && (entry.error != 0) == static_cast<bool>(bind.error);
}

std::string error_name(const std::error_code& error) {
  switch (error.value()) {
    case EADDRINUSE: return "EADDRINUSE";
    case EADDRNOTAVAIL: return "EADDRNOTAVAIL";
    case EACCES: return "EACCES";
    case EINVAL: return "EINVAL";
    default: return "errno " + std::to_string(error.value());
  }
}

std::string describe_holder(const witnessed_bind& failed, const testimony& seen) {
  for (const failed_bind& each : seen.failures) {
    const witnessed_bind& first = each.first;
    if (first.kind != failed.kind || first.error != failed.error ||
        !(first.asked == failed.asked) || !each.why || each.why->conflicting.empty()) {
      continue;
    }
    const observed_socket& front = each.why->conflicting.front();
    return holder_of(front, test_of(front, failed, seen));
  }
  return {};
}

std::string describe_failures(const testimony& seen, bool still_running) {
  if (seen.failures.empty()) return {};
  std::size_t count = seen.unexplained;
  for (const failed_bind& each : seen.failures) count += each.count;
  std::string text = "tidewait: " + detail::counted(count, "bind") + " failed " +
                     (still_running ? "so far\n" : "while this ran\n");
  std::size_t widest = 0;
  const auto endpoint_of = [](const failed_bind& each) {
    const std::string place = each.first.kind == socket_kind::local ? each.first.path
                              : each.first.asked                    ? to_string(*each.first.asked)
                              : each.first.got                      ? to_string(*each.first.got)
                                                                    : std::string{"?"};
    return each.first.kind == socket_kind::udp ? place + " udp" : place;
  };
  for (const failed_bind& each : seen.failures) widest = std::max(widest, endpoint_of(each).size());
  for (const failed_bind& each : seen.failures) {
    std::string place = endpoint_of(each);
    place.resize(widest, ' ');
    const std::string start = "  " + place + "  " + error_name(each.first.error) + "  ";
    std::string line = start + "pid " + std::to_string(each.first.pid) + ' ' + each.first.command;
    if (each.first.at_listen) line += ", in listen()";
    if (each.count > 1) line += ", " + std::to_string(each.count) + " times";
    other_test whose;
    if (each.why && !each.why->conflicting.empty()) {
      const observed_socket& front = each.why->conflicting.front();
      whose = test_of(front, each.first, seen);
      line += "  held by " + holder_of(front, whose);
      if (each.why->conflicting.size() > 1) {
        line += ", and " + detail::counted(each.why->conflicting.size() - 1, "more socket");
      }
    }
    text += line + '\n';
    const std::string next = next_step(each, whose);
    if (next.empty()) continue;
    const std::string indent(start.size(), ' ');
    text += indent + "next: " + detail::wrapped(next, start.size() + 6, 120) + '\n';
  }
  if (seen.unexplained != 0) {
    text += "  and " + std::to_string(seen.unexplained) + " more, on other endpoints\n";
  }
  return text;
}

}  // namespace tidewait::command
