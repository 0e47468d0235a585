// SPDX-License-Identifier: BSL-1.0
#pragma once

// The encoder for text of others.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

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

/// Where in a line a text has got to, as far as a "::" there may come to begin a line.
class line_place {
 public:
  /// Nothing but blanks is in front of it.
  bool is_start() const noexcept { return start_; }
  /// A line may be broken here: Catch2 wraps at its console's width, behind these characters, or
  /// within a word that is too long.
  bool may_break() const noexcept { return word_ == 0 || word_ >= longest_word; }

  /// Goes on over ASCII of one line.
  void pass(std::string_view text) noexcept {
    start_ = start_ && text.find_first_not_of(' ') == std::string_view::npos;
    const auto last = text.find_last_of(" ])}>.,:;*+-=&/\\");
    word_ = last == std::string_view::npos ? word_ + text.size() : text.size() - last - 1;
  }
  /// Goes on over one character.
  void pass(std::uint32_t character) noexcept {
    if (character == '\n') {
      *this = {};
    } else if (is_blank(character)) {
      word_ = 0;
    } else {
      pass(std::string_view{character == ':' ? ":" : "x"});
    }
  }

 private:
  static constexpr std::size_t longest_word = 60;
  bool start_ = true;
  std::size_t word_ = 0;  // since the last place for a break
};

constexpr bool is_ascii_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Whether what follows a "::" is a command of GitHub's runner, as in "error::", "error file=x::".
/// Other words are names of C++: "list<int>::value::type".
inline bool names_command(std::string_view text) noexcept {
  const auto end = std::find_if_not(text.begin(), text.end(),
                                    [](char c) { return c == '-' || is_ascii_letter(c); });
  const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.begin()));
  if (!rest.empty() && rest.front() != ' ' && rest.substr(0, 2) != "::") return false;
  const std::string_view name = text.substr(0, text.size() - rest.size());
  constexpr std::string_view commands[] = {"add-mask", "add-matcher",    "add-path",
                                           "debug",    "echo",           "endgroup",
                                           "error",    "group",          "internal-set-repo-path",
                                           "notice",   "remove-matcher", "save-state",
                                           "set-env",  "set-output",     "stop-commands",
                                           "warning"};
  const auto same = [name](std::string_view command) {  // in either case
    return std::equal(name.begin(), name.end(), command.begin(), command.end(), [](char a, char b) {
      return a == b || (is_ascii_letter(a) && (a ^ b) == 32);
    });
  };
  return std::any_of(std::begin(commands), std::end(commands), same);
}

/// Whether a reader of our output would take what starts here for a command of its own: CTest takes
/// <CTestMeasurement...>, <CTestMeasurementFile...> and <Dart...> out of a test's output; the
/// runners of GitHub, Azure and TeamCity obey ##[command], ##vso[command] and ##teamcity[command]
/// anywhere; GitHub's obeys ::command:: at the start of a line.
inline bool starts_command(std::string_view text, const line_place& where) noexcept {
  for (const std::string_view each : {"<CTest", "</CTest", "<Dart", "</Dart"}) {
    if (text.substr(0, each.size()) == each) return true;
  }
  const std::string_view rest = text.substr(std::min<std::size_t>(2, text.size()));
  if (text.substr(0, 2) == "##") {
    const auto end = std::find_if_not(rest.begin(), rest.end(), is_ascii_letter);
    return end != rest.end() && *end == '[';
  }
  if (text.substr(0, 2) != "::") return false;
  return where.is_start() || (where.may_break() && names_command(rest));
}

/// A printable ASCII character that starts no command: most of what there is to write.
constexpr bool is_plain(char c) noexcept {
  return c >= ' ' && c <= '~' && c != '<' && c != '#' && c != ':';
}

/// The longest text of somebody else's that is shown, in bytes.
inline constexpr std::size_t longest_foreign_text = 4096;

/// Text that another process, user or file chose, made harmless for every output: valid UTF-8, each
/// character that is not printable and each start of a command to CTest or a CI runner replaced by
/// '?'. A /proc command line may hold anything, and a report must stay well-formed XML, must not
/// steer a terminal, and must not order a CI system about. Of a text longer than `most` bytes only
/// the front, and "...". `line_breaks::kept` leaves '\n' as it is, for a text of several lines.
enum class line_breaks : std::uint8_t { replaced, kept };
inline std::string sanitised(std::string_view text, std::size_t most = longest_foreign_text,
                             line_breaks breaks = line_breaks::replaced) {
  std::string clean;
  clean.reserve(std::min(text.size(), most));
  line_place place;
  while (!text.empty()) {
    if (clean.size() > most) break;
    std::size_t plain = 0;
    while (plain < text.size() && plain <= most - clean.size() && is_plain(text[plain])) ++plain;
    if (plain != 0) {
      clean.append(text.substr(0, plain));
      place.pass(text.substr(0, plain));
      text.remove_prefix(plain);
      continue;
    }
    const std::size_t length = utf8_length(text);
    const std::string_view next = text.substr(0, std::max<std::size_t>(1, length));
    const std::uint32_t character = length == 0 ? 0 : code_point(next);
    const bool line_end = breaks == line_breaks::kept && next == "\n";
    const bool kept = line_end || (is_printable(character) && !starts_command(text, place));
    clean.append(kept ? next : "?");
    place.pass(kept ? character : '?');
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

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
