// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/windows/native_handle.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

// Nobody sees the binds of a program on Windows: reports say nothing of them.

enum class witness_state : std::uint8_t { absent, off, mocked, recording };

class bind_log {
 public:
  std::uint64_t position() const noexcept { return 0; }
  std::vector<bind_record> since(std::uint64_t, std::uint64_t& missing) const {
    missing = 0;
    return {};
  }
  witness_state state() const noexcept { return witness_state::absent; }
  void on_call(void (*)(const bind_record&) noexcept) noexcept {}
};

inline void name_places(bind_record&) noexcept {}
inline std::vector<code_place> locate_places(const bind_record&) { return {}; }
inline void note_bind(const bind_log&, native_handle, const bind_request&) noexcept {}
inline void note_listen(const bind_log&, native_handle) noexcept {}
inline int thread_number() noexcept { return 0; }
inline bool has_stack(std::size_t) noexcept { return false; }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
