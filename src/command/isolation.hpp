// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

/// The step of making a private network namespace that was refused.
enum class isolation_step : std::uint8_t {
  done,
  make_network,  ///< unshare(CLONE_NEWNET), with the right to do so.
  make_user,     ///< unshare(CLONE_NEWUSER | CLONE_NEWNET), without it.
  map_user,      ///< Writing /proc/self/uid_map or gid_map.
  loopback_up,   ///< Bringing the interface lo up.
  enter,         ///< setns(2) into what was made.
};

/// What the machine says about who may make namespaces, each as the file has it ("" where there is
/// no such file).
struct isolation_rules {
  std::string max_user_namespaces;  ///< /proc/sys/user/max_user_namespaces
  std::string max_net_namespaces;   ///< /proc/sys/user/max_net_namespaces
  std::string unprivileged_userns;  ///< /proc/sys/kernel/unprivileged_userns_clone (Debian)
  std::string apparmor_userns;      ///< /proc/sys/kernel/apparmor_restrict_unprivileged_userns
  std::string process_status;       ///< /proc/self/status, for its Seccomp line
};

isolation_rules read_isolation_rules();

/// Which rule denied it, and what to change: one sentence. A pure function.
std::string explain_denial(isolation_step step, int error, const isolation_rules& rules);

/// A network namespace of this process's own, and where the process has no right to make one, a
/// user namespace around it in which its user and group are what they were. No root needed.
///
/// A keeper process stays in it for as long as this object lives: should this process be killed, it
/// ends whatever is alive inside.
class isolation {
 public:
  isolation() = default;
  isolation(const isolation&) = delete;
  isolation& operator=(const isolation&) = delete;
  ~isolation();

  /// Moves this process, which must have one thread only, into a new network namespace, loopback up
  /// and with the port rules (ip_local_port_range and such) of the old one, and says so in
  /// TIDEWAIT_PRIVATE_NAMESPACE. About 1 ms. Returns "" or which rule denied it; then nothing has
  /// changed.
  std::string enter();

  /// The keeper's pid, a child of this process that waitpid(2) does not see; 0: not isolated.
  pid_t keeper() const noexcept { return keeper_; }

 private:
  detail::unique_fd keeper_line_;
  pid_t keeper_ = 0;
};

}  // namespace tidewait::command
