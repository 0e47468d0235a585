// SPDX-License-Identifier: BSL-1.0
#include <signal.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/version.hpp>

#include "command.hpp"
#include "end_by.hpp"
#include "streams.hpp"
#include "verbs.hpp"
#include "wrapped_command.hpp"

namespace tidewait::command {
namespace {

std::string version_text() {
  return "tidewait " + std::to_string(version.major_part) + '.' +
         std::to_string(version.minor_part) + '.' + std::to_string(version.patch_part);
}

/// What may be amiss besides: a verb that runs a command was given none behind "--".
std::string hint_for(const CLI::App& app, const std::vector<std::string>& wrapped) {
  constexpr std::string_view with_command[] = {"run", "lease", "known"};
  const auto chosen = app.get_subcommands();
  if (chosen.empty() || !wrapped.empty()) return {};
  const std::string& name = chosen.front()->get_name();
  if (std::find(std::begin(with_command), std::end(with_command), name) == std::end(with_command))
    return {};
  std::string verb = name;
  for (const CLI::App* each : chosen.front()->get_subcommands()) verb += ' ' + each->get_name();
  return "; if it belongs to the command, put -- before the command: tidewait " + verb +
         " [options] -- COMMAND";
}

int run(int argc, const char* const* argv) {
  int status = exit_code::fine;
  detail::shared_state::instance().counts.launcher = true;
  const std::vector<std::string> wrapped = take_wrapped_command(argc, argv);
  CLI::App app{"Port hygiene for C++ tests: see which sockets are open, and why a bind fails",
               "tidewait"};
  app.formatter_fn(help_text);
  app.set_version_flag("--version", version_text(), "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  app.require_subcommand(1);
  app.footer(
      "`tidewait SUBCOMMAND --help` has examples; tidewait(1) describes the exit codes and the "
      "environment.\n");
  add_verbs(app, status, wrapped);

  const auto refuse = [&app, argc, argv](const std::string& flaw) {
    const auto chosen = app.get_subcommands();
    const std::string name = chosen.empty() ? "tidewait" : "tidewait " + chosen.front()->get_name();
    say(name + ": " + detail::sanitised(flaw) + "\nSee " + name + " --help\n");
    // Nothing was run, and CTest's properties can overrule an exit code.
    const bool abort = std::any_of(argv, argv + argc,
                                   [](std::string_view argument) { return argument == "--abort"; });
    if (abort && name == "tidewait run") end_by(SIGABRT);
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
    if (!app.get_subcommands().empty()) return refuse(error.what() + hint_for(app, wrapped));
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
  tidewait::command::prepare_streams();
  try {
    std::vector<const char*> arguments;
    const auto texts = tidewait::command::utf8_arguments(argc, argv);
    for (const std::string& each : texts) arguments.push_back(each.c_str());
    arguments.push_back(nullptr);
    return tidewait::command::run(static_cast<int>(texts.size()), arguments.data());
  } catch (const std::exception& error) {
    tidewait::command::say("tidewait: " + tidewait::detail::sanitised(error.what()) + '\n');
    return tidewait::command::exit_code::cannot_look;
  } catch (...) {
    tidewait::command::say("tidewait: an unknown exception\n");
    return tidewait::command::exit_code::cannot_look;
  }
}
