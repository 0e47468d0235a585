// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/journal.hpp>

/// Sets or unsets a variable of the environment while it lives.
class variable {
 public:
  variable(const char* name, const char* value) : name_{name} {
    if (const char* const before = ::getenv(name)) before_ = before;
    set(value);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

/// Gives this process a journal of its own while it lives, in a file that ends with it, and no name
/// of CTest's.
class journal_file {
 public:
  journal_file() = default;
  journal_file(const journal_file&) = delete;
  journal_file& operator=(const journal_file&) = delete;
  ~journal_file() {
    tidewait::detail::shared_state::instance().journal.flush();
    ::unlink(path_.c_str());
  }

 private:
  static std::string make() {
    std::string path = "/tmp/tidewait-journal-XXXXXX";
    ::close(::mkstemp(path.data()));
    return path;
  }

  const std::string path_ = make();
  const variable journal_{tidewait::journal_variable, path_.c_str()};
  const variable name_{tidewait::test_variable, nullptr};
};
