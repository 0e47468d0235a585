// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/process/backoff.hpp>
#include <tidewait/detail/process/line_echo.hpp>
#include <tidewait/detail/process/linux/hidden_holder.hpp>
#include <tidewait/detail/process/linux/launch.hpp>
#include <tidewait/detail/process/linux/server_processes.hpp>
#include <tidewait/detail/process/linux/spare_descriptors.hpp>
#include <tidewait/detail/process/server_life.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// One life of a server, from exec to the end of its last process. A thread of its own starts it,
/// and then reads its output until it is over.
class server_run final : public server_life<living_process> {
 public:
  server_run(std::string name, const server_options& options)
      : server_life{std::move(name), options}, wake_{::eventfd(0, EFD_CLOEXEC)} {}

  server_run(const server_run&) = delete;
  server_run& operator=(const server_run&) = delete;
  ~server_run() { stop_reading(); }

  /// Starts the program; what keeps it from running is returned, with the step that failed.
  std::pair<std::error_code, launch_step> start(launch_plan& plan, std::string mark) {
    if (!wake_) return {last_error(), launch_step::arranging};
    note_servers_before();
    std::promise<launched> started;
    auto result = started.get_future();
    // No handler of the program runs in this thread, nor in the child before its exec.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      reader_ = std::thread{[this, &plan, started = std::move(started)]() mutable {
        launched child = launch(plan);
        const unique_fd output = std::move(child.output);
        const bool failed = child.pid < 0;
        started.set_value(std::move(child));  // `plan` is gone from here on
        if (!failed) read_output(output.get());
        output_.finish();
      }};
    } catch (const std::system_error& error) {
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      return {error.code(), launch_step::none};
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const launched child = result.get();
    mark_.leader = child.pid;
    mark_.leader_is_known = child.pid > 0;
    mark_.id = std::move(mark);
    mark_.memfd = plan.memfd;
    if (child.pid > 0 && proc_has_our_numbers()) {
      const unique_fd leader = open_process(child.pid);
      if (const auto stat = read_process_stat(leader.get())) mark_.since = stat->start;
      mark_.inode = inode_of_memfd(leader.get(), mark_.memfd).value_or(0);
    }
    return {child.error, child.failed};
  }

  int pid() const noexcept override { return mark_.leader; }

 private:
  /// Signal, grace, SIGKILL.
  void end_processes(server_exit& result) override {
    const bool was_over = over();
    const backoff since_the_signal{options_.grace()};
    forget_a_leader_that_was_waited_for();
    server_search search{mark_};
    termination_rules rules;
    rules.signal = options_.stop_signal();
    rules.grace = options_.grace();
    rules.kill_time = milliseconds{10000};
    rules.signal_group = [this](int number) {
      forget_a_leader_that_was_waited_for();
      const std::lock_guard hold{state_};
      if (mark_.leader_is_known) ::kill(-mark_.leader, number);
    };
    // To walk /proc is dear: while the first process lives, there is no need.
    rules.wait = [this](milliseconds step, steady_clock::time_point until) {
      do {
        sleep_for(step);
      } while (!leader_exit() && steady_clock::now() < until);
    };
    rules.nobody_left = [&] { return !search.can_look() && leader_exit(); };
    termination ended = terminate(
        [&](const auto& found) {
          return search.walk([&](living_process&& each) {
            if (!each.told) note_escape(each, result);
            found(std::move(each));
          });
        },
        rules);
    result.killed = std::move(ended.killed);
    result.not_permitted = std::move(ended.refused);
    result.survivors = std::move(ended.survivors);
    result.uncertain = !ended.certain || !search.can_look();
    result.by_itself = was_over;
    result.took = since_the_signal.used();
  }

  // How it has ended: it stays a zombie, so that its pid and its group remain its own, until it is
  // reaped.
  std::optional<server_exit> peek_exit() const override {
    server_exit result;
    siginfo_t info{};
    int answer = 0;
    do {
      answer = ::waitid(P_PID, static_cast<id_t>(mark_.leader), &info, WEXITED | WNOHANG | WNOWAIT);
    } while (answer != 0 && errno == EINTR);
    if (answer != 0) return result;  // ECHILD: somebody else has waited for it
    if (info.si_pid == 0) return std::nullopt;
    result.how = info.si_code == CLD_EXITED ? ending::exited : ending::signalled;
    result.value = info.si_status;
    return result;
  }

  /// Somebody else's wait() has taken its status: its pid, and its group, may be another's.
  void forget_a_leader_that_was_waited_for() {
    const std::lock_guard hold{state_};
    const auto exit = peek_exit();
    if (exit && exit->how == ending::unknown) mark_.leader_is_known = false;
  }

  void note_escape(const living_process& who, server_exit& result) const {
    constexpr std::size_t most_named = 64;
    const auto same = [&](const process& other) { return other.pid == who.stat.pid; };
    if (result.escaped.size() >= most_named) return;
    if (options_.is_daemon() || std::any_of(result.escaped.begin(), result.escaped.end(), same)) {
      return;
    }
    result.escaped.push_back(describe(who));
  }

  std::vector<living_process> find_processes() const override {
    return find_server_processes(mark_);
  }
  bool is_of_our_signal(int value) const noexcept override {
    return value == options_.stop_signal();
  }
  void reap(const server_exit& exit) override {
    int status = 0;
    if (exit.how != ending::unknown) ::waitpid(mark_.leader, &status, 0);
  }

  void read_output(int pipe) {
    std::vector<char> room(65536);
    line_echo lines{options_.echoes() == echo::to_stderr ? name_ : ""};
    constexpr std::size_t most_after_the_end = 1U << 20U;  // whoever goes on writing has escaped us
    std::size_t after_the_end = 0;
    for (bool last = false; !last;) {
      pollfd events[] = {{pipe, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      ::poll(events, 2, -1);
      last = events[1].revents != 0;
      for (;;) {
        const ssize_t got = sys.read(pipe, room.data(), room.size());
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) last = true;
        if (got <= 0) break;
        const std::string_view bytes{room.data(), static_cast<std::size_t>(got)};
        output_.append(bytes);
        lines.add(bytes);
        if (last && (after_the_end += bytes.size()) > most_after_the_end) break;
      }
    }
    lines.finish();
  }

  void stop_reading() override {
    if (!reader_.joinable()) return;
    const std::uint64_t one = 1;
    while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
    reader_.join();
  }

  unique_fd wake_;  // readable once the thread has to end
  server_mark mark_{};
};

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
