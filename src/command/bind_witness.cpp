// SPDX-License-Identifier: BSL-1.0
#include "bind_witness.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include <tidewait/detail/text.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/explain_unix_bind.hpp>

namespace tidewait::command {
namespace {

using clock = std::chrono::steady_clock;

}  // namespace

bind_witness::bind_witness(witnessing how, gap absent) : how_{how}, absent_{std::move(absent)} {
  if (how == witnessing::off && absent_.empty()) absent_ = {"it is switched off", ""};
  if (absent_.empty() && !kernel_can_witness()) {
    absent_ = explain_no_filter(filter_step::kernel, 0);
  }
  if (!absent_.empty()) return;
  try {
    line_.emplace();
    stop_ = detail::unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!stop_) throw std::system_error{detail::last_error(), "opening an eventfd (eventfd)"};
  } catch (const std::system_error& error) {
    line_.reset();
    absent_ = {error.what(), ""};
  }
}

bind_witness::~bind_witness() {
  if (!thread_.joinable()) return;
  constexpr std::uint64_t one = 1;
  while (::write(stop_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
}

int bind_witness::install() noexcept {
  if (!line_) return how_ == witnessing::required ? EOPNOTSUPP : 0;
  const bool buy = how_ == witnessing::asked || how_ == witnessing::required;
  const filter_step got = line_->install(buy ? no_new_privs::set : no_new_privs::leave);
  if (got == filter_step::hand_over) return EPROTO;
  return how_ == witnessing::required && got != filter_step::installed ? EOPNOTSUPP : 0;
}

void bind_witness::begin(const std::function<void(int)>& wait) {
  if (!line_) return;
  if (wait) wait(line_->parents_end());
  filter_line::answer answer;
  try {
    answer = line_->receive();
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_child_process) throw;
    line_.reset();
    absent_ = {"the command ended before it was started", ""};
    return;
  }
  line_.reset();
  absent_ = explain_no_filter(answer.step, answer.error);
  if (!answer.listener) return;
  supervisor_.emplace(std::move(answer.listener), explain_failure);
  try {
    thread_ = std::thread{[this] { watch(); }};
  } catch (const std::system_error& error) {
    throw std::system_error{error.code(), "starting a thread that witnesses binds"};
  }
}

void bind_witness::watch() {
  std::optional<clock::time_point> next;
  // A caller that gets no answer waits for ever, so that we do not go for one error.
  for (int errors = 0; errors < 100;) {
    timespec pause{};
    if (next) {
      const auto left = std::max<clock::duration>(*next - clock::now(), clock::duration::zero());
      const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
      pause = {static_cast<time_t>(whole.count()),
               static_cast<long>(std::chrono::nanoseconds{left - whole}.count())};
    }
    pollfd ready[] = {{supervisor_->fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    const int got = ::ppoll(ready, 2, next ? &pause : nullptr, nullptr);
    if (got < 0) {
      if (errno != EINTR) ++errors;
      continue;
    }
    if (ready[1].revents != 0) return;
    const std::lock_guard lock{mutex_};
    if (got == 0) {
      supervisor_->complete();
    } else if ((ready[0].revents & POLLIN) == 0) {
      return;  // nobody who has the filter is alive
    } else if (!supervisor_->answer_one()) {
      ++errors;
    }
    next = supervisor_->next_look();
  }
  const std::lock_guard lock{mutex_};
  supervisor_->give_up();
  broken_ = true;
}

std::size_t bind_witness::failed() {
  const std::lock_guard lock{mutex_};
  return supervisor_ ? supervisor_->failures().size() : 0;
}

testimony bind_witness::so_far() {
  const std::lock_guard lock{mutex_};
  testimony seen;
  seen.broken = broken_;
  seen.absent = broken_ ? gap{"its system calls failed in the middle of the run", ""} : absent_;
  if (!supervisor_) return seen;
  supervisor_->complete();
  seen.binds = supervisor_->binds();
  seen.failures = supervisor_->failures();
  seen.unrecorded = supervisor_->unrecorded();
  seen.unexplained = supervisor_->unexplained();
  return seen;
}

namespace {

/// Why a bind to a path fails, in the form in which that of a port is kept.
std::optional<diagnosis> explain_path(const std::string& path) try {
  const unix_diagnosis found = explain_unix_bind(path).why;
  diagnosis why;
  why.explanations = found.explanations;
  for (const observed_unix& each : found.conflicting) {
    if (each.stale_file) continue;
    observed_socket socket;
    socket.state = each.state;
    socket.owned = each.owned;
    socket.owners = each.owners;
    socket.cookie = each.inode;
    why.conflicting.push_back(std::move(socket));
  }
  return why;
} catch (const std::exception&) {
  return std::nullopt;
}

}  // namespace

std::optional<diagnosis> explain_failure(const witnessed_bind& bind) {
  if (bind.kind == socket_kind::local && !bind.file.empty()) return explain_path(bind.file);
  if (!bind.asked || (bind.kind != socket_kind::tcp && bind.kind != socket_kind::udp)) {
    return std::nullopt;
  }
  bind_request request;
  request.protocol = bind.kind == socket_kind::tcp ? protocol::tcp : protocol::udp;
  request.local = *bind.asked;
  request.ipv6_only = bind.scope;
  try {
    diagnosis why = explain_bind(request).why;
    // Where listen(2) fails, the caller's own socket is bound there as well.
    const auto own = [&](const observed_socket& each) {
      return bind.at_listen && each.cookie == bind.cookie;
    };
    auto& all = why.conflicting;
    all.erase(std::remove_if(all.begin(), all.end(), own), all.end());
    return why;
  } catch (const std::exception&) {
    return std::nullopt;  // that it failed is on record all the same
  }
}

}  // namespace tidewait::command
