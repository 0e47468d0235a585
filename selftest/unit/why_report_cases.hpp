// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include "why_cases.hpp"

namespace {

/// A listener of these processes, of which each was started by the one that is given with it.
observed_socket listener_of(const std::vector<std::pair<int, int>>& pids) {
  observed_socket entry = listener();
  for (const auto& [pid, started_by] : pids) {
    entry = of_other(std::move(entry), pid);
    entry.owners.back().name = "gunicorn";
    entry.owners.back().started_by = started_by;
  }
  return entry;
}

observed_socket on_interface(const char* name, std::uint32_t index, observed_socket entry) {
  entry.interface_name = name;
  entry.interface_index = index;
  return entry;
}

bind_environment low_ports(tidewait::bind_right right) {
  bind_environment environment = restricted({"SELinux (system_u:system_r:httpd_t:s0)"});
  environment.low_ports = right;
  return environment;
}

/// What people have met, by their public reports.
const why_case report_cases[] = {
    {"master_and_workers",
     bind_to(here),
     {listener_of({{99, 0}, {45, 99}, {46, 99}})},
     {cause::listener_of_other}},
    {"workers_without_a_master",
     bind_to(here),
     {listener_of({{45, 0}, {46, 0}, {47, 0}})},
     {cause::listener_of_other}},
    {"many_workers_without_a_master",
     bind_to(here),
     {listener_of(
         {{41, 0}, {42, 0}, {43, 0}, {44, 0}, {45, 0}, {46, 0}, {47, 0}, {48, 0}, {49, 0}})},
     {cause::listener_of_other}},
    {"child_with_workers",
     bind_to(here),
     {[] {
       observed_socket entry = listener_of({{45, 0}, {46, 45}});
       for (auto& each : entry.owners) each.relation = relation::descendant;
       return entry;
     }()},
     {cause::child_listens}},
    {"workers_that_outlived_the_run",
     bind_to(here),
     {[] {
       observed_socket entry = listener_of({{45, 0}, {46, 0}});
       for (auto& each : entry.owners) each.relation = relation::marked_orphan;
       return entry;
     }()},
     {cause::orphan_listens}},
    {"crashed",
     bind_to(here),
     {with([](tidewait::process& owner) { owner.ending = "has crashed and writes its core dump"; },
           of_other(listener()))},
     {cause::listener_of_other}},
    {"docker_without_a_proxy",
     bind_to(here),
     {with(
         [](tidewait::process& owner) {
           owner.name = "dockerd";
           owner.unit = "docker.service";
         },
         of_other(listener()))},
     {cause::listener_of_other}},
    {"systemd_resolved",
     bind_to("*:53"),
     {on_interface("lo", 1,
                   with(
                       [](tidewait::process& owner) {
                         owner.name = "systemd-resolve";
                         owner.unit = "systemd-resolved.service";
                       },
                       of_other(listener("127.0.0.53:53"))))},
     {cause::listener_of_other, cause::wildcard_covers}},
    {"listeners_on_two_interfaces",
     bind_to("*:8080"),
     {on_interface("eth0", 2, of_other(listener("*:8080"), 98)),
      on_interface("eth1", 3, of_other(listener("*:8080")))},
     {cause::listener_of_other, cause::listener_of_other}},
    {"udp_on_an_interface",
     bind_to("*:8080", protocol::udp),
     {on_interface("eth0", 2, of_other(udp_socket("*:8080")))},
     {cause::bound_not_listening},
     helped_by_reuse_address},
    {"nothing_visible_in_wsl",
     bind_to(here),
     {},
     {cause::not_visible},
     {in_use, in_use, in_use},
     restricted({"seccomp", "WSL"})},
    {"nothing_visible_under_seccomp",
     bind_to(here),
     {},
     {cause::not_visible},
     {in_use, in_use, in_use},
     restricted({"seccomp"})},
    {"privileged_port_of_another_user_namespace",
     bind_to("*:80"),
     {},
     {cause::privileged_port},
     refused(std::errc::permission_denied),
     low_ports(tidewait::bind_right::of_other_namespace)},
    {"privileged_port_with_no_new_privs",
     bind_to("*:80"),
     {},
     {cause::privileged_port},
     refused(std::errc::permission_denied),
     low_ports(tidewait::bind_right::no_new_privs)},
    {"privileged_port_out_of_bounds",
     bind_to("*:80"),
     {},
     {cause::privileged_port},
     refused(std::errc::permission_denied),
     low_ports(tidewait::bind_right::not_in_bounding_set)},
    {"privileged_port_with_the_right",
     bind_to("*:80"),
     {},
     {cause::refused},
     refused(std::errc::permission_denied),
     low_ports(tidewait::bind_right::held)},
    {"address_in_another_vrf",
     bind_to(here),
     {},
     {cause::address_not_local},
     refused(std::errc::address_not_available),
     [] {
       bind_environment environment;
       environment.has_address = true;
       return environment;
     }()},
    {"mptcp_endpoint",
     bind_to(here),
     {of_uid(0, kept(listener(), keeper_kind::mptcp, relation::other, "MPTCP endpoint with id 1"))},
     {cause::kernel_socket}},
    {"connection_half_closed_by_a_known_client",
     bind_to(here),
     {[] {
       observed_socket entry = of_kernel(connection(socket_state::fin_wait2));
       entry.time_left = std::chrono::milliseconds{59149};
       entry.peers = of_other(connection()).owners;
       return entry;
     }()},
     {cause::connection_open}},
};

}  // namespace
