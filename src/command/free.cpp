// SPDX-License-Identifier: BSL-1.0
#include "free.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/terminate.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_table.hpp>

#include "command.hpp"
#include "json.hpp"
#include "place.hpp"

namespace tidewait::command {
namespace {

struct free_options {
  std::string where;
  std::string grace = "2s";
  bool udp = false;
  bool yes = false;
  bool as_json = false;
  painter paint;
};

using process_id = std::pair<int, std::uint64_t>;  // pid and start: names a process for good

/// A process that holds the port.
struct holder {
  detail::living_process handle;
  process who;
  std::string sockets;        ///< "LISTEN 127.0.0.1:8080"
  std::set<unsigned> inodes;  ///< Of the sockets on the port that it holds.
  std::string why_not;        ///< Why it must not be ended; "" if it may.

  process_id id() const { return {handle.stat.pid, handle.stat.start}; }
};

/// Who holds the port now, as far as can be seen.
struct holders {
  std::vector<holder> all;
  bool whole =
      false;  ///< The socket table could be read, and all that may hold one of its sockets.
  bool hidden = false;       ///< What holds one of them may be a process that is not visible here.
  std::error_code unread{};  ///< Why a process that may hold one could not be read although it may.
};

/// Whether a process still has that socket: a pid alone could be another's by now. Each of its
/// threads may have a table of descriptors of its own. `unread`: why it could not be seen.
bool holds(int process, const observed_socket& socket, const std::vector<int>& fds,
           std::error_code& unread) {
  const std::string wanted = "socket:[" + std::to_string(socket.inode) + ']';
  const auto has = [&](int directory, const std::string& prefix) {
    return std::any_of(fds.begin(), fds.end(), [&](int fd) {
      char target[64];
      const std::string name = prefix + "fd/" + std::to_string(fd);
      const ssize_t size = detail::sys.readlinkat(directory, name.c_str(), target, sizeof target);
      if (size < 0 && !detail::is_gone(detail::last_error())) unread = detail::last_error();
      return size > 0 &&
             wanted.compare(0, std::string::npos, target, static_cast<std::size_t>(size)) == 0;
    });
  };
  bool found = has(process, "");
  if (found) return true;
  const auto error = detail::for_each_name(process, "task", [&](int tasks, const char* thread) {
    found = has(tasks, std::string{thread} + '/');
    return !found;
  });
  if (error && !detail::is_gone(error)) unread = error;
  return found;
}

/// Why nobody may end this process for the sake of a port; "" if it may be ended.
std::string why_not_end(const holder& each, const std::vector<int>& own_line) {
  if (each.handle.stat.pid == 1) return "process 1 is never ended: stop the unit that has the port";
  if (std::find(own_line.begin(), own_line.end(), each.handle.stat.pid) != own_line.end()) {
    return "it is this command or has started it";
  }
  const int directory = each.handle.directory.get();
  constexpr int may_i = 0;
  const bool theirs = ::geteuid() != 0 && !detail::is_of_own_user(directory);
  if (theirs || detail::send_signal(directory, may_i) == std::errc::operation_not_permitted) {
    if (!theirs) {
      return "it may not be signalled from here: run tidewait in its container or on the host";
    }
    const auto status = detail::read_process_status(directory);
    const std::string whose = status && status->uid
                                  ? "it runs as uid " + std::to_string(*status->uid)
                                  : std::string{"it is another user's"};
    return whose + ": run tidewait as that user or as root";
  }
  return {};
}

/// Searches the processes that hold sockets in the way of a bind to that place.
holders find_holders(protocol which, const place& where) {
  socket_query query;
  query.tcp = which == protocol::tcp;
  query.udp = !query.tcp;
  query.ports = {where.local.port};
  query.owners = owner_reach::everyone;
  const socket_table table = detail::look_at_sockets(query);
  holders found;
  found.whole = !table.seen.blind() && !table.seen.owners_error;
  std::error_code unread;
  const std::vector<int> own_line = detail::own_line(unread);
  if (unread) found.whole = false;
  for (const observed_socket& socket : table.sockets) {
    if (!where.any_address &&
        !overlap(socket.local, socket.ipv6_only(), where.local, ipv6_only::no)) {
      continue;
    }
    found.hidden =
        found.hidden || socket.owned == ownership::hidden || socket.owned == ownership::outside;
    for (const process& owner : socket.owners) {
      auto known = std::find_if(found.all.begin(), found.all.end(),
                                [&](const holder& each) { return each.who.pid == owner.pid; });
      if (known == found.all.end()) {
        std::error_code error;
        auto handle = detail::find_process(owner.pid, error);
        if (error && !detail::is_gone(error)) found.unread = error;
        if (!handle || handle->stat.ended()) continue;
        holder made;
        made.handle = std::move(*handle);
        made.who = owner;
        made.why_not = unread
                           ? "it may have started this command, whose ancestors cannot be read: " +
                                 unread.message()
                           : why_not_end(made, own_line);
        known = found.all.insert(found.all.end(), std::move(made));
      }
      if (!holds(known->handle.directory.get(), socket, owner.fds, found.unread)) continue;
      known->inodes.insert(socket.inode);
      const std::string what = std::string{state_name(socket)} + ' ' + to_string(socket.local);
      if (known->sockets.empty()) {
        known->sockets = what;
      } else if (known->inodes.size() == 2) {
        known->sockets += " and more";
      }
    }
  }
  const auto let_go = [](const holder& each) { return each.inodes.empty(); };
  found.all.erase(std::remove_if(found.all.begin(), found.all.end(), let_go), found.all.end());
  if (found.unread) found.whole = false;
  if (found.all.empty() && !found.unread) found.unread = table.seen.owners_error;
  return found;
}

std::string name_of(const process& who) {
  return "pid " + std::to_string(who.pid) + " (" + who.name + ')';
}

/// One line for each, with who started it: that may start it again.
std::string describe(const std::vector<holder>& all) {
  std::string text;
  for (const holder& each : all) {
    const int parent = each.handle.stat.parent;
    const std::string parent_name = detail::process_name(parent);
    text += "  " + name_of(each.who) + "  " + each.sockets;
    if (!parent_name.empty()) {
      text += "  started by pid " + std::to_string(parent) + " (" + parent_name + ')';
    }
    if (!each.who.command.empty())
      text += "  " + detail::clipped(detail::without_directory(each.who.command), 100);
    text += '\n';
    if (!each.why_not.empty()) text += "    not ended: " + each.why_not + '\n';
  }
  return text;
}

/// Asks on the terminal; anything but a yes is a no.
bool agrees(std::size_t count) {
  say(count == 1 ? "End it? [y/N] " : "End them? [y/N] ");
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// What was done.
struct outcome {
  std::vector<process> ended;
  std::vector<process> killed;
  std::vector<process> released;  ///< Gave the port up, and live on.
  std::vector<process> refused;
};

/// Ends those who hold the sockets that `agreed` held, and nobody else: who takes the port later
/// was not agreed to.
outcome end_holders(protocol which, const place& where, std::vector<holder> agreed,
                    std::chrono::milliseconds grace) {
  std::set<process_id> ids;
  std::set<unsigned> inodes;
  for (const holder& each : agreed) {
    ids.insert(each.id());
    inodes.insert(each.inodes.begin(), each.inodes.end());
  }
  const detail::find_targets find = [&](const auto& found) {
    holders now = find_holders(which, where);
    for (holder& each : now.all) {
      const bool inherited = std::any_of(each.inodes.begin(), each.inodes.end(),
                                         [&](unsigned inode) { return inodes.count(inode) != 0; });
      if (!each.why_not.empty() || (ids.count(each.id()) == 0 && !inherited)) continue;
      if (ids.insert(each.id()).second) {
        holder late;
        late.who = each.who;
        late.handle.stat = each.handle.stat;
        late.handle.directory = detail::open_process(each.who.pid);
        agreed.push_back(std::move(late));
      }
      found(std::move(each.handle));
    }
    return now.whole;
  };
  detail::termination_rules rules;
  rules.grace = grace;
  const detail::termination done = detail::terminate(find, rules);
  outcome result;
  result.killed = done.killed;
  result.refused = done.refused;
  result.refused.insert(result.refused.end(), done.survivors.begin(), done.survivors.end());
  const auto is_in = [](const std::vector<process>& list, const process& who) {
    return std::any_of(list.begin(), list.end(),
                       [&](const process& each) { return each.pid == who.pid; });
  };
  for (const holder& each : agreed) {
    if (is_in(result.killed, each.who) || is_in(result.refused, each.who)) continue;
    const auto stat = detail::read_process_stat(each.handle.directory.get());
    (stat && !stat->ended() ? result.released : result.ended).push_back(each.who);
  }
  return result;
}

std::string describe(const outcome& done, std::chrono::milliseconds grace) {
  std::string text;
  for (const process& each : done.ended) text += "ended " + name_of(each) + " by SIGTERM\n";
  for (const process& each : done.killed) {
    text += "killed " + name_of(each) +
            (grace.count() == 0
                 ? " by SIGKILL"
                 : ": it still held the port " + detail::to_text(grace) + " after SIGTERM") +
            '\n';
  }
  for (const process& each : done.released) {
    text += name_of(each) + " gave up the port on SIGTERM and is still running\n";
  }
  for (const process& each : done.refused) text += "could not end " + name_of(each) + '\n';
  return text;
}

json processes_to_json(const outcome& done, const std::vector<holder>& found) {
  json list = json::array();
  const auto add = [&](const std::vector<process>& all, const char* how) {
    for (const process& each : all) {
      list.push_back({{"pid", each.pid},
                      {"name", each.name},
                      {"command", each.command},
                      {"result", how},
                      {"why_not", nullptr}});
    }
  };
  add(done.ended, "ended");
  add(done.killed, "killed");
  add(done.released, "released");
  add(done.refused, "refused");
  if (!list.empty()) return list;
  for (const holder& each : found) {
    list.push_back({{"pid", each.who.pid},
                    {"name", each.who.name},
                    {"command", each.who.command},
                    {"result", "untouched"},
                    {"why_not", each.why_not.empty() ? json(nullptr) : json(each.why_not)}});
  }
  return list;
}

int run(const free_options& options) {
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  const place where = read_place(options.where);
  const auto grace = read_time(options.grace);
  auto [why, seen] = explain(which, where);
  holders found;
  outcome done;
  bool agreed = false;
  if (!why.free()) {
    found = find_holders(which, where);
    const bool any_spared = std::any_of(found.all.begin(), found.all.end(),
                                        [](const holder& each) { return !each.why_not.empty(); });
    const std::size_t count = found.all.size();
    const bool may = count != 0 && !any_spared && !found.unread;
    if (count != 0) {
      say("tidewait free: " + detail::counted(count, "process") +
          (count == 1 ? " holds " : " hold ") + to_text(where) + '\n' + describe(found.all));
    }
    if (may && !options.yes && (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1)) {
      throw usage_error{
          "there is no terminal to ask on: give --yes to end the processes without a question"};
    }
    agreed = may && (options.yes || agrees(count));
    if (agreed) {
      done = end_holders(which, where, std::move(found.all), grace);
      found.all.clear();
      say(describe(done, grace));
      // What ends gives its sockets back a moment after it is gone from /proc.
      bind_explanation now = wait_until_free(which, where, std::chrono::seconds{1});
      why = std::move(now.why);
      seen = now.seen;
    } else if (any_spared) {
      say("tidewait free: nothing was ended: that would not free the port\n");
    } else if (found.unread) {
      say("tidewait free: nothing was ended: a process that may hold the port could not be read: " +
          found.unread.message() + "; try again\n");
    } else if (count == 0 && found.hidden) {
      say("tidewait free: nothing was ended: which process holds the port is not visible here\n");
    } else if (count == 0) {
      say("tidewait free: no visible process holds the port: there is nothing to end\n");
    }
  }
  if (options.as_json) {
    const port_leases leases = lease_of(which, where.local.port);
    json answer{{"schema", 1}, {"processes", processes_to_json(done, found.all)}};
    answer.update(to_json(why, leases));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    print(to_text(why, seen, options.paint));
    if (agreed && !why.free() && !find_holders(which, where).all.empty()) {
      say("tidewait free: the port was taken again: stop what starts the server again\n" +
          describe(find_holders(which, where).all));
    }
  }
  if (seen.blind()) {
    say("tidewait free: " + to_string(detail::merged(gaps(seen))) + '\n');
    if (!why.free()) return exit_code::cannot_look;
  }
  tell_notes();
  return why.free() ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_free(CLI::App& app, int& status) {
  const auto options = std::make_shared<free_options>();
  CLI::App* const sub = app.add_subcommand("free", "End the processes that hold a port");
  sub->add_option("port", options->where,
                  "The port to free: on any address, IPv4 and IPv6, or on this one")
      ->type_name("[ADDR:]PORT")
      ->required();
  sub->add_flag("-y,--yes", options->yes, "Do not ask first; needed if there is no terminal");
  sub->add_option("--grace", options->grace,
                  "How long a process may take after SIGTERM before it gets SIGKILL: 2s (the "
                  "default), 500ms")
      ->type_name("TIME");
  sub->add_flag("--udp", options->udp, "Free the UDP port, not the TCP port");
  sub->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*sub);
  sub->footer(
      "It lists the processes and asks. Then it sends SIGTERM, after the grace time SIGKILL, and\n"
      "confirms by a bind that the port is free. It ends only the processes that it has listed\n"
      "and those that inherited their sockets. It never ends process 1, itself, the processes\n"
      "that started it or, without root, those of another user: if one of these holds the port,\n"
      "it ends none. Exit code 1: a bind still fails, and the output says why.\n"
      "\n"
      "Examples:\n"
      "  tidewait free 8080\n"
      "  tidewait free --yes --grace 10s 127.0.0.1:8080\n");
  sub->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
