// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tidewait/detail/requirements.hpp>

namespace tidewait {
inline namespace v0 {

/// What can go wrong in tidewait itself; where the system said why, its own error is kept instead.
enum class errc {
  cannot_look = 1,   ///< The listeners of our own processes cannot be enumerated by any route.
  malformed_answer,  ///< The kernel's answer could not be read.
  no_free_port,      ///< Every candidate for a lease was taken, locked or not permitted.
  port_out_of_range,  ///< A port number outside 1–65535, or a count of ports that cannot be served.
  other_namespace,    ///< A lease or a watch was used from another network namespace than its own.
  bad_policy,         ///< The text of a policy cannot be read.
  server_ended,       ///< A server under test ended when it should not have.
  foreign_listener,  ///< Another process serves the port of the server under test.
  untrusted_file,    ///< A file that another user owns, may write to, or may have put there.
};

/// The category of `errc`, named "tidewait".
inline const std::error_category& tidewait_category() noexcept {
  class category final : public std::error_category {
   public:
    const char* name() const noexcept override { return "tidewait"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::cannot_look: return "the kernel's socket tables cannot be read";
        case errc::malformed_answer: return "the kernel's answer could not be read";
        case errc::no_free_port: return "no free port";
        case errc::port_out_of_range: return "port out of range";
        case errc::other_namespace: return "used from another network namespace";
        case errc::bad_policy: return "the policy cannot be read";
        case errc::server_ended: return "the server has ended";
        case errc::foreign_listener: return "another process serves the port";
        case errc::untrusted_file: return "the file is not a regular file of this user alone";
      }
      return "unknown error";
    }
  };
  static const category instance;
  return instance;
}

/// The value in the category of tidewait (std::error_code).
inline std::error_code make_error_code(errc value) noexcept {
  return {static_cast<int>(value), tidewait_category()};
}

/// The base of what tidewait throws. `what()` reads "doing: the system's error; likely cause".
///
/// One rule holds for all public functions: what fails throws an error of this base, and no
/// function has a twin that sets a `std::error_code` instead. Where an error is itself the answer
/// it is returned (`probe_bind`, `probe_port`, `append_journal`). `watch::look` and destructors do
/// not throw: what kept them from looking is in the report. `listen_fds::enter_child`, which runs
/// between fork() and exec, cannot throw either: it returns null and sets `errno`.
class error : public std::system_error {
 public:
  /// `doing`: what failed; `likely_cause`: one sentence, or empty.
  error(std::error_code code, const std::string& doing, std::string likely_cause = {})
      : std::system_error{code, doing}, likely_cause_{std::move(likely_cause)} {
    text_ = std::system_error::what();
    if (!likely_cause_.empty()) text_ += "; " + likely_cause_;
  }
  /// What failed, the system's message, and the likely cause.
  const char* what() const noexcept override { return text_.c_str(); }
  /// What most often causes this, and what to do; may be empty.
  const std::string& likely_cause() const noexcept { return likely_cause_; }

 private:
  std::string likely_cause_;
  std::string text_{};
};

/// Looking at sockets, or asking the kernel for a bind, failed.
class observe_error : public error {
 public:
  using error::error;
};

/// A port could not be leased or held, or a socket not be bound.
class lease_error : public error {
 public:
  using error::error;
};

/// The text of a policy cannot be read (`errc::bad_policy`); `what()` quotes the item.
class policy_error : public error {
 public:
  using error::error;
};

}  // namespace v0
}  // namespace tidewait

template <>
struct std::is_error_code_enum<tidewait::errc> : std::true_type {};
