// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/diagnosis.hpp>

#include "sockets_of.hpp"

namespace {

using namespace std::chrono_literals;
using found::bind_to;
using found::connection;
using found::held;
using found::helped_by_reuse_address;
using found::helped_by_reuse_port;
using found::here;
using found::hidden;
using found::in_use;
using found::inherit;
using found::kept;
using found::leased;
using found::listener;
using found::many_connections;
using found::mine;
using found::of_kernel;
using found::of_other;
using found::of_test;
using found::of_uid;
using found::of_user;
using found::peer;
using found::refused;
using found::restricted;
using found::seen_by;
using found::socket;
using found::stop;
using found::time_wait;
using found::udp_socket;
using found::waiting;
using found::with;
using found::witnessed;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using tidewait::bind_environment;
using tidewait::bind_outcome;
using tidewait::bind_request;
using tidewait::cause;
using tidewait::diagnosis;
using tidewait::ipv6_only;
using tidewait::keeper_kind;
using tidewait::observed_socket;
using tidewait::ownership;
using tidewait::protocol;
using tidewait::relation;
using tidewait::socket_state;

struct why_case {
  const char* name;
  bind_request request;
  std::vector<observed_socket> sockets;
  std::vector<cause> causes;
  bind_outcome outcome{in_use, in_use, in_use};
  bind_environment environment{};
};

/// Who holds a port, and what is known of him.
const why_case holder_cases[] = {
    {"udp_beside_a_wildcard",
     bind_to(here, protocol::udp),
     {of_other(udp_socket("*:8080"))},
     {cause::bound_not_listening, cause::wildcard_covers},
     helped_by_reuse_address},
    {"udp_of_a_multicast_group",
     bind_to("224.1.2.3:8080", protocol::udp),
     {of_other(udp_socket("224.1.2.3:8080"))},
     {cause::bound_not_listening},
     helped_by_reuse_address},
    {"udp_shared_silently",
     bind_to(here, protocol::udp),
     {of_other(udp_socket(here)), mine(udp_socket(here))},
     {cause::shared_silently, cause::bound_not_listening, cause::bound_not_listening},
     helped_by_reuse_address},
    {"udp_shared_by_a_multicast_group",
     bind_to("*:8080", protocol::udp),
     {of_other(udp_socket("*:8080")), mine(udp_socket("*:8080"))},
     {cause::bound_not_listening, cause::bound_not_listening},
     helped_by_reuse_address,
     [] {
       bind_environment environment;
       environment.multicast = true;
       return environment;
     }()},
    {"stopped", bind_to(here), {with(&stop, of_other(listener()))}, {cause::listener_of_other}},
    {"stopped_by_a_debugger",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.tracer = "pid 80 (gdb)"; }, of_other(listener()))},
     {cause::listener_of_other}},
    {"main_thread_ended",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.defunct = true; }, of_other(listener()))},
     {cause::listener_of_other}},
    {"systemd_socket_unit",
     bind_to(here),
     {[] {
       observed_socket entry = of_other(listener(), 1);
       entry.owners.front().name = "systemd";
       return entry;
     }()},
     {cause::listener_of_other}},
    {"systemd_unit",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.unit = "nginx.service"; }, of_other(listener()))},
     {cause::listener_of_other}},
    {"user_unit",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.unit = "user unit app-code.scope"; },
           of_other(listener()))},
     {cause::listener_of_other}},
    {"docker_container",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.unit = "docker container 0123456789ab"; },
           of_other(listener()))},
     {cause::listener_of_other}},
    {"docker_proxy",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.name = "docker-proxy"; }, of_other(listener()))},
     {cause::listener_of_other}},
    {"ssh_forwarding",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.command = "sshd: user@pts/0"; },
           of_other(listener()))},
     {cause::listener_of_other}},
    {"started_by_an_editor",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.parent = "pid 80 (code)"; }, of_other(listener()))},
     {cause::listener_of_other}},
    {"inherited_by_other",
     bind_to(here),
     {with(&inherit, of_other(listener()))},
     {cause::inherited}},
    {"inherited_by_orphan",
     bind_to(here),
     {with(&inherit, held(listener(), relation::marked_orphan, 4713, {7}))},
     {cause::inherited}},
    {"inherited_by_child_of_nobody",
     bind_to(here),
     {with(&inherit, held(listener(), relation::descendant, 4712, {7}))},
     {cause::inherited}},
    {"inherited_beside_the_server",
     bind_to(here),
     {[] {
       observed_socket entry = of_other(of_other(listener(), 98), 99, {7});
       entry.owners.front().inherited = true;
       entry.owners.front().name = "sleep";
       return entry;
     }()},
     {cause::listener_of_other}},
    {"listener_on_an_ephemeral_port",
     bind_to("127.0.0.1:40001"),
     {of_other(listener("127.0.0.1:40001"))},
     {cause::listener_of_other}},
    {"udp_on_an_ephemeral_port",
     bind_to("127.0.0.1:40001", protocol::udp),
     {of_other(udp_socket("127.0.0.1:40001"))},
     {cause::bound_not_listening}},
    {"connection_to_itself",
     bind_to("127.0.0.1:40001"),
     {mine(socket(socket_state::established, "127.0.0.1:40001", "127.0.0.1:40001"), {8})},
     {cause::self_connection}},
    {"time_wait_of_a_client",
     bind_to("127.0.0.1:40001"),
     {waiting("127.0.0.1:40001", "127.0.0.1:8080")},
     {cause::client_time_wait}},
    {"time_wait_of_a_client_or_a_server",
     bind_to("127.0.0.1:40001"),
     {waiting("127.0.0.1:40001", "127.0.0.1:40002")},
     {cause::time_wait}},
    {"time_wait_of_a_known_server_on_an_ephemeral_port",
     bind_to("127.0.0.1:40001"),
     {waiting("127.0.0.1:40001", "127.0.0.1:40002")},
     {cause::time_wait},
     {in_use, in_use, in_use},
     [] {
       bind_environment environment;
       environment.listened = true;
       return environment;
     }()},
    {"time_wait_of_a_connection_to_itself",
     bind_to("127.0.0.1:40001"),
     {waiting("127.0.0.1:40001", "127.0.0.1:40001")},
     {cause::self_connection}},
    {"time_wait_of_a_listener_with_reuse_port",
     bind_to(here),
     {time_wait(peer, 59149ms)},
     {cause::time_wait},
     helped_by_reuse_port},
    {"ports_exhausted", bind_to("*:0"), {}, {cause::ports_exhausted}},
    {"loopback_down",
     bind_to(here),
     {},
     {cause::loopback_down},
     bind_outcome{},
     [] {
       bind_environment environment;
       environment.loopback_down = true;
       return environment;
     }()},
    {"refused_by_a_security_module",
     bind_to(here),
     {},
     {cause::refused},
     refused(std::errc::permission_denied),
     restricted({"SELinux (system_u:system_r:container_t:s0)", "seccomp", "Landlock"})},
    {"refused_with_eperm",
     bind_to(here),
     {},
     {cause::refused},
     refused(std::errc::operation_not_permitted),
     restricted({"AppArmor (docker-default)", "seccomp"})},
    {"privileged_port",
     bind_to("*:80"),
     {},
     {cause::privileged_port},
     refused(std::errc::permission_denied)},
    {"address_not_local",
     bind_to("192.0.2.1:8080"),
     {},
     {cause::address_not_local},
     refused(std::errc::address_not_available)},
    {"ipv6_loopback_not_local",
     bind_to("[::1]:8080"),
     {},
     {cause::address_not_local},
     refused(std::errc::address_not_available)},
    {"ipv6_address_not_local",
     bind_to("[2001:db8::1]:8080"),
     {},
     {cause::address_not_local},
     refused(std::errc::address_not_available)},
    {"link_local_without_interface",
     bind_to("[fe80::1]:8080"),
     {},
     {cause::refused},
     refused(std::errc::invalid_argument)},
    {"refused_otherwise",
     bind_to(here),
     {},
     {cause::refused},
     refused(std::errc::permission_denied)},
    {"owner_of_another_user",
     bind_to(here),
     {hidden(listener())},
     {cause::owner_hidden},
     {in_use, in_use, in_use},
     seen_by(tidewait::owner_view::own_user_only)},
    {"owner_of_another_user_for_a_root_without_rights",
     bind_to(here),
     {hidden(listener())},
     {cause::owner_hidden},
     {in_use, in_use, in_use},
     [] {
       bind_environment environment = seen_by(tidewait::owner_view::own_user_only, true);
       environment.user = 0;
       return environment;
     }()},
    {"owner_that_no_root_may_see",
     bind_to(here),
     {hidden(listener())},
     {cause::owner_hidden},
     {in_use, in_use, in_use},
     [] {
       bind_environment environment = seen_by(tidewait::owner_view::own_user_only);
       environment.user = 0;
       environment.may_trace = true;
       return environment;
     }()},
    {"owner_behind_hidepid",
     bind_to(here),
     {hidden(listener())},
     {cause::owner_hidden},
     {in_use, in_use, in_use},
     seen_by(tidewait::owner_view::hidepid, true)},
    {"owner_without_proc",
     bind_to(here),
     {hidden(listener())},
     {cause::owner_hidden},
     {in_use, in_use, in_use},
     seen_by(tidewait::owner_view::no_proc)},
    {"nothing_visible", bind_to(here), {}, {cause::not_visible}},
};

}  // namespace
