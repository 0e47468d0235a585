// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/diagnosis.hpp>

/// Sockets as a look might find them, and what it knows beside.
namespace found {

using namespace std::chrono_literals;
using tidewait::bind_environment;
using tidewait::bind_outcome;
using tidewait::bind_request;
using tidewait::ipv6_only;
using tidewait::keeper_kind;
using tidewait::observed_socket;
using tidewait::ownership;
using tidewait::protocol;
using tidewait::relation;
using tidewait::socket_state;

inline const std::error_code in_use = std::make_error_code(std::errc::address_in_use);

inline bind_request bind_to(const char* local, protocol which = protocol::tcp,
                            ipv6_only scope = ipv6_only::no) {
  return {which, tidewait::parse_endpoint(local).value(), scope};
}

inline observed_socket socket(socket_state state, const char* local, const char* remote = "*:0") {
  observed_socket entry;
  entry.state = state;
  entry.local = tidewait::parse_endpoint(local).value();
  entry.remote = tidewait::parse_endpoint(remote).value();
  entry.uid = 1000;
  entry.cookie = 1;
  entry.inode = 1;
  entry.owned = ownership::ownerless;
  return entry;
}

inline observed_socket udp_socket(const char* local) {
  observed_socket entry = socket(socket_state::unconn, local);
  entry.protocol = protocol::udp;
  return entry;
}

inline observed_socket held(observed_socket entry, relation how, int pid, std::vector<int> fds) {
  tidewait::process owner;
  owner.pid = pid;
  owner.relation = how;
  owner.name = how == relation::self ? "echo_test" : "server";
  owner.command = how == relation::self ? "./echo_test" : "/usr/bin/server --port 8080";
  owner.fds = std::move(fds);
  entry.owners.push_back(owner);
  entry.owned = ownership::found;
  return entry;
}

inline observed_socket mine(observed_socket entry, std::vector<int> fds = {7}) {
  return held(std::move(entry), relation::self, 4711, std::move(fds));
}

inline observed_socket of_other(observed_socket entry, int pid = 99, std::vector<int> fds = {3}) {
  return held(std::move(entry), relation::other, pid, std::move(fds));
}

/// Bound by this test, as a witness saw it.
inline observed_socket witnessed(observed_socket entry, bool listening) {
  tidewait::bind_record record;
  record.kind = tidewait::bound_kind::tcp;
  record.got = entry.local;
  record.kernel_chose_port = true;
  record.listening = listening;
  entry.bound = std::make_shared<const tidewait::bind_record>(record);
  return entry;
}

inline observed_socket of_test(observed_socket entry, const char* test, bool left = false) {
  entry.test = test;
  entry.left_behind = left;
  return entry;
}

inline observed_socket of_kernel(observed_socket entry) {
  entry.owned = ownership::kernel;
  entry.inode = 0;
  entry.uid = 0;
  return entry;
}

inline observed_socket hidden(observed_socket entry) {
  entry.owned = ownership::hidden;
  return entry;
}

inline observed_socket time_wait(const char* remote, std::chrono::milliseconds left) {
  observed_socket entry = of_kernel(socket(socket_state::time_wait, "127.0.0.1:8080", remote));
  entry.time_left = left;
  return entry;
}

inline observed_socket of_uid(std::uint32_t uid, observed_socket entry) {
  entry.uid = uid;
  return entry;
}

inline observed_socket kept(observed_socket entry, keeper_kind kind, relation how,
                            const char* what = "") {
  const bool self = how == relation::self;
  tidewait::socket_keeper keeper{kind, {}, what};
  keeper.who.pid = self ? 4711 : 99;
  keeper.who.name = self ? "echo_test" : "server";
  keeper.who.relation = how;
  if (kind == keeper_kind::thread) {
    keeper.who.thread = 4712;
  } else {
    keeper.who.fds = {6};
  }
  entry.keeper = keeper;
  return entry;
}

inline constexpr const char* here = "127.0.0.1:8080";
inline constexpr const char* peer = "127.0.0.1:40001";

inline observed_socket listener(const char* local = here) {
  return socket(socket_state::listen, local);
}

inline observed_socket connection(socket_state state = socket_state::established,
                                  const char* remote = peer) {
  return socket(state, here, remote);
}

inline observed_socket waiting(const char* local, const char* remote) {
  observed_socket entry = of_kernel(socket(socket_state::time_wait, local, remote));
  entry.time_left = std::chrono::milliseconds{59149};
  return entry;
}

inline observed_socket with(void (*change)(tidewait::process&), observed_socket entry) {
  change(entry.owners.front());
  return entry;
}

inline void stop(tidewait::process& owner) { owner.stopped = true; }

inline void inherit(tidewait::process& owner) {
  owner.inherited = true;
  owner.name = "sleep";
}

inline bind_environment seen_by(tidewait::owner_view owners, bool pid_namespace = false) {
  bind_environment environment;
  environment.owners = owners;
  environment.pid_namespace = pid_namespace;
  return environment;
}

inline bind_environment leased() {
  bind_environment environment;
  environment.leased = true;
  return environment;
}

inline bind_environment of_user(std::uint32_t user) {
  bind_environment environment;
  environment.user = user;
  return environment;
}

inline bind_environment restricted(std::vector<std::string> by) {
  bind_environment environment;
  environment.restrictions = std::move(by);
  return environment;
}

inline const bind_outcome helped_by_reuse_address{in_use, {}, in_use};
inline const bind_outcome helped_by_reuse_port{in_use, in_use, {}};

inline bind_outcome refused(std::errc why) {
  const auto error = std::make_error_code(why);
  return {error, error, error};
}

inline std::vector<observed_socket> many_connections() {
  std::vector<observed_socket> sockets{of_other(listener())};
  for (int i = 0; i < 200; ++i) {
    sockets.push_back(
        of_other(connection(i % 2 == 0 ? socket_state::established : socket_state::close_wait,
                            ("127.0.0.1:" + std::to_string(40000 + i)).c_str()),
                 99, {10 + i}));
  }
  for (int i = 0; i < 3; ++i) {
    sockets.push_back(of_kernel(
        connection(socket_state::established, ("127.0.0.1:" + std::to_string(50000 + i)).c_str())));
  }
  return sockets;
}

}  // namespace found
