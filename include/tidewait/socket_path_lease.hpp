// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/os_handles.hpp>
#include <tidewait/error.hpp>
#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What a lease of a path owns.
struct raw_path_lease {
  kept_fd lock{};
  std::string directory{};
  std::string path{};
  source_location where{};
  int pid = 0;  ///< The process whose lease it is; 0: none.
};

}  // namespace detail

/// A path for a Unix socket that no other test has, until the lease ends: at most 107 bytes, in a
/// private directory (mode 0700) in XDG_RUNTIME_DIR, TMPDIR or /tmp, the first that will do.
/// Nothing is at the path: the server under test binds it.
///
/// When the lease ends the directory is removed with all that is in it. After kill -9 the next
/// lease of the same user removes it, or `tidewait gate`; not while a child that has inherited
/// `lock_descriptors()` lives.
class [[nodiscard]] socket_path_lease {
 public:
  /// The source has no lease afterwards.
  socket_path_lease(socket_path_lease&& other) noexcept : lease_{std::exchange(other.lease_, {})} {}
  /// Ends the lease that is there first.
  socket_path_lease& operator=(socket_path_lease&& other) noexcept {
    if (this != &other) {
      end();
      lease_ = std::exchange(other.lease_, {});
    }
    return *this;
  }
  ~socket_path_lease() { end(); }

  /// The path, from the root. Of a temporary lease it cannot be asked: the lease would be over
  /// before the path is used.
  const std::string& path() const& noexcept { return lease_.path; }
  const std::string& path() const&& = delete;

  /// The line that leased it.
  const source_location& where() const noexcept { return lease_.where; }

  /// The descriptor of the lock: a child process that inherits it prolongs the lease where this
  /// process is killed. It is close-on-exec.
  std::vector<detail::native_handle> lock_descriptors() const;

 private:
  friend socket_path_lease lease_socket_path(source_location where);
  explicit socket_path_lease(detail::raw_path_lease lease) : lease_{std::move(lease)} {}

  void end() noexcept;

  detail::raw_path_lease lease_;
};

/// Leases a path for a Unix socket, and removes what leases of this user's killed processes have
/// left. Throws `lease_error` that says of each directory why it will not do: it is too long, it
/// belongs to another user, others may write to it, or the system's reason.
socket_path_lease lease_socket_path(source_location where = source_location::current());

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/socket_path_lease.hpp>
#endif
