// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>

#include <cstring>

#include <tidewait/endpoint.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  const auto address = tidewait::parse_address(input);
  // The system's answer is another opinion, but it knows no scope and ends at a NUL.
  if (input.find_first_of(std::string_view{"%\0", 2}) == std::string_view::npos) {
    unsigned char bytes[16] = {};
    const bool six = input.find(':') != std::string_view::npos;
    const bool known =
        ::inet_pton(six ? AF_INET6 : AF_INET, std::string{input}.c_str(), bytes) == 1;
    FUZZ_EXPECT(known == address.has_value());
    FUZZ_EXPECT(!known || std::memcmp(bytes, address->bytes().data(), six ? 16 : 4) == 0);
  }
  if (address && !address->is_v4_mapped()) {
    FUZZ_EXPECT(tidewait::parse_address(to_string(*address)) == *address);
  }
  if (const auto endpoint = tidewait::parse_endpoint(input)) {
    if (endpoint->port != 0 && !endpoint->address.is_v4_mapped()) {
      FUZZ_EXPECT(tidewait::parse_endpoint(to_string(*endpoint)) == *endpoint);
    }
  }
}
