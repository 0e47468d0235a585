// expect: read-only|const-qualified
// SPDX-License-Identifier: BSL-1.0
#include <tidewait/version.hpp>

int main() {
#ifdef TWIN
  auto version = tidewait::version;
#else
  auto& version = tidewait::version;
#endif
  version.major_part = 2;
}
