// SPDX-License-Identifier: BSL-1.0
#include "command.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

#include "streams.hpp"

namespace tidewait::command {
namespace {

/// A list of two columns, as the options and the subcommands are.
std::string two_columns(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  std::string text;
  for (const auto& [left, right] : rows) {
    const std::size_t column = width + 4;
    if (left.empty()) {
      text += '\n';
      continue;
    }
    text += "  " + left + std::string(column - 2 - left.size(), ' ');
    text += detail::wrapped(right, column, 100) + '\n';
  }
  return text;
}

/// What stands for the value of an option: the text set for it, or the name of its type.
std::string value_text(const CLI::Option& option) {
  return option.get_option_text().empty() ? option.get_type_name() : option.get_option_text();
}

}  // namespace

output& output::add(std::string_view text) {
  text_ += detail::sanitised_lines(text);
  return *this;
}

output& output::add(colour what, std::string_view text) {
  constexpr const char* codes[] = {"1", "2", "31", "32", "33"};
  text_.append("\033[").append(codes[static_cast<std::size_t>(what)]) += 'm';
  add(text);
  text_ += "\033[0m";
  return *this;
}

output& output::add_json(std::string_view dumped) {
  const auto escape = [this](std::uint32_t unit) {
    text_ += "\\u";
    for (unsigned shift = 16; shift != 0;) text_ += "0123456789abcdef"[unit >> (shift -= 4) & 15U];
  };
  detail::line_place place;
  while (!dumped.empty()) {
    std::size_t plain = 0;
    while (plain < dumped.size() && detail::is_plain(dumped[plain])) ++plain;
    if (plain != 0) {
      text_.append(dumped.substr(0, plain));
      place.pass(dumped.substr(0, plain));
      dumped.remove_prefix(plain);
      continue;
    }
    const std::string_view next =
        dumped.substr(0, std::max<std::size_t>(1, detail::utf8_length(dumped)));
    const std::uint32_t character = detail::code_point(next);
    if (next == "\n" ||
        (detail::is_printable(character) && !detail::starts_command(dumped, place))) {
      text_ += next;
    } else if (character < 0x10000) {
      escape(character);
    } else {  // a surrogate pair (RFC 8259, section 7)
      escape(0xd800 + ((character - 0x10000) >> 10U));
      escape(0xdc00 + ((character - 0x10000) & 0x3ffU));
    }
    place.pass(character);
    dumped.remove_prefix(next.size());
  }
  return *this;
}

output& output::pad(std::size_t columns) {
  text_.append(columns, ' ');
  return *this;
}

void print(const output& text) {
  if (const auto error = write_to_stream(standard_output, text.text())) {
    throw std::system_error{error, "writing to standard output"};
  }
}

void print(std::string_view text) { print(output{}.add(text)); }

bool say(std::string_view text) {
  return !write_quietly(standard_error, output{}.add(text).text());
}

std::error_code instruct(int stream, std::string_view line) {
  return write_to_stream(stream, line);
}

void tell_notes() {
  for (const std::string& note : detail::shared_state::instance().told.take_notes()) {
    say("tidewait: note: " + note + '\n');
  }
}

std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode /*mode*/) {
  std::string usage = "Usage: " + name;
  std::vector<std::pair<std::string, std::string>> rows;
  const auto subcommands = app->get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* each : subcommands) {
    rows.emplace_back(each->get_name(), each->get_description());
  }
  if (subcommands.empty()) {
    usage += " [options]";
  } else {
    usage += " SUBCOMMAND ...";
    rows.emplace_back("", "");
  }
  for (const CLI::Option* each : app->get_options()) {
    if (each->get_positional()) {
      usage += ' ' + value_text(*each);
      rows.insert(rows.begin(), {value_text(*each), each->get_description()});
    } else {
      std::string left;
      for (const std::string& letter : each->get_snames()) left += '-' + letter + ", ";
      for (const std::string& word : each->get_lnames()) left += "--" + word;
      if (each->get_type_size() != 0 && each->get_expected_min() != 0)
        left += ' ' + value_text(*each);
      rows.emplace_back(std::move(left), each->get_description());
    }
  }
  std::string text = app->get_description() + "\n\n" + usage + "\n\n" + two_columns(rows);
  if (!app->get_footer().empty()) text += '\n' + app->get_footer();
  return text;
}

std::uint16_t read_port(std::string_view text) {
  std::string_view rest = text;
  const auto port = detail::take_number(rest, 65535);
  if (port && *port != 0 && rest.empty()) return static_cast<std::uint16_t>(*port);
  throw usage_error{'\'' + std::string{text} + "' is not a port: write a number from 1 to 65535"};
}

void painter::add_option(CLI::App& subcommand) {
  subcommand
      .add_option("--color", when_,
                  "Colour the output: auto (the default: on a terminal), always or never")
      ->type_name("WHEN")
      ->check([](const std::string& text) -> std::string {
        if (text == "auto" || text == "always" || text == "never") return {};
        return '\'' + text + "' is none of: auto, always, never";
      });
}

bool painter::paints() const {
  if (when_ != "auto") return when_ == "always";
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string_view{value == nullptr ? "" : value};
  };
  return variable("NO_COLOR").empty() && variable("TERM") != "dumb" && is_terminal(standard_output);
}

void painter::add(output& to, colour what, std::string_view text) const {
  if (paints()) {
    to.add(what, text);
  } else {
    to.add(text);
  }
}

}  // namespace tidewait::command
