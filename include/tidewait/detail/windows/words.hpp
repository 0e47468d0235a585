// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline constexpr const char* this_network = "this machine";
inline constexpr const char* list_addresses = "`ipconfig` lists them";
inline constexpr const char* list_interfaces = "`netsh interface ipv6 show interfaces`";
inline constexpr const char* where_ipv6_is_off = "";
inline constexpr const char* switch_ipv6_on =
    "enable Internet Protocol Version 6 (the registry value DisabledComponents switches it off)";
inline constexpr const char* if_address_is_elsewhere = "";
inline constexpr const char* where_sockets_are_apart = "";
inline constexpr const char* leave_apart = "see bind (Winsock) for what this error means here";
inline constexpr const char* wait_for_tentative =
    "wait until `netsh interface ipv6 show addresses` calls it Preferred";
inline constexpr const char* bind_says = "see bind (Winsock) for what this error means here";
inline constexpr const char* port_range_setting = "the dynamic port range";
inline constexpr const char* widen_port_range =
    "widen the dynamic port range (`netsh int ipv4 set dynamicport`)";
inline constexpr const char* clients_are_shared_by = "SO_REUSEADDR";
inline constexpr const char* share_no_clients =
    "do not set SO_REUSEADDR on a test server, but SO_EXCLUSIVEADDRUSE; lease the port";
inline constexpr const char* datagrams_are_shared_by = "SO_REUSEADDR";
inline constexpr const char* share_no_datagrams =
    "do not set SO_REUSEADDR on a test's UDP socket, but SO_EXCLUSIVEADDRUSE; lease the port";
inline constexpr const char* udp_sockets_share_if = "";
inline constexpr const char* reserved_ports_setting = "an excluded port range";
inline constexpr const char* inside_ephemeral_means =
    "an outgoing connection or a bind(0) may take them";
inline constexpr const char* low_ports_need =
    "the port may lie in an excluded port range (`netsh interface ipv4 show excludedportrange "
    "tcp`)";
inline constexpr const char* raise_descriptor_limit = "restart the program";
inline constexpr const char* locks_need =
    "the lock is a named semaphore in Global\\: see CreateSemaphore for what this error means";
inline constexpr const char* probes_need = bind_says;
inline constexpr const char* keep_from_children =
    "open it with WSA_FLAG_NO_HANDLE_INHERIT so that no child keeps it";
inline constexpr const char* if_only_inherited =
    "if it only inherited the handle, open the socket with WSA_FLAG_NO_HANDLE_INHERIT";
inline constexpr const char* no_hold_cause =
    "Windows does not change how a bound port may be shared; hand the server a bound socket "
    "instead";

/// What to do where a port is in use and no socket is to be seen.
inline std::string look_closer(const bind_environment&) {
  return "look for a socket that is bound and does not listen: IP Helper lists none (`netstat -q` "
         "and `Get-NetTCPConnection -State Bound` do)";
}

/// What would show the holder of a socket that is hidden.
inline std::string show_owner(const observed_socket&, const bind_environment&) {
  return "look with `netstat -ano` as an administrator to see which process it is";
}

/// "a process".
inline std::string unseen_process(const observed_socket&) { return "a process"; }

/// The same as a cell of a table.
inline std::string unseen_owner(const observed_socket&) { return "hidden"; }

/// What follows where a bind succeeds with SO_REUSEADDR only.
inline std::string effect_of_reuse_address(const bind_request&, const observed_socket*,
                                           const bind_environment&) {
  return " and hijacks the port: on Windows SO_REUSEADDR takes a port that another socket uses, "
         "and "
         "it is undefined which of the two gets the traffic; a server sets SO_EXCLUSIVEADDRUSE "
         "against that";
}

/// What else is to be said where a bind fails even with SO_REUSEADDR.
inline std::string beyond_reuse_address(const bind_outcome& outcome, const observed_socket*,
                                        const bind_environment&) {
  return outcome.reuse_address == std::errc::permission_denied
             ? "; the other socket has not set SO_REUSEADDR, or belongs to another user"
             : "";
}

/// What ends the trouble.
inline std::string fix_time_wait(const bind_record*, bool, bool, const bind_outcome&) {
  return "let the client close first; on Windows only a bind with SO_EXCLUSIVEADDRUSE meets a "
         "TIME_WAIT, and SO_REUSEADDR is no remedy: it hijacks ports";
}

/// What this system alone refuses a bind for: WSAEACCES where no socket is in the way.
inline std::optional<explanation> system_refusal(const bind_request& request,
                                                 const std::error_code& error,
                                                 const bind_environment& environment) {
  if (error != std::errc::permission_denied) return std::nullopt;
  const std::string kind = request.protocol == protocol::udp ? "udp" : "tcp";
  const std::string port = std::to_string(request.local.port);
  const std::vector<port_range>& kept_back = environment.rules.reserved;
  for (const port_range& range : kept_back) {
    if (!range.contains(request.local.port)) continue;
    return explanation{
        cause::excluded_port,
        "not in use: port " + port + " lies in the range " + std::to_string(range.first) + '-' +
            std::to_string(range.last) +
            " that Windows keeps back (usually for Hyper-V, WSL, Docker or WinNAT), and refuses "
            "every bind there (WSAEACCES)",
        "use another port: lease_port() gives one that can be bound; or keep this one for your "
        "programs, as an administrator: `net stop winnat`, then `netsh int ipv4 add "
        "excludedportrange protocol=" +
            kind + " startport=" + port + " numberofports=1`, then `net start winnat`"};
  }
  return explanation{
      cause::excluded_port,
      kept_back.empty()
          ? "not in use by a visible socket: Windows refuses it (WSAEACCES), as it does for a port "
            "in an excluded range of Hyper-V, WSL, Docker or WinNAT, and for one that a bound "
            "socket has with SO_EXCLUSIVEADDRUSE"
          : "not in use by a visible socket, and in none of the ranges that Windows keeps back: it "
            "refuses the port (WSAEACCES) as it does for one that a bound socket has with "
            "SO_EXCLUSIVEADDRUSE",
      "see `netsh int ipv4 show excludedportrange protocol=" + kind +
          "`; use another port: lease_port() gives one that can be bound"};
}

/// How to stop what runs as a service.
inline std::string stop_unit(std::string_view unit) {
  const std::string name{unit.substr(unit.rfind(' ') + 1)};
  return unit.find(',') == std::string_view::npos
             ? "stop the service as an administrator: `sc stop " + name + '`'
             : "find the service with `netstat -anob` and stop it as an administrator (`sc stop`)";
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
