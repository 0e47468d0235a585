// SPDX-License-Identifier: BSL-1.0
#include "list.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/socket_table.hpp>

#include "command.hpp"
#include "json.hpp"
#include "port_locks.hpp"

namespace tidewait::command {
namespace {

struct list_options {
  bool listening = false;
  bool tcp = false;
  bool udp = false;
  bool as_json = false;
  std::vector<std::string> states;
  std::vector<std::string> ports;
  std::vector<std::string> processes;
  painter paint;
};

socket_state read_state(const std::string& text) {
  if (text == "UNCONN" || text == "unconn") return socket_state::close;
  if (const auto state = parse_socket_state(text)) return *state;
  std::string names;
  for (const socket_state each : all_socket_states) {
    if (each != socket_state::close) names.append(to_string(each)) += ", ";
  }
  throw usage_error{'\'' + text + "' is no state of a socket; there are " + names + "UNCONN"};
}

socket_query read_query(const list_options& options) {
  socket_query query;
  query.tcp = options.tcp || !options.udp;
  query.udp = options.udp || !options.tcp;
  query.owners = owner_reach::everyone;
  for (const std::string& port : options.ports) query.ports.push_back(read_port(port));
  std::sort(query.ports.begin(), query.ports.end());
  if (options.listening) query.states = socket_state::listen | socket_state::close;
  if (!options.states.empty()) query.states = {};
  for (const std::string& state : options.states) query.states = query.states | read_state(state);
  return query;
}

/// Whether a process goes by that pid, or by that name, of which the kernel keeps 15 bytes.
bool is_called(const process& owner, std::string_view text) {
  constexpr std::size_t kept = 15;
  return std::to_string(owner.pid) == text || owner.name == text.substr(0, kept);
}

bool held_by(const socket_entry& socket, const std::vector<std::string>& processes) {
  return std::any_of(socket.owners.begin(), socket.owners.end(), [&](const process& owner) {
    return std::any_of(processes.begin(), processes.end(),
                       [&](const std::string& text) { return is_called(owner, text); });
  });
}

/// Listeners first, then by port: what a person looks for is on top, and two lists can be compared.
std::vector<const socket_entry*> in_reading_order(const std::vector<socket_entry>& sockets) {
  const auto rank = [](const socket_entry& socket) {
    const bool open = socket.state == socket_state::listen || socket.state == socket_state::bound;
    return std::make_tuple(socket.protocol, !open, socket.local.port);
  };
  std::vector<const socket_entry*> order;
  order.reserve(sockets.size());
  for (const socket_entry& socket : sockets) order.push_back(&socket);
  std::sort(order.begin(), order.end(), [&](const socket_entry* a, const socket_entry* b) {
    return std::tuple_cat(rank(*a), std::tie(a->local.address, a->remote, a->cookie, a->inode)) <
           std::tuple_cat(rank(*b), std::tie(b->local.address, b->remote, b->cookie, b->inode));
  });
  return order;
}

std::string pid_and_name(const process& owner) {
  return std::to_string(owner.pid) + '/' + owner.name;
}

/// A connection that the kernel has made and that no process has taken out of the backlog yet.
bool awaits_accept(const socket_entry& socket) {
  return socket.owned == ownership::kernel &&
         (socket.state == socket_state::established || socket.state == socket_state::close_wait);
}

std::string owner_text(const socket_entry& socket) {
  switch (socket.owned) {
    case ownership::kernel: return awaits_accept(socket) ? "(not accepted)" : "(kernel)";
    case ownership::ownerless: return "(nobody)";
    case ownership::hidden: return "(hidden)";
    default: break;
  }
  std::string text;
  for (const process& owner : socket.owners) {
    if (!text.empty()) text += ',';
    text += pid_and_name(owner);
  }
  return text;
}

/// A table of many rows: its cells stand in one text.
class long_table {
 public:
  explicit long_table(const std::vector<std::string_view>& header) : widths_(header.size()) {
    for (const std::string_view title : header) add(title);
  }

  /// The next cell; a row is full after as many as the header has.
  void add(std::string_view cell) {
    if (cell.empty()) cell = "-";
    std::size_t& width = widths_[ends_.size() % widths_.size()];
    width = std::max(width, detail::columns(cell));
    text_ += cell;
    ends_.push_back(text_.size());
  }

  /// One line per row; `decorated(row, column, cell)` may add what takes no room.
  template <typename Decorate>
  std::string render(Decorate&& decorated) const {
    std::string out;
    out.reserve(text_.size() * 2);
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      const std::string_view cell = std::string_view{text_}.substr(begin, ends_[i] - begin);
      const std::size_t column = i % widths_.size();
      begin = ends_[i];
      decorated(out, i / widths_.size(), column, cell);
      const bool last = column + 1 == widths_.size();
      if (last) {
        out += '\n';
      } else {
        out.append(widths_[column] - detail::columns(cell) + 2, ' ');
      }
    }
    return out;
  }

 private:
  std::vector<std::size_t> widths_;
  std::vector<std::size_t> ends_;
  std::string text_;
};

std::string lease_text(const socket_entry& socket, const port_leases& leases) {
  const auto lease = leases.find({socket.protocol, socket.local.port});
  if (lease == leases.end()) return {};
  return lease->second.pid == 0 ? "(hidden)" : pid_and_name(lease->second);
}

std::string render_text(const socket_table& table, const port_leases& leases,
                        const painter& paint) {
  constexpr std::size_t state_column = 5;
  long_table text{{"proto", "recv-q", "send-q", "local", "remote", "state", "left", "owner",
                   "leased by", "cookie"}};
  for (const socket_entry* const each : in_reading_order(table.sockets)) {
    const socket_entry& socket = *each;
    text.add(to_string(socket.protocol));
    text.add(std::to_string(socket.receive_queue));
    text.add(std::to_string(socket.send_queue));
    text.add(to_string(socket.local));
    text.add(socket.remote.port == 0 ? "" : to_string(socket.remote));
    text.add(state_name(socket));
    text.add(socket.time_left ? detail::to_text(*socket.time_left) : "");
    text.add(owner_text(socket));
    text.add(lease_text(socket, leases));
    text.add(cookie_text(socket.cookie));
  }
  const bool paints = paint.paints();
  return text.render(
      [&](std::string& out, std::size_t row, std::size_t column, std::string_view cell) {
        if (paints && row == 0) {
          out += paint(colour::bold, cell);
        } else if (paints && column == state_column && (cell == "LISTEN" || cell == "BOUND")) {
          out += paint(colour::green, cell);
        } else if (paints && column == state_column && cell == "TIME_WAIT") {
          out += paint(colour::yellow, cell);
        } else {
          out += cell;
        }
      });
}

/// One socket per line, so that line tools can work on it too.
std::string render_json(const socket_table& table, const port_leases& leases) {
  std::string text = "{\"schema\": 1, \"sockets\": [";
  const char* before = "\n";
  for (const socket_entry* const socket : in_reading_order(table.sockets)) {
    text += std::exchange(before, ",\n") + to_json(*socket, leases).dump();
  }
  return text + "\n], \"seen\": " + to_json(table.seen).dump() + "}\n";
}

/// Says on standard error what the list could not show.
void tell_gaps(const coverage& seen, bool owners_missing) {
  coverage told = seen;
  if (!owners_missing) {
    told.owners = owner_view::all;
    told.owners_error.clear();
  }
  for (const std::string& gap : gaps(told)) std::cerr << "tidewait list: " + gap + '\n';
}

int run(const list_options& options) {
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
                  [](const socket_entry& socket) { return socket.owned == ownership::hidden; });
  if (!options.processes.empty()) {
    drop([&](const socket_entry& socket) { return !held_by(socket, options.processes); });
  }
  if (options.as_json) {
    print(render_json(table, leases));
  } else {
    print(render_text(table, leases, options.paint));
    tell_gaps(table.seen, owners_missing);
  }
  return exit_code::fine;
}

}  // namespace

void add_list(CLI::App& app, int& status) {
  const auto options = std::make_shared<list_options>();
  CLI::App* const list = app.add_subcommand("list", "List sockets, and who holds them");
  list->add_flag("--tcp", options->tcp, "TCP sockets only");
  list->add_flag("--udp", options->udp, "UDP sockets only");
  CLI::Option* const listening =
      list->add_flag("-l,--listening", options->listening,
                     "Only what waits for peers: TCP listeners, UDP sockets without a peer");
  list->add_option("--state", options->states, "Only these states, such as LISTEN or TIME_WAIT")
      ->type_name("STATE...")
      ->excludes(listening);
  list->add_option("--port", options->ports, "Only these local ports")->type_name("PORT...");
  list->add_option("--process", options->processes,
                   "Only what these processes hold, each given by its pid or its name")
      ->type_name("NAME|PID...");
  list->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*list);
  list->footer(
      "Examples:\n"
      "  tidewait list --listening           what netstat -lntup shows, and who leased the port\n"
      "  tidewait list --port 8080 9090      all that stands on these local ports\n"
      "  tidewait list --state TIME_WAIT     with the time left until the port is free\n"
      "  tidewait list --json | jq '.sockets[] | select(.state == \"BOUND\") | .owners'\n");
  list->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
