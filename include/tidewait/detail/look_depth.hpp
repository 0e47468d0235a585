// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace tidewait {
inline namespace v0 {

/// How closely a watch looks.
enum class look_depth : std::uint8_t {
  quick,     ///< Listeners, UDP sockets, leased ports: for after each test.
  thorough,  ///< Bound sockets that do not listen, too (about 1 ms more): for the end of a program.
};

}  // namespace v0
}  // namespace tidewait
