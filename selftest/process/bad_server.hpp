// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/gtest.hpp>
#include <tidewait/server_process.hpp>

#include "../support/sockets.hpp"

using namespace std::chrono_literals;

/// The machine may be busy: no test waits that long unless it is to fail.
inline constexpr std::chrono::milliseconds long_enough = 60s;

/// Every test here is looked after, as those of a user would be.
class server_test : public tidewait::gtest::fixture {
 protected:
  using fixture::fixture;
};

/// A server that misbehaves in one way: selftest/subjects/bad_server.cpp.
inline tidewait::server_process bad_server(
    const std::string& mode, const tidewait::port_lease& port,
    tidewait::server_options options = {}, std::vector<tidewait::argument> more = {},
    tidewait::source_location where = tidewait::source_location::current()) {
  std::vector<tidewait::argument> arguments{mode, port};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return tidewait::server_process{SELFTEST_BAD_SERVER, std::move(arguments), std::move(options),
                                  where};
}

/// The text of the error that a call throws; empty if it throws none.
template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
    return "";
  } catch (const tidewait::server_error& error) {
    return error.what();
  }
}

/// A client on 127.0.0.1, which sends a line and reads until `enough` bytes or the end have come.
/// Then it closes, before the server if that waits.
inline std::string ask(std::uint16_t port, const std::string& request, std::size_t enough) {
  const tidewait::detail::unique_fd client{sockets::connect_to(port)};
  ::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string reply;
  char room[4096];
  while (reply.size() < enough) {
    const ssize_t got = ::recv(client.get(), room, sizeof room, 0);
    if (got <= 0) break;
    reply.append(room, static_cast<std::size_t>(got));
  }
  return reply;
}

/// Whether the process has ended, and been waited for.
inline bool reaped(int pid) { return !tidewait::detail::open_process(pid); }

/// Whether the process has ended. To wait for an orphan is its new parent's business.
inline bool gone(int pid) {
  const auto stat = tidewait::detail::read_process_stat(tidewait::detail::open_process(pid).get());
  return !stat || stat->ended();
}
