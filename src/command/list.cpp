// SPDX-License-Identifier: BSL-1.0
#include "list.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_table.hpp>

#include "command.hpp"
#include "json.hpp"
#include "list_unix.hpp"
#include "long_table.hpp"
#include "port_leases.hpp"

namespace tidewait::command {
namespace {

struct list_options {
  bool listening = false;
  bool tcp = false;
  bool udp = false;
  bool unix_sockets = false;
  bool as_json = false;
  std::vector<std::string> states;
  std::vector<std::string> ports;
  std::vector<std::string> processes;
  painter paint;
};

socket_state read_state(const std::string& text) {
  if (const auto state = parse_socket_state(text)) return *state;
  std::string names;
  for (const socket_state each : all_socket_states) {
    if (!names.empty()) names += ", ";
    names += to_string(each);
  }
  throw usage_error{'\'' + text + "' is not a socket state; expected " + names};
}

socket_query read_query(const list_options& options) {
  socket_query query;
  query.tcp = options.tcp || !options.udp;
  query.udp = options.udp || !options.tcp;
  query.owners = owner_reach::everyone;
  for (const std::string& port : options.ports) query.ports.push_back(read_port(port));
  std::sort(query.ports.begin(), query.ports.end());
  if (options.listening) query.states = socket_state::listen | socket_state::unconn;
  if (!options.states.empty()) query.states = {};
  for (const std::string& state : options.states) query.states = query.states | read_state(state);
  return query;
}

unix_query read_unix_query(const list_options& options) {
  unix_query query;
  query.states = state_set::all();
  if (options.listening) query.states = socket_state::listen | socket_state::bound;
  if (!options.states.empty()) query.states = {};
  for (const std::string& state : options.states) query.states = query.states | read_state(state);
  query.processes = options.processes;
  query.as_json = options.as_json;
  query.paints = options.paint.paints();
  return query;
}

/// What sorts before what by the front of an address: the whole of it if it is IPv4.
std::uint64_t front_of(const ip_address& address) {
  std::uint64_t front = address.is_v6() ? 1 : 0;
  for (std::size_t i = 0; i < 4; ++i) front = front << 8U | address.bytes()[i];
  return front;
}

/// Listeners first, then by port: what a person looks for is on top, and two lists can be compared.
std::vector<const observed_socket*> in_reading_order(const std::vector<observed_socket>& sockets) {
  struct place {
    std::uint64_t first, second;  // what nearly always decides, in numbers
    const observed_socket* socket;
  };
  std::vector<place> places;
  places.reserve(sockets.size());
  for (const observed_socket& socket : sockets) {
    const bool open = socket.state == socket_state::listen || socket.state == socket_state::bound;
    const auto protocol = static_cast<std::uint64_t>(socket.protocol);
    const std::uint64_t rank = (protocol << 1U | (open ? 0U : 1U)) << 16U | socket.local.port;
    places.push_back({rank << 33U | front_of(socket.local.address), 0, &socket});
    places.back().second =
        std::uint64_t{socket.remote.port} << 33U | front_of(socket.remote.address);
  }
  const auto rest = [](const observed_socket& socket) {
    return std::tie(socket.local.address, socket.remote, socket.cookie, socket.inode);
  };
  std::sort(places.begin(), places.end(), [&](const place& a, const place& b) {
    if (a.first != b.first) return a.first < b.first;
    if (a.second == b.second || a.socket->local.address != b.socket->local.address) {
      return rest(*a.socket) < rest(*b.socket);
    }
    return a.second < b.second;
  });
  std::vector<const observed_socket*> order;
  order.reserve(places.size());
  for (const place& each : places) order.push_back(each.socket);
  return order;
}

/// A connection that the kernel has made and that no process has taken out of the backlog yet.
bool awaits_accept(const observed_socket& socket) {
  return socket.owned == ownership::kernel &&
         (socket.state == socket_state::established || socket.state == socket_state::close_wait);
}

std::string owner_text(const observed_socket& socket) {
  switch (socket.owned) {
    case ownership::kernel: return awaits_accept(socket) ? "(not accepted)" : "(kernel)";
    case ownership::ownerless: return "(nobody)";
    case ownership::outside: return "(outside)";
    case ownership::hidden: return "(hidden)";
    default: break;
  }
  return names_of(socket.owners);
}

std::string lease_text(const observed_socket& socket, const port_leases& leases) {
  const auto lease = leases.find({socket.protocol, socket.local.port});
  if (lease == leases.end()) return {};
  return lease->second.pid == 0 ? "(hidden)" : pid_and_name(lease->second);
}

void print_text(const socket_table& table, const port_leases& leases, const painter& paint) {
  constexpr std::size_t state_column = 5;
  long_table text{{"proto", "recv-q", "send-q", "local", "remote", "state", "expires", "owner",
                   "leased by", "cookie"}};
  text.reserve(table.sockets.size());
  for (const observed_socket* const each : in_reading_order(table.sockets)) {
    const observed_socket& socket = *each;
    text.add(to_string(socket.protocol));
    for (const std::uint32_t size : {socket.receive_queue, socket.send_queue})
      text.add(detail::tables_have_queues ? std::to_string(size) : "");
    text.add(to_string(socket.local));
    text.add(socket.remote.port == 0 ? "" : to_string(socket.remote));
    text.add(state_name(socket));
    text.add(socket.time_left ? detail::to_text(*socket.time_left) : "");
    text.add(owner_text(socket));
    text.add(lease_text(socket, leases));
    text.add(cookie_text(socket.cookie));
  }
  const bool paints = paint.paints();
  text.print_rows([&](output& out, std::size_t row, std::size_t column, std::string_view cell) {
    if (paints && row == 0) {
      out.add(colour::bold, cell);
    } else if (paints && column == state_column && (cell == "LISTEN" || cell == "BOUND")) {
      out.add(colour::green, cell);
    } else if (paints && column == state_column && cell == "TIME_WAIT") {
      out.add(colour::yellow, cell);
    } else {
      out.add(cell);
    }
  });
}

/// One socket per line, so that line tools can work on it too.
void print_json(const socket_table& table, const port_leases& leases) {
  output out;
  out.add("{\"schema\": 1, \"sockets\": [");
  std::string row;
  const char* before = "\n";
  for (const observed_socket* const socket : in_reading_order(table.sockets)) {
    row = std::exchange(before, ",\n");
    append_json(row, *socket, leases);
    out.add_json(row);
    print_if_long(out);
  }
  print(out.add("\n], \"seen\": ").add_json(to_text(to_json(table.seen))).add("}\n"));
}

int run(const list_options& options) {
  if (options.unix_sockets) return list_unix(read_unix_query(options));
  socket_query query = read_query(options);
  socket_query sockets_only = query;
  sockets_only.owners = owner_reach::nobody;
  detail::process_census census;  // goes on while the table is read
  socket_table table = socket_table::current(sockets_only);
  const auto drop = [&](auto&& unwanted) {
    auto& sockets = table.sockets;
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(), unwanted), sockets.end());
  };
  const port_leases leases = find_owners_and_leases(table, query, census);
  const bool owners_missing =
      std::any_of(table.sockets.begin(), table.sockets.end(),
                  [](const observed_socket& socket) { return socket.owned == ownership::hidden; });
  if (!options.processes.empty()) {
    drop([&](const observed_socket& socket) { return !held_by(socket.owners, options.processes); });
  }
  if (options.as_json) {
    print_json(table, leases);
  } else {
    print_text(table, leases, options.paint);
    if (!tell_gaps(table.seen, owners_missing)) return exit_code::cannot_look;
  }
  tell_notes();
  return exit_code::fine;
}

}  // namespace

void add_list(CLI::App& app, int& status) {
  const auto options = std::make_shared<list_options>();
  CLI::App* const list =
      app.add_subcommand("list", "List sockets and the processes that hold them");
  CLI::Option* const tcp = list->add_flag("--tcp", options->tcp, "TCP sockets only");
  CLI::Option* const udp = list->add_flag("--udp", options->udp, "UDP sockets only");
  CLI::Option* const listening = list->add_flag(
      "-l,--listening", options->listening, "Only TCP listeners and UDP sockets without a peer");
  list->add_option("--state", options->states, "Only these states, such as LISTEN or TIME_WAIT")
      ->type_name("STATE...")
      ->excludes(listening);
  CLI::Option* const port = list->add_option("--port", options->ports, "Only these local ports");
  port->type_name("PORT...");
  list->add_flag("--unix", options->unix_sockets,
                 "Unix domain sockets that have a name, instead of TCP and UDP")
      ->excludes(tcp)
      ->excludes(udp)
      ->excludes(port);
  list->add_option("--process", options->processes,
                   "Only sockets of these processes, each given by its pid or its name")
      ->type_name("NAME|PID...");
  list->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*list);
  list->footer(
      "Examples:\n"
      "  tidewait list --listening           what netstat -lntup shows, and who leased the port\n"
      "  tidewait list --port 8080 9090      all sockets on these local ports\n"
      "  tidewait list --unix -l             who listens on which path or abstract name\n"
      "  tidewait list --state TIME_WAIT     with the time left until the port is free\n"
      "  tidewait list --json | jq '.sockets[] | select(.state == \"BOUND\") | .owners'\n");
  list->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
