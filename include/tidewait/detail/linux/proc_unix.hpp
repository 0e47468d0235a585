// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// One line of /proc/net/unix, its words: Num RefCount Protocol Flags Type St Inode Path.
struct unix_line {
  std::uint32_t flags = 0;
  std::uint32_t type = 0;
  std::uint32_t state = 0;
  std::uint32_t inode = 0;
  std::string_view path;

  static constexpr std::uint32_t listens = 0x10000;  // __SO_ACCEPTCON, include/uapi/linux/net.h
  static constexpr std::uint32_t unconnected =
      1;  // SS_UNCONNECTED, ibidem; a listener is that, too
};

inline std::optional<unix_line> parse_unix_line(std::string_view line) {
  std::string_view words[7];
  for (std::string_view& word : words) word = take_word(line);
  const auto whole = [](std::string_view word, unsigned base) {
    const auto number = take_number(word, 0xffffffff, base);
    return word.empty() ? number : std::nullopt;
  };
  const auto flags = whole(words[3], 16);
  const auto type = whole(words[4], 16);
  const auto state = whole(words[5], 16);
  const auto inode = whole(words[6], 10);
  if (words[0].empty() || words[0].back() != ':' || !flags || !type || !state || !inode)
    return std::nullopt;
  if (!line.empty()) line.remove_prefix(1);  // the one blank before the path
  return unix_line{*flags, *type, *state, *inode, line};
}

/// Reads the text of /proc/net/unix (proc(5)). Anybody can put a line of his own into it by a name
/// with a line end: of lines with one inode none is believed. Nothing in it says whose a socket is,
/// nor which file.
inline std::vector<unix_entry> parse_proc_unix(std::string_view text) {
  std::vector<unix_entry> entries;
  take_line(text);  // the heading
  while (!text.empty()) {
    const auto line = parse_unix_line(take_line(text));
    if (!line) continue;
    unix_entry entry;
    entry.kind = line->type == SOCK_DGRAM       ? unix_kind::datagram
                 : line->type == SOCK_SEQPACKET ? unix_kind::seqpacket
                                                : unix_kind::stream;
    entry.state = (line->flags & unix_line::listens) != 0 ? socket_state::listen
                  : line->state == unix_line::unconnected || entry.kind == unix_kind::datagram
                      ? socket_state::bound
                      : socket_state::established;
    entry.name = parse_unix_name(line->path);
    entry.inode = line->inode;
    entries.push_back(std::move(entry));
  }
  std::vector<std::uint32_t> inodes;
  for (const unix_entry& each : entries) inodes.push_back(each.inode);
  std::sort(inodes.begin(), inodes.end());
  const auto doubtful = [&](const unix_entry& each) {
    const auto [begin, end] = std::equal_range(inodes.begin(), inodes.end(), each.inode);
    return end - begin != 1;
  };
  entries.erase(std::remove_if(entries.begin(), entries.end(), doubtful), entries.end());
  return entries;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
