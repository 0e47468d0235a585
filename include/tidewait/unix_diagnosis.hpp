// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Why a bind to the name of a Unix socket fails, or would: what is in its way, what to change.
struct unix_diagnosis {
  std::string name{};      ///< The bytes of `sun_path`, as in `unix_entry`.
  std::error_code bind{};  ///< What the next bind says; empty: it succeeds.
  /// The sockets on the name, and the socket file that nobody has open.
  std::vector<observed_unix> conflicting{};
  /// Sockets that were bound to the same path, whose file has been removed since.
  std::vector<observed_unix> unrelated{};
  std::vector<explanation> explanations{};  ///< The one to mend first in front.
  std::string next_bind{};                  ///< The consequence: "fails (Address already in use)".

  /// Whether the bind would succeed.
  bool free() const noexcept { return !bind; }
};

/// Explains a bind to the name of a Unix socket: a pure function of the sockets that have the name
/// or the file, what the system says of it, and how much could be seen.
unix_diagnosis diagnose_unix(std::string_view name, const std::vector<observed_unix>& sockets,
                             const detail::unix_bind_facts& facts,
                             const bind_environment& environment = {});

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/unix_diagnosis.hpp>
#endif
