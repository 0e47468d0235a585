// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/multicast.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline constexpr const char* this_network = "this network namespace";
inline constexpr const char* list_addresses = "`ip address` lists them";
inline constexpr const char* list_interfaces = "`ip link`";
inline constexpr const char* where_ipv6_is_off = ", as it is in many containers";
inline constexpr const char* switch_ipv6_on =
    "set net.ipv6.conf.all.disable_ipv6=0 (docker run --sysctl)";
inline constexpr const char* if_address_is_elsewhere =
    "; for a virtual IP that another machine has now, set net.ipv4.ip_nonlocal_bind=1; a public "
    "address behind NAT, as in a cloud, is on no interface: bind the private one, or 0.0.0.0";
inline constexpr const char* where_sockets_are_apart =
    ": they are in another VRF (`ip vrf exec`), or a sandbox answers in the kernel's place";
inline constexpr const char* leave_apart =
    "start the program outside of the VRF (`ip vrf identify` names it), or add the address to it "
    "(`ip address add 127.0.0.1/8 dev VRF`)";
inline constexpr const char* wait_for_tentative =
    "wait until it is not \"tentative\" there any more, or add it with `nodad`";
inline constexpr const char* bind_says = "see bind(2) for what this error means here";
inline constexpr const char* port_range_setting = "net.ipv4.ip_local_port_range";
inline constexpr const char* widen_port_range = "widen net.ipv4.ip_local_port_range";
inline constexpr const char* clients_are_shared_by = "SO_REUSEPORT";
inline constexpr const char* share_no_clients =
    "do not set SO_REUSEPORT on a test server; lease the port";
inline constexpr const char* datagrams_are_shared_by = "SO_REUSEADDR or SO_REUSEPORT";
inline constexpr const char* share_no_datagrams =
    "set neither option on a test's UDP socket; lease the port";
inline constexpr const char* udp_sockets_share_if =
    " (both sockets have to set it, and the other has not)";
inline constexpr const char* reserved_ports_setting = "net.ipv4.ip_local_reserved_ports";
inline constexpr const char* inside_ephemeral_means =
    "for TCP they are held, and only a server with SO_REUSEADDR or SO_REUSEPORT can bind them; for "
    "UDP any bind(0) may take them";
inline constexpr const char* low_ports_need =
    "ports below net.ipv4.ip_unprivileged_port_start are privileged";
inline constexpr const char* raise_descriptor_limit = "raise ulimit -n";
inline constexpr const char* locks_need =
    "the lock is an abstract Unix socket: the sandbox (seccomp, AppArmor, "
    "RestrictAddressFamilies=) must allow AF_UNIX";
inline constexpr const char* probes_need =
    "the sandbox (seccomp, RestrictAddressFamilies=) must allow AF_INET";
inline constexpr const char* keep_from_children =
    "open it with SOCK_CLOEXEC so that no child keeps it";
inline constexpr const char* if_only_inherited =
    "if it only inherited the descriptor, open the socket with SOCK_CLOEXEC";
inline constexpr const char* no_hold_cause =
    "a server or its TIME_WAIT is on it, or another process has taken it";

/// What to do where a port is in use and no socket is to be seen.
inline std::string look_closer(const bind_environment& environment) {
  const auto active = [&](const char* what) {
    const auto& all = environment.restrictions;
    return std::find(all.begin(), all.end(), what) != all.end();
  };
  if (active("WSL")) {
    return "look on Windows (`netstat -ano`, `netsh interface ipv4 show excludedportrange "
           "protocol=tcp`): with networkingMode=mirrored, WSL refuses a port that Windows uses or "
           "has reserved; or use another port";
  }
  return std::string{active("seccomp") ? "a seccomp filter is active, and a sandbox such as gVisor "
                                         "may answer in the kernel's place: look outside of it; "
                                       : ""} +
         "look as root and outside containers; a kernel before 6.8 does not list sockets that are "
         "bound and do not listen";
}

/// What would show the holder of a socket that is hidden.
inline std::string show_owner(const observed_socket& socket, const bind_environment& environment) {
  const std::string outside = environment.pid_namespace ? ", outside this pid namespace," : "";
  if (environment.owners == owner_view::no_descriptors) {
    return "close descriptors or raise ulimit -n to identify the process";
  }
  if (environment.owners == owner_view::no_proc) {
    return "mount /proc" + outside + " to identify the process";
  }
  if (environment.user == 0U && environment.may_trace) {
    return "run on the host: a container or a security module keeps this root from looking into "
           "that "
           "process";
  }
  if (environment.user == 0U) {
    return "root lacks CAP_SYS_PTRACE here: add it (docker run --cap-add SYS_PTRACE), or run as "
           "uid " +
           std::to_string(socket.uid) + outside + " to identify the process";
  }
  const std::string fix = "run as root with CAP_SYS_PTRACE, or as uid " +
                          std::to_string(socket.uid) + outside + " to identify the process";
  return environment.owners == owner_view::hidepid ? fix + " (/proc is mounted with hidepid)" : fix;
}

/// "a process of uid 0".
inline std::string unseen_process(const observed_socket& socket) {
  return "a process of uid " + std::to_string(socket.uid);
}

/// The same as a cell of a table.
inline std::string unseen_owner(const observed_socket& socket) {
  return "hidden (user " + std::to_string(socket.uid) + ')';
}

/// What becomes of the datagrams where SO_REUSEADDR lets a second UDP socket onto the port, of
/// which `there` (or null) is the first.
inline std::string effect_of_reuse_address(const bind_request& request,
                                           const observed_socket* there,
                                           const bind_environment& environment) {
  if (request.protocol != protocol::udp || there == nullptr) return {};
  const ip_address address = there->local.address.unmapped();
  if (may_be_multicast(address) && (environment.multicast || !address.is_wildcard())) {
    return ", and each socket that has joined the group gets its datagrams";
  }
  if (there->interface_index != 0) return ", and the first gets what arrives on its interface";
  return address == request.local.address.unmapped()
             ? ", and the one that was bound last gets the datagrams of both"
             : ", and the one with the more specific address gets what is sent to that";
}

/// What else is to be said where a bind fails even with SO_REUSEADDR. `listener`: that is in the
/// way, or null.
inline std::string beyond_reuse_address(const bind_outcome& outcome,
                                        const observed_socket* listener,
                                        const bind_environment& environment) {
  if (!outcome.reuse_port) {
    return listener != nullptr ? "; SO_REUSEPORT would share the port with the listener, silently"
                               : "; with SO_REUSEPORT, it succeeds";
  }
  if (listener == nullptr || !environment.user || *environment.user == listener->uid) return {};
  return ", and with SO_REUSEPORT: the listener belongs to user " + std::to_string(listener->uid) +
         ", and only sockets of one user share a port";
}

/// What ends the trouble with TIME_WAITs. A fix has to clear the finding: where a look is strict
/// SO_REUSEADDR does not, and where the server is known to have set it, it is no news. `only`:
/// nothing else is on the port.
inline std::string fix_time_wait(const bind_record* bound, bool strict, bool only,
                                 const bind_outcome& outcome) {
  const std::string first = "let the client close first";
  const bool reuse_fails = only && outcome.reuse_address;
  if (reuse_fails && !outcome.reuse_port && bound == nullptr && !strict)
    return first + ", or set SO_REUSEPORT before bind, as the listener before had done";
  if (strict || (bound != nullptr && bound->reuse_address && !reuse_fails)) return first;
  if (bound != nullptr && !bound->reuse_address)
    return first + ", or set SO_REUSEADDR on the server's socket before bind";
  return first + (reuse_fails ? ", or set SO_REUSEADDR before bind on this listener and on the one "
                                "before it"
                              : ", or set SO_REUSEADDR before bind");
}

/// EACCES and EPERM where no port is privileged: what is active and may have refused the bind.
inline explanation explain_denial(const bind_request& request, const std::error_code& error,
                                  const bind_environment& environment) {
  const std::string port = std::to_string(request.local.port);
  std::vector<std::string> list = environment.restrictions;
  list.erase(std::remove(list.begin(), list.end(), "WSL"), list.end());  // it answers EADDRINUSE
  if (error == std::errc::operation_not_permitted) {
    // SELinux, AppArmor and Landlock answer EACCES.
    list.erase(std::remove_if(list.begin(), list.end(),
                              [](const std::string& each) { return each != "seccomp"; }),
               list.end());
    list.emplace_back("a BPF program of the cgroup");
  }
  const std::string what = joined(list, ", ");
  std::string why = "not in use: the system answers \"" + error.message() + "\"";
  const auto active = [&](std::string_view name) { return what.find(name) != std::string::npos; };
  if (what.empty()) {
    return {cause::refused,
            why + ", as a sandbox, a security module or a BPF program of the cgroup does",
            "see bind(2), and the kernel's log (dmesg) for a denial"};
  }
  std::vector<std::string> fixes;
  if (active("SELinux")) {
    fixes.push_back(
        "`ausearch -m avc -ts recent` shows a denial by SELinux (`semanage port -a` "
        "permits the port)");
  }
  if (active("AppArmor")) fixes.push_back("`dmesg | grep DENIED` shows one by AppArmor");
  if (active("Landlock")) {
    fixes.push_back("a Landlock sandbox has to permit the port (LANDLOCK_ACCESS_NET_BIND_TCP)");
  }
  if (active("seccomp")) fixes.push_back("a seccomp filter has to permit bind(2)");
  if (active("BPF")) fixes.push_back("`bpftool cgroup tree` lists the programs of the cgroup");
  return {cause::refused, why + "; what may refuse a bind to port " + port + " here: " + what,
          joined(fixes, "; ")};
}

/// A port that needs a right, and what gives it here.
inline explanation explain_privileged_port(const bind_request& request,
                                           const bind_environment& environment) {
  const std::string start = std::to_string(environment.rules.unprivileged_start);
  const std::string why =
      "not in use: ports below " + start + " are privileged (net.ipv4.ip_unprivileged_port_start)";
  const std::string fix = "use a port from " + start + " on, or ";
  switch (environment.low_ports) {
    case bind_right::of_other_namespace:
      return {cause::privileged_port,
              why +
                  "; this process has CAP_NET_BIND_SERVICE in its own user namespace only, as in "
                  "a rootless container, and the network belongs to another",
              fix + "have root of the host run `sysctl net.ipv4.ip_unprivileged_port_start=" +
                  std::to_string(request.local.port) + '`'};
    case bind_right::no_new_privs:
      return {cause::privileged_port,
              why + "; no_new_privs is set, so that sudo and setcap have no effect here",
              fix +
                  "start the program with CAP_NET_BIND_SERVICE as an ambient capability "
                  "(AmbientCapabilities=), or without no_new_privs (NoNewPrivileges=no, "
                  "allowPrivilegeEscalation: true)"};
    case bind_right::not_in_bounding_set:
      return {cause::privileged_port,
              why +
                  "; the bounding set of this process lacks CAP_NET_BIND_SERVICE, so that nothing "
                  "that it starts can have it",
              fix +
                  "add the capability where the process is started (docker run --cap-add "
                  "NET_BIND_SERVICE, CapabilityBoundingSet=)"};
    case bind_right::held:
    case bind_right::grantable: break;
  }
  return {cause::privileged_port, why,
          fix + "give the program CAP_NET_BIND_SERVICE (`setcap cap_net_bind_service=+ep FILE`)"};
}

/// What this system alone refuses a bind for.
inline std::optional<explanation> system_refusal(const bind_request& request,
                                                 const std::error_code& error,
                                                 const bind_environment& environment) {
  const port_rules& rules = environment.rules;
  if (error != std::errc::permission_denied && error != std::errc::operation_not_permitted)
    return std::nullopt;
  const bool may = environment.low_ports == bind_right::held;
  if (may || request.local.port >= rules.unprivileged_start || request.local.port == 0)
    return explain_denial(request, error, environment);
  return explain_privileged_port(request, environment);
}

/// How to stop what runs in a systemd unit or a container.
inline std::string stop_unit(std::string_view unit) {
  const auto starts = [&](std::string_view front) { return unit.substr(0, front.size()) == front; };
  const std::string name{unit.substr(unit.rfind(' ') + 1)};
  if (unit == "systemd-resolved.service") {
    return "set DNSStubListener=no in /etc/systemd/resolved.conf, and `systemctl restart "
           "systemd-resolved` (to stop it would leave this machine without DNS)";
  }
  if (starts("docker container ")) return "stop the container: `docker stop " + name + '`';
  if (starts("podman container ")) return "stop the container: `podman stop " + name + '`';
  if (unit.find("container ") != std::string_view::npos) return "stop that container";
  return std::string{"stop the unit: `systemctl "} + (starts("user unit ") ? "--user " : "") +
         "stop " + name + '`';
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
