// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/capability.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// This process, and the user for whom it acts.
inline int process_id() noexcept { return ::getpid(); }
inline std::uint32_t user_id() noexcept { return ::geteuid(); }

/// Whether the calling thread may look into any process of its user namespace (CAP_SYS_PTRACE).
inline bool may_trace_others() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[2] = {};
  return ::syscall(SYS_capget, &header, rights) == 0 &&
         (rights[0].effective >> static_cast<unsigned>(CAP_SYS_PTRACE) & 1U) != 0;
}

/// gettid(2), by which a `bind_record` names a thread.
inline int thread_number() noexcept { return static_cast<int>(::syscall(SYS_gettid)); }

/// A name for the calling thread that no other thread has while it runs, the same in each copy of
/// tidewait (see `meeting_point`).
inline const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(::pthread_self());
}

/// From the lowest address to the one past the highest; both 0 if it is not known.
struct stack_bounds {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

/// Of the calling thread's own stack. Of the main thread's the C library reads /proc/self/maps.
inline stack_bounds find_stack_bounds() noexcept {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return {};
  void* lowest = nullptr;
  std::size_t size = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  ::pthread_attr_destroy(&attributes);
  const auto begin = reinterpret_cast<std::uintptr_t>(lowest);
  return known ? stack_bounds{begin, begin + size} : stack_bounds{};
}

/// Whether the calling thread's own stack has that much room left, in bytes. False on a stack of a
/// fiber or of a signal handler, and where it is not known.
inline bool has_stack(std::size_t room) noexcept {
  static thread_local const stack_bounds own = find_stack_bounds();
  const char local = 0;
  const auto here = reinterpret_cast<std::uintptr_t>(&local);
  return here > own.begin && here < own.end && here - own.begin > room;
}

// These texts are never destroyed: the last look comes after the destructors of static objects.

/// The node name of this machine (uname(2)); empty if it is not known.
inline const std::string& host_name() {
  static const std::string& name = *new std::string{[] {
    utsname names{};
    return ::uname(&names) == 0 ? sanitised(names.nodename) : std::string{};
  }()};
  return name;
}

/// The name of this program's file; empty if it is not known.
inline const std::string& program_name() {
  static const std::string& name = *new std::string{[] {
    char path[4096];
    const ssize_t length =
        sys.readlinkat(AT_FDCWD, proc_path("self/exe").c_str(), path, sizeof path);
    const std::string_view all{path, static_cast<std::size_t>(length > 0 ? length : 0)};
    return sanitised(all.substr(all.rfind('/') + 1));
  }()};
  return name;
}

/// A name of the time since this machine was started (random(4), boot_id); empty if it is not
/// known.
inline const std::string& boot_id() {
  static const std::string& id = *new std::string{[] {
    std::string text;
    static_cast<void>(
        read_file(AT_FDCWD, proc_path("sys/kernel/random/boot_id").c_str(), text, 64));
    return sanitised(text.substr(0, text.find('\n')));
  }()};
  return id;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
