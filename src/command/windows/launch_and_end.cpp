// SPDX-License-Identifier: BSL-1.0
#include "../launch_and_end.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <map>
#include <stdexcept>
#include <system_error>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/watch.hpp>

#include "../become.hpp"
#include "../bind_consequence.hpp"
#include "../command.hpp"
#include "../conclude_run.hpp"
#include "../files.hpp"
#include "../judged_inside.hpp"
#include "processes.hpp"
#include "started_process.hpp"
#include "system.hpp"

namespace tidewait::command {
namespace {

using clock = std::chrono::steady_clock;

constexpr const char* no_witness = "Windows does not show the binds of another process";

/// Whether all that runs in the job ends when we do, as where somebody kills us.
std::error_code end_with_us(const detail::unique_fd& job, bool all) {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
  if (all) limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
  const bool set =
      ::SetInformationJobObject(detail::handle_of(job.get()), JobObjectExtendedLimitInformation,
                                &limits, sizeof limits) != 0;
  return set ? std::error_code{} : detail::last_error();
}

/// The job of the command. What runs in it belongs to this process as long as this lives.
struct command_job {
  /// `keep`: it may outlive this process.
  explicit command_job(bool keep) : handle{detail::owned(::CreateJobObjectW(nullptr, nullptr))} {
    const std::error_code error = !handle ? detail::last_error() : end_with_us(handle, !keep);
    if (error) throw std::system_error{error, "making a job (CreateJobObject)"};
    detail::adopt(handle.get());
  }
  command_job(const command_job&) = delete;
  command_job& operator=(const command_job&) = delete;
  ~command_job() { detail::adopt(detail::no_handle); }

  detail::unique_fd handle;
};

/// Starts the command in the job, before it does anything. An error: it was not started.
std::error_code start_in(const detail::unique_fd& job, const std::vector<std::string>& command,
                         started_process& started) {
  if (const auto error = started.start(command, CREATE_SUSPENDED)) return error;
  if (::AssignProcessToJobObject(detail::handle_of(job.get()),
                                 detail::handle_of(started.process.get())) == 0) {
    const auto error = detail::last_error();
    ::TerminateProcess(detail::handle_of(started.process.get()), EXIT_FAILURE);
    throw std::system_error{error, "putting the command into a job (AssignProcessToJobObject)"};
  }
  ::ResumeThread(detail::handle_of(started.thread.get()));
  return {};
}

/// Who of the job is alive and is not tolerated. Throws `std::system_error` if nobody can tell.
std::vector<tree_process> left_in(const detail::unique_fd& job, const policy& rules,
                                  const std::string& name,
                                  std::map<int, tolerated_socket>& spared) {
  std::vector<tree_process> left;
  for (const detail::running_process& each : detail::processes_in(job.get())) {
    tree_process process{each.pid, each.parent, each.name, each.command};
    if (is_tolerated(rules, process, name)) {
      spared.emplace(
          each.pid, tolerated_socket{"a process", each.name, *deciding_rule(rules, process, name)});
    } else {
      left.push_back(std::move(process));
    }
  }
  return left;
}

/// Who outlived the command. Those that are about to end may do so.
void find_orphans(const detail::unique_fd& job, const policy& rules, run_report& run,
                  std::map<int, tolerated_socket>& spared) {
  const auto start = clock::now();
  std::chrono::milliseconds pause{1};
  for (;;) {
    spared.clear();
    run.orphans = left_in(job, rules, run.found.test, spared);
    run.waited = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start);
    if (run.orphans.empty() || run.waited >= rules.max_wait()) return;
    detail::sleep_for(std::min(pause, rules.max_wait() - run.waited));
    pause = std::min(pause * 2, std::chrono::milliseconds{20});
  }
}

/// `started`: whether the command was, also where this throws.
run_report run_and_look(const std::vector<std::string>& command, const run_request& asked,
                        const detail::unique_fd& job, bool& started) {
  run_report run;
  run.witness.absent = {no_witness, ""};
  detail::shared_state::instance().journal.launched = last_part(command.front());
  watch look_after{asked.rules, asked.name};
  // As far as it goes: the command says for itself.
  detail::shared_state::instance().counts.ran_all_tests(true);
  const policy& rules = asked.in_force;
  const std::uint64_t since = detail::wall_clock();
  const auto start = clock::now();
  run.found.test = asked.name;
  started_process process;
  if (const auto error = start_in(job, command, process)) {
    run.error = "cannot run " + detail::sanitised(command.front()) + ": " + error.message();
    run.status = exit_code_of(error);
    return run;
  }
  started = true;
  run.status = static_cast<int>(process.wait());
  run.took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start);
  std::map<int, tolerated_socket> spared;
  find_orphans(job, rules, run, spared);
  const bool any_alive = !run.orphans.empty() || !spared.empty();
  const judged_inside inside{since, asked.rules};
  run.found = look_after_end(look_after, any_alive ? look_depth::thorough : look_depth::quick,
                             asked, run.witness, inside);
  for (auto& [pid, each] : spared) run.found.tolerated.push_back(std::move(each));
  judge_conduct(run.found, run.witness, rules,
                [&](const witnessed_bind& each) { return inside.has(each); });
  conclude(asked, rules, inside, run);
  return run;
}

/// Ends what the command left running, and says who cannot be ended. What the policy tolerates
/// stays.
void end_what_is_left(const detail::unique_fd& job, const run_request& asked) {
  constexpr std::chrono::seconds grace{2};
  try {
    std::map<int, tolerated_socket> spared;
    std::vector<tree_process> left;
    const auto start = clock::now();
    do {
      spared.clear();
      left = left_in(job, asked.in_force, asked.name, spared);
      for (const tree_process& each : left) detail::end_process(job.get(), each.pid);
    } while (!left.empty() && clock::now() - start < grace);
    for (const tree_process& each : left) {
      say("tidewait: pid " + std::to_string(each.pid) + " (" + each.name +
          ") could not be ended (TerminateProcess)\n");
    }
    // Otherwise the job ends with this process, and ends every process that is still in it.
    if (spared.empty()) return;
    if (const auto error = end_with_us(job, false))
      throw std::system_error{error, "keeping what the policy tolerates (SetInformationJobObject)"};
  } catch (const std::system_error& error) {
    say("tidewait: " + detail::sanitised(error.what()) + '\n');
  }
}

}  // namespace

run_report launch_and_end(const run_options& options, const run_request& asked) {
  if (options.isolate == "require")
    throw std::runtime_error{"no network namespace of its own: Windows has none"};
  if (options.witness == "require") {
    throw std::runtime_error{std::string{"its binds cannot be witnessed (--witness=require): "} +
                             no_witness};
  }
  if (options.isolate != "no")
    say("tidewait: warning: not isolated: Windows has no network namespaces\n");
  std::vector<std::string> command = asked.command;
  const std::vector<port_lease> leases = lease_for(options, command);
  for (const port_lease& each : leases) {
    for (const detail::native_handle lock : each.lock_descriptors()) hand_on(lock);
  }
  const command_job own{options.keep_orphans};
  const detail::unique_fd& job = own.handle;
  run_report result;
  bool started = false;
  try {
    result = run_and_look(command, asked, job, started);
  } catch (const std::exception& error) {
    if (!started) throw;
    ::TerminateJobObject(detail::handle_of(job.get()), EXIT_FAILURE);
    result = {};
    result.found.test = asked.name;
    result.error = asked.name + " cannot be judged, and is ended: " + error.what();
    tell(options, result);
    return result;
  }
  tell(options, result);
  if (!options.keep_orphans) end_what_is_left(job, asked);
  return result;
}

}  // namespace tidewait::command
