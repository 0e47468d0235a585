// SPDX-License-Identifier: BSL-1.0
#include "judged_inside.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tidewait/detail/baseline.hpp>
#include <tidewait/detail/explain_unix.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>

#include "testimony.hpp"

namespace tidewait::command {
namespace {

/// Whether a socket or a file of the same name is there, and the same one.
bool is_there(const detail::left_unix& left) {
  const std::string name = parse_unix_name(left.name);
  const detail::unix_bind_facts facts = detail::look_at_unix_name(name, unix_kind::stream);
  return left.file.empty() ? facts.bind == std::errc::address_in_use
                           : detail::file_identity(facts) == left.file;
}

/// Of these sockets, those that belong to the command.
std::vector<observed_socket> ours_among(std::vector<observed_socket> sockets) {
  if (sockets.empty() || detail::in_private_net_namespace()) return sockets;
  const detail::sightings& seen = detail::shared_state::instance().seen;
  detail::find_owners(sockets, owner_reach::own_tree);
  const auto is_foreign = [&](const observed_socket& each) {
    const bool after_our_server =
        each.state != socket_state::listen && seen.is_own_listener(each.local.port);
    return each.owners.empty() && !after_our_server;
  };
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(), is_foreign), sockets.end());
  return sockets;
}

/// Whether the command has bound that name.
bool is_ours(const detail::left_unix& left) {
  const detail::unix_book& book = detail::shared_state::instance().unix_sockets;
  const auto paths = book.paths();
  const auto own = book.own();
  return std::find(paths.begin(), paths.end(), left.name) != paths.end() ||
         std::any_of(own.begin(), own.end(), [&](const observed_unix& each) {
           return left.cookie != 0 && each.cookie == left.cookie;
         });
}

/// Whether it is a line of these events, before it is read as a whole.
bool is_about(std::string_view line, std::initializer_list<std::string_view> events) {
  constexpr std::string_view key = "\"event\":\"";
  line.remove_prefix(std::min(line.size(), detail::journal_line_start.size()));
  if (line.substr(0, key.size()) != key) return false;
  line.remove_prefix(key.size());
  line = line.substr(0, line.find('"'));
  return std::find(events.begin(), events.end(), line) != events.end();
}

}  // namespace

judged_inside::judged_inside(std::uint64_t since, const policy& own) {
  if (journal_path().empty()) return;
  const bool stricter = std::any_of(own.rules().begin(), own.rules().end(),
                                    [](const auto& rule) { return rule.action == action::fail; });
  const std::string mark = detail::ensure_run_mark();
  const std::string name = detail::test_of_environment();  // others may write into the file as well
  const std::uint64_t here = detail::current_net_cookie();
  const auto is_inside = [&](const auto& entry, bool failed) {
    return entry.time >= since && entry.run != mark && (name.empty() || entry.ctest_name == name) &&
           (failed || !stricter);
  };
  detail::for_each_journal_line([&](std::string_view line) {
    if (is_about(line, {"left_behind", "shared"})) {
      if (auto socket = parse_journal_line(line)) {
        if (socket->socket.cookie != 0 && socket->net_cookie == here &&
            is_inside(*socket, socket->reported))
          sockets_.push_back(std::move(*socket));
      } else if (auto left = detail::parse_left_unix(line)) {
        if (left->net_cookie != here) left->cookie = 0;  // a file is the same everywhere
        if ((left->cookie != 0 || !left->file.empty()) && is_inside(*left, left->reported))
          unix_sockets_.push_back(std::move(*left));
      }
    } else if (is_about(line, {"bound", "bind_failed"})) {
      auto bind = parse_bind_line(line);
      if (!bind || bind->cookie == 0 || !is_inside(*bind, false)) return;
      const std::uint64_t cookie = bind->cookie;
      binds_.emplace(cookie, std::move(*bind));
    }
  });
}

void judged_inside::mark_handled() const {
  detail::shared_state& shared = detail::shared_state::instance();
  std::vector<std::uint64_t> cookies;
  for (const journal_entry& each : sockets_) {
    if (each.event == journal_event::left_behind) cookies.push_back(each.socket.cookie);
  }
  for (const detail::left_unix& each : unix_sockets_) {
    if (each.cookie != 0) cookies.push_back(each.cookie);
    shared.unix_sockets.mark_told(each.file);
  }
  shared.seen.mark_handled(cookies);
}

bool judged_inside::has(const witnessed_bind& bind) const {
  const auto [first, last] = binds_.equal_range(bind.cookie);
  return bind.cookie != 0 &&
         std::any_of(first, last, [&](const auto& each) { return is_of(each.second, bind); });
}

bool judged_inside::has_told_sharing(const observed_socket& socket) const {
  return std::any_of(sockets_.begin(), sockets_.end(), [&](const journal_entry& each) {
    return each.event == journal_event::shared && each.socket.cookie == socket.cookie;
  });
}

std::vector<told_by_test> judged_inside::still_there() const {
  std::vector<told_by_test> all;
  const auto add = [&](const std::string& test, const std::string& place) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const told_by_test& each) {
      return each.test == test && each.place == place;
    });
    if (same == all.end()) {
      all.push_back({test, place, 1});
    } else {
      ++same->sockets;
    }
  };
  std::vector<journal_entry> reported;
  std::vector<detail::port_key> ports;
  for (const journal_entry& each : sockets_) {
    if (each.event != journal_event::left_behind || !each.reported) continue;
    const bool known = std::any_of(reported.begin(), reported.end(), [&](const auto& other) {
      return other.socket.cookie == each.socket.cookie;
    });
    if (known) continue;
    reported.push_back(each);
    detail::add_port(ports, {each.socket.protocol, each.socket.local.port});
  }
  if (!ports.empty()) {
    std::vector<observed_socket> now = detail::look_at_sockets(detail::ports_query(ports)).sockets;
    const auto entry_of = [&](const observed_socket& socket) {
      return std::find_if(reported.begin(), reported.end(), [&](const journal_entry& each) {
        return each.socket.cookie == socket.cookie;
      });
    };
    now.erase(std::remove_if(now.begin(), now.end(),
                             [&](const auto& each) { return entry_of(each) == reported.end(); }),
              now.end());
    for (const observed_socket& each : ours_among(std::move(now)))
      add(entry_of(each)->test, to_string(each.local));
  }
  std::vector<std::string> names;
  for (const detail::left_unix& each : unix_sockets_) {
    const bool known = std::find(names.begin(), names.end(), each.name) != names.end();
    if (!each.reported || known || !is_ours(each) || !is_there(each)) continue;
    names.push_back(each.name);
    add(each.test, each.name);
  }
  return all;
}

std::size_t judged_inside::reported_by(const std::string& ctest_name) const {
  const auto is_reported = [&](const auto& each) {
    return each.reported && !ctest_name.empty() && each.ctest_name == ctest_name;
  };
  const auto left = [&](const journal_entry& each) {
    return each.event == journal_event::left_behind && is_reported(each);
  };
  return static_cast<std::size_t>(
      std::count_if(sockets_.begin(), sockets_.end(), left) +
      std::count_if(unix_sockets_.begin(), unix_sockets_.end(), is_reported));
}

}  // namespace tidewait::command
