// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/explain_unix_bind.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

/// Of these sockets, those that `diagnose_unix` has to see for this name.
inline std::vector<observed_unix> unix_sockets_on(std::vector<observed_unix> sockets,
                                                  const std::string& name,
                                                  const unix_bind_facts& facts) {
  const auto elsewhere = [&](const observed_unix& each) {
    const bool same_file = each.file_inode != 0 && each.file_inode == facts.file_inode;
    const bool named =
        each.name == name || (!facts.absolute_path.empty() && each.name == facts.absolute_path);
    return !same_file && !named;
  };
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(), elsewhere), sockets.end());
  return sockets;
}

}  // namespace detail

TIDEWAIT_INLINE unix_bind_explanation explain_unix_bind(const std::string& name,
                                                        std::optional<unix_kind> kind) {
  visibility how;
  std::vector<observed_unix> sockets = detail::read_unix_sockets(detail::unix_states::open, how);
  const auto named = std::find_if(sockets.begin(), sockets.end(),
                                  [&](const observed_unix& each) { return each.name == name; });
  const unix_kind asked = kind.value_or(named == sockets.end() ? unix_kind::stream : named->kind);
  const detail::unix_bind_facts facts = detail::look_at_unix_name(name, asked);
  sockets = detail::unix_sockets_on(std::move(sockets), name, facts);
  if (!name.empty() && name.front() == '\0') {
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(),
                                 [&](const observed_unix& each) { return each.kind != asked; }),
                  sockets.end());
  }
  if (!sockets.empty()) detail::find_owners(sockets, owner_reach::until_found, how);
  return {diagnose_unix(name, sockets, facts, detail::environment_now(how)), how};
}

}  // namespace v0
}  // namespace tidewait
