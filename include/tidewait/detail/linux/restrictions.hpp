// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What is active for the calling process and may refuse a bind.
struct active_restrictions {
  std::string label{};          ///< /proc/self/attr/current: a context of SELinux, or of AppArmor.
  bool seccomp = false;         ///< A filter of system calls (seccomp(2)).
  bool no_new_privs = false;    ///< A process sets it before it sandboxes itself (prctl(2)).
  bool landlock_ports = false;  ///< The kernel has Landlock rules for TCP ports (since Linux 6.7).
};

/// In words, the surest in front.
inline std::vector<std::string> describe(const active_restrictions& active) {
  std::vector<std::string> list;
  const std::string_view label = active.label;
  if (label.find(" (enforce)") != std::string_view::npos) {
    list.push_back("AppArmor (" + sanitised(label.substr(0, label.find(' '))) + ')');
  } else if (std::count(label.begin(), label.end(), ':') >= 2) {
    list.push_back("SELinux (" + sanitised(label) + ')');
  }
  if (active.seccomp) list.emplace_back("seccomp");
  // Whether a process is in a Landlock sandbox is not to be seen.
  if (active.landlock_ports && (active.no_new_privs || list.empty())) list.emplace_back("Landlock");
  return list;
}

/// The value of "Seccomp:\t2" in a /proc/PID/status.
inline bool status_says(std::string_view text, std::string_view key, std::string_view value) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (take_word(line) == key) return take_word(line) == value;
  }
  return false;
}

inline std::vector<std::string> read_restrictions() {
  active_restrictions active;
  std::string text;
  const auto line_of = [&](const std::string& path) {
    if (read_file(AT_FDCWD, path.c_str(), text, 4096)) return std::string{};
    return text.substr(0, text.find_first_of(std::string_view{"\n\0", 2}));
  };
  active.label = line_of(proc_path("thread-self/attr/current"));
  if (!read_file(AT_FDCWD, proc_path("thread-self/status").c_str(), text)) {
    active.seccomp = status_says(text, "Seccomp:", "2");
    active.no_new_privs = status_says(text, "NoNewPrivs:", "1");
  }
#ifdef SYS_landlock_create_ruleset
  constexpr unsigned ask_version = 1;
  constexpr long version_with_ports = 4;
  active.landlock_ports =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, ask_version) >= version_with_ports;
#endif
  return describe(active);
}

/// Whether the loopback interface of the calling thread's network namespace is down, as it is in a
/// new one.
inline bool loopback_is_down() noexcept {
  const unique_fd any{sys.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq loopback{};
  std::memcpy(loopback.ifr_name, "lo", 3);
  return any && ::ioctl(any.get(), SIOCGIFFLAGS, &loopback) == 0 &&
         (static_cast<unsigned>(loopback.ifr_flags) & IFF_UP) == 0;
}

/// Whether a group is joined (/proc/net/igmp, igmp6) that a socket on this port may belong to. The
/// groups that a system joins by itself, and those of services with a port of their own, count only
/// on that port.
inline bool any_group_joined(std::string_view igmp, std::string_view igmp6, std::uint16_t port) {
  struct group_of_a_service {
    std::string_view v4;
    std::string_view v6_end;
    std::uint16_t port;
  };
  static constexpr group_of_a_service services[] = {
      {"010000E0", "00000001", 0},
      {"FB0000E0", "000000fb", 5353},
      {"FC0000E0", "00010003", 5355},
      {"FAFFFFEF", "0000000c", 1900},
  };
  const auto counts = [port](std::string_view group, std::string_view group_of_a_service::*name) {
    for (const group_of_a_service& each : services) {
      const std::string_view known = each.*name;
      const bool same =
          group.size() >= known.size() && group.substr(group.size() - known.size()) == known;
      if (same) return port == each.port;
    }
    return true;
  };
  while (!igmp.empty()) {
    std::string_view line = take_line(igmp);
    if (line.substr(0, 1) != "\t") continue;
    if (counts(take_word(line), &group_of_a_service::v4)) return true;
  }
  while (!igmp6.empty()) {
    std::string_view line = take_line(igmp6);
    take_word(line);
    take_word(line);
    const std::string_view group = take_word(line);
    const bool solicited = group.substr(0, 26) == "ff0200000000000000000001ff";
    if (!group.empty() && !solicited && counts(group, &group_of_a_service::v6_end)) return true;
  }
  return false;
}

inline bool multicast_joined(std::uint16_t port) {
  std::string igmp;
  std::string igmp6;
  static_cast<void>(read_file(AT_FDCWD, proc_path("thread-self/net/igmp").c_str(), igmp));
  static_cast<void>(read_file(AT_FDCWD, proc_path("thread-self/net/igmp6").c_str(), igmp6));
  return any_group_joined(igmp, igmp6, port);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
