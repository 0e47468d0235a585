// SPDX-License-Identifier: BSL-1.0
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

#include <tidewait/version.hpp>

#include "command.hpp"
#include "why.hpp"

namespace tidewait::command {
namespace {

std::string version_text() {
  return "tidewait " + std::to_string(version.major_part) + '.' +
         std::to_string(version.minor_part) + '.' + std::to_string(version.patch_part);
}

int run(int argc, const char* const* argv) {
  int status = exit_code::fine;
  CLI::App app{"Port hygiene for C++ tests: which sockets are there, and why a bind fails",
               "tidewait"};
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  add_why(app, status);
  try {
    app.parse(argc, argv);
    return status;
  } catch (const CLI::ParseError& error) {
    // --help and --version end here too.
    std::ostringstream text;
    if (app.exit(error, text, std::cerr) != 0) return exit_code::usage;
    print(text.str());
    return exit_code::fine;
  }
}

}  // namespace
}  // namespace tidewait::command

int main(int argc, char** argv) {
  try {
    return tidewait::command::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "tidewait: " << error.what() << '\n';
    return tidewait::command::exit_code::cannot_look;
  }
}
