// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <tidewait/detail/linux/system.hpp>

#include "bind_filter.hpp"
#include "bind_supervisor.hpp"
#include "testimony.hpp"

namespace tidewait::command {

/// How much the user wants binds to be witnessed.
enum class witnessing : std::uint8_t {
  off,
  automatic,  ///< Where it costs nothing: with CAP_SYS_ADMIN, or if no_new_privs is set anyway.
  asked,      ///< Else with no_new_privs.
  required,   ///< The command is not run without.
};

/// Witnesses the binds of a command and of all that it starts: a filter in the command, and a
/// thread of this process that answers the calls which it stops, so that no caller waits for what
/// this process does besides. To be made before the command's process is.
class bind_witness {
 public:
  /// `absent`: why nobody is to watch; empty if somebody is.
  bind_witness(witnessing how, gap absent);
  /// From then on the kernel answers ENOSYS to those who still have the filter.
  ~bind_witness();
  bind_witness(const bind_witness&) = delete;
  bind_witness& operator=(const bind_witness&) = delete;

  /// In the child, last before exec; async-signal-safe. 0, or the errno with which it must end.
  int install() noexcept;

  /// In the parent, after fork(2), with signals blocked. `wait` waits until a descriptor can be
  /// read, and may hear signals meanwhile. Throws `std::system_error` if the filter is there and
  /// nobody can answer: the command must be ended then.
  void begin(const std::function<void(int)>& wait = nullptr);

  /// Why nobody watches; empty if somebody does.
  const gap& absent() const noexcept { return absent_; }
  /// It is required, and absent: the child has not become the command.
  bool refused() const noexcept { return how_ == witnessing::required && !absent_.empty(); }

  /// How many binds failed until now, each endpoint and culprit once.
  std::size_t failed();
  /// All that has happened until now.
  testimony so_far();

 private:
  void watch();

  witnessing how_;
  gap absent_;
  std::optional<filter_line> line_;
  std::mutex mutex_;  // of the supervisor
  bool broken_ = false;
  std::optional<bind_supervisor> supervisor_;
  detail::unique_fd stop_;  // an eventfd
  std::thread thread_;
};

/// Explains a failed bind from the socket table, as `tidewait why` does.
std::optional<diagnosis> explain_failure(const witnessed_bind& bind);

}  // namespace tidewait::command
