// SPDX-License-Identifier: BSL-1.0
#include "../verbs.hpp"

#include "../doctor.hpp"
#include "../known.hpp"
#include "../lease.hpp"
#include "../list.hpp"
#include "../policy_check.hpp"
#include "../report.hpp"
#include "../run.hpp"
#include "../wait.hpp"
#include "../why.hpp"

namespace tidewait::command {

void add_verbs(CLI::App& app, int& status, const std::vector<std::string>& wrapped) {
  add_run(app, status, wrapped);
  add_why(app, status);
  add_wait(app, status);
  add_list(app, status);
  add_lease(app, status, wrapped);
  add_policy(app, status);
  add_known(app, status, wrapped);
  add_report(app, status);
  add_doctor(app, status);
}

}  // namespace tidewait::command
