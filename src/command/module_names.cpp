// SPDX-License-Identifier: BSL-1.0
#include "module_names.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <tidewait/detail/linux/symbolizer.hpp>
#include <tidewait/detail/os_handles.hpp>

namespace tidewait::command {
namespace {

/// The file of a program or library, if it may be shown to a tool and is still the one that ran
/// then. A journal can name any file.
detail::unique_fd open_module(const std::string& path, std::int64_t since) {
  if (path.empty() || path.front() != '/')
    return {};  // by a name that only the program could follow
  detail::unique_fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0) return {};
  constexpr std::int64_t micro = 1000000;
  const std::int64_t built = static_cast<std::int64_t>(facts.st_mtim.tv_sec) * micro;
  const bool trusted = facts.st_uid == 0 || facts.st_uid == ::geteuid();
  if (!S_ISREG(facts.st_mode) || !trusted || (facts.st_mode & S_IWOTH) != 0 || built > since)
    return {};
  return file;
}

}  // namespace

module_names::module_names() : tool_{detail::find_addr2line()} {}

std::string module_names::why_not() const {
  return tool_.empty()
             ? "no addr2line to name the code with: install binutils to see lines, not offsets"
             : "";
}

named_places module_names::ask(const std::string& module, std::int64_t since,
                               const std::vector<std::uint64_t>& wanted) const {
  named_places all;
  const detail::unique_fd file = tool_.empty() ? detail::unique_fd{} : open_module(module, since);
  if (!file) return all;
  // By the descriptor: the name may lead elsewhere by now.
  const std::string path =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file.get());
  constexpr std::size_t at_once = 500;
  for (std::size_t from = 0; from < wanted.size(); from += at_once) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    const std::size_t to = std::min(wanted.size(), from + at_once);
    const auto at = [&](std::size_t i) { return wanted.begin() + static_cast<std::ptrdiff_t>(i); };
    auto named = detail::ask_addr2line(tool_, path, {at(from), at(to)}, left);
    if (!named) break;
    all.merge(*named);
  }
  return all;
}

}  // namespace tidewait::command
