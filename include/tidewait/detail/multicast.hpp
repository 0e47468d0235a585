// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether datagrams to this address go to every socket that has joined the group.
inline bool may_be_multicast(const ip_address& address) noexcept {
  const ip_address plain = address.unmapped();
  return plain.is_wildcard() ||
         (plain.is_v4() ? plain.bytes()[0] >> 4U == 0xeU : plain.bytes()[0] == 0xffU);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
