// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/process/backoff.hpp>
#include <tidewait/detail/process/line_echo.hpp>
#include <tidewait/detail/process/server_life.hpp>
#include <tidewait/detail/process/server_setup.hpp>
#include <tidewait/detail/process/windows/shared_handles.hpp>
#include <tidewait/detail/process/windows/words.hpp>
#include <tidewait/detail/shared_state.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

using living_process = running_process;
inline int pid_of(const living_process& process) { return process.pid; }
inline process describe(const living_process& each) {
  process who;
  who.pid = each.pid;
  who.name = each.name;
  who.command = each.command;
  who.relation = relation::descendant;
  return who;
}

/// Whether a process of the server can have a socket whose holder the table does not name, as that
/// of Wine does not before its holder reads from it.
inline bool may_hold(const living_process&, const observed_socket&) { return true; }

/// One life of a server, from its start to the end of the last process in its job. A thread of its
/// own reads its output.
class server_run final : public server_life<living_process> {
 public:
  server_run(std::string name, const server_options& options)
      : server_life{std::move(name), options} {}
  server_run(const server_run&) = delete;
  server_run& operator=(const server_run&) = delete;
  ~server_run() { stop_reading(); }

  /// Starts the program. Where it fails, `failed` says at what.
  std::error_code start(const job_command& what, const char*& failed) {
    note_servers_before();
    if (const std::error_code error = process_.start(what, failed)) return error;
    try {
      reader_ = std::thread{[this] { read_output(); }};
    } catch (const std::system_error& error) {
      failed = "starting a thread that reads its output";
      return error.code();
    }
    return {};
  }

  int pid() const noexcept override { return process_.pid(); }

 private:
  /// CTRL_BREAK, grace, TerminateJobObject.
  void end_processes(server_exit& result) override {
    try {
      result.by_itself = over();
      const backoff since_the_signal{options_.grace()};
      // Without a console nobody can be asked, and the grace would be in vain.
      if (!await_end(milliseconds{0}) && process_.ask_to_end() && !await_end(options_.grace()))
        for (const living_process& each : processes()) result.killed.push_back(describe(each));
      process_.end_all();
      constexpr milliseconds kill_time{10000};
      if (!await_end(kill_time))
        for (const living_process& each : processes()) result.survivors.push_back(describe(each));
      result.took = since_the_signal.used();
    } catch (const std::system_error&) {
      process_.end_all();
      result.uncertain = true;
    }
  }

  std::optional<server_exit> peek_exit() const override {
    const auto code = process_.exit_code();
    if (!code) return std::nullopt;
    // An NTSTATUS whose severity is an error. Bit 28 is not set in one: -1 is no exception.
    constexpr std::uint32_t severity_and_bit_28 = 0xd0000000U;
    constexpr std::uint32_t error = 0xc0000000U;
    server_exit result;
    result.how = (*code & severity_and_bit_28) == error ? ending::signalled : ending::exited;
    result.value = static_cast<int>(*code);
    return result;
  }

  /// Whether nobody is left, at the latest after that time.
  bool await_end(milliseconds most) const {
    for (backoff time{most};; time.pause()) {
      if (leader_exit() && processes().empty()) return true;
      if (time.over()) return false;
    }
  }

  std::vector<living_process> find_processes() const override { return process_.processes(); }
  bool is_of_our_signal(int value) const noexcept override {
    return value == static_cast<int>(control_c_exit);
  }
  void reap(const server_exit&) override {}

  /// Its lines end as text files of Windows do, and are kept without that.
  void read_output() {
    line_echo lines{options_.echoes() == echo::to_stderr ? name_ : ""};
    bool held_back = false;  // a '\r' that may be before a '\n'
    while (auto bytes = process_.read_output()) {
      if (held_back) bytes->insert(0, 1, '\r');
      held_back = !bytes->empty() && bytes->back() == '\r';
      if (held_back) bytes->pop_back();
      for (std::size_t at = 0; (at = bytes->find("\r\n", at)) != std::string::npos;)
        bytes->erase(at, 1);
      output_.append(*bytes);
      lines.add(*bytes);
    }
    lines.finish();
    output_.finish();
  }

  void stop_reading() override {
    if (!reader_.joinable()) return;
    process_.stop_reading();
    reader_.join();
  }

  job_process process_{};
};

/// The locks of all leases of this process.
inline shared_descriptors live_locks() {
  shared_descriptors locks;
  for (const lease_note& lease : shared_state::instance().leases.to_judge()) {
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      if (!includes(lease.kind, which) || lock_holder(which, lease.port) != process_id()) continue;
      if (unique_fd lock = open_own_lock(which, lease.port))
        locks.push_back(std::make_shared<const unique_fd>(std::move(lock)));
    }
  }
  return locks;
}

/// Starts a server. Throws `server_error`.
inline std::shared_ptr<server_run> start_server(const server_setup& setup) {
  const server_options& options = setup.options;
  const auto refuse = [&](const std::error_code& error, const std::string& step,
                          const std::string& cause) {
    throw server_error{error, "starting " + setup.program + step, cause, {}};
  };
  if (options.stop_signal() != SIGTERM && options.stop_signal() != SIGBREAK) {
    refuse(std::make_error_code(std::errc::operation_not_supported), "",
           "no signal " + std::to_string(options.stop_signal()) +
               " reaches it: CTRL_BREAK is all that asks a program to end on Windows, so leave "
               "stop_signal() as it is");
  }
  ensure_run_mark();
  job_command what;
  what.arguments.push_back(setup.program);
  shared_descriptors locks = options.locks();
  for (const argument& each : setup.arguments) {
    what.arguments.push_back(each.text());
    locks.insert(locks.end(), each.locks().begin(), each.locks().end());
  }
  if (locks.empty()) locks = live_locks();
  for (const auto& each : locks) what.inherited.push_back(each->get());
  what.variables = options.variables();
  what.directory = options.working_directory();

  auto run = std::make_shared<server_run>(short_name(setup.program, "/\\"), options);
  const char* failed = "";
  if (const auto error = run->start(what, failed)) {
    const bool missing = error == std::errc::no_such_file_or_directory;
    refuse(error, missing ? "" : std::string{", "} + failed,
           missing ? "no such program in PATH, or no such working directory" : "");
  }
  return run;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
