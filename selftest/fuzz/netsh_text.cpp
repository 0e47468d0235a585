// SPDX-License-Identifier: BSL-1.0
#include <library/windows/netsh_text.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  if (const auto ranges = tidewait::detail::parse_excluded_ranges(input)) {
    for (const auto& each : *ranges)
      FUZZ_EXPECT(each.ports.first != 0 && each.ports.first <= each.ports.last);
  }
  if (const auto range = tidewait::detail::parse_dynamic_range(input))
    FUZZ_EXPECT(range->first != 0 && range->first <= range->last);
}
