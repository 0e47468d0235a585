// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "run_launcher.hpp"

/// A listener of this process, in the way of others.
class taken_port {
 public:
  taken_port() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* const address = reinterpret_cast<sockaddr*>(&where);
    EXPECT_EQ(::bind(fd_, address, size), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    EXPECT_EQ(::getsockname(fd_, address, &size), 0);
    number_ = std::to_string(ntohs(where.sin_port));
  }
  taken_port(const taken_port&) = delete;
  taken_port& operator=(const taken_port&) = delete;
  ~taken_port() { ::close(fd_); }

  const std::string& number() const { return number_; }

 private:
  int fd_;
  std::string number_;
};

/// Binds a port as often as it is told, and ends as it is told.
inline std::string bind_and_end(const std::string& port, const std::string& times,
                                const std::string& end) {
  return "import os, signal, socket, sys\n"
         "for i in range(" +
         times +
         "):\n"
         "  try: socket.socket().bind(('127.0.0.1', " +
         port + "))\n  except OSError: pass\n" + end;
}

/// What is in the way of a witness here; "" if nothing is. `--witness`, so that no root is needed.
inline std::string why_no_witness() {
  const outcome got = run(wrapped({"--witness=require"}, {"true"}));
  return got.status == 0 ? "" : got.err;
}

#define SKIP_WITHOUT_WITNESS() \
  if (const std::string why = why_no_witness(); !why.empty()) GTEST_SKIP() << why
