// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/error.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/visibility.hpp>

/// What there is. A socket has its true holders in `owners`; what a look gets to see of them
/// depends on `hidden_users` and on how far it looks.
struct world {
  struct fake_socket {
    tidewait::observed_socket facts;
    bool reuse_address = false;
    bool reuse_port = false;
  };

  std::vector<fake_socket> sockets;
  tidewait::port_rules rules;
  std::set<std::uint32_t> hidden_users;  ///< Their processes do not show their files.
  /// Unix sockets, with their true holders; those on paths have their files here, too.
  std::vector<tidewait::observed_unix> unix_sockets;
  std::map<std::string, std::uint64_t> socket_files;  ///< With a number for each.
  std::size_t descriptors = 10;                       ///< Of this process.
  std::size_t unix_reads = 0;  ///< How often the table of Unix sockets was read.
  std::error_code no_unix_table;
  std::error_code no_table;  ///< Why neither sock_diag nor /proc/net can be read.
  std::error_code no_binds;  ///< What every bind fails with, if it does.
  bool private_namespace = false;
  bool loopback_down = false;
  bool multicast = false;      ///< A group is joined.
  bool pid_namespace = false;  ///< Processes outside may hold what nobody here holds.
  std::map<std::pair<tidewait::protocol, std::uint16_t>, int> locks;  ///< Who leased what.
  std::vector<tidewait::bind_record> binds_seen;  ///< What the witness has recorded.
  std::chrono::milliseconds now{1000000};         ///< Since the machine was started.
  std::vector<std::pair<std::chrono::milliseconds, std::function<void()>>> later;

  std::size_t reads = 0;          ///< How often the table was read,
  std::size_t searches = 0;       ///< and how often holders were searched.
  std::size_t binds = 0;          ///< How many binds were tried,
  std::set<std::uint16_t> asked;  ///< and for which ports.

  static constexpr int own_pid = 100;
  static constexpr std::uint32_t own_uid = 1000;

  /// The world of the test that runs.
  static world& now_there() {
    static world only;
    return only;
  }

  /// Adds a socket; gives it a cookie and an inode that no other has.
  fake_socket& add(tidewait::socket_state state, const char* local, const char* remote = nullptr) {
    fake_socket made;
    made.facts.state = state;
    made.facts.local = *tidewait::parse_endpoint(local);
    if (remote != nullptr) made.facts.remote = *tidewait::parse_endpoint(remote);
    made.facts.cookie = ++last_cookie();
    made.facts.uid = own_uid;
    const bool kernels = state == tidewait::socket_state::time_wait;
    made.facts.inode = kernels ? 0 : static_cast<std::uint32_t>(made.facts.cookie);
    if (kernels) {
      made.facts.uid = 0;
      made.facts.time_left = std::chrono::seconds{60};
    }
    sockets.push_back(std::move(made));
    return sockets.back();
  }
  /// The same, held by a process.
  fake_socket& add(tidewait::socket_state state, const char* local, tidewait::relation whose,
                   const char* remote = nullptr) {
    fake_socket& made = add(state, local, remote);
    const bool self = whose == tidewait::relation::self;
    made.facts.owners.push_back({self ? own_pid : 200,
                                 self ? "net_tests" : "server",
                                 self ? "./net_tests" : "./server --port",
                                 {7},
                                 "",
                                 whose});
    return made;
  }
  /// Adds a Unix socket that listens, held by a process; `name` as people write it.
  tidewait::observed_unix& add_unix(const char* name, tidewait::relation whose) {
    tidewait::observed_unix made;
    made.state = tidewait::socket_state::listen;
    made.name = tidewait::parse_unix_name(name);
    made.cookie = ++last_cookie();
    made.inode = static_cast<std::uint32_t>(made.cookie);
    made.uid = own_uid;
    made.has_uid = true;
    const bool self = whose == tidewait::relation::self;
    made.owners.push_back(
        {self ? own_pid : 200, self ? "net_tests" : "server", "", {7}, "", whose});
    if (!made.is_abstract()) socket_files[made.name] = ++last_cookie();
    if (self) ++descriptors;
    unix_sockets.push_back(std::move(made));
    return unix_sockets.back();
  }
  /// Closes a Unix socket of this process; its file stays, as bind(2) and close(2) have it.
  void close_unix(const char* name) {
    const auto found = std::find_if(
        unix_sockets.begin(), unix_sockets.end(),
        [&](const auto& each) { return each.name == tidewait::parse_unix_name(name); });
    if (found->owners.front().relation == tidewait::relation::self) --descriptors;
    unix_sockets.erase(found);
  }

  void remove_all_on(std::uint16_t port) {
    sockets.erase(
        std::remove_if(sockets.begin(), sockets.end(),
                       [&](const fake_socket& each) { return each.facts.local.port == port; }),
        sockets.end());
  }
  /// Lets time pass: timers run, and what was planned for later happens.
  void pass(std::chrono::milliseconds time) {
    now += time;
    for (fake_socket& each : sockets) {
      if (each.facts.time_left) *each.facts.time_left -= time;
    }
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(),
                                 [](const fake_socket& each) {
                                   return each.facts.time_left &&
                                          each.facts.time_left->count() <= 0;
                                 }),
                  sockets.end());
    for (auto& [when, what] : later) {
      if (when <= now && what) std::exchange(what, nullptr)();
    }
  }

 private:
  /// No two worlds have sockets with one cookie: a process remembers what it has reported.
  static std::uint64_t& last_cookie() {
    static std::uint64_t last = 0;
    return last;
  }
};
