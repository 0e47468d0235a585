// SPDX-License-Identifier: BSL-1.0
#include "command.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tidewait::command {

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw std::system_error{errno, std::system_category(), "writing to standard output"};
    }
  }
}

}  // namespace tidewait::command
