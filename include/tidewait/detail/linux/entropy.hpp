// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Bytes that no other process of this machine draws, nor a fork of this one.
inline std::uint64_t entropy() noexcept {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof bits)) {
    timespec now{};  // the entropy pool is not ready at boot only
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    bits = static_cast<std::uint64_t>(now.tv_nsec) << 24U ^ static_cast<std::uint64_t>(::getpid());
  }
  return bits;
}

/// The same as 16 hexadecimal digits.
inline std::string random_name() {
  std::string text;
  std::uint64_t bits = entropy();
  for (int i = 0; i < 16; ++i, bits >>= 4U) text += "0123456789abcdef"[bits & 15U];
  return text;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
