// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fstream>
#include <iterator>
#include <string>

/// A file of selftest/recorded/: what one and the same network namespace answered on Linux 6.18, by
/// netlink (*.dump, sequence number 1) and in /proc/net (*.proc).
inline std::string recorded(const std::string& name) {
  std::ifstream file{SELFTEST_RECORDED "/" + name, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}
