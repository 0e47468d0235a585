// SPDX-License-Identifier: BSL-1.0
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <tidewait/version.hpp>

#include "command.hpp"
#include "doctor.hpp"
#include "gate.hpp"
#include "lease.hpp"
#include "list.hpp"
#include "policy_check.hpp"
#include "run.hpp"
#include "why.hpp"
#include "wrapped_command.hpp"

namespace tidewait::command {
namespace {

std::string version_text() {
  return "tidewait " + std::to_string(version.major_part) + '.' +
         std::to_string(version.minor_part) + '.' + std::to_string(version.patch_part);
}

int run(int argc, const char* const* argv) {
  int status = exit_code::fine;
  const std::vector<std::string> wrapped = take_wrapped_command(argc, argv);
  CLI::App app{"Port hygiene for C++ tests: which sockets are there, and why a bind fails",
               "tidewait"};
  app.formatter_fn(help_text);
  app.set_version_flag("--version", version_text(), "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  app.require_subcommand(1);
  app.footer(
      "`tidewait SUBCOMMAND --help` has examples; tidewait(1) describes the output and the exit "
      "codes.\n");
  add_run(app, status, wrapped);
  add_why(app, status);
  add_list(app, status);
  add_lease(app, status, wrapped);
  add_gate(app, status);
  add_policy(app, status);
  add_doctor(app, status);

  const auto refuse = [&app](const std::string& flaw) {
    const auto chosen = app.get_subcommands();
    const std::string name = chosen.empty() ? "tidewait" : "tidewait " + chosen.front()->get_name();
    std::cerr << name + ": " + flaw + "\nSee " + name + " --help\n";
    return exit_code::usage;
  };
  try {
    app.parse(argc, argv);
    return status;
  } catch (const CLI::Success& asked) {  // --help, --version
    std::ostringstream text;
    app.exit(asked, text, text);
    print(text.str());
    return exit_code::fine;
  } catch (const CLI::ParseError& error) {
    if (!app.get_subcommands().empty()) return refuse(error.what());
    std::string names;
    for (const CLI::App* each : app.get_subcommands(nullptr)) {
      names += (names.empty() ? "" : ", ") + each->get_name();
    }
    return refuse((argc > 1 ? std::string{"there is no '"} + argv[1] + "'; write one of: "
                            : "write one of: ") +
                  names);
  } catch (const usage_error& error) {
    return refuse(error.what());
  }
}

}  // namespace
}  // namespace tidewait::command

int main(int argc, char** argv) {
  try {
    return tidewait::command::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << std::string{"tidewait: "} + error.what() + '\n';
    return tidewait::command::exit_code::cannot_look;
  }
}
