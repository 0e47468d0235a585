// SPDX-License-Identifier: BSL-1.0
//
// What a library or a plugin of `copies_subject` does with its own copy of tidewait.
#pragma once

#include <cstdint>

extern "C" {
/// Leases a port for good.
[[gnu::visibility("default")]] std::uint16_t part_lease();
/// Begins to watch, and looks: what there is to say.
[[gnu::visibility("default")]] void part_watch();
[[gnu::visibility("default")]] const char* part_look();
}
