// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Where the sockets of one protocol were read.
enum class table_source : std::uint8_t {
  not_asked,  ///< The query did not ask for this protocol.
  sock_diag,  ///< Netlink, sock_diag(7): everything.
  proc_net,   ///< /proc/net: no cookies, no bound sockets that do not listen, no IPV6_V6ONLY.
  ip_helper,  ///< Windows, GetExtendedTcpTable: no bound sockets that do not listen.
  nothing,    ///< None could be read.
};

/// How far to look for the processes that hold a socket.
enum class owner_reach : std::uint8_t {
  nobody,       ///< Do not look.
  own_tree,     ///< This process and its descendants.
  until_found,  ///< Then all others, until each socket has a holder.
  everyone,     ///< Every process, so that each holder of a shared socket is named.
};

/// What to read. The kernel filters by protocol, state and port, so a narrow question is cheap: the
/// listeners alone take some 20 µs however many connections the machine has.
struct socket_query {
  bool tcp = true;  ///< Read TCP sockets.
  bool udp = true;  ///< Read UDP sockets.
  /// Only sockets in these states.
  state_set states = state_set::all();
  std::vector<std::uint16_t> ports{};        ///< Local ports; none: every port.
  owner_reach owners = owner_reach::nobody;  ///< How far to look for holders.
};

/// Which processes a search for owners could see.
enum class owner_view : std::uint8_t {
  not_searched,    ///< Nobody looked for holders, or no socket was one that a process could hold.
  own_tree,        ///< It did not look further.
  all,             ///< Every process of this pid namespace.
  own_user_only,   ///< Processes of other users do not show their files: CAP_SYS_PTRACE, which root
                   ///< lacks in most containers, shows them.
  hidepid,         ///< /proc is mounted with hidepid: processes of other users do not even appear.
  no_proc,         ///< /proc cannot be read.
  no_descriptors,  ///< The same: this process has no file descriptor left (EMFILE, ENFILE).
  not_named,       ///< The IP Helper API names no process for some sockets that one must hold.
};

/// How much of the machine a look could see. What could not be seen is never taken for absent.
struct visibility {
  table_source tcp = table_source::not_asked;           ///< Where TCP sockets were read.
  table_source udp = table_source::not_asked;           ///< Where UDP sockets were read.
  table_source unix_sockets = table_source::not_asked;  ///< Where Unix sockets were read.
  std::error_code sock_diag_error{};  ///< Why sock_diag did not answer; empty if it did.
  std::error_code unix_diag_error{};  ///< The same for Unix sockets.
  std::error_code ip_helper_error{};  ///< The same of the IP Helper API, on Windows.
  bool bound_sockets = false;         ///< Bound sockets that do not listen are visible (Linux 6.8).
  bool torn = false;  ///< The table kept changing; a socket may be missing or listed twice.
  std::size_t unread_lines = 0;                  ///< Lines of /proc/net that could not be read.
  owner_view owners = owner_view::not_searched;  ///< Whose processes could be searched for holders.
  bool pid_namespace = false;          ///< Processes outside this pid namespace do not appear.
  std::error_code owners_error{};      ///< Why a process could not be searched although it may be.
  std::size_t large_environments = 0;  ///< Holders with an environment too large to be read whole.

  /// The sockets of a protocol that was asked for could not be read by any route.
  bool blind() const noexcept {
    return tcp == table_source::nothing || udp == table_source::nothing;
  }

  /// This process could read which sockets it holds itself, or nobody asked.
  bool shows_own_sockets() const noexcept {
    return owners != owner_view::no_proc && owners != owner_view::no_descriptors;
  }

  /// Whatever holds a port of a protocol that was asked for is in the table.
  bool shows_bound_sockets() const noexcept {
    return !sock_diag_error && (bound_sockets || tcp == table_source::not_asked);
  }
};

/// One line: "sock_diag; owners of all processes visible".
inline std::string to_string(const visibility& seen) {
  const auto name = [](table_source source) {
    switch (source) {
      case table_source::sock_diag: return "sock_diag";
      case table_source::proc_net: return "/proc/net";
      case table_source::ip_helper: return "IP Helper";
      case table_source::nothing: return "bind probes only";
      case table_source::not_asked: break;
    }
    return "";
  };
  std::string text = name(seen.tcp);
  const bool unix_alone =
      seen.tcp == table_source::not_asked && seen.udp == table_source::not_asked;
  if (unix_alone) {
    text = seen.unix_sockets == table_source::proc_net  ? "/proc/net/unix"
           : seen.unix_sockets == table_source::nothing ? "the file system only"
                                                        : name(seen.unix_sockets);
  }
  if (seen.udp != table_source::not_asked && seen.udp != seen.tcp) {
    if (!text.empty()) text += ", for UDP ";
    text += name(seen.udp);
  }
  switch (seen.owners) {
    case owner_view::not_searched: break;
    case owner_view::own_tree: text += "; owners of this process tree visible"; break;
    case owner_view::all:
      text += seen.pid_namespace ? "; owners of all processes of this pid namespace visible"
                                 : "; owners of all processes visible";
      break;
    case owner_view::own_user_only: text += "; owners of other users hidden"; break;
    case owner_view::hidepid: text += "; owners of other users hidden (hidepid)"; break;
    case owner_view::no_proc: text += "; owners hidden (no /proc)"; break;
    case owner_view::no_descriptors: text += "; owners hidden (no file descriptor left)"; break;
    case owner_view::not_named: text += "; owners of some sockets not named"; break;
  }
  return text;
}

namespace detail {
inline bool is_shortage_of_descriptors(const std::error_code& error) noexcept {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system;
}
inline constexpr const char* end_shortage_of_descriptors =
    "look for a descriptor leak, or raise ulimit -n";

/// What may have refused netlink sockets of sock_diag: with ENOENT a module is missing, and with
/// EPROTONOSUPPORT nothing knows that protocol.
inline std::string what_refuses(const std::error_code& error, const char* missing_module) {
  return error == std::errc::protocol_not_supported
             ? "an emulator such as qemu-user, seccomp, or a kernel without sock_diag"
             : std::string{"seccomp, or "} + missing_module;
}
}  // namespace detail

/// What could not be seen.
struct gap {
  std::string why{};  ///< What it was, and the reason; empty if nothing was missing.
  std::string fix{};  ///< What to do to see it; empty if there is nothing, or `why` says it.

  bool empty() const noexcept { return why.empty(); }  ///< Nothing was missing.
};

/// One line: "sockets not visible: ...; mount /proc".
inline std::string to_string(const gap& each) {
  return each.fix.empty() ? each.why : each.why + "; " + each.fix;
}

/// What could not be seen, each with its reason and what would show it; empty if all was seen. If
/// it saw no sockets (`visibility::blind()`), that is the first.
inline std::vector<gap> gaps(const visibility& seen) {
  std::vector<gap> list;
  const auto add = [&](std::string why, std::string fix = {}) {
    list.push_back({std::move(why), std::move(fix)});
  };
  const auto sockets_from = [&](table_source source) -> std::string {
    if (seen.tcp == seen.udp) return seen.tcp == source ? "sockets" : "";
    return seen.tcp == source ? "TCP sockets" : (seen.udp == source ? "UDP sockets" : "");
  };
  const std::string refused = "sock_diag refused (" + seen.sock_diag_error.message();
  if (seen.blind() && seen.ip_helper_error) {
    add(sockets_from(table_source::nothing) + " not visible: IP Helper refused (" +
            seen.ip_helper_error.message() + ")",
        "see GetExtendedTcpTable for what this error means here");
  } else if (seen.blind()) {
    const bool few = detail::is_shortage_of_descriptors(seen.sock_diag_error);
    add(sockets_from(table_source::nothing) + " not visible: " + refused +
            ") and /proc/net not readable",
        few ? std::string{"no descriptor is left: "} + detail::end_shortage_of_descriptors
            : "allow netlink sockets (NETLINK_SOCK_DIAG) in the sandbox, or mount /proc");
  }
  if (const std::string which = sockets_from(table_source::proc_net); !which.empty()) {
    add(which + " read from /proc/net: " + refused + "; " +
        detail::what_refuses(seen.sock_diag_error,
                             "the modules tcp_diag and udp_diag are missing") +
        ')');
  }
  if (seen.tcp == table_source::proc_net) {
    add("bound sockets not visible: /proc/net does not list them");
  } else if (seen.tcp == table_source::sock_diag && !seen.bound_sockets) {
    add("bound sockets not visible: kernel before 6.8");
  } else if (seen.tcp == table_source::ip_helper && !seen.bound_sockets) {
    add("bound sockets not visible: IP Helper lists none",
        "look for a socket that the program has bound and not closed");
  }
  if (seen.unix_sockets == table_source::proc_net) {
    add("Unix sockets read from /proc/net/unix: sock_diag refused (" +
        seen.unix_diag_error.message() + "; " +
        detail::what_refuses(seen.unix_diag_error, "the module unix_diag is missing") + ')');
  } else if (seen.unix_sockets == table_source::nothing) {
    add("Unix sockets not visible: sock_diag refused (" + seen.unix_diag_error.message() +
        ") and /proc/net/unix not readable");
  }
  if (seen.torn) add("the socket table kept changing while it was read");
  if (seen.unread_lines != 0) {
    add(std::to_string(seen.unread_lines) + " lines of /proc/net could not be read");
  }
  switch (seen.owners) {
    case owner_view::own_user_only:
      add("owners hidden: other users' processes (root with CAP_SYS_PTRACE sees them; in a "
          "container: docker run --cap-add SYS_PTRACE)");
      break;
    case owner_view::hidepid:
      add("owners hidden: /proc is mounted with hidepid (root with CAP_SYS_PTRACE sees them)");
      break;
    case owner_view::no_proc: add("owners hidden: /proc cannot be read"); break;
    case owner_view::no_descriptors:
      add("owners hidden: no descriptor is left", detail::end_shortage_of_descriptors);
      break;
    case owner_view::not_named:
      add("owners hidden: IP Helper names no process for some sockets");
      break;
    case owner_view::not_searched:
    case owner_view::own_tree:
    case owner_view::all: break;
  }
  if (seen.owners_error) {
    add("owners hidden: a process could not be searched: " + seen.owners_error.message());
  }
  if (seen.large_environments != 0) {
    add(std::to_string(seen.large_environments) +
        (seen.large_environments == 1 ? " process has" : " processes have") +
        " an environment over 1 MiB, too large to be searched for the test that started "
        "it");
  }
  return list;
}

namespace detail {
/// All of them as one: first what was not seen, after `because_of` if something follows from it,
/// then what to do.
inline gap merged(const std::vector<gap>& gaps, const std::string& because_of = {}) {
  gap all;
  const auto add = [](std::string& to, const std::string& part) {
    if (!part.empty()) to += (to.empty() ? "" : "; ") + part;
  };
  for (const gap& each : gaps) {
    add(all.why, each.why);
    add(all.fix, each.fix);
  }
  all.why.insert(0, because_of);
  return all;
}
}  // namespace detail

}  // namespace v0
}  // namespace tidewait
