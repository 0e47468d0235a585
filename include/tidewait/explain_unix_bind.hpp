// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/unix_diagnosis.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// Why a bind would fail, and how much could be seen. Both go to `render`.
struct unix_bind_explanation {
  unix_diagnosis why;  ///< What a bind would say, what is in the way, and why.
  visibility seen;     ///< How much could be seen.

  /// Whether the bind would succeed.
  bool free() const noexcept { return why.free(); }
};

/// Why a bind to the name of a Unix socket would fail now, or that it would succeed: who has it, or
/// whether only a stale file is left. `name`: the bytes of `sun_path` (`parse_unix_name`). `kind`:
/// of the socket to be bound, since abstract names of two types do not meet; if not given, that of
/// the socket that has the name. Nobody is connected to, and no file is made.
[[nodiscard]] unix_bind_explanation explain_unix_bind(const std::string& name,
                                                      std::optional<unix_kind> kind = std::nullopt);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/explain_unix_bind.hpp>
#endif
