// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tidewait/detail/baseline.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// The sockets that serve in this network now, by identity, sorted; none where they cannot be read.
inline std::vector<std::uint64_t> identities_of_servers() {
  socket_query query;
  query.states = socket_state::listen | socket_state::unconn;
  std::vector<std::uint64_t> list;
  for (const observed_socket& each : look_at_sockets(query).sockets) {
    list.push_back(identity(each));
  }
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
