// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
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

/// The code point of a valid UTF-8 sequence.
inline std::uint32_t code_point(std::string_view sequence) noexcept {
  const auto at = [sequence](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return at(0);
  std::uint32_t value = at(0) & (0x7fU >> sequence.size());
  for (std::size_t i = 1; i < sequence.size(); ++i) value = value << 6U | (at(i) & 0x3fU);
  return value;
}

/// Whether a report may hold this character: no control character, no line or paragraph separator,
/// no invisible format character that reorders or hides text (Unicode categories Cc, Zl, Zp, Cf),
/// and none that XML 1.0 forbids.
inline bool is_printable(std::uint32_t character) noexcept {
  struct range {
    std::uint32_t first, last;
  };
  constexpr range forbidden[] = {
      {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x0600, 0x0605},
      {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x0890, 0x0891},
      {0x08e2, 0x08e2},   {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},
      {0x2060, 0x206f},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0xfffe, 0xffff},
      {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
      {0x1d173, 0x1d17a}, {0xe0000, 0xe007f},
  };
  for (const range& each : forbidden) {
    if (character >= each.first && character <= each.last) return false;
  }
  return true;
}

/// Whether .NET's String.TrimStart drops the character: GitHub's runner looks for a command behind
/// such characters, too.
inline bool is_blank(std::uint32_t character) noexcept {
  return character == ' ' || (character >= 0x09 && character <= 0x0d) || character == 0x85 ||
         character == 0xa0 || character == 0x1680 || (character >= 0x2000 && character <= 0x200a) ||
         character == 0x2028 || character == 0x2029 || character == 0x202f || character == 0x205f ||
         character == 0x3000;
}

/// Whether a reader of our output would take what starts here for a command of its own: CTest takes
/// <CTestMeasurement...>, <CTestMeasurementFile...> and <Dart...> out of a test's output; GitHub's
/// runner obeys ::command:: at the start of a line (and a long text may be wrapped at any blank)
/// and ##[command] anywhere.
inline bool starts_command(std::string_view text, bool after_blank) noexcept {
  for (const std::string_view each : {"<CTest", "</CTest", "<Dart", "</Dart", "##["}) {
    if (text.substr(0, each.size()) == each) return true;
  }
  return after_blank && text.substr(0, 2) == "::";
}

/// A printable ASCII character that starts no command: most of what there is to write.
constexpr bool is_plain(char c) noexcept {
  return c >= ' ' && c <= '~' && c != '<' && c != '#' && c != ':';
}

/// The longest text of somebody else's that is shown, in bytes.
inline constexpr std::size_t longest_foreign_text = 4096;

/// Text that another process, user or file chose, made harmless for every output: valid UTF-8, each
/// character that is not printable and each start of a command to CTest or GitHub's runner replaced
/// by '?'. A /proc command line may hold anything, and a report must stay well-formed XML, must not
/// steer a terminal, and must not order a CI system about. Of a text longer than `most` bytes only
/// the front, and "...". `line_breaks::kept` leaves '\n' as it is, for a text of several lines.
enum class line_breaks : std::uint8_t { replaced, kept };
inline std::string sanitised(std::string_view text, std::size_t most = longest_foreign_text,
                             line_breaks breaks = line_breaks::replaced) {
  std::string clean;
  clean.reserve(std::min(text.size(), most));
  bool after_blank = true;
  while (!text.empty()) {
    if (clean.size() > most) break;
    std::size_t plain = 0;
    while (plain < text.size() && plain <= most - clean.size() && is_plain(text[plain])) ++plain;
    if (plain != 0) {
      clean.append(text.substr(0, plain));
      after_blank = clean.back() == ' ';
      text.remove_prefix(plain);
      continue;
    }
    const std::size_t length = utf8_length(text);
    const std::string_view next = text.substr(0, std::max<std::size_t>(1, length));
    const std::uint32_t character = length == 0 ? 0 : code_point(next);
    const bool line_end = breaks == line_breaks::kept && next == "\n";
    if (line_end || (is_printable(character) && !starts_command(text, after_blank))) {
      clean.append(next);
      after_blank = is_blank(character);
    } else {
      clean += '?';
      after_blank = false;
    }
    text.remove_prefix(next.size());
  }
  if (clean.size() <= most) return clean;
  std::size_t front = std::max<std::size_t>(most, 3) - 3;
  while (front != 0 && (static_cast<unsigned char>(clean[front]) & 0xc0U) == 0x80U) --front;
  clean.resize(front);
  return clean + "...";
}

/// A whole text of several lines, foreign parts and all, as it may be written anywhere.
inline std::string sanitised_lines(std::string_view text) {
  return sanitised(text, std::string_view::npos, line_breaks::kept);
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
    if (ended || (!first_word && used + 1 + size > width)) {
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
  /// be over `most_columns`, its last cell goes on below itself, unless that has lines of its own.
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
          line += wrapped(row[i], columns(line), laid_out ? row[i].npos : most_columns);
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
