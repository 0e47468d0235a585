// SPDX-License-Identifier: BSL-1.0
#include "policy_check.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

#include "command.hpp"

namespace tidewait::command {

void add_policy(CLI::App& app, int& status) {
  CLI::App* const sub =
      app.add_subcommand("policy", "Check the rules for what tests may leave behind");
  sub->require_subcommand(1);
  CLI::App* const check = sub->add_subcommand("check", "Read rules and print them in normal form");
  const auto texts = std::make_shared<std::vector<std::string>>();
  check
      ->add_option("rules", *texts,
                   "Rules as in TIDEWAIT_POLICY, later ones on top of earlier ones")
      ->option_text("RULES...")
      ->required();
  constexpr const char* footer =
      "Exit code 0 if all rules can be read, 2 if not: then the message quotes the bad item.\n\n"
      "Examples:\n"
      "  tidewait policy check 'time_wait+port=8080, warn:bound'\n"
      "  tidewait policy check 'test=\"name, rest\"+time_wait'\n";
  sub->footer(footer);
  check->footer(footer);
  check->callback([texts, &status] {
    try {
      policy rules;
      for (const std::string& each : *texts) rules = parse_policy(each, std::move(rules));
      print(to_string(rules) + '\n');
    } catch (const policy_error& error) {
      throw usage_error{error.what()};
    }
    status = exit_code::fine;
  });
}

}  // namespace tidewait::command
