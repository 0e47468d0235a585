// SPDX-License-Identifier: BSL-1.0
#pragma once

// A backend for <tidewait/detail/os_calls.hpp> without a kernel: sockets, processes, leases, port
// rules and time are those of an invented `world`. Whole looks run on it. What has nothing to do
// with these (handles, files, the one state of a process) is Linux's own.

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
#include <tidewait/detail/linux/edited_file.hpp>
#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/fork_handlers.hpp>
#include <tidewait/detail/linux/kept_fd.hpp>
#include <tidewait/detail/linux/listen_descriptors.hpp>
#include <tidewait/detail/linux/process_state.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/socket_directory.hpp>
#include <tidewait/detail/run_marks.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/error.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/visibility.hpp>

#include "world.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {

inline world& there() { return world::now_there(); }

inline int process_id() noexcept { return world::own_pid; }
inline std::uint32_t user_id() noexcept { return world::own_uid; }
inline bool may_trace_others() noexcept { return false; }
inline const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(::pthread_self());
}
inline std::string process_name(int pid) { return pid == world::own_pid ? "net_tests" : "server"; }

struct process_census {};

inline void read_sockets(const socket_query& query, std::vector<observed_socket>& sockets,
                         visibility& seen) {
  ++there().reads;
  const auto source = there().no_table ? table_source::nothing : table_source::sock_diag;
  if (query.tcp) seen.tcp = source;
  if (query.udp) seen.udp = source;
  seen.sock_diag_error = there().no_table;
  seen.bound_sockets = !there().no_table;
  if (there().no_table) return;
  for (const world::fake_socket& each : there().sockets) {
    const socket_entry& facts = each.facts;
    const bool asked = facts.protocol == protocol::tcp ? query.tcp : query.udp;
    const bool on_port =
        query.ports.empty() ||
        std::binary_search(query.ports.begin(), query.ports.end(), facts.local.port);
    if (asked && on_port && query.states.contains(facts.state)) sockets.push_back({facts});
  }
}

inline std::optional<std::uint32_t> time_waits() {
  return static_cast<std::uint32_t>(std::count_if(
      there().sockets.begin(), there().sockets.end(),
      [](const world::fake_socket& each) { return each.facts.state == socket_state::time_wait; }));
}

inline void find_owners(std::vector<observed_socket>& sockets, owner_reach reach, visibility& seen,
                        process_census* = nullptr) {
  ++there().searches;
  seen.pid_namespace = there().pid_namespace;
  seen.owners = !there().hidden_users.empty()    ? owner_view::own_user_only
                : reach == owner_reach::own_tree ? owner_view::own_tree
                                                 : owner_view::all;
  for (observed_socket& socket : sockets) {
    const auto truth = std::find_if(
        there().sockets.begin(), there().sockets.end(),
        [&](const world::fake_socket& each) { return each.facts.cookie == socket.cookie; });
    socket.owners.clear();
    if (truth != there().sockets.end() && there().hidden_users.count(socket.uid) == 0) {
      for (const process& owner : truth->facts.owners) {
        if (owner.ours() || reach != owner_reach::own_tree) socket.owners.push_back(owner);
      }
    }
    if (!socket.owners.empty()) {
      socket.owned = ownership::found;
    } else if (socket.inode == 0) {
      socket.owned = ownership::kernel;
    } else if (there().hidden_users.count(socket.uid) != 0) {
      socket.owned = ownership::hidden;
    } else if (reach != owner_reach::own_tree) {
      socket.owned = there().pid_namespace ? ownership::outside : ownership::ownerless;
    }
  }
}
inline void find_owners(std::vector<observed_socket>& sockets, owner_reach reach) {
  visibility unused;
  find_owners(sockets, reach, unused);
}

inline void find_keepers(std::vector<observed_socket>& sockets) {
  for (observed_socket& socket : sockets) {
    for (const world::fake_socket& each : there().sockets) {
      if (each.facts.cookie == socket.cookie && socket.owners.empty())
        socket.keeper = each.facts.keeper;
    }
  }
}

inline bool is_lease_lock(const unix_entry& socket) noexcept {
  return unix_name_text(socket.name).rfind("@tidewait/", 0) == 0;
}

inline std::vector<observed_unix> read_unix_sockets(unix_states, visibility& seen) {
  ++there().unix_reads;
  seen.unix_diag_error = there().no_unix_table;
  seen.unix_sockets = there().no_unix_table ? table_source::nothing : table_source::sock_diag;
  std::vector<observed_unix> sockets;
  if (there().no_unix_table) return sockets;
  for (const observed_unix& each : there().unix_sockets) {
    const unix_entry& facts = each;
    sockets.push_back({facts});
  }
  return sockets;
}

inline void find_owners(std::vector<observed_unix>& sockets, owner_reach reach, visibility& seen) {
  ++there().searches;
  seen.owners = reach == owner_reach::own_tree ? owner_view::own_tree : owner_view::all;
  for (observed_unix& socket : sockets) {
    for (const observed_unix& truth : there().unix_sockets) {
      if (truth.cookie != socket.cookie) continue;
      socket.owners.clear();
      for (const process& owner : truth.owners) {
        if (owner.ours() || reach != owner_reach::own_tree) socket.owners.push_back(owner);
      }
    }
    if (!socket.owners.empty()) {
      socket.owned = ownership::found;
    } else if (reach != owner_reach::own_tree) {
      socket.owned = ownership::ownerless;
    }
  }
}

inline std::optional<std::size_t> open_descriptors() { return there().descriptors; }

inline std::string absolute_path(const std::string& path) {
  return path.empty() || path.front() == '/' ? path : "/work/" + path;
}

inline unix_bind_facts look_at_unix_name(const std::string& name, unix_kind) {
  unix_bind_facts facts;
  facts.absolute_path = absolute_path(name);
  const bool open = std::any_of(there().unix_sockets.begin(), there().unix_sockets.end(),
                                [&](const observed_unix& each) { return each.name == name; });
  const auto file = there().socket_files.find(name);
  const bool has_file = file != there().socket_files.end();
  if (open || has_file) facts.bind = std::make_error_code(std::errc::address_in_use);
  if (!has_file) return facts;
  facts.file_inode = file->second;
  facts.there = unix_bind_facts::file::socket;
  facts.socket = open ? unix_bind_facts::life::open : unix_bind_facts::life::none;
  return facts;
}

inline void describe_holders(std::vector<observed_socket>&) {}
inline std::vector<std::string> read_restrictions() { return {}; }
inline bool an_interface_has(const ip_address&) { return false; }
inline bind_right right_to_low_ports() { return bind_right::grantable; }
inline bool loopback_is_down() noexcept { return there().loopback_down; }
inline bool multicast_joined(std::uint16_t) { return there().multicast; }

/// What Linux answers to a bind: EADDRINUSE where an address overlaps and the options of the two
/// sockets do not let both exist (socket(7), facts of TIME_WAIT included).
inline std::error_code answer_to(const bind_request& request, reuse options) {
  ++there().binds;
  there().asked.insert(request.local.port);
  if (there().no_binds) return there().no_binds;
  if (request.local.port != 0 && request.local.port < there().rules.unprivileged_start)
    return std::make_error_code(std::errc::permission_denied);
  const bool address = options == reuse::address || options == reuse::address_and_port;
  const bool port = options == reuse::port || options == reuse::address_and_port;
  for (const world::fake_socket& each : there().sockets) {
    if (each.facts.protocol != request.protocol) continue;
    if (!overlap(each.facts.local, each.facts.ipv6_only(), request.local, request.ipv6_only))
      continue;
    const bool listens = each.facts.state == socket_state::listen;
    const bool shared_address = address && each.reuse_address && !listens;
    const bool shared_port = port && each.reuse_port && each.facts.uid == world::own_uid;
    if (!shared_address && !shared_port) return std::make_error_code(std::errc::address_in_use);
  }
  return {};
}

inline unique_fd bind_socket(const bind_request& request, reuse options, std::error_code& error,
                             bool = true) {
  error = answer_to(request, options);
  return unique_fd{};
}
inline unique_fd bind_whole_port(protocol which, std::uint16_t port, reuse options,
                                 std::error_code& error) {
  return bind_socket({which, {ip_address::any_v6(), port}}, options, error);
}
inline std::error_code try_whole_port(protocol which, std::uint16_t port) {
  std::error_code error;
  bind_whole_port(which, port, reuse::none, error);
  return error;
}
inline constexpr bool can_hold_ports = true;
inline std::error_code hold_port(std::uint16_t port, kept_fd&) {
  return try_whole_port(protocol::tcp, port);
}
inline endpoint local_endpoint(int, std::error_code&) noexcept { return {}; }
inline constexpr int longest_backlog = 4096;
inline std::error_code listen_on(int, int) noexcept { return {}; }
template <typename Descriptor>
std::uint64_t socket_cookie(const Descriptor&) noexcept {
  return 0;
}
template <typename Work>
void in_private_descriptor_table(Work&& work) {
  work();
}

template <typename Descriptor>
std::error_code open_lock(Descriptor&) {
  return {};
}
template <typename Descriptor>
std::error_code lock_port(protocol which, std::uint16_t port, Descriptor&) {
  const bool taken = there().locks.emplace(std::pair{which, port}, world::own_pid).second;
  return taken ? std::error_code{} : std::make_error_code(std::errc::address_in_use);
}
inline std::optional<int> lock_holder(protocol which, std::uint16_t port) {
  const auto found = there().locks.find({which, port});
  return found == there().locks.end() ? std::nullopt : std::optional{found->second};
}

enum class witness_state : std::uint8_t { absent, off, mocked, recording };

class bind_log {
 public:
  std::uint64_t position() const { return there().binds_seen.size(); }
  std::vector<bind_record> since(std::uint64_t position, std::uint64_t& missing) const {
    missing = 0;
    const auto& all = there().binds_seen;
    return {all.begin() + static_cast<std::ptrdiff_t>(position), all.end()};
  }
  witness_state state() const noexcept { return witness_state::absent; }
  void on_call(void (*)(const bind_record&) noexcept) noexcept {}
};
inline void name_places(bind_record&) {}
inline std::vector<code_place> locate_places(const bind_record& record) { return record.stack; }
inline void note_bind(const bind_log&, int, const bind_request&) {}
inline void note_listen(const bind_log&, int) {}
inline int thread_number() noexcept { return 1; }
inline bool has_stack(std::size_t) noexcept { return true; }

inline port_rules read_port_rules() { return there().rules; }
inline port_rules look_up_port_rules(protocol, const ip_address&) { return there().rules; }

constexpr std::uint64_t only_namespace = 4026531840;
inline std::uint64_t current_net_namespace() noexcept { return only_namespace; }
inline std::uint64_t current_net_cookie() noexcept { return 1; }
template <typename Descriptor>
std::uint64_t net_cookie(const Descriptor&) noexcept {
  return 1;
}
inline bool in_private_net_namespace() noexcept { return there().private_namespace; }

inline constexpr const char* run_variable = "TIDEWAIT_RUN";
inline const std::string& ensure_run_mark() {
  static const std::string mark = "0123456789abcdef";
  return mark;
}
inline bool renew_run_mark() { return false; }
inline std::chrono::steady_clock::time_point steady_now() noexcept {
  return std::chrono::steady_clock::time_point{there().now};
}
inline std::uint64_t wall_clock() noexcept {
  return static_cast<std::uint64_t>(there().now.count());
}
inline std::uint64_t boot_time() noexcept { return 0; }
inline std::uint64_t uptime() noexcept { return wall_clock() * 1000; }
inline std::string host_name() { return "invented"; }
inline std::string program_name() { return "test_program"; }
inline std::string boot_id() { return "00000000-0000-4000-8000-000000000000"; }
inline void sleep_for(std::chrono::milliseconds time) { there().pass(time); }

/// It hears nothing: time passes.
struct socket_end_monitor {
  explicit socket_end_monitor(protocol) noexcept {}
  bool hears() const noexcept { return false; }
  bool wait(std::uint16_t, std::chrono::milliseconds most) {
    sleep_for(most);
    return false;
  }
};

struct test_context {
  std::string test;
  std::uint64_t since = 0;
  std::vector<std::string> tests;
};
inline test_context read_test_context() { return {}; }
inline std::string test_of_environment() { return {}; }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
