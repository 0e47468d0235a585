// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/witnessed.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::vector<bind_record> bound_by_this_test() {
  detail::shared_state& shared = detail::shared_state::instance();
  std::vector<bind_record> records;
  const auto from = shared.watches.binds_from();
  if (!from) return records;
  const detail::witnessed_binds binds = detail::binds_since(
      shared.binds, *from, shared.watches.current_test(), shared.watches.any_on_other_thread());
  for (const auto& each : binds.records) {
    if (each->error) continue;
    records.push_back(*each);
    detail::name_places(records.back());
  }
  return records;
}

}  // namespace v0
}  // namespace tidewait
