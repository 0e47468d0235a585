// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <utility>

// <tidewait/listen_fds.hpp>: descriptors 3, 4, … are a convention of Unix.
#define TIDEWAIT_NO_LISTEN_FDS

// A program may not refer to a function that no part of it has (gnu::weak).
#define TIDEWAIT_NO_WEAK_REFERENCES

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A SOCKET, or the HANDLE of a lock or a file, as a number.
using native_handle = std::uintptr_t;
inline constexpr native_handle no_handle = ~native_handle{0};

enum class handle_kind : std::uint8_t { socket, object };

/// Closes it; keeps the calling thread's last error.
void close_handle(native_handle handle, handle_kind kind) noexcept;
/// Whether the number still is that of an open handle (GetHandleInformation).
bool is_open_handle(native_handle handle) noexcept;

/// Owns a handle.
class unique_fd {
 public:
  unique_fd() noexcept = default;
  unique_fd(native_handle handle, handle_kind kind) noexcept : handle_{handle}, kind_{kind} {}
  unique_fd(unique_fd&& other) noexcept
      : handle_{std::exchange(other.handle_, no_handle)}, kind_{other.kind_} {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    unique_fd{std::move(other)}.swap(*this);
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() { reset(); }

  native_handle get() const noexcept { return handle_; }
  native_handle release() noexcept { return std::exchange(handle_, no_handle); }
  explicit operator bool() const noexcept { return handle_ != no_handle; }
  void swap(unique_fd& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(kind_, other.kind_);
  }
  void reset() noexcept {
    if (handle_ != no_handle) close_handle(std::exchange(handle_, no_handle), kind_);
  }

 private:
  native_handle handle_ = no_handle;
  handle_kind kind_ = handle_kind::object;
};

/// A handle's number. Windows does not tell whether it has been closed and given to another object
/// since: then it does not count as lost.
struct descriptor_mark {
  native_handle fd = no_handle;

  bool lost() const noexcept { return fd != no_handle && !is_open_handle(fd); }
};

/// Owns a handle for as long as the program under test lets it: one that the program has closed is
/// not closed again.
class kept_fd {
 public:
  kept_fd() noexcept = default;
  explicit kept_fd(unique_fd handle) noexcept : handle_{std::move(handle)} {}
  kept_fd(kept_fd&& other) noexcept = default;
  kept_fd& operator=(kept_fd&& other) noexcept {
    reset();
    handle_ = std::move(other.handle_);
    return *this;
  }
  kept_fd(const kept_fd&) = delete;
  kept_fd& operator=(const kept_fd&) = delete;
  ~kept_fd() { reset(); }

  native_handle get() const noexcept { return handle_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  /// Somebody else has closed it.
  bool lost() const noexcept { return mark().lost(); }
  descriptor_mark mark() const noexcept { return {handle_.get()}; }
  void reset() noexcept {
    if (lost()) handle_.release();
    handle_.reset();
  }

 private:
  unique_fd handle_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
