// SPDX-License-Identifier: BSL-1.0
#include "list_unix.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/unix_entry.hpp>

#include "command.hpp"
#include "json.hpp"
#include "long_table.hpp"

namespace tidewait::command {
namespace {

/// Whether a process goes by that pid, or by that name, of which the kernel keeps 15 bytes.
bool is_called(const process& owner, std::string_view text) {
  constexpr std::size_t kept = 15;
  return std::to_string(owner.pid) == text || owner.name == text.substr(0, kept);
}

std::string owner_text(const observed_unix& socket) {
  switch (socket.owned) {
    case ownership::ownerless: return "(nobody)";
    case ownership::hidden: return "(hidden)";
    default: return names_of(socket.owners);
  }
}

void print_text(const std::vector<observed_unix>& sockets, bool paints) {
  constexpr std::size_t state_column = 4;
  long_table text{{"type", "recv-q", "send-q", "name", "state", "owner", "note", "cookie"}};
  text.reserve(sockets.size());
  for (const observed_unix& each : sockets) {
    text.add(to_string(each.kind));
    text.add(std::to_string(each.receive_queue));
    text.add(std::to_string(each.send_queue));
    text.add(detail::sanitised(unix_name_text(each.name)));
    text.add(to_string(each.state));
    text.add(owner_text(each));
    text.add(unix_note(each));
    text.add(cookie_text(each.cookie));
  }
  text.print_rows([&](output& out, std::size_t row, std::size_t column, std::string_view cell) {
    if (paints && row == 0) {
      out.add(colour::bold, cell);
    } else if (paints && column == state_column && cell == "LISTEN") {
      out.add(colour::green, cell);
    } else {
      out.add(cell);
    }
  });
}

/// One socket per line, as the list of ports has it.
void print_json(const std::vector<observed_unix>& sockets, const visibility& seen) {
  output out;
  out.add("{\"schema\": 1, \"sockets\": [");
  const char* before = "\n";
  for (const observed_unix& each : sockets) {
    out.add(std::exchange(before, ",\n")).add_json(to_text(to_json(each)));
    print_if_long(out);
  }
  print(out.add("\n], \"seen\": ").add_json(to_text(to_json(seen))).add("}\n"));
}

}  // namespace

bool held_by(const std::vector<process>& owners, const std::vector<std::string>& processes) {
  return std::any_of(owners.begin(), owners.end(), [&](const process& owner) {
    return std::any_of(processes.begin(), processes.end(),
                       [&](const std::string& text) { return is_called(owner, text); });
  });
}

std::string pid_and_name(const process& owner) {
  std::string text = std::to_string(owner.pid);
  text += '/';
  text += owner.name;
  return text;
}

std::string names_of(const std::vector<process>& owners) {
  std::string text;
  for (const process& owner : owners) {
    if (!text.empty()) text += ',';
    text += pid_and_name(owner);
  }
  return text;
}

bool tell_gaps(const visibility& seen, bool owners_missing) {
  visibility told = seen;
  if (!owners_missing) {
    told.owners = owner_view::all;
    told.owners_error.clear();
  }
  bool told_all = true;
  for (const gap& each : gaps(told))
    told_all = say("tidewait list: " + to_string(each) + '\n') && told_all;
  return told_all;
}

int list_unix(const unix_query& query) {
  visibility seen;
  auto sockets = detail::read_unix_sockets(detail::unix_states::all, seen);
  if (seen.unix_sockets == table_source::not_asked) {
    throw observe_error{errc::cannot_look, "listing Unix sockets",
                        "this system has no table of them"};
  }
  const auto drop = [&](auto&& unwanted) {
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(), unwanted), sockets.end());
  };
  drop([&](const observed_unix& each) { return !query.states.contains(each.state); });
  detail::find_owners(sockets, owner_reach::everyone, seen);
  const bool owners_missing =
      std::any_of(sockets.begin(), sockets.end(),
                  [](const observed_unix& each) { return each.owned == ownership::hidden; });
  if (!query.processes.empty()) {
    drop([&](const observed_unix& each) { return !held_by(each.owners, query.processes); });
  }
  std::sort(sockets.begin(), sockets.end(), [](const observed_unix& a, const observed_unix& b) {
    const bool a_open = a.state != socket_state::listen;
    const bool b_open = b.state != socket_state::listen;
    return std::tie(a_open, a.name, a.kind, a.inode) < std::tie(b_open, b.name, b.kind, b.inode);
  });
  if (query.as_json) {
    print_json(sockets, seen);
  } else {
    print_text(sockets, query.paints);
    if (!tell_gaps(seen, owners_missing)) return exit_code::cannot_look;
  }
  if (seen.unix_sockets == table_source::nothing) return exit_code::cannot_look;
  return exit_code::fine;
}

}  // namespace tidewait::command
