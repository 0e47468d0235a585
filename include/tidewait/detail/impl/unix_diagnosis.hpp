// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/detail/explain_unix.hpp>
#include <tidewait/unix_diagnosis.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether the socket is open on the file that is there now. The kernel names the file; where only
/// /proc is there, or a file system numbers its files otherwise, the path has to do.
inline bool is_on_file(const observed_unix& socket, std::string_view name,
                       const unix_bind_facts& facts) noexcept {
  if (facts.there != unix_bind_facts::file::socket) return false;
  const bool same_path = socket.name == name || socket.name == facts.absolute_path;
  if (socket.file_inode == 0) return same_path;
  const bool same_file =
      socket.file_inode == facts.file_inode && socket.file_device == facts.file_device;
  return same_file || (same_path && socket.file_device != facts.file_device &&
                       facts.socket != unix_bind_facts::life::none);
}

inline void explain_unix_sockets(unix_diagnosis& why, const bind_environment& environment) {
  std::vector<observed_unix> sockets = why.conflicting;
  sockets.insert(sockets.end(), why.unrelated.begin(), why.unrelated.end());
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    explanation next = explain_unix_holder(sockets[i], environment);
    if (i >= why.conflicting.size()) next.why += "; its file has been removed from the path";
    const auto same = [&](const explanation& known) { return known.why == next.why; };
    const auto& known = why.explanations;
    if (std::none_of(known.begin(), known.end(), same)) why.explanations.push_back(std::move(next));
  }
}

}  // namespace detail

TIDEWAIT_INLINE unix_diagnosis diagnose_unix(std::string_view name,
                                             const std::vector<observed_unix>& sockets,
                                             const detail::unix_bind_facts& facts,
                                             const bind_environment& environment) {
  using file = detail::unix_bind_facts::file;
  unix_diagnosis why;
  why.name = name;
  why.bind = facts.bind;
  const bool abstract = !name.empty() && name.front() == '\0';
  for (const observed_unix& each : sockets) {
    if (each.state == socket_state::established) continue;
    const bool named = each.name == name || (!abstract && each.name == facts.absolute_path);
    if (abstract ? named : detail::is_on_file(each, name, facts)) {
      why.conflicting.push_back(each);
    } else if (named && !each.is_abstract()) {
      why.unrelated.push_back(each);
    }
  }
  std::sort(why.conflicting.begin(), why.conflicting.end(),
            [](const observed_unix& a, const observed_unix& b) {
              return std::pair{a.state != socket_state::listen, a.inode} <
                     std::pair{b.state != socket_state::listen, b.inode};
            });
  const std::string path{name};
  const bool too_long = name.size() > longest_socket_path + (abstract ? 1 : 0);
  if (too_long) why.explanations.push_back(detail::explain_too_long(name));
  detail::explain_unix_sockets(why, environment);
  if (facts.there == file::socket && why.conflicting.empty()) {
    observed_unix left;
    left.name = path;
    left.stale_file = facts.socket == detail::unix_bind_facts::life::none;
    left.file_device = facts.file_device;
    left.file_inode = facts.file_inode;
    if (left.stale_file) why.conflicting.push_back(left);
    why.explanations.push_back(detail::explain_socket_file(path, facts));
  } else if (facts.there != file::none && facts.there != file::socket) {
    why.explanations.push_back(detail::explain_other_file(path, facts.there));
  } else if (facts.bind && why.explanations.empty()) {
    why.explanations.push_back(
        abstract ? explanation{cause::not_visible,
                               "no visible socket has the name, yet the kernel refuses the bind",
                               "look again; if it stays, run as root"}
                 : detail::explain_no_file(path, facts));
  }
  if (!facts.bind && facts.on_file_system == detail::unix_bind_facts::sockets::unknown)
    why.explanations.push_back(detail::explain_unsure(facts));
  why.next_bind = facts.bind ? "fails (" + facts.bind.message() + ')' : "succeeds";
  return why;
}

}  // namespace v0
}  // namespace tidewait
