// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

#include <tidewait/detail/text.hpp>

namespace tidewait::command {

/// For text and attributes of XML and HTML. Control characters have no place in XML 1.0, not even
/// escaped.
inline std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : detail::sanitised_lines(text)) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\n': escaped += "&#10;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

}  // namespace tidewait::command
