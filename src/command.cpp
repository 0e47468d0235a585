// SPDX-License-Identifier: BSL-1.0
#include "command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/registry.hpp>

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

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw std::system_error{errno, std::system_category(), "writing to standard output"};
    }
  }
}

void tell_notes() {
  for (const std::string& note : detail::registry::instance().take_notes()) {
    std::cerr << "tidewait: note: " + note + '\n';
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
  throw usage_error{'\'' + std::string{text} + "' is no port: write a number from 1 to 65535"};
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
  return variable("NO_COLOR").empty() && variable("TERM") != "dumb" && ::isatty(STDOUT_FILENO) == 1;
}

std::string painter::operator()(colour what, std::string_view text) const {
  const std::string plain{text};
  if (!paints()) return plain;
  constexpr const char* codes[] = {"1", "2", "31", "32", "33"};
  return std::string{"\033["} + codes[static_cast<std::size_t>(what)] + 'm' + plain + "\033[0m";
}

}  // namespace tidewait::command
