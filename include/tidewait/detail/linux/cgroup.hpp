// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bool take_prefix(std::string_view& text, std::string_view prefix) noexcept {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

inline bool take_suffix(std::string_view& text, std::string_view suffix) noexcept {
  if (text.size() < suffix.size() || text.substr(text.size() - suffix.size()) != suffix)
    return false;
  text.remove_suffix(suffix.size());
  return true;
}

/// "docker container 0123456789ab" of one part of a cgroup's path ("docker-<id>.scope", or "<id>"
/// below "docker"); empty if it names no container.
inline std::string container_of(std::string_view part, std::string_view above) {
  std::string engine = above == "docker" ? "docker " : above == "libpod_parent" ? "podman " : "";
  take_suffix(part, ".scope");
  if (take_prefix(part, "docker-")) {
    engine = "docker ";
  } else if (take_prefix(part, "libpod-")) {
    engine = "podman ";
  } else if (take_prefix(part, "lxc.payload.")) {
    return "LXC container " + std::string{part};
  } else if (!take_prefix(part, "cri-containerd-")) {
    take_prefix(part, "crio-");
  }
  constexpr std::size_t digits = 64;
  constexpr std::size_t shown = 12;
  const bool id =
      part.size() == digits && part.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return id ? engine + "container " + std::string{part.substr(0, shown)} : std::string{};
}

/// The systemd unit or container of one path, by its innermost part that names one; empty where
/// there is none, or only a login session.
inline std::string unit_of_path(std::string_view path) {
  const bool user = path.find("/user@") != std::string_view::npos;
  std::string unit;
  std::string_view above;
  while (!path.empty()) {
    take_prefix(path, "/");
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size()));
    std::string_view name = part;
    std::string_view rest = part;
    if (std::string container = container_of(part, above); !container.empty()) {
      unit = std::move(container);
    } else if ((take_suffix(rest, ".service") && !take_prefix(rest, "user@")) ||
               (take_suffix(name, ".scope") && name != "init" && !take_prefix(name, "session-"))) {
      unit = (user ? "user unit " : "") + std::string{part};
    }
    above = part;
  }
  return unit;
}

/// The same of the text of /proc/PID/cgroup, "0::/system.slice/nginx.service" (cgroups(7)).
inline std::string parse_unit(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    for (int colons = 0; colons < 2; ++colons) {
      line.remove_prefix(std::min(line.size(), line.find(':')));
      if (!line.empty()) line.remove_prefix(1);
    }
    if (std::string unit = unit_of_path(line); !unit.empty()) return sanitised(unit);
  }
  return {};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
