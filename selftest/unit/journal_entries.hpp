// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/other_tests.hpp>

#include "../support/journal_file.hpp"
#include "swapped_system.hpp"

/// Lines of a journal, and what is said of a socket that they name.
namespace journal {

using tidewait::journal_entry;
using tidewait::journal_event;
using tidewait::observed_socket;

inline journal_entry entry_of(const std::string& test,
                              journal_event event = journal_event::left_behind) {
  journal_entry entry;
  entry.event = event;
  entry.test = test;
  entry.socket.state = tidewait::socket_state::listen;
  entry.socket.local = *tidewait::parse_endpoint("[::1]:20111");
  entry.socket.cookie = 0xfedcba9876543210;
  entry.net_cookie = tidewait::detail::current_net_cookie();
  entry.pid = 0x7fffffff;
  entry.run = "0123456789abcdef";
  entry.command = R"(server "quoted" back\slash)";
  entry.leased_at = "echo_test.cpp:12";
  entry.time = tidewait::detail::wall_clock();
  return entry;
}

class JournalFile : public testing::Test {
 protected:
  journal_file file_;
};

inline journal_entry seen(const std::string& test) {
  return entry_of(test, journal_event::listening);
}

inline observed_socket named(observed_socket socket) {
  using tidewait::detail::sockets_are;
  std::vector<observed_socket> sockets{std::move(socket)};
  tidewait::detail::name_other_tests(tidewait::detail::shared_state::instance(), sockets,
                                     sockets_are::there);
  return sockets.front();
}

/// The socket of `entry_of`, with the name that the journal has for it.
inline observed_socket named() { return named({entry_of("").socket}); }

/// Three seconds before this process was started.
inline std::uint64_t shortly_before() { return tidewait::detail::read_test_context().since - 3000; }

/// A TIME_WAIT on the port of `entry_of` that began then, likewise.
inline observed_socket named_time_wait(std::uint64_t began = shortly_before()) {
  observed_socket socket;
  socket.time_left = std::chrono::milliseconds{60000 + began - tidewait::detail::wall_clock()};
  socket.cookie = 6;
  socket.state = tidewait::socket_state::time_wait;
  socket.owned = tidewait::ownership::kernel;
  socket.local = entry_of("").socket.local;
  return named(socket);
}

/// What the next look tells the user of the journal.
inline std::string told() {
  std::string text;
  for (const std::string& each : tidewait::detail::shared_state::instance().told.take_notes())
    text += each;
  return text;
}

}  // namespace journal
