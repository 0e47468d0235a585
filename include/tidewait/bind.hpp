// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// The kernel's rules on port numbers in one network namespace (ip(7), Documentation/networking/
/// ip-sysctl.rst). The defaults are the kernel's.
struct port_rules {
  port_range ephemeral{32768, 60999};  ///< ip_local_port_range: outgoing connections and bind(0).
  std::vector<port_range> reserved{};  ///< ip_local_reserved_ports; of Windows, excluded ranges.
  std::uint16_t unprivileged_start = 1024;  ///< ip_unprivileged_port_start: below needs a right.
  bool autobind_reuse = false;              ///< ip_autobind_reuse: bind(0) may share a port in use.

  /// Whether ip_local_reserved_ports keeps the kernel from choosing `port`.
  bool is_reserved(std::uint16_t port) const noexcept {
    for (const port_range& range : reserved) {
      if (range.contains(port)) return true;
    }
    return false;
  }
};

/// A bind that somebody wants to make.
struct bind_request {
  tidewait::protocol protocol = protocol::tcp;    ///< TCP or UDP.
  endpoint local{};                               ///< Address and port to bind.
  tidewait::ipv6_only ipv6_only = ipv6_only::no;  ///< IPV6_V6ONLY of the socket (ipv6(7)).
};

/// The options of socket(7) that let a second socket onto an endpoint.
enum class reuse : std::uint8_t {
  none,
  address,           ///< SO_REUSEADDR
  port,              ///< SO_REUSEPORT
  address_and_port,  ///< Both.
};

/// What the kernel answered to a bind; an empty error means that it succeeded.
struct bind_outcome {
  std::error_code plain{};          ///< Without reuse options.
  std::error_code reuse_address{};  ///< With SO_REUSEADDR.
  std::error_code reuse_port{};     ///< With SO_REUSEPORT.
};

/// Whether a program can be given CAP_NET_BIND_SERVICE (capabilities(7)), and whether that helps.
enum class bind_right : std::uint8_t {
  grantable,            ///< Nothing is known to be in the way.
  held,                 ///< The process has it, so that something else refuses the bind.
  of_other_namespace,   ///< It is there, but of a user namespace that does not own the network.
  no_new_privs,         ///< No program that is started gains rights (prctl(2)).
  not_in_bounding_set,  ///< Nobody below this process can have it.
};

/// What is known beside the sockets when a bind is explained.
struct bind_environment {
  port_rules rules{};          ///< Which ports are ephemeral, reserved and privileged.
  bool leased = false;         ///< The port is leased by this process.
  bool pid_namespace = false;  ///< Processes outside this pid namespace are not visible.
  owner_view owners = owner_view::not_searched;  ///< Which processes the search for owners saw.
  /// A look judges: TIME_WAIT is a finding even where SO_REUSEADDR lets the next bind through.
  bool strict = false;
  std::optional<std::uint32_t> user{};  ///< Who would bind: only one user's sockets share a port.
  bool listened = false;                ///< This process tree was seen to listen on the port.
  bool multicast = false;               ///< A group is joined (IP_ADD_MEMBERSHIP, ip(7)).
  bool loopback_down = false;           ///< The loopback interface is down.
  std::vector<std::string> restrictions{};  ///< What may refuse a bind: "seccomp", "SELinux (…)".
  bool has_address = false;  ///< An interface has the address that was refused (EADDRNOTAVAIL).
  bind_right low_ports = bind_right::grantable;  ///< Of a bind that was refused below them.
  bool may_trace = false;  ///< The one who looks has CAP_SYS_PTRACE (capabilities(7)).
};

/// A place in the code of a process, as far as it is known.
struct code_place {
  std::string module{};      ///< Path of the program or library; may be empty.
  std::uint64_t offset = 0;  ///< Within the module, as addr2line(1) takes it.
  std::string function{};    ///< Demangled; empty if not known.
  std::string file{};        ///< As the compiler was given it; empty if not known.
  unsigned line = 0;         ///< 0: not known.
};

/// What a socket that was bound is for.
enum class bound_kind : std::uint8_t {
  tcp,
  udp,
  local,  ///< A Unix socket.
  other,  ///< Another family or type, such as SCTP.
};

/// "tcp", "udp", "unix", "other".
inline std::string_view to_string(bound_kind kind) noexcept {
  switch (kind) {
    case bound_kind::tcp: return "tcp";
    case bound_kind::udp: return "udp";
    case bound_kind::local: return "unix";
    case bound_kind::other: break;
  }
  return "other";
}

/// One bind(2), with the listen(2) that followed on the same socket; or a listen(2) alone, which
/// binds to a port that the kernel chooses. The witness of this process records it at that moment.
struct bind_record {
  std::chrono::system_clock::time_point time{};  ///< When it was called.
  std::string test{};                   ///< That ran; empty if none did, or it is not known.
  int pid = 0;                          ///< getpid(2) of the caller.
  int thread = 0;                       ///< gettid(2) of the caller.
  int fd = -1;                          ///< The caller's descriptor of the socket.
  bound_kind kind = bound_kind::other;  ///< TCP, UDP, Unix, or another family.
  std::optional<endpoint>
      asked{};                     ///< Nothing: listen(2) alone, or not an address of IPv4 or IPv6.
  std::optional<endpoint> got{};   ///< getsockname(2); nothing if it failed.
  std::string path{};              ///< Of a Unix socket; '@' in front of an abstract name.
  bool kernel_chose_port = false;  ///< Asked for port 0: nobody asks for that number again.
  bool listening = false;          ///< listen(2) succeeded.
  bool reuse_address = false;      ///< SO_REUSEADDR (socket(7)) at that moment.
  bool reuse_port = false;         ///< SO_REUSEPORT (socket(7)) at that moment.
  tidewait::ipv6_only ipv6_only = ipv6_only::no;  ///< IPV6_V6ONLY (ipv6(7)).
  std::uint64_t cookie = 0;                       ///< SO_COOKIE; 0: not known.
  std::uint64_t net_cookie = 0;                   ///< SO_NETNS_COOKIE; 0: not known.
  std::error_code error{};                        ///< Of the call; empty: it succeeded.
  std::vector<code_place> stack{};                ///< Who called, innermost first.
  bool whole_stack = false;  ///< Reports show each place of it (TIDEWAIT_STACK=full).

  /// The options, as `probe_bind` names them.
  reuse options() const noexcept {
    if (reuse_address) return reuse_port ? reuse::address_and_port : reuse::address;
    return reuse_port ? reuse::port : reuse::none;
  }
};

/// Whether nothing of this can be reached from another machine: each socket over IPv4 or IPv6 is
/// bound to a loopback address. A test whose server listens on 0.0.0.0 or :: is open to the
/// network.
inline bool only_loopback(const std::vector<bind_record>& records) noexcept {
  return std::all_of(records.begin(), records.end(), [](const bind_record& each) {
    return each.error || !each.got || each.got->address.is_loopback();
  });
}

}  // namespace v0
}  // namespace tidewait
