// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <tidewait/journal.hpp>

/// Gives this process a journal of its own while it lives, in a file that ends with it.
class journal_file {
 public:
  journal_file() {
    if (!tidewait::journal_path().empty()) outer_ = tidewait::journal_path();
    ::close(::mkstemp(path_.data()));
    ::setenv(tidewait::journal_variable, path_.c_str(), 1);
  }
  journal_file(const journal_file&) = delete;
  journal_file& operator=(const journal_file&) = delete;
  ~journal_file() {
    ::unlink(path_.c_str());
    if (outer_) {
      ::setenv(tidewait::journal_variable, outer_->c_str(), 1);
    } else {
      ::unsetenv(tidewait::journal_variable);
    }
  }

  const std::string& path() const noexcept { return path_; }

 private:
  std::optional<std::string> outer_;
  std::string path_ = "/tmp/tidewait-journal-XXXXXX";
};
