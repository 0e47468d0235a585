// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// What CTRL_BREAK ends a program with that has no handler for it (STATUS_CONTROL_C_EXIT).
inline constexpr std::uint32_t control_c_exit = 0xc000013aU;

/// "exception 0xc0000005 (access violation)": an exit code with the severity of an error, which an
/// exception leaves that nobody has caught (ntstatus.h).
inline std::string ended_by(int code) {
  const auto status = static_cast<std::uint32_t>(code);
  const auto name = [](std::uint32_t what) {
    switch (what) {
      case 0xc0000005U: return " (access violation)";
      case 0xc000001dU: return " (illegal instruction)";
      case 0xc0000094U: return " (division by zero)";
      case 0xc00000fdU: return " (stack overflow)";
      case 0xc0000135U: return " (DLL not found)";
      case control_c_exit: return " (CTRL_BREAK or CTRL_C)";
      case 0xc0000374U: return " (heap corruption)";
      case 0xc0000409U: return " (abort or stack buffer overrun)";
      default: return "";
    }
  };
  std::string digits;
  for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[status >> shift & 15U];
  return "exception 0x" + digits + name(status);
}

/// What a server was asked to end by.
inline std::string asked_by(int) { return "CTRL_BREAK"; }

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
