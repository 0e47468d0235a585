// SPDX-License-Identifier: BSL-1.0
#include "port_zero.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/require_answer.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/explain_bind.hpp>

namespace tidewait::command {
namespace {

using ports_by_name = std::map<std::string, std::set<std::uint16_t>>;

/// The names with the most ports, the greatest first.
std::vector<std::pair<std::string, std::size_t>> greatest(const ports_by_name& all) {
  std::vector<std::pair<std::string, std::size_t>> list;
  for (const auto& [name, ports] : all) list.emplace_back(name, ports.size());
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

/// Who has the socket: the process and its test, or the state in which the kernel keeps it.
std::string holder_of(const observed_socket& socket) {
  if (socket.owners.empty()) {
    return socket.owned == ownership::kernel ? std::string{to_string(socket.state)}
                                             : "a process that cannot be seen";
  }
  const process& owner = socket.owners.front();
  return detail::name_of(owner) + (owner.test.empty() ? "" : " of " + owner.test);
}

std::size_t size_of(const port_range& range) {
  return static_cast<std::size_t>(range.last - range.first) + 1;
}

/// "pid 99 (client) 280, TIME_WAIT 30"
std::string list(const std::vector<std::pair<std::string, std::size_t>>& all) {
  constexpr std::size_t most = 5;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < all.size() && i < most; ++i) {
    parts.push_back(all[i].first + ' ' + std::to_string(all[i].second));
  }
  if (all.size() > most) parts.push_back("and " + std::to_string(all.size() - most) + " more");
  return detail::joined(parts, ", ");
}

json list_to_json(const char* name, const std::vector<std::pair<std::string, std::size_t>>& all) {
  json array = json::array();
  for (const auto& each : all) array.push_back({{name, each.first}, {"ports", each.second}});
  return array;
}

}  // namespace

ephemeral_use count_use(tidewait::protocol which, const port_range& range,
                        const std::vector<observed_socket>& sockets) {
  ephemeral_use use;
  use.protocol = which;
  use.range = range;
  std::set<std::uint16_t> used;
  ports_by_name holders;
  ports_by_name peers;
  for (const observed_socket& each : sockets) {
    if (each.protocol != which || !range.contains(each.local.port)) continue;
    used.insert(each.local.port);
    holders[holder_of(each)].insert(each.local.port);
    if (each.remote.port != 0) peers[to_string(each.remote)].insert(each.local.port);
  }
  use.used = used.size();
  use.by_holder = greatest(holders);
  use.by_peer = greatest(peers);
  return use;
}

ephemeral_use look_at_ephemeral_ports(tidewait::protocol which) {
  const bind_request any{which, {ip_address::any_v4(), 0}};
  const bind_outcome outcome = probe_bind(any);
  detail::require_answer(any.local, outcome.plain);
  socket_query query;
  query.tcp = which == protocol::tcp;
  query.udp = which == protocol::udp;
  query.owners = owner_reach::everyone;
  const socket_table table = detail::look_at_sockets(query);
  const port_rules rules = detail::look_up_port_rules(which, any.local.address);
  ephemeral_use use = count_use(which, rules.ephemeral, table.sockets);
  use.outcome = outcome;
  use.seen = table.seen;
  return use;
}

std::string render(const ephemeral_use& use) {
  const std::string range = std::to_string(use.range.first) + '-' + std::to_string(use.range.last);
  const std::string size = std::to_string(size_of(use.range));
  std::string text = std::string{"tidewait: "} + (use.protocol == protocol::udp ? "UDP " : "") +
                     "port 0 lets the kernel choose a port of the ephemeral range " + range +
                     "\n\n";
  const auto add = [&](std::string_view label, const std::string& what) {
    std::string line = "  ";
    line += label;
    line += ": ";
    text += line + detail::wrapped(what, detail::columns(line), detail::report_width) + '\n';
  };
  add("in use", std::to_string(use.used) + " of " + size + " ports");
  if (!use.by_holder.empty()) add("most by", list(use.by_holder));
  if (!use.by_peer.empty()) add("most towards", list(use.by_peer));
  add("next bind to port 0",
      use.outcome.plain ? "fails: " + use.outcome.plain.message() : std::string{"succeeds"});
  const std::size_t to_one = use.by_peer.empty() ? 0 : use.by_peer.front().second;
  constexpr std::size_t nearly = 10;  // of so many parts all but one
  const bool exhausted = to_one >= size_of(use.range) - size_of(use.range) / nearly;
  if (use.outcome.plain == std::errc::address_in_use) {
    const explanation why = detail::explain_exhaustion(use.range);
    add("why", why.why);
    add("fix",
        std::string{"close what these processes leave open, or "} + detail::widen_port_range);
  } else if (exhausted) {
    add("why", "connect() to " + use.by_peer.front().first +
                   " fails with EADDRNOTAVAIL once every port of the range has a connection to it");
    add("fix",
        std::string{"keep connections open and use them again, let the server close first, or "} +
            detail::widen_port_range);
  }
  add("seen by", to_string(use.seen));
  return detail::sanitised_lines(text);
}

json to_json(const ephemeral_use& use) {
  return {{"schema", 1},
          {"protocol", to_string(use.protocol)},
          {"first", use.range.first},
          {"last", use.range.last},
          {"used", use.used},
          {"free", !use.outcome.plain},
          {"by_holder", list_to_json("holder", use.by_holder)},
          {"by_peer", list_to_json("peer", use.by_peer)},
          {"seen", to_json(use.seen)}};
}

}  // namespace tidewait::command
