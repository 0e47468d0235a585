// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/utsname.h>

#include <string_view>

#include <tidewait/detail/number.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether the kernel lists bound sockets that do not listen (state bit 13, Linux 6.8).
inline bool kernel_lists_bound_sockets() noexcept {
  static const bool lists = [] {
    utsname name{};
    if (::uname(&name) != 0) return false;
    std::string_view release{name.release};
    const auto major = take_number(release, 10000);
    if (!major || release.empty()) return false;
    release.remove_prefix(1);
    const auto minor = take_number(release, 10000);
    return minor && (*major > 6 || (*major == 6 && *minor >= 8));
  }();
  return lists;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
