// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What names a Unix socket for good: its cookie; its inode where only /proc/net was there.
inline std::uint64_t identity(const observed_unix& socket) noexcept {
  constexpr std::uint64_t by_inode = 1ULL << 63U;
  return socket.cookie != 0 ? socket.cookie : by_inode | socket.inode;
}

/// What this process knows of Unix sockets: which ones its process tree has open, which paths it
/// has bound, and the leases of paths.
class unix_book {
 public:
  /// Whether the tree cannot have opened one since the table was last read: this process has as
  /// many descriptors as then, has not forked, and had no Unix socket open that another could have
  /// replaced. What slips through (a descriptor closed for one that a test leaves) is found by the
  /// thorough look at the end of the program.
  bool is_current(const std::optional<std::size_t>& descriptors) const {
    const std::lock_guard hold{mutex_};
    return read_ && descriptors && descriptors == descriptors_ && own_.empty();
  }

  /// Of the sockets of the table, those that were not in it before. From now on they are known.
  std::vector<observed_unix> unknown(const std::vector<observed_unix>& table) {
    const std::lock_guard hold{mutex_};
    std::vector<std::uint64_t> now;
    std::vector<observed_unix> fresh;
    for (const observed_unix& each : table) {
      now.push_back(identity(each));
      if (!std::binary_search(known_.begin(), known_.end(), now.back())) fresh.push_back(each);
    }
    std::sort(now.begin(), now.end());
    known_ = std::move(now);
    const auto closed = [&](const observed_unix& each) {
      return !std::binary_search(known_.begin(), known_.end(), identity(each));
    };
    own_.erase(std::remove_if(own_.begin(), own_.end(), closed), own_.end());
    return fresh;
  }

  /// These belong to the process tree. `paths`: of their socket files, from the root.
  void add_own(std::vector<observed_unix> sockets, const std::vector<std::string>& paths) {
    const std::lock_guard hold{mutex_};
    for (observed_unix& each : sockets) own_.push_back(std::move(each));
    for (const std::string& path : paths) add_path(path);
  }
  /// The table was read while this process had that many descriptors.
  void mark_read(const std::optional<std::size_t>& descriptors) {
    const std::lock_guard hold{mutex_};
    read_ = true;
    descriptors_ = descriptors;
  }

  /// The tree's sockets that were open when the table was last read.
  std::vector<observed_unix> own() const {
    const std::lock_guard hold{mutex_};
    return own_;
  }

  /// The tree has bound a socket to this path, from the root: its file may be left.
  void note_path(const std::string& path) {
    const std::lock_guard hold{mutex_};
    add_path(path);
  }
  std::vector<std::string> paths() const {
    const std::lock_guard hold{mutex_};
    return paths_;
  }
  /// Nothing is left there.
  void forget_path(const std::string& path) {
    const std::lock_guard hold{mutex_};
    paths_.erase(std::remove(paths_.begin(), paths_.end(), path), paths_.end());
  }
  /// Marks the file with this `file_identity` as judged, also if its path is noted again later.
  void mark_told(const std::string& file) {
    const std::lock_guard hold{mutex_};
    if (!file.empty()) told_.insert(file);
  }
  bool is_told(const std::string& file) const {
    const std::lock_guard hold{mutex_};
    return told_.count(file) != 0;
  }

  /// The lease of a path begins; `lock` is the descriptor that locks its directory.
  void begin_lease(const std::string& path, const descriptor_mark& lock) {
    const std::lock_guard hold{mutex_};
    leases_.emplace_back(path, lock);
  }
  void end_lease(const std::string& path) {
    const std::lock_guard hold{mutex_};
    leases_.erase(std::remove_if(leases_.begin(), leases_.end(),
                                 [&](const auto& each) { return each.first == path; }),
                  leases_.end());
  }
  /// Whether the path is leased: then its file goes with the lease.
  bool is_leased(const std::string& path) const {
    const std::lock_guard hold{mutex_};
    return std::any_of(leases_.begin(), leases_.end(),
                       [&](const auto& each) { return each.first == path; });
  }
  /// The locks of the leases that go on.
  std::vector<native_handle> lease_locks() const {
    const std::lock_guard hold{mutex_};
    std::vector<native_handle> locks;
    for (const auto& [path, lock] : leases_) {
      if (!lock.lost()) locks.push_back(lock.fd);
    }
    return locks;
  }

  /// With the mutex held: this process has forked, and the child may open what it likes.
  void forked() noexcept { read_ = false; }
  /// In a child of fork(), with the mutex held: all is the parent's.
  void forget() {
    read_ = false;
    own_.clear();
    paths_.clear();
    told_.clear();
    leases_.clear();
  }
  std::mutex& mutex() const noexcept { return mutex_; }  ///< For a fork.

 private:
  void add_path(const std::string& path) {
    const bool known = std::find(paths_.begin(), paths_.end(), path) != paths_.end();
    if (!path.empty() && !known) paths_.push_back(path);
  }

  mutable std::mutex mutex_{};
  bool read_ = false;
  std::optional<std::size_t> descriptors_{};
  std::vector<std::uint64_t> known_{};  // what the table held, sorted
  std::vector<observed_unix> own_{};
  std::vector<std::string> paths_{};
  std::set<std::string> told_{};
  std::vector<std::pair<std::string, descriptor_mark>> leases_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
