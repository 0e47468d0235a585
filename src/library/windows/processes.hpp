// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// When a process was started, in units of 100 ns since 1601; 0 if it cannot be seen.
std::uint64_t start_of_process(std::uint32_t pid) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
