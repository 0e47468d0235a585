// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/if_addr.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/linux/netlink_query.hpp>
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
  bool wsl = false;             ///< Windows Subsystem for Linux, which may ask Windows.
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
  if (active.wsl) list.emplace_back("WSL");
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
  active.wsl = line_of(proc_path("sys/kernel/osrelease")).find("icrosoft") != std::string::npos;
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

/// Whether an interface of this network has the address, if it is one of IPv4: an address of IPv6
/// may be there and not be usable yet.
inline bool an_interface_has(const ip_address& address) {
  if (!address.is_v4()) return false;
  const struct {
    nlmsghdr header;
    ifaddrmsg body;
  } question{{sizeof question, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
             {AF_INET, 0, 0, 0, 0}};
  bool found = false;
  ask_netlink(NETLINK_ROUTE, question, RTM_NEWADDR, [&](std::string_view body) {
    constexpr std::size_t front = NLMSG_ALIGN(sizeof(ifaddrmsg));
    if (body.size() < front) return;
    for_each_attribute(body.substr(front), [&](int type, std::string_view value) {
      found = found ||
              (type == IFA_LOCAL && ip_address{number_of<ip_address::v4_bytes>(value)} == address);
    });
  });
  return found;
}

/// Whether this thread's network belongs to its user namespace, or to one below it; yes where that
/// cannot be asked.
inline bool owns_network() noexcept {
  const auto id = [](int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
  };
  const unique_fd network{
      sys.openat(AT_FDCWD, proc_path("thread-self/ns/net").c_str(), O_RDONLY | O_CLOEXEC)};
  const unique_fd users{
      sys.openat(AT_FDCWD, proc_path("thread-self/ns/user").c_str(), O_RDONLY | O_CLOEXEC)};
  if (!network || !users) return true;
  unique_fd owner{::ioctl(network.get(), NS_GET_USERNS)};
  if (!owner) return errno != EPERM;  // it is outside of what this process may see
  // Rights in a user namespace are rights in each one below it.
  for (int depth = 0; owner && depth < 33; ++depth) {
    if (id(owner.get()) == id(users.get())) return true;
    owner = unique_fd{::ioctl(owner.get(), NS_GET_PARENT)};
  }
  return false;
}

inline bind_right right_to_low_ports() {
  std::string text;
  if (read_file(AT_FDCWD, proc_path("thread-self/status").c_str(), text))
    return bind_right::grantable;
  const auto has = [&](std::string_view set) {
    constexpr unsigned cap_net_bind_service = 10;
    for (std::string_view rest = text; !rest.empty();) {
      std::string_view line = take_line(rest);
      if (take_word(line) != set) continue;
      const std::string_view word = take_word(line);
      std::uint64_t bits = 0;
      std::from_chars(word.data(), word.data() + word.size(), bits, 16);
      return (bits >> cap_net_bind_service & 1U) != 0;
    }
    return true;
  };
  if (has("CapEff:")) {
    return owns_network() ? bind_right::held : bind_right::of_other_namespace;
  }
  if (!has("CapBnd:")) return bind_right::not_in_bounding_set;
  return status_says(text, "NoNewPrivs:", "1") ? bind_right::no_new_privs : bind_right::grantable;
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
      {"010000E0", "00000001", 0},  // all hosts
      {"020000E0", "00000002", 0},  // all routers: a host that forwards IPv6 joins it
      {"6A0000E0", "0000006a", 0},  // all snoopers: a bridge joins it, such as docker0
      {"FB0000E0", "000000fb", 5353}, {"FC0000E0", "00010003", 5355},
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
