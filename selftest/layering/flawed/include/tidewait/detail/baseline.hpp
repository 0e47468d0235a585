// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/text.hpp>

inline int whoever_runs() { return ::getpid(); }
inline const char* wish() { return std::getenv("TIDEWAIT_WISH"); }
inline const std::string& name() {
  static const std::string name = "x";
  return name;
}
inline const std::string& kept() {
  static const std::string& kept = *new std::string;
  return kept;
}
