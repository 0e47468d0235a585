// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string name_of(const process& owner) {
  std::string text = "pid " + std::to_string(owner.pid);
  if (!owner.name.empty()) text += " (" + owner.name + ')';
  return text;
}

/// "fd 7", "fds 7, 8 and 9", "fds 7, 8, 9 and 4 more"; "a socket" where the system names none.
inline std::string descriptors_of(const process& owner) {
  constexpr std::size_t most = 4;
  std::vector<std::string> numbers;
  for (const int fd : owner.fds) numbers.push_back(std::to_string(fd));
  if (numbers.size() > most) {
    const std::size_t more = numbers.size() - most + 1;
    numbers.resize(most - 1);
    numbers.push_back(std::to_string(more) + " more");
  }
  const std::string thread =
      owner.thread != 0 ? " of thread " + std::to_string(owner.thread) : std::string{};
  if (numbers.empty()) return "a socket";
  if (numbers.size() < 2) return "fd " + joined(numbers, "") + thread;
  const std::string last = numbers.back();
  numbers.pop_back();
  return "fds " + joined(numbers, ", ") + " and " + last + thread;
}

inline const process* find_owner(const observed_socket& socket, relation which) noexcept {
  for (const process& owner : socket.owners) {
    if (owner.relation == which) return &owner;
  }
  return nullptr;
}

/// "thread 4712 of this process", "thread 4712 of pid 99 (server)"; without a thread likewise.
inline std::string whose(const process& who) {
  const std::string thread =
      who.thread != 0 ? "thread " + std::to_string(who.thread) + " of " : std::string{};
  return thread + (who.relation == relation::self ? "this process" : name_of(who));
}

/// "pid 99 (nginx) of nginx.service, started by pid 80 (code)": where it has to be stopped.
inline std::string holder_name(const process& owner) {
  std::string text = name_of(owner);
  if (!owner.unit.empty()) text += " of " + owner.unit;
  if (owner.stopped) text += " (stopped)";
  if (!owner.tracer.empty()) text += " (stopped by " + owner.tracer + ')';
  if (!owner.ending.empty()) text += " (" + owner.ending + ')';
  if (owner.defunct) text += " (defunct in ps, but only its main thread has ended)";
  return owner.parent.empty() ? text : text + ", started by " + owner.parent + ',';
}

/// How to stop a process that is managed by another, or that SIGTERM does not end; "" for any
/// other.
inline std::string stop_managed(const process& owner, std::uint16_t port) {
  const std::string pid = std::to_string(owner.pid);
  const auto runs = [&](std::string_view front) {
    return std::string_view{owner.command}.substr(0, front.size()) == front;
  };
  const auto is_any = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), owner.name) != names.end();
  };
  if (!owner.ending.empty()) {
    return "wait until it has ended; `kill -KILL " + pid + "` ends a core dump early";
  }
  if (owner.stopped) {
    return "SIGTERM does nothing to a stopped process: `kill -CONT " + pid +
           "` continues it, `kill -KILL " + pid + "` ends it";
  }
  if (!owner.tracer.empty()) {
    return "SIGTERM does nothing to a process that a debugger has stopped: continue it in " +
           owner.tracer + ", or `kill -KILL " + pid + "` ends it";
  }
  if (owner.name == "systemd") {
    const std::string command = std::string{"`systemctl "} + (owner.pid == 1 ? "" : "--user ");
    return "systemd listens for a service: " + command + "list-sockets` names the .socket unit, " +
           command + "stop` stops it";
  }
  // dockerd itself listens where its userland-proxy is switched off.
  if (is_any({"docker-proxy", "dockerd", "rootlesskit", "rootlesskit-doc"})) {
    return "a container publishes the port: `docker ps --filter publish=" + std::to_string(port) +
           "` names it; stop it";
  }
  if (is_any({"rootlessport", "conmon", "pasta", "pasta.avx2", "slirp4netns"})) {
    return "a container publishes the port: `podman ps` names it; stop it";
  }
  if ((runs("sshd: ") || runs("sshd-session: ")) &&
      owner.command.find("[listener]") == std::string::npos) {
    return "an SSH client forwards the port (ssh -R): end that session";
  }
  if (owner.name == "ssh") return "ssh forwards the port (-L, -D, LocalForward): end that ssh";
  return owner.unit.empty() ? std::string{} : stop_unit(owner.unit);
}

inline std::string may_start_again(const process& owner) {
  return owner.parent.empty() ? "" : " (" + owner.parent + " may start it again)";
}

/// How to stop a process that is no concern of the test's.
inline std::string stop_holder(const process& owner, std::uint16_t port) {
  const std::string managed = stop_managed(owner, port);
  return managed.empty() ? "stop that process" + may_start_again(owner) : managed;
}

/// ", only for the interface eth0 (SO_BINDTODEVICE)"; empty for a socket that is bound to none.
inline std::string only_on(const observed_socket& socket) {
  return socket.interface_name.empty()
             ? ""
             : ", only for the interface " + socket.interface_name + " (SO_BINDTODEVICE)";
}

/// "the port is in the ephemeral range 32768-60999, ...".
inline std::string in_ephemeral_range(const port_range& range) {
  return "the port is in the ephemeral range " + std::to_string(range.first) + '-' +
         std::to_string(range.last) + ", which the kernel hands out to clients and to port 0";
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
