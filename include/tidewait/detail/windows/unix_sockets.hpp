// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/detail/windows/native_handle.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

// Windows has Unix sockets, and no table of them: nobody looks for them, and who asks is told that
// it is not supported.

inline bool is_lease_lock(const unix_entry&) noexcept { return false; }
inline std::optional<std::pair<protocol, std::uint16_t>> parse_lock_name(std::string_view) {
  return std::nullopt;
}

inline std::vector<observed_unix> read_unix_sockets(unix_states, visibility&) { return {}; }

inline void find_owners(std::vector<observed_unix>&, owner_reach, visibility&) noexcept {}

/// Always the same: there can be no new Unix socket to look for.
inline std::optional<std::size_t> open_descriptors() noexcept { return 0; }

/// No path is leased here.
inline constexpr std::string_view socket_directory_prefix = "tidewait-";
inline bool is_socket_directory_name(std::string_view) noexcept { return false; }

inline unix_bind_facts look_at_unix_name(const std::string&, unix_kind) {
  unix_bind_facts facts;
  facts.bind = std::make_error_code(std::errc::operation_not_supported);
  return facts;
}

struct socket_directory {
  kept_fd lock;
  std::string path;
};
inline constexpr std::string_view leased_socket_name = "s";

inline void remove_ended_socket_directories() noexcept {}
inline void remove_socket_directory(const socket_directory&) noexcept {}
inline std::error_code make_socket_directory(socket_directory&, std::string& why) {
  why = "paths of Unix sockets are not leased on Windows";
  return std::make_error_code(std::errc::operation_not_supported);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
