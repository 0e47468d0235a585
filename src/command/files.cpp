// SPDX-License-Identifier: BSL-1.0
#include "files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

const char* const directory_separators = "/";

std::string make_temporary(std::string_view name) {
  const char* const folder = detail::environment("TMPDIR");
  std::string path{folder == nullptr || *folder != '/' ? "/tmp" : folder};
  path.append("/").append(name).append("-").append(detail::random_name());
  const detail::unique_fd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) throw std::system_error{detail::last_error(), "making " + path};
  return path;
}

void remove_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

}  // namespace tidewait::command
