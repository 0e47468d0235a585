// SPDX-License-Identifier: BSL-1.0
#include "port_settings.hpp"

#include <future>
#include <mutex>
#include <system_error>
#include <thread>

#include <tidewait/detail/windows/bind_socket.hpp>
#include <tidewait/detail/windows/clocks.hpp>
#include <tidewait/detail/windows/job_process.hpp>
#include <tidewait/detail/windows/read_sockets.hpp>

#include "system.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Ends a job where it takes too long.
class time_limit {
 public:
  time_limit(const job_process& job, steady_clock::time_point until)
      : watch_{[&job, until, over = over_.get_future()] {
          if (over.wait_until(until) == std::future_status::timeout) {
            job.end_all();
            job.stop_reading();  // a program that was started meanwhile may have the pipe
          }
        }} {}
  time_limit(const time_limit&) = delete;
  time_limit& operator=(const time_limit&) = delete;
  ~time_limit() {
    over_.set_value();
    watch_.join();
  }

 private:
  std::promise<void> over_{};
  std::thread watch_;
};

/// Where Windows has its programs; empty if it does not say.
std::string system_directory() {
  std::wstring path(MAX_PATH, L'\0');
  const UINT size = ::GetSystemDirectoryW(path.data(), static_cast<UINT>(path.size()));
  return size < path.size() ? to_utf8({path.data(), size}) : std::string{};
}

std::optional<std::string> ask_own_netsh(const std::vector<std::string>& question) {
  const std::string directory = system_directory();
  if (directory.empty()) return std::nullopt;
  return ask_netsh(directory, question, milliseconds{5000});
}

/// The port that a bind(0) over TCP is given; 0 if it fails.
std::uint16_t port_by_system() {
  std::error_code error;
  const unique_fd socket =
      bind_socket({protocol::tcp, {ip_address::any_v4(), 0}}, reuse::none, error);
  return error ? std::uint16_t{0} : local_endpoint(socket.get(), error).port;
}

const char* name_of(protocol which) noexcept { return which == protocol::udp ? "udp" : "tcp"; }

/// What was answered, of which there is one for each question that can be asked.
template <typename Answer>
struct known_answer {
  std::once_flag asked{};
  std::optional<Answer> answer{};
};

}  // namespace

std::optional<std::string> ask_netsh(const std::string& directory,
                                     const std::vector<std::string>& question, milliseconds most) {
  constexpr std::size_t most_bytes = 1U << 20U;
  const auto until = steady_clock::now() + most;
  job_command what;
  what.arguments = {directory + "\\netsh.exe", "int"};
  what.arguments.insert(what.arguments.end(), question.begin(), question.end());
  what.directory = directory;
  what.without_console = true;
  try {
    job_process netsh;
    const char* failed = "";
    if (netsh.start(what, failed)) return std::nullopt;
    const time_limit limit{netsh, until};
    std::string text;
    while (const auto bytes = netsh.read_output()) {
      text += *bytes;
      if (text.size() > most_bytes) return std::nullopt;
    }
    // Its output ends before it does.
    while (!netsh.exit_code() && steady_clock::now() < until) sleep_for(milliseconds{1});
    if (netsh.exit_code() != 0U) return std::nullopt;
    return text;
  } catch (const std::system_error&) {  // no thread
    return std::nullopt;
  }
}

std::optional<port_range> dynamic_range(protocol which) {
  static known_answer<port_range> known[2];
  auto& range = known[which == protocol::udp ? 1 : 0];
  std::call_once(range.asked, [&] {
    if (const auto text = ask_own_netsh({"ipv4", "show", "dynamicport", name_of(which)}))
      range.answer = parse_dynamic_range(*text);
  });
  return range.answer;
}

const std::optional<std::vector<excluded_range>>& excluded_ranges(protocol which, bool v6) {
  static auto* const known = new known_answer<std::vector<excluded_range>>[4];
  auto& ranges = known[(which == protocol::udp ? 2 : 0) + (v6 ? 1 : 0)];
  std::call_once(ranges.asked, [&] {
    if (const auto text = ask_own_netsh({v6 ? "ipv6" : "ipv4", "show", "excludedportrange",
                                         std::string{"protocol="} + name_of(which)}))
      ranges.answer = parse_excluded_ranges(*text);
  });
  return ranges.answer;
}

port_rules read_port_rules() {
  static const port_range range =
      range_of_choice(port_by_system(), [] { return dynamic_range(protocol::tcp); });
  port_rules rules;
  rules.ephemeral = range;
  rules.unprivileged_start = 0;
  return rules;
}

port_rules look_up_port_rules(protocol which, const ip_address& address) {
  port_rules rules = read_port_rules();
  if (const auto range = dynamic_range(which)) rules.ephemeral = *range;
  const auto add = [&](bool v6) {
    if (const auto& all = excluded_ranges(which, v6)) {
      for (const excluded_range& each : *all)
        if (!each.administered) rules.reserved.push_back(each.ports);
    }
  };
  add(false);
  if (address.is_v6()) add(true);
  return rules;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
