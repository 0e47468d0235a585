// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unwind.h>

#include <array>
#include <cstdint>

extern "C" {
/// The program's main(), whose address C++ does not give. Null in a library that sees none.
[[gnu::weak]] int tidewait_main_of_program(...) asm("main");
}

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Return addresses, innermost first.
struct call_stack {
  std::uint64_t size = 0;
  std::array<std::uintptr_t, 24> frames{};
};

/// Walks the stack of the calling thread, from the return address `caller` on if it is there, up to
/// main(), which is entered once: what called it says nothing. Async-signal-safe after the first
/// call. Inlined, because each frame costs 0.1 microseconds.
[[gnu::always_inline]] inline void walk_stack(call_stack& stack, const void* caller) noexcept {
  struct walk {
    call_stack& stack;
    std::uintptr_t caller;
  } all{stack, reinterpret_cast<std::uintptr_t>(caller)};
  _Unwind_Backtrace(
      [](_Unwind_Context* context, void* argument) {
        auto& [found, from] = *static_cast<walk*>(argument);
        const std::uintptr_t address = _Unwind_GetIP(context);
        if (address == 0) return _URC_END_OF_STACK;
        if (address == from) found.size = 0;  // what came before is tidewait's own
        if (address == from) from = 0;
        found.frames[found.size++] = address;
        const auto main = reinterpret_cast<std::uintptr_t>(&::tidewait_main_of_program);
        const bool last =
            found.size == found.frames.size() || _Unwind_GetRegionStart(context) == main;
        return last ? _URC_END_OF_STACK : _Unwind_Reason_Code{};
      },
      &all);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
