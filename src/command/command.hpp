// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// What the command ends with; docs/reference.md explains them.
namespace exit_code {
inline constexpr int fine = 0;
inline constexpr int bad = 1;
inline constexpr int usage = 2;
inline constexpr int cannot_look = 3;
inline constexpr int left_behind = 97;
}  // namespace exit_code

/// A command line that cannot be understood. `what()` says what to write instead.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class colour : std::uint8_t { bold, dim, red, green, yellow };

/// Text to be printed. Whatever is put into it is encoded: names, command lines and paths of others
/// steer neither the terminal nor a CI system.
class output {
 public:
  /// A text of one or several lines.
  output& add(std::string_view text);
  /// The same in a colour (ECMA-48).
  output& add(colour what, std::string_view text);
  /// What nlohmann::json has dumped. No value changes: what could steer anybody is written as
  /// \uXXXX.
  output& add_json(std::string_view dumped);
  output& pad(std::size_t columns);

  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

// All that tidewait writes to its standard streams goes through these.

/// Writes to standard output. Throws `std::system_error` if not all of it could be written: a full
/// disk must not look like an empty answer.
void print(const output& text);
void print(std::string_view text);

/// Prints on standard error what the user is to be told once, such as that the journal is not used.
void tell_notes();

/// Writes to standard error; false if it could not. That nobody reads it raises no SIGPIPE.
bool say(std::string_view text);

/// Writes a line that is a command to CTest or to GitHub's runner and is meant to be one: of our
/// own words, of numbers, and of text that `output` has encoded.
std::error_code instruct(int stream, std::string_view line);

/// The help of a command or subcommand, the same with every version of CLI11 (`App::formatter_fn`).
std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode mode);

/// Reads a port number, 1 to 65535. Throws `usage_error`.
std::uint16_t read_port(std::string_view text);

/// Whether to colour text.
class painter {
 public:
  /// Adds `--color auto|always|never` to a subcommand. "auto" colours a terminal, unless NO_COLOR
  /// (https://no-color.org) is set or TERM is "dumb".
  void add_option(CLI::App& subcommand);

  bool paints() const;
  /// Adds the text, in colour if this paints.
  void add(output& to, colour what, std::string_view text) const;

 private:
  std::string when_ = "auto";
};

}  // namespace tidewait::command
