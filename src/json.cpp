// SPDX-License-Identifier: BSL-1.0
#include "json.hpp"

#include <string>
#include <system_error>

namespace tidewait::command {
namespace {

std::string_view name_of(ownership value) {
  switch (value) {
    case ownership::found: return "found";
    case ownership::kernel: return "kernel";
    case ownership::ownerless: return "ownerless";
    case ownership::hidden: return "hidden";
    case ownership::not_searched: break;
  }
  return "not_searched";
}

json name_of(table_source value) {
  switch (value) {
    case table_source::sock_diag: return "sock_diag";
    case table_source::proc_net: return "proc_net";
    case table_source::nothing: return "nothing";
    case table_source::not_asked: break;
  }
  return nullptr;
}

std::string_view name_of(owner_view value) {
  switch (value) {
    case owner_view::own_tree: return "own_tree";
    case owner_view::all: return "all";
    case owner_view::own_user_only: return "own_user_only";
    case owner_view::hidepid: return "hidepid";
    case owner_view::no_proc: return "no_proc";
    case owner_view::not_searched: break;
  }
  return "not_searched";
}

json to_json(const std::error_code& error) {
  if (!error) return nullptr;
  return {{"errno", error.value()}, {"message", error.message()}};
}

json known(bool is_known, const json& value) { return is_known ? value : json(nullptr); }

}  // namespace

std::string_view state_name(const socket_entry& socket) {
  const bool unconnected = socket.protocol == protocol::udp && socket.state == socket_state::close;
  return unconnected ? "UNCONN" : to_string(socket.state);
}

std::string cookie_text(std::uint64_t cookie) {
  std::string text;
  for (; cookie != 0; cookie >>= 4U) text.insert(text.begin(), "0123456789abcdef"[cookie & 15U]);
  return text;
}

json to_json(const endpoint& value) {
  return {{"address", to_string(value.address)}, {"port", value.port}};
}

json to_json(const process& value) {
  return {{"pid", value.pid},
          {"name", value.name},
          {"command", value.command},
          {"fds", value.fds},
          {"relation", to_string(value.relation)},
          {"test", known(!value.test.empty(), value.test)}};
}

json lease_to_json(const port_leases& leases, protocol which, std::uint16_t port) {
  const auto lease = leases.find({which, port});
  if (lease == leases.end()) return nullptr;
  const process& holder = lease->second;
  if (holder.pid == 0) return json::object();
  return {{"pid", holder.pid}, {"name", holder.name}, {"command", holder.command}};
}

json to_json(const socket_entry& socket, const port_leases& leases) {
  const bool has_user = socket.state != socket_state::time_wait;
  json owners = json::array();
  for (const process& owner : socket.owners) owners.push_back(to_json(owner));
  return {
      {"protocol", to_string(socket.protocol)},
      {"state", state_name(socket)},
      {"local", to_json(socket.local)},
      {"remote", known(socket.remote.port != 0, to_json(socket.remote))},
      {"v6only", socket.v6only ? json(*socket.v6only) : json(nullptr)},
      {"interface", known(socket.interface_index != 0, socket.interface_index)},
      {"receive_queue", socket.receive_queue},
      {"send_queue", socket.send_queue},
      {"uid", known(has_user, socket.uid)},
      {"inode", known(socket.inode != 0, socket.inode)},
      {"cookie", known(socket.cookie != 0, cookie_text(socket.cookie))},
      {"time_left_ms", socket.time_left ? json(socket.time_left->count()) : json(nullptr)},
      {"ownership", name_of(socket.owned)},
      {"owners", std::move(owners)},
      {"leased_by", lease_to_json(leases, socket.protocol, socket.local.port)},
      {"test", known(!socket.test.empty(), {{"name", socket.test}, {"left", socket.left}})},
  };
}

json to_json(const coverage& seen) {
  return {{"tcp", name_of(seen.tcp)},
          {"udp", name_of(seen.udp)},
          {"bound_sockets", known(seen.tcp != table_source::not_asked, seen.bound_sockets)},
          {"owners", name_of(seen.owners)},
          {"gaps", gaps(seen)}};
}

json to_json(const diagnosis& why, const port_leases& leases) {
  const auto sockets = [&](const std::vector<socket_entry>& list) {
    json array = json::array();
    for (const socket_entry& socket : list) array.push_back(to_json(socket, leases));
    return array;
  };
  json causes = json::array();
  for (const explanation& each : why.explanations) {
    causes.push_back({{"cause", to_string(each.what)}, {"why", each.why}, {"fix", each.fix}});
  }
  return {
      {"protocol", to_string(why.request.which)},
      {"local", to_json(why.request.local)},
      {"free", why.free()},
      {"bind",
       {{"plain", to_json(why.outcome.plain)},
        {"reuse_address", to_json(why.outcome.reuse_address)},
        {"reuse_port", to_json(why.outcome.reuse_port)}}},
      {"next_bind", why.next_bind},
      {"causes", std::move(causes)},
      {"conflicting", sockets(why.conflicting)},
      {"unrelated", sockets(why.unrelated)},
      {"leased_by", lease_to_json(leases, why.request.which, why.request.local.port)},
  };
}

}  // namespace tidewait::command
