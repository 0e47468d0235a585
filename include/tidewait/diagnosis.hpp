// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Why a bind fails, or would: the sockets that stand in its way, what each means, what to change.
struct diagnosis {
  bind_request request{};                      ///< The bind in question.
  bind_outcome outcome{};                      ///< The kernel's answers to it.
  std::vector<observed_socket> conflicting{};  ///< Sorted: listeners first, TIME_WAIT last.
  std::vector<observed_socket> unrelated{};    ///< On the same port, but not in the way.
  std::vector<explanation> explanations{};     ///< Each cause once, the one to mend first in front.
  std::string next_bind{};  ///< The consequence: "fails for 59.2 s without SO_REUSEADDR; …".

  /// Whether the bind succeeds without reuse options.
  bool free() const noexcept { return !outcome.plain; }
};

/// Explains a bind: a pure function of the request, the sockets on its port, the kernel's own
/// answer (`probe_bind`) and the environment.
diagnosis diagnose(const bind_request& request, const std::vector<observed_socket>& sockets,
                   const bind_outcome& outcome, const bind_environment& environment = {});

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/diagnosis.hpp>
#endif
