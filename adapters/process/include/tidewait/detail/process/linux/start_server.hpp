// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/process/linux/server_run.hpp>
#include <tidewait/detail/process/linux/spare_descriptors.hpp>
#include <tidewait/detail/process/server_setup.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// The environment of this process, with some variables set.
inline std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::string> result;
  const auto name_of_entry = [](std::string_view entry) {
    return entry.substr(0, entry.find('='));
  };
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const bool replaced =
        std::any_of(variables.begin(), variables.end(),
                    [&](const auto& variable) { return variable.first == name_of_entry(*each); });
    if (!replaced) result.emplace_back(*each);
  }
  for (auto each = variables.begin(); each != variables.end(); ++each) {
    const bool again = std::any_of(each + 1, variables.end(), [&](const auto& later) {
      return later.first == each->first;  // the last one counts
    });
    if (!again) result.push_back(each->first + '=' + each->second);
  }
  return result;
}

inline std::string_view variable_in(const std::vector<std::string>& environment,
                                    std::string_view name) {
  for (const std::string_view each : environment) {
    if (each.substr(0, name.size()) == name && each.substr(name.size(), 1) == "=") {
      return each.substr(name.size() + 1);
    }
  }
  return {};
}

/// The path of a program, as execvp(3) finds it; absolute, since the server may start elsewhere.
/// Empty if there is none.
inline std::string find_program(const std::string& name, std::string_view search_path) {
  const auto absolute = [](const std::string& path) {
    if (path.front() == '/') return path;
    const std::unique_ptr<char, void (*)(void*)> here{::getcwd(nullptr, 0), std::free};
    return here ? std::string{here.get()} + '/' + path : path;
  };
  if (name.find('/') != std::string::npos) return absolute(name);
  while (!name.empty()) {
    const std::string_view folder = search_path.substr(0, search_path.find(':'));
    const std::string path = absolute((folder.empty() ? "." : std::string{folder}) + '/' + name);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        ::access(path.c_str(), X_OK) == 0) {
      return path;
    }
    if (folder.size() == search_path.size()) break;
    search_path.remove_prefix(folder.size() + 1);
  }
  return {};
}

/// The variables that the server gets beside the test's own and those of the options.
inline void add_own_variables(const server_options& options, const std::string& mark,
                              std::vector<std::pair<std::string, std::string>>& variables) {
  const char* const marks = ::getenv(run_variable);  // only passed on: see ensure_run_mark()
  variables.emplace_back(run_variable, (marks == nullptr ? "" : std::string{marks} + ':') + mark);
  if (options.sockets().empty()) return;
  variables.emplace_back("LISTEN_FDS", std::to_string(options.sockets().size()));
  variables.emplace_back("LISTEN_FDNAMES", joined(options.socket_names(), ":"));
  variables.emplace_back("LISTEN_PID", "0123456789");  // overwritten by the child
}

/// The locks of all leases of this process, found among its descriptors by their names: a lease
/// belongs to its holder, who may move or end it meanwhile.
inline shared_descriptors live_locks() {
  shared_descriptors locks;
  for (const int lock : shared_state::instance().unix_sockets.lease_locks()) {
    unique_fd copy{::fcntl(lock, F_DUPFD_CLOEXEC, first_spare_descriptor)};
    if (copy) locks.push_back(std::make_shared<const unique_fd>(std::move(copy)));
  }
  std::vector<lock_name> wanted;
  for (const lease_note& lease : shared_state::instance().leases.to_judge()) {
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      if (includes(lease.kind, which)) wanted.emplace_back(which, lease.port);
    }
  }
  if (wanted.empty()) return locks;
  for_each_name(AT_FDCWD, proc_path("self/fd").c_str(), [&](int, const char* name) {
    unique_fd copy{::fcntl(parse_pid(name).value_or(-1), F_DUPFD_CLOEXEC, first_spare_descriptor)};
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (!copy || ::getsockname(copy.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return;
    }
    const bool is_lock = std::any_of(wanted.begin(), wanted.end(), [&](const lock_name& lock) {
      return size == lock.size && std::memcmp(&address, lock.get(), size) == 0;
    });
    if (is_lock) locks.push_back(std::make_shared<const unique_fd>(std::move(copy)));
  });
  return locks;
}

/// Starts a server. Throws `server_error`.
inline std::shared_ptr<server_run> start_server(const server_setup& setup) {
  const server_options& options = setup.options;
  const std::string& run_id = ensure_run_mark();
  const std::string mark = random_name();
  auto variables = options.variables();
  add_own_variables(options, mark, variables);

  launch_plan plan;
  plan.environment = environment_with(variables);
  plan.program = find_program(setup.program, variable_in(plan.environment, "PATH"));
  if (plan.program.empty()) {
    throw server_error{std::make_error_code(std::errc::no_such_file_or_directory),
                       "starting " + setup.program,
                       "no such program in PATH",
                       {}};
  }
  plan.arguments.push_back(setup.program);
  shared_descriptors locks = options.locks();
  for (const argument& each : setup.arguments) {
    plan.arguments.push_back(each.text());
    locks.insert(locks.end(), each.locks().begin(), each.locks().end());
  }
  if (locks.empty()) locks = live_locks();
  for (const auto& each : locks) plan.locks.push_back(each->get());
  for (const auto& each : options.sockets()) plan.sockets.push_back(each->get());
  plan.directory = options.working_directory();
  plan.memfd = std::string{run_memfd_prefix} + run_id + ':' + mark;
  plan.stop_signal = options.stop_signal();

  auto run = std::make_shared<server_run>(short_name(setup.program, "/"), options);
  const auto [error, step] = run->start(plan, mark);
  if (error) {
    throw server_error{
        error, "starting " + setup.program + ", " + to_text(step), {}, "program: " + plan.program};
  }
  return run;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
