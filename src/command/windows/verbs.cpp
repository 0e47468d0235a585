// SPDX-License-Identifier: BSL-1.0
#include "../verbs.hpp"

#include <cstdlib>

#include "../doctor.hpp"
#include "../lease.hpp"
#include "../list.hpp"
#include "../policy_check.hpp"
#include "../wait.hpp"
#include "../why.hpp"

namespace tidewait::command {

void add_verbs(CLI::App& app, int& status, const std::vector<std::string>& wrapped) {
  add_why(app, status);
  add_wait(app, status);
  add_list(app, status);
  add_lease(app, status, wrapped);
  add_policy(app, status);
  add_doctor(app, status);
}

void end_by_abort() { std::abort(); }

}  // namespace tidewait::command
