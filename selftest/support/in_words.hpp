// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/socket_entry.hpp>

/// "LISTEN 127.0.0.1:20001 0.0.0.0:* uid 0 inode 7 queues 1 7 v6only 60000 ms"
inline std::string in_words(const tidewait::socket_entry& socket) {
  std::string text{to_string(socket.state)};
  text += ' ' + to_string(socket.local) + ' ' + to_string(socket.remote);
  if (socket.uid != 0) text += " uid " + std::to_string(socket.uid);
  if (socket.inode != 0) text += " inode " + std::to_string(socket.inode);
  if (socket.receive_queue != 0) text += " to read " + std::to_string(socket.receive_queue);
  if (socket.send_queue != 0) text += " to send " + std::to_string(socket.send_queue);
  if (socket.v6only) text += *socket.v6only ? " v6only" : " dual-stack";
  if (socket.time_left) text += ' ' + std::to_string(socket.time_left->count()) + " ms";
  return text;
}

template <typename Socket>
std::vector<std::string> in_words(const std::vector<Socket>& sockets) {
  std::vector<std::string> lines;
  for (const auto& socket : sockets) lines.push_back(in_words(socket));
  return lines;
}
