// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

#include "forked.hpp"

/// Writes a file below /proc/sys/net/; the files are those of the caller's network namespace.
inline void set_rule(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/net/" + name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written =
      file >= 0 && ::write(file, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  const std::error_code error{errno, std::generic_category()};
  if (file >= 0) ::close(file);
  if (!written) throw std::system_error{error, path + " = " + value};
}

/// Makes the calling process root of the user namespace that it has just entered, so that the
/// programs which it runs may look into each other there.
inline void become_root_of_namespace(uid_t outer_user, gid_t outer_group) {
  const auto write_file = [](const char* path, const std::string& text) {
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    const bool written = ::write(file, text.data(), text.size()) > 0;
    if (file >= 0) ::close(file);
    return written;
  };
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + std::to_string(outer_user) + " 1");
  write_file("/proc/self/gid_map", "0 " + std::to_string(outer_group) + " 1");
  ::prctl(PR_SET_DUMPABLE, 1);
}

/// What becomes of user ids in a new namespace.
enum class user_ids { mapped, kept };

/// Puts the calling process into a network namespace of its own, the loopback interface up. Root is
/// not needed where user namespaces are permitted; with `user_ids::kept` it is. Says why it could
/// not; "" if it could.
inline std::string enter_private_network(user_ids ids = user_ids::mapped) {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (ids == user_ids::mapped && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
    become_root_of_namespace(user, group);
  } else if (::unshare(CLONE_NEWNET) != 0) {
    return std::string{"skip: no network namespace of one's own: "} + std::strerror(errno);
  }
  const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  const bool up = ::ioctl(any, SIOCSIFFLAGS, &loopback) == 0;
  ::close(any);
  return up ? "" : std::string{"skip: the loopback interface stays down: "} + std::strerror(errno);
}

/// Makes this process, which was `outside`, root in the namespace that it has entered. Without a
/// user id of its own it would be one with every other user, and hidden from the programs it
/// starts.
inline void become_root_here(uid_t outside) {
  const std::string map = "0 " + std::to_string(outside) + " 1";
  const int file = ::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
  if (::write(file, map.data(), map.size()) > 0) ::prctl(PR_SET_DUMPABLE, 1);
  ::close(file);
}

/// Runs `work` in a child with a network namespace of its own; what it said, or "skip: …".
template <typename Work>
std::string in_private_network(Work work, user_ids ids = user_ids::mapped) {
  forked child{[&](auto say) {
    if (const std::string why = enter_private_network(ids); !why.empty()) {
      say(why);
    } else {
      work(say);
    }
  }};
  return child.all();
}

#define SKIP_IF_DENIED(said) \
  if ((said).rfind("skip: ", 0) == 0) GTEST_SKIP() << (said)
