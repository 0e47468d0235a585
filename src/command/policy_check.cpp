// SPDX-License-Identifier: BSL-1.0
#include "policy_check.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

#include "command.hpp"
#include "run_tally.hpp"

namespace tidewait::command {
namespace {

/// In the normal form, in one line; with rules of files one item a line, with the line that has it.
output to_text(const policy& rules) {
  output text;
  const auto& all = rules.rules();
  if (std::all_of(all.begin(), all.end(), [](const auto& each) { return each.file.empty(); }))
    return text.add(to_string(rules)).add("\n");
  for (const policy_rule& each : all) {
    if (!each.file.empty())
      text.add(detail::sanitised(from_here(each.file)) + ':' + std::to_string(each.line) + ": ");
    text.add(to_string(each) + '\n');
  }
  const std::string settings = to_string(policy{}
                                             .max_wait(rules.max_wait())
                                             .on_blind(rules.on_blind())
                                             .audit(rules.audited())
                                             .warn_all(rules.warns_only()));
  if (!settings.empty()) text.add(settings + '\n');
  return text;
}

}  // namespace

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
      print(to_text(rules));
    } catch (const policy_error& error) {
      throw usage_error{error.what()};
    }
    status = exit_code::fine;
  });
}

}  // namespace tidewait::command
