// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

#include <tidewait/detail/run_marks.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The environment variable that holds the marks of the runs a process belongs to, outermost first,
/// separated by ':'.
inline constexpr const char* run_variable = "TIDEWAIT_RUN";

/// The mark of this run. The first call puts it into the environment of this process, which all
/// that it starts inherit.
const std::string& ensure_run_mark();
/// Nobody can close a variable.
inline bool renew_run_mark() {
  ensure_run_mark();
  return false;
}

/// Bytes that no other process of this machine draws.
std::uint64_t entropy() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
