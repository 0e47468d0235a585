// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// What the command ends with; docs/command.md explains them.
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

/// Writes to standard output. Throws `std::system_error` if not all of it could be written: a full
/// disk must not look like an empty answer.
void print(std::string_view text);

/// Prints on standard error what the user is to be told once, such as that the journal is not used.
void tell_notes();

/// The help of a command or subcommand, the same with every version of CLI11 (`App::formatter_fn`).
std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode mode);

/// Reads a port number, 1 to 65535. Throws `usage_error`.
std::uint16_t read_port(std::string_view text);

enum class colour : std::uint8_t { bold, dim, red, green, yellow };

/// Colours text for a terminal (ECMA-48), or leaves it as it is.
class painter {
 public:
  /// Adds `--color auto|always|never` to a subcommand. "auto" colours a terminal, unless NO_COLOR
  /// (https://no-color.org) is set or TERM is "dumb".
  void add_option(CLI::App& subcommand);

  bool paints() const;
  std::string operator()(colour what, std::string_view text) const;

 private:
  std::string when_ = "auto";
};

}  // namespace tidewait::command
