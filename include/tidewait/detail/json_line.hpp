// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// One flat JSON object on one line (RFC 8259): strings and whole numbers.
class json_line {
 public:
  void add(std::string_view key, std::string_view value) {
    begin(key);
    text_ += '"';
    for (const char c : sanitised(value)) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }
  void add(std::string_view key, std::uint64_t value) {
    begin(key);
    text_ += std::to_string(value);
  }
  std::string text() const { return text_ + "}\n"; }

 private:
  void begin(std::string_view key) {
    text_ += text_.size() == 1 ? "\"" : ",\"";
    text_ += key;
    text_ += "\":";
  }

  std::string text_ = "{";
};

/// The fields of such an object.
struct json_fields {
  std::vector<std::pair<std::string, std::string>> fields{};

  std::optional<std::string_view> find(std::string_view key) const noexcept {
    for (const auto& [name, value] : fields) {
      if (name == key) return value;
    }
    return std::nullopt;
  }
  /// Nothing if there is no such field, or it is no whole number of 64 bits.
  std::optional<std::uint64_t> number(std::string_view key) const noexcept {
    const std::string_view digits = find(key).value_or("");
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  }
};

/// Takes a string, its opening quote gone, off `text` with its closing quote; nothing if it has
/// none.
inline std::optional<std::string> take_json_string(std::string_view& text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return value;
    }
    if (text[i] == '\\' && ++i == text.size()) break;
    value += text[i];
  }
  return std::nullopt;
}

/// Reads what `json_line` writes; empty if it is not whole.
inline json_fields parse_json_line(std::string_view text) {
  json_fields read;
  if (text.empty() || text.front() != '{' || text.back() != '}') return {};
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    if (text.front() == ',') text.remove_prefix(1);
    if (text.empty() || text.front() != '"') return {};
    text.remove_prefix(1);
    auto key = take_json_string(text);
    if (!key || text.empty() || text.front() != ':') return {};
    text.remove_prefix(1);
    std::string value;
    if (!text.empty() && text.front() == '"') {
      text.remove_prefix(1);
      auto string = take_json_string(text);
      if (!string) return {};
      value = std::move(*string);
    } else {
      value = text.substr(0, text.find(','));
      text.remove_prefix(value.size());
    }
    read.fields.emplace_back(std::move(*key), std::move(value));
  }
  return read;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
