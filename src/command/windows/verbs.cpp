// SPDX-License-Identifier: BSL-1.0
#include "../verbs.hpp"

#include "../command.hpp"
#include "../doctor.hpp"
#include "../free.hpp"
#include "../known.hpp"
#include "../lease.hpp"
#include "../list.hpp"
#include "../policy_check.hpp"
#include "../report.hpp"
#include "../run.hpp"
#include "../wait.hpp"
#include "../why.hpp"

namespace tidewait::command {
namespace {

/// What an entry of a CI script that was written for Linux is told.
void refuse_gate(CLI::App& app) {
  constexpr const char* why =
      "Not on Windows: put `tidewait run` before the test run, whose job ends what it leaves";
  CLI::App* const gate = app.add_subcommand("gate", why);
  gate->allow_extras();
  gate->callback([] { throw usage_error{why}; });
}

}  // namespace

void add_verbs(CLI::App& app, int& status, const std::vector<std::string>& wrapped) {
  add_run(app, status, wrapped);
  add_why(app, status);
  add_wait(app, status);
  add_free(app, status);
  add_list(app, status);
  add_lease(app, status, wrapped);
  add_policy(app, status);
  add_known(app, status, wrapped);
  add_report(app, status);
  refuse_gate(app);
  add_doctor(app, status);
}

}  // namespace tidewait::command
