// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/linux/bind_ring.hpp>
#include <tidewait/detail/linux/call_stack.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/recorded_bind.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether binds of this process are seen, and if not, why.
enum class witness_state : std::uint8_t {
  absent,     ///< Nobody has asked for it.
  off,        ///< TIDEWAIT_WITNESS=off, or no memory.
  mocked,     ///< The program has a bind(2) or listen(2) of its own.
  recording,  ///< They are written down.
};

/// What the witness of this process has written down. It is in the shared state of all copies of
/// tidewait, and begun by the one whose bind(2) the program calls.
class bind_log {
 public:
  witness_state state() const noexcept { return state_; }
  void set_state(witness_state state) noexcept { state_ = state; }

  /// Begins to write. False if there is no memory.
  bool begin() noexcept {
    call_stack unused;
    stacks_ = !turned_off("TIDEWAIT_STACK");
    const char* const shown = environment("TIDEWAIT_STACK");
    whole_ = shown != nullptr && std::string_view{shown} == "full";
    if (stacks_) walk_stack(unused, nullptr);
    if (ring_ == nullptr) ring_ = bind_ring::make();
    state_ = ring_ == nullptr ? witness_state::off : witness_state::recording;
    return ring_ != nullptr;
  }

  /// From now on this process writes nothing.
  void stop() noexcept {
    ring_ = nullptr;
    state_ = witness_state::off;
  }

  /// Has each call looked at that fails with EADDRINUSE, EACCES or EADDRNOTAVAIL, or after which
  /// the socket may share its port, while its caller waits. Only in this process: a child of
  /// vfork(2) has its memory.
  void on_call(void (*look)(const bind_record&) noexcept) noexcept {
    looks_in_.store(::getpid());
    on_call_.store(look);
  }

  /// Where the log ends now.
  std::uint64_t position() const noexcept { return ring_ == nullptr ? 0 : ring_->next(); }

  /// What came since then, by this process and the children that it forked, oldest first; a
  /// listen(2) that followed on a bind(2) is one record with it. `missing`: how many there are no
  /// more.
  std::vector<bind_record> since(std::uint64_t position, std::uint64_t& missing) const;

  /// Writes down a bind(2) or listen(2) that has just ended with `error`. Async-signal-safe, unless
  /// it is to be looked at. The stack begins at the return address `caller`, if it is there.
  void note(socket_call call, int fd, const sockaddr* where, socklen_t size, int error,
            const void* caller = nullptr) const noexcept;

 private:
  /// Whether the latest record is of the bind(2) of the socket with that cookie.
  bool follows_on_bind(std::uint64_t cookie, raw_bind& bound) const noexcept;

  /// The process of a thread of this program: getpid(2), asked once in a thread, since no two
  /// threads have one number.
  pid_t process_of(pid_t thread) const noexcept;

  bind_ring* ring_ = nullptr;
  mutable std::atomic<std::uint64_t> caller_{0};
  bool stacks_ = true;
  bool whole_ = false;  // stacks are shown whole
  std::atomic<void (*)(const bind_record&) noexcept> on_call_{nullptr};
  std::atomic<pid_t> looks_in_{0};
  witness_state state_ = witness_state::absent;
};

inline int option_of(int fd, int level, int name) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : 0;
}

inline std::uint64_t wide_option_of(int fd, int name) noexcept {
  std::uint64_t value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
}

/// Reads what the kernel knows of the socket now. Async-signal-safe.
inline void describe_socket(int fd, raw_bind& record) noexcept {
  sockaddr_storage got{};
  socklen_t size = sizeof got;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&got), &size) == 0) {
    record.got_size = static_cast<std::uint16_t>(std::min<std::size_t>(size, record.got.size()));
    std::memcpy(record.got.data(), &got, record.got_size);
  }
  record.protocol = option_of(fd, SOL_SOCKET, SO_PROTOCOL);
  record.reuse_address = option_of(fd, SOL_SOCKET, SO_REUSEADDR) != 0;
  record.reuse_port = option_of(fd, SOL_SOCKET, SO_REUSEPORT) != 0;
  if (got.ss_family == AF_INET6) record.v6only = option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
#ifdef SO_NETNS_COOKIE
  record.net_cookie = wide_option_of(fd, SO_NETNS_COOKIE);
#endif
}

inline pid_t bind_log::process_of(pid_t thread) const noexcept {
  const std::uint64_t known = caller_.load(std::memory_order_relaxed);
  if (known >> 32U == static_cast<std::uint32_t>(thread)) return static_cast<pid_t>(known);
  const pid_t process = ::getpid();
  caller_.store(std::uint64_t{static_cast<std::uint32_t>(thread)} << 32U |
                    static_cast<std::uint32_t>(process),
                std::memory_order_relaxed);
  return process;
}

inline bool bind_log::follows_on_bind(std::uint64_t cookie, raw_bind& bound) const noexcept {
  const std::uint64_t next = ring_->next();
  return cookie != 0 && next != 0 && ring_->read(next - 1, bound) && bound.cookie == cookie &&
         bound.call == socket_call::bind && bound.error == 0;
}

[[gnu::always_inline]] inline void bind_log::note(socket_call call, int fd, const sockaddr* where,
                                                  socklen_t size, int error,
                                                  const void* caller) const noexcept {
  if (ring_ == nullptr) return;
  ring_->prepare();
  raw_bind record;
  raw_bind bound;
  record.fd = fd;
  record.call = call;
  record.error = error;
  record.cookie = wide_option_of(fd, SO_COOKIE);
  auto* const look = on_call_.load();
  bool worth = error == EADDRINUSE || error == EACCES || error == EADDRNOTAVAIL;
  // The listen(2) that follows on a bind(2), as it nearly always does: that record says the rest.
  if (call == socket_call::listen && error == 0 && follows_on_bind(record.cookie, bound)) {
    ring_->write(record);
    worth = bound.reuse_port;
    if (!worth) return;
    record = bound;
    record.call = call;
  } else {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    record.nanoseconds = std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
    record.thread = static_cast<std::int32_t>(::syscall(SYS_gettid));
    record.pid = process_of(record.thread);
    describe_socket(fd, record);
    // With these the kernel may not have read the address: it may not be one.
    const bool unread = error == EFAULT || error == EBADF || error == ENOTSOCK || error == EINVAL;
    if (where != nullptr && size != 0 && !unread) {
      record.asked_size =
          static_cast<std::uint16_t>(std::min<std::size_t>(size, record.asked.size()));
      std::memcpy(record.asked.data(), where, record.asked_size);
    }
    if (stacks_) walk_stack(record.stack, caller);
    ring_->write(record);
    if (error == 0) {
      worth = call == socket_call::listen
                  ? record.reuse_port
                  : record.protocol == IPPROTO_UDP && (record.reuse_port || record.reuse_address);
    }
  }
  if (!worth || look == nullptr || ::getpid() != looks_in_.load()) return;
  try {
    look(to_record(record, whole_));
  } catch (...) {  // no memory: the record is there
  }
}

inline std::vector<bind_record> bind_log::since(std::uint64_t position,
                                                std::uint64_t& missing) const {
  std::vector<bind_record> records;
  missing = 0;
  const std::uint64_t end = this->position();
  if (end > position + bind_ring::slots) {
    missing = end - bind_ring::slots - position;
    position = end - bind_ring::slots;
  }
  raw_bind raw;
  for (; position < end; ++position) {
    if (!ring_->read(position, raw)) {
      ++missing;
      continue;
    }
    const auto bound = raw.call == socket_call::bind || raw.error != 0
                           ? records.rend()
                           : std::find_if(records.rbegin(), records.rend(), [&](const auto& each) {
                               return is_same_socket(each, raw);
                             });
    const bool bound_before = raw.asked_size == 0 && raw.got_size == 0 && raw.error == 0;
    if (bound != records.rend()) {
      bound->listening = true;
    } else if (!bound_before) {
      records.push_back(to_record(raw, whole_));
    }
  }
  return records;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
