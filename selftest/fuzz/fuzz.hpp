// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

/// What must hold of whatever a parser makes of any bytes.
#define FUZZ_EXPECT(condition)                                             \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

void fuzz(std::string_view input);

/// The entry point of libFuzzer. A target is one file, so this header is compiled once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own, so that AddressSanitizer sees every byte read beyond the end.
  const std::string input{reinterpret_cast<const char*>(data), size};
  fuzz(input);
  return 0;
}
