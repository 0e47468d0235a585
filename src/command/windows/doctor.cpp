// SPDX-License-Identifier: BSL-1.0
#include "../doctor.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "../command.hpp"
#include "port_settings.hpp"
#include "system.hpp"

namespace tidewait::command {
namespace {

endpoint loopback(std::uint16_t port) {
  return {ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, port};
}

void leave_listener(std::uint16_t port, std::vector<bound_socket>& left) {
  left.push_back(listening_socket{loopback(port)});
}

void leave_bound(std::uint16_t port, std::vector<bound_socket>& left) {
  left.push_back(bound_socket{{protocol::tcp, loopback(port)}});
}

void leave_udp(std::uint16_t port, std::vector<bound_socket>& left) {
  left.push_back(bound_socket{{protocol::udp, loopback(port)}});
}

/// A connection whose server's side closes first.
void leave_time_wait(std::uint16_t port, std::vector<bound_socket>&) {
  const listening_socket listener{loopback(port)};
  const SOCKET client = ::WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, nullptr, 0,
                                     WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = ::htons(port);
  where.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  if (::connect(client, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0) {
    ::closesocket(::accept(listener.native_handle(), nullptr, nullptr));
    char end = 0;
    ::recv(client, &end, 1, 0);
  }
  ::closesocket(client);
}

struct check {
  const char* name;
  protocol_set kind;
  void (*leave)(std::uint16_t port, std::vector<bound_socket>& left);
};

constexpr check checks[] = {
    {"a listener", protocol_set::tcp, leave_listener},
    {"a bound socket that does not listen", protocol_set::tcp, leave_bound},
    {"a UDP socket", protocol_set::udp, leave_udp},
    {"a TIME_WAIT", protocol_set::tcp, leave_time_wait},
};

/// Whether a watch reports what is left on a leased port; nothing if it could not be left.
std::optional<bool> detects(const check& what) {
  std::vector<bound_socket> left;
  try {
    watch test{{}, "doctor"};
    const port_lease port = lease_port(what.kind);
    what.leave(port.number(), left);
    return !test.look().clean();
  } catch (const observe_error& error) {
    say(std::string{"tidewait doctor: "} + error.what() + '\n');
    return std::nullopt;
  }
}

constexpr const char* not_here[] = {
    "bound sockets in `list`, and on ports that nobody leased: IP Helper lists none",
    "Unix sockets: Windows has no table of them",
    "how long a TIME_WAIT lasts: no table says it",
    "orphans: a process whose parent has ended is recognised by `tidewait run` only",
    "run --isolate, --witness: no private network, and the binds of another process are not shown",
    "tidewait gate: put `tidewait run` before the test run, whose job ends what it leaves",
    "listen_fds, server_options::pass_socket: no program finds a socket by its descriptor",
    "port_lease::hold(): Windows does not change how a bound port may be shared",
};

/// "50000-50059, 50160-50259 and 3 more"
std::string list(const std::vector<detail::excluded_range>& ranges) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < ranges.size() && i < most; ++i) {
    const port_range& ports = ranges[i].ports;
    text += (i == 0 ? "" : ", ") + std::to_string(ports.first) + '-' + std::to_string(ports.last);
    if (ranges[i].administered) text += " (by an administrator: a bind succeeds)";
  }
  if (ranges.size() > most) text += " and " + std::to_string(ranges.size() - most) + " more";
  return text.empty() ? "none" : text;
}

/// Which ports the system itself uses, and who says so.
std::string port_lines(protocol which) {
  const std::string name = which == protocol::udp ? "UDP" : "TCP";
  const auto range = detail::dynamic_range(which);
  const port_range ports = range.value_or(detail::default_dynamic_range);
  std::string text = "  " + name + " dynamic range: " + std::to_string(ports.first) + '-' +
                     std::to_string(ports.last);
  text += range ? " (netsh)\n" : " (the documented default: netsh tells none)\n";
  const auto& excluded = detail::excluded_ranges(which, false);
  text += "  " + name + " excluded ranges: ";
  return text + (excluded ? list(*excluded) : "not known: netsh tells none") + '\n';
}

int run() {
  int status = exit_code::fine;
  output text;
  text.add("left on a leased port:\n");
  for (const check& each : checks) {
    const std::optional<bool> found = detects(each);
    text.add(std::string{found.value_or(false) ? "  ok      " : "  MISSED  "} + each.name + '\n');
    if (!found.value_or(false)) status = found ? exit_code::bad : exit_code::cannot_look;
  }
  text.add("ports:\n");
  for (const protocol which : {protocol::tcp, protocol::udp}) text.add(port_lines(which));
  text.add("not on Windows:\n");
  for (const char* const each : not_here) text.add(std::string{"  "} + each + '\n');
  print(text);
  tell_notes();
  return status;
}

}  // namespace

void add_doctor(CLI::App& app, int& status) {
  CLI::App* const doctor =
      app.add_subcommand("doctor", "Say what works here and what does not exist on Windows");
  doctor->footer(
      "Leaves a socket of each kind on a leased port and looks. Exit code 0 if each is reported, 1 "
      "if\none is not, 3 if one could not be tried.\n");
  doctor->callback([&status] { status = run(); });
}

}  // namespace tidewait::command
