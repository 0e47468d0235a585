// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait::command {

/// Which Unix sockets `tidewait list --unix` is to print, and how.
struct unix_query {
  state_set states;
  std::vector<std::string> processes;  ///< Pids and names; none: every holder.
  bool as_json = false;
  bool paints = false;
};

/// Prints them; returns the exit code.
int list_unix(const unix_query& query);

/// Whether one of the processes goes by one of these pids or names.
bool held_by(const std::vector<process>& owners, const std::vector<std::string>& processes);

/// "4711/nginx".
std::string pid_and_name(const process& owner);

/// "4711/nginx,4712/nginx".
std::string names_of(const std::vector<process>& owners);

/// Says on standard error what the list could not show; false if it could not even say so.
bool tell_gaps(const visibility& seen, bool owners_missing);

}  // namespace tidewait::command
