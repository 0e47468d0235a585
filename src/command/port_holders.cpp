// SPDX-License-Identifier: BSL-1.0
#include "port_holders.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_visit.hpp>
#include <tidewait/detail/linux/terminate.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_table.hpp>

#include "json.hpp"

namespace tidewait::command {

struct holder_handle {
  detail::living_process process;
  std::set<unsigned> inodes;  ///< Of the sockets on the port that it holds.
};

namespace {

using process_id = std::pair<int, std::uint64_t>;  // pid and start: names a process for good

process_id id_of(const port_holder& each) {
  return {each.handle->process.stat.pid, each.handle->process.stat.start};
}

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
std::string why_not_end(const port_holder& each, const std::vector<int>& own_line) {
  if (each.who.pid == 1) return "process 1 is never ended: stop the unit that has the port";
  if (std::find(own_line.begin(), own_line.end(), each.who.pid) != own_line.end()) {
    return "it is this command or has started it";
  }
  const int directory = each.handle->process.directory.get();
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

}  // namespace

port_holders find_holders(protocol which, const place& where) {
  const socket_table table = sockets_at(which, where);
  port_holders found;
  found.whole = !table.seen.blind() && !table.seen.owners_error;
  std::error_code unread;
  const std::vector<int> own_line = detail::own_line(unread);
  if (unread) found.whole = false;
  for (const observed_socket& socket : table.sockets) {
    found.hidden =
        found.hidden || socket.owned == ownership::hidden || socket.owned == ownership::outside;
    for (const process& owner : socket.owners) {
      auto known = std::find_if(found.all.begin(), found.all.end(),
                                [&](const port_holder& each) { return each.who.pid == owner.pid; });
      if (known == found.all.end()) {
        std::error_code error;
        auto handle = detail::find_process(owner.pid, error);
        if (error && !detail::is_gone(error)) found.unread = error;
        if (!handle || handle->stat.ended()) continue;
        port_holder made;
        made.who = owner;
        made.parent = handle->stat.parent;
        made.handle = std::make_shared<holder_handle>();
        made.handle->process = std::move(*handle);
        made.why_not = unread
                           ? "it may have started this command, whose ancestors cannot be read: " +
                                 unread.message()
                           : why_not_end(made, own_line);
        known = found.all.insert(found.all.end(), std::move(made));
      }
      holder_handle& handle = *known->handle;
      if (!holds(handle.process.directory.get(), socket, owner.fds, found.unread)) continue;
      if (!handle.inodes.insert(socket.inode).second) continue;
      add_socket(*known, std::string{state_name(socket)} + ' ' + to_string(socket.local),
                 handle.inodes.size());
    }
  }
  const auto let_go = [](const port_holder& each) { return each.handle->inodes.empty(); };
  found.all.erase(std::remove_if(found.all.begin(), found.all.end(), let_go), found.all.end());
  if (found.unread) found.whole = false;
  if (found.all.empty() && !found.unread) found.unread = table.seen.owners_error;
  return found;
}

ended_holders end_holders(protocol which, const place& where, std::vector<port_holder> agreed,
                          std::chrono::milliseconds grace) {
  std::set<process_id> ids;
  std::set<unsigned> inodes;
  for (const port_holder& each : agreed) {
    ids.insert(id_of(each));
    inodes.insert(each.handle->inodes.begin(), each.handle->inodes.end());
  }
  const detail::find_targets find = [&](const auto& found) {
    port_holders now = find_holders(which, where);
    for (port_holder& each : now.all) {
      const bool inherited = std::any_of(each.handle->inodes.begin(), each.handle->inodes.end(),
                                         [&](unsigned inode) { return inodes.count(inode) != 0; });
      if (!each.why_not.empty() || (ids.count(id_of(each)) == 0 && !inherited)) continue;
      if (ids.insert(id_of(each)).second) {
        port_holder late;
        late.who = each.who;
        late.handle = std::make_shared<holder_handle>();
        late.handle->process.stat = each.handle->process.stat;
        late.handle->process.directory = detail::open_process(each.who.pid);
        agreed.push_back(std::move(late));
      }
      found(std::move(each.handle->process));
    }
    return now.whole;
  };
  detail::termination_rules rules;
  rules.grace = grace;
  const detail::termination done = detail::terminate(find, rules);
  ended_holders result;
  result.killed = done.killed;
  result.refused = done.refused;
  result.refused.insert(result.refused.end(), done.survivors.begin(), done.survivors.end());
  const auto is_in = [](const std::vector<process>& list, const process& who) {
    return std::any_of(list.begin(), list.end(),
                       [&](const process& each) { return each.pid == who.pid; });
  };
  for (const port_holder& each : agreed) {
    if (is_in(result.killed, each.who) || is_in(result.refused, each.who)) continue;
    const auto stat = detail::read_process_stat(each.handle->process.directory.get());
    (stat && !stat->ended() ? result.released : result.ended).push_back(each.who);
  }
  return result;
}

std::string describe(const ended_holders& done, std::chrono::milliseconds grace) {
  std::string text;
  for (const process& each : done.ended) text += "ended " + holder_title(each) + " by SIGTERM\n";
  for (const process& each : done.killed) {
    text += "killed " + holder_title(each) +
            (grace.count() == 0
                 ? " by SIGKILL"
                 : ": it still held the port " + detail::to_text(grace) + " after SIGTERM") +
            '\n';
  }
  for (const process& each : done.released) {
    text += holder_title(each) + " gave up the port on SIGTERM and is still running\n";
  }
  for (const process& each : done.refused) text += "could not end " + holder_title(each) + '\n';
  return text;
}

free_help help_on_free() {
  return {
      "How long a process may take after SIGTERM before it gets SIGKILL: 2s (the default), 500ms",
      "It lists the processes and asks. Then it sends SIGTERM, after the grace time SIGKILL, and\n"
      "confirms by a bind that the port is free. It ends only the processes that it has listed\n"
      "and those that inherited their sockets. It never ends process 1, itself, the processes\n"
      "that started it or, without root, those of another user: if one of these holds the port,\n"
      "it ends none. Exit code 1: a bind still fails, and the output says why.\n"
      "\n"
      "Examples:\n"
      "  tidewait free 8080\n"
      "  tidewait free --yes --grace 10s 127.0.0.1:8080\n"};
}

}  // namespace tidewait::command
