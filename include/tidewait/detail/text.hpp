// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/sanitised.hpp>
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

/// Takes the next line off `text`, without its end.
inline std::string_view take_line(std::string_view& text) noexcept {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

/// Takes the next word off `text`, words being separated by spaces or tabs.
inline std::string_view take_word(std::string_view& text) noexcept {
  const auto start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(start);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
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
  const auto slash = command.substr(0, command.find(' ')).find_last_of("/\\");
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

/// Breaks `text` at spaces so that no line is over `width` columns where a word allows it, and
/// where it has a line's end itself; lines after the first start with `indent` spaces.
inline std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string lines;
  std::size_t used = indent;             // the caller has written that much of the first line
  bool first_word = true, ends = false;  // the word, the line
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    const std::size_t size = columns(word);
    const bool ended = std::exchange(ends, text.substr(word.size(), 1) == "\n");
    // At the start of a line, "::" could be a command.
    const bool tied = word.substr(0, 2) == "::";
    if (ended || (!first_word && !tied && used + 1 + size > width)) {
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
  text_table() = default;
  explicit text_table(std::vector<std::string> header) : rows_{std::move(header)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  /// One line per row, each starting with `indent`, none with trailing spaces. Where a line would
  /// be over `most_columns`, its last cell goes on below itself, or stands below the row if there
  /// are too few columns for that; unless that cell has lines of its own.
  std::string render(std::string_view indent, std::size_t most_columns = std::string::npos) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], columns(row[i]));
      }
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line{indent};
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i + 1 == row.size()) {
          const bool laid_out = row[i].find('\n') != row[i].npos;
          std::size_t from = columns(line);
          constexpr std::size_t fewest = 16;
          if (!laid_out && i != 0 && most_columns < from + std::min(fewest, columns(row[i]))) {
            line.erase(line.find_last_not_of(' ') + 1);
            line.append("\n").append(indent).append(4, ' ');
            from = indent.size() + 4;
          }
          line += wrapped(row[i], from, laid_out ? row[i].npos : most_columns);
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
  std::vector<std::vector<std::string>> rows_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
