// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <tidewait/detail/shared_state.hpp>

// Weak, so that a program may have its own. Under Clang's ThreadSanitizer the runtime's weak ones
// come first in the link.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TIDEWAIT_WITNESSED [[gnu::visibility("default")]]
#endif
#endif
#ifndef TIDEWAIT_WITNESSED
#define TIDEWAIT_WITNESSED [[gnu::weak, gnu::visibility("default")]]
#endif

extern "C" {
[[gnu::weak]] void* dlsym(void*, const char*) noexcept;  // not there in a static executable

[[gnu::weak, gnu::visibility("default")]] int tidewait_witnessed_bind(int, const sockaddr*,
                                                                      socklen_t) noexcept;
[[gnu::weak, gnu::visibility("default")]] int tidewait_witnessed_listen(int, int) noexcept;
TIDEWAIT_WITNESSED int bind(int, const sockaddr*, socklen_t) noexcept;
TIDEWAIT_WITNESSED int listen(int, int) noexcept;
}

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace witnessed {

using bind_function = int (*)(int, const sockaddr*, socklen_t);
using listen_function = int (*)(int, int);

/// Null until the witness has begun, and while it is off: then calls are only passed on.
inline std::atomic<const bind_log*> log{nullptr};
/// What the program would call without the witness: a preloaded library's, a sanitizer's, the C
/// library's. Null: there is none, so the kernel is called.
inline std::atomic<bind_function> next_bind{nullptr};
inline std::atomic<listen_function> next_listen{nullptr};

template <typename Function>
Function find_next(const char* name) noexcept {
  if (&::dlsym == nullptr) return nullptr;
  void* const found = ::dlsym(RTLD_NEXT, name);
  Function function = nullptr;
  std::memcpy(&function, &found, sizeof function);
  return function;
}

/// Whether the functions that the program calls are these.
inline bool called() noexcept {
  bind_function const bind_there = &::bind;
  listen_function const listen_there = &::listen;
  return bind_there == &tidewait_witnessed_bind && listen_there == &tidewait_witnessed_listen;
}

inline bool is_dynamic() noexcept {
  bool found = false;
  ::dl_iterate_phdr(
      [](dl_phdr_info* module, std::size_t, void* argument) {
        for (int i = 0; i < module->dlpi_phnum; ++i) {
          if (module->dlpi_phdr[i].p_type == PT_INTERP) *static_cast<bool*>(argument) = true;
        }
        return 1;  // the first is the program
      },
      &found);
  return found;
}

inline void begin() noexcept {
  try {
    if (log.load() != nullptr) return;
    bind_log& all = shared_state::instance().binds;
    if (turned_off("TIDEWAIT_WITNESS")) return all.set_state(witness_state::off);
    if (!called()) return all.set_state(witness_state::mocked);
    next_bind.store(find_next<bind_function>("bind"));
    next_listen.store(find_next<listen_function>("listen"));
    if (all.begin()) log.store(&all);
  } catch (...) {
    // No memory: then no bind is seen, and reports say so.
  }
}

/// Before everything else in a program. A static one cannot walk its stack yet.
[[gnu::constructor(101), gnu::used]] static void begin_early() {
  if (is_dynamic()) begin();
}
[[gnu::constructor, gnu::used]] static void begin_in_turn() { begin(); }

}  // namespace witnessed
}  // namespace detail
}  // namespace v0
}  // namespace tidewait

extern "C" {

int tidewait_witnessed_bind(int fd, const sockaddr* where, socklen_t size) noexcept {
  namespace tide = tidewait::detail;
  const auto next = tide::witnessed::next_bind.load(std::memory_order_acquire);
  const int result = next != nullptr ? next(fd, where, size) : tide::call_bind(fd, where, size);
  if (const auto* const log = tide::witnessed::log.load(std::memory_order_acquire)) {
    const int kept = errno;
    log->note(tide::socket_call::bind, fd, where, size, result == 0 ? 0 : kept,
              __builtin_return_address(0));
    errno = kept;
  }
  return result;
}

int tidewait_witnessed_listen(int fd, int backlog) noexcept {
  namespace tide = tidewait::detail;
  const auto next = tide::witnessed::next_listen.load(std::memory_order_acquire);
  const int result = next != nullptr ? next(fd, backlog) : tide::call_listen(fd, backlog);
  if (const auto* const log = tide::witnessed::log.load(std::memory_order_acquire)) {
    const int kept = errno;
    log->note(tide::socket_call::listen, fd, nullptr, 0, result == 0 ? 0 : kept,
              __builtin_return_address(0));
    errno = kept;
  }
  return result;
}

[[gnu::alias("tidewait_witnessed_bind")]] int bind(int, const sockaddr*, socklen_t) noexcept;
[[gnu::alias("tidewait_witnessed_listen")]] int listen(int, int) noexcept;

}  // extern "C"
