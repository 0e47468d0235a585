// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Columns of a report.
inline constexpr std::size_t report_width = 100;

/// ASCII letters in lower case.
inline std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

/// How many bytes the UTF-8 sequence at the front of `text` has; 0 if it is none (RFC 3629).
inline std::size_t utf8_length(std::string_view text) noexcept {
  const auto at = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : (lead >= 0xe0 ? 3 : 2);
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0U) != 0x80U) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f)) return 0;
  if ((lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) return 0;
  return length;
}

/// Whether a report may hold this UTF-8 sequence: no control character (U+0000–1F, U+007F–9F), and
/// none that XML 1.0 forbids (U+FFFE, U+FFFF).
inline bool is_printable(std::string_view sequence) noexcept {
  const auto lead = static_cast<unsigned char>(sequence.front());
  if (sequence.size() == 1) return lead >= 0x20 && lead != 0x7f;
  if (lead == 0xc2) return static_cast<unsigned char>(sequence[1]) >= 0xa0;
  return sequence != "\xef\xbf\xbe" && sequence != "\xef\xbf\xbf";
}

/// The text as valid UTF-8, what is bad or not printable as '?': a /proc command line may hold
/// anything, and a test report must stay well-formed XML and harmless to a terminal.
inline std::string sanitised(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::string_view next = text.substr(0, std::max<std::size_t>(1, utf8_length(text)));
    if (utf8_length(next) != 0 && is_printable(next)) {
      clean.append(next);
    } else {
      clean += '?';
    }
    text.remove_prefix(next.size());
  }
  return clean;
}

/// How many columns a valid UTF-8 text takes, one per code point.
inline std::size_t columns(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

/// The text if it fits into `width` columns, otherwise its front and "...".
inline std::string clipped(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string{text};
  std::string front;
  for (std::size_t used = 0; used + 3 < width && !text.empty(); ++used) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text));
    front.append(text.substr(0, length));
    text.remove_prefix(length);
  }
  return front + "...";
}

/// Seconds with one decimal: "59.2 s"; below a second in milliseconds: "250 ms".
inline std::string to_text(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return std::to_string(ms) + " ms";
  const auto tenths = (ms + 50) / 100;
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
}

/// "/usr/sbin/nginx -g …" → "nginx -g …", as a column of a table has room for.
inline std::string_view without_directory(std::string_view command) noexcept {
  const auto slash = command.substr(0, command.find(' ')).rfind('/');
  return slash == std::string_view::npos ? command : command.substr(slash + 1);
}

/// "echo_test.cpp:12"; empty if the place is not known.
inline std::string to_text(const source_location& where) {
  if (where.line == 0) return {};
  return std::string{without_directory(where.file)} + ':' + std::to_string(where.line);
}

/// "1 socket", "2 sockets", "3 processes".
inline std::string counted(std::size_t count, std::string_view noun) {
  std::string text = std::to_string(count) + ' ';
  text += noun;
  if (count != 1) text += noun.back() == 's' ? "es" : "s";
  return text;
}

inline std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) text += separator;
    text += part;
  }
  return text;
}

/// Breaks `text` at spaces so that no line is over `width` columns where a word allows it; lines
/// after the first start with `indent` spaces.
inline std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string lines;
  std::size_t used = indent;  // the caller has written that much of the first line
  bool first_word = true;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    const std::size_t size = columns(word);
    if (!first_word && used + 1 + size > width) {
      lines += '\n';
      lines.append(indent, ' ');
      used = indent;
      first_word = true;
    }
    if (!first_word) {
      lines += ' ';
      ++used;
    }
    lines += word;
    used += size;
    first_word = false;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return lines;
}

/// Rows of cells, printed with each column as wide as its widest cell.
class text_table {
 public:
  explicit text_table(std::vector<std::string> header) : rows_{std::move(header)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  /// One line per row, each starting with `indent`, none with trailing spaces. Where a line would
  /// be over `most_columns`, its last cell goes on below itself.
  std::string render(std::string_view indent, std::size_t most_columns = std::string::npos) const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], columns(row[i]));
      }
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line{indent};
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i + 1 == row.size()) {
          line += wrapped(row[i], columns(line), most_columns);
        } else {
          line += row[i];
          line.append(widths[i] - columns(row[i]) + 2, ' ');
        }
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + '\n';
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
