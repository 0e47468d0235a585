// SPDX-License-Identifier: BSL-1.0
#include "json.hpp"

#include <algorithm>
#include <string>
#include <system_error>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/os_calls.hpp>

namespace tidewait::command {
namespace {

std::string_view name_of(ownership value) {
  switch (value) {
    case ownership::found: return "found";
    case ownership::kernel: return "kernel";
    case ownership::ownerless: return "ownerless";
    case ownership::outside: return "outside";
    case ownership::hidden: return "hidden";
    case ownership::not_searched: break;
  }
  return "not_searched";
}

json name_of(table_source value) {
  switch (value) {
    case table_source::sock_diag: return "sock_diag";
    case table_source::proc_net: return "proc_net";
    case table_source::ip_helper: return "ip_helper";
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
    case owner_view::no_descriptors: return "no_descriptors";
    case owner_view::not_named: return "not_named";
    case owner_view::not_searched: break;
  }
  return "not_searched";
}

json to_json(const std::error_code& error) {
  if (!error) return nullptr;
  return {{"errno", error.value()}, {"message", error.message()}};
}

std::string_view name_of(keeper_kind value) {
  switch (value) {
    case keeper_kind::thread: return "thread";
    case keeper_kind::io_uring: return "io_uring";
    case keeper_kind::message: return "message";
    case keeper_kind::mptcp: return "mptcp";
    case keeper_kind::kernel: break;
  }
  return "kernel";
}

json causes_to_json(const std::vector<explanation>& explanations) {
  json causes = json::array();
  for (const explanation& each : explanations) {
    causes.push_back({{"cause", to_string(each.what)}, {"why", each.why}, {"fix", each.fix}});
  }
  return causes;
}

json known(bool is_known, const json& value) { return is_known ? value : json(nullptr); }

}  // namespace

std::string to_text(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

std::string_view state_name(const observed_socket& socket) { return to_string(socket.state); }

std::string cookie_text(std::uint64_t cookie) {
  std::string text;
  for (; cookie != 0; cookie >>= 4U) text += "0123456789abcdef"[cookie & 15U];
  std::reverse(text.begin(), text.end());
  return text;
}

json to_json(const endpoint& value) {
  return {{"address", to_string(value.address)}, {"port", value.port}};
}

json lease_to_json(const port_leases& leases, protocol which, std::uint16_t port) {
  const auto lease = leases.find({which, port});
  if (lease == leases.end()) return nullptr;
  const process& holder = lease->second;
  if (holder.pid == 0) return json::object();
  return {{"pid", holder.pid}, {"name", holder.name}, {"command", holder.command}};
}

void append_json(std::string& out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '<' && c != '#';
  });
  if (!plain) {
    out += json(text).dump();
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

namespace {

/// Writes one object, member by member.
class object_writer {
 public:
  explicit object_writer(std::string& out) : out_{out} { out_ += '{'; }
  ~object_writer() { out_ += '}'; }
  object_writer(const object_writer&) = delete;
  object_writer& operator=(const object_writer&) = delete;

  /// What is written to it next is the value of that member.
  std::string& member(std::string_view name) {
    if (out_.back() != '{') out_ += ',';
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void text(std::string_view name, std::string_view value) { append_json(member(name), value); }
  void number(std::string_view name, std::uint32_t value) {
    detail::append_number(member(name), value);
  }
  void null(std::string_view name) { member(name) += "null"; }

 private:
  std::string& out_;
};

void append_json(std::string& out, const endpoint& value) {
  object_writer object{out};
  object.text("address", to_string(value.address));
  object.number("port", value.port);
}

void append_json(std::string& out, const process& value) {
  object_writer object{out};
  object.member("pid") += std::to_string(value.pid);
  object.text("name", value.name);
  object.text("command", value.command);
  char before = '[';
  object.member("fds");
  for (const int fd : value.fds) {
    out += before;
    out += std::to_string(fd);
    before = ',';
  }
  out += value.fds.empty() ? "[]" : "]";
  value.thread == 0 ? object.null("thread")
                    : object.number("thread", static_cast<std::uint32_t>(value.thread));
  object.text("relation", to_string(value.relation));
  value.test.empty() ? object.null("test") : object.text("test", value.test);
  value.unit.empty() ? object.null("unit") : object.text("unit", value.unit);
  value.parent.empty() ? object.null("parent") : object.text("parent", value.parent);
  object.member("stopped") += value.stopped ? "true" : "false";
  object.member("inherited") += value.inherited ? "true" : "false";
}

}  // namespace

void append_json(std::string& out, const observed_socket& socket, const port_leases& leases) {
  object_writer object{out};
  const auto number_if = [&](bool known, std::string_view name, std::uint32_t value) {
    known ? object.number(name, value) : object.null(name);
  };
  object.text("protocol", to_string(socket.protocol));
  object.text("state", state_name(socket));
  append_json(object.member("local"), socket.local);
  if (socket.remote.port != 0) {
    append_json(object.member("remote"), socket.remote);
  } else {
    object.null("remote");
  }
  object.member("v6only") += !socket.v6only ? "null" : (*socket.v6only ? "true" : "false");
  number_if(socket.interface_index != 0, "interface", socket.interface_index);
  number_if(detail::tables_have_queues, "receive_queue", socket.receive_queue);
  number_if(detail::tables_have_queues, "send_queue", socket.send_queue);
  const bool has_user = detail::tables_have_users && socket.state != socket_state::time_wait;
  number_if(has_user, "uid", socket.uid);
  number_if(socket.inode != 0, "inode", socket.inode);
  if (socket.cookie != 0) {
    object.text("cookie", cookie_text(socket.cookie));
  } else {
    object.null("cookie");
  }
  object.member("time_left_ms") +=
      socket.time_left ? std::to_string(socket.time_left->count()) : "null";
  object.text("ownership", name_of(socket.owned));
  object.member("owners") += '[';
  for (const process& owner : socket.owners) {
    if (&owner != &socket.owners.front()) out += ',';
    append_json(out, owner);
  }
  out += ']';
  if (socket.keeper) {
    object_writer keeper{object.member("keeper")};
    keeper.text("kind", name_of(socket.keeper->kind));
    append_json(keeper.member("process"), socket.keeper->who);
    keeper.text("what", socket.keeper->what);
  } else {
    object.null("keeper");
  }
  const auto lease = leases.find({socket.protocol, socket.local.port});
  object.member("leased_by");
  out += lease == leases.end() ? "null"
                               : lease_to_json(leases, socket.protocol, socket.local.port).dump();
  if (socket.test.empty()) {
    object.null("test");
  } else {
    object_writer test{object.member("test")};
    test.text("name", socket.test);
    test.member("left_behind") += socket.left_behind ? "true" : "false";
  }
}

json to_json(const observed_socket& socket, const port_leases& leases) {
  std::string text;
  append_json(text, socket, leases);
  return json::parse(text);
}

json to_json(const visibility& seen) {
  json unseen = json::array();
  for (const gap& each : gaps(seen)) unseen.push_back(to_string(each));
  return {{"tcp", name_of(seen.tcp)},
          {"udp", name_of(seen.udp)},
          {"unix", name_of(seen.unix_sockets)},
          {"bound_sockets", known(seen.tcp != table_source::not_asked, seen.bound_sockets)},
          {"owners", name_of(seen.owners)},
          {"gaps", std::move(unseen)}};
}

json to_json(const diagnosis& why, const port_leases& leases) {
  const auto sockets = [&](const std::vector<observed_socket>& list) {
    json array = json::array();
    for (const observed_socket& socket : list) array.push_back(to_json(socket, leases));
    return array;
  };
  return {
      {"protocol", to_string(why.request.protocol)},
      {"local", to_json(why.request.local)},
      {"free", why.free()},
      {"bind",
       {{"plain", to_json(why.outcome.plain)},
        {"reuse_address", to_json(why.outcome.reuse_address)},
        {"reuse_port", to_json(why.outcome.reuse_port)}}},
      {"next_bind", why.next_bind},
      {"causes", causes_to_json(why.explanations)},
      {"conflicting", sockets(why.conflicting)},
      {"unrelated", sockets(why.unrelated)},
      {"leased_by", lease_to_json(leases, why.request.protocol, why.request.local.port)},
  };
}

std::string unix_note(const observed_unix& socket) {
  const auto lock = detail::parse_lock_name(socket.name);
  if (!lock) return {};
  return "lease of " + std::string{to_string(lock->first)} + " port " +
         std::to_string(lock->second);
}

json to_json(const observed_unix& socket) {
  json owners = json::array();
  for (const process& each : socket.owners) {
    std::string text;
    append_json(text, each);
    owners.push_back(json::parse(text));
  }
  const bool open = !socket.stale_file;
  return {{"protocol", "unix"},
          {"name", unix_name_text(socket.name)},
          {"abstract", socket.is_abstract()},
          {"stale_file", socket.stale_file},
          {"type", known(open, to_string(socket.kind))},
          {"state", known(open, to_string(socket.state))},
          {"receive_queue", known(open, socket.receive_queue)},
          {"send_queue", known(open, socket.send_queue)},
          {"uid", known(open && socket.has_uid, socket.uid)},
          {"inode", known(socket.inode != 0, socket.inode)},
          {"cookie", known(socket.cookie != 0, cookie_text(socket.cookie))},
          {"ownership", name_of(socket.owned)},
          {"owners", std::move(owners)},
          {"note", known(!unix_note(socket).empty(), unix_note(socket))}};
}

json to_json(const unix_diagnosis& why) {
  const auto sockets = [](const std::vector<observed_unix>& list) {
    json array = json::array();
    for (const observed_unix& each : list) array.push_back(to_json(each));
    return array;
  };
  return {{"protocol", "unix"},
          {"name", unix_name_text(why.name)},
          {"abstract", !why.name.empty() && why.name.front() == '\0'},
          {"free", why.free()},
          {"bind", to_json(why.bind)},
          {"next_bind", why.next_bind},
          {"causes", causes_to_json(why.explanations)},
          {"conflicting", sockets(why.conflicting)},
          {"unrelated", sockets(why.unrelated)}};
}

}  // namespace tidewait::command
