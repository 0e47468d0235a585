// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the tests of the causes share: sockets that are in the way, in a network namespace of their
// own, and what is said of them there.
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gmock/gmock.h>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace causes {

using sockets::unique_fd;
using tidewait::bind_request;
using tidewait::ipv6_only;
using tidewait::protocol;
using tidewait::reuse;

inline constexpr std::uint16_t port = 20111;

inline bind_request to(const char* local, protocol which = protocol::tcp,
                       ipv6_only scope = ipv6_only::no) {
  return {which, tidewait::parse_endpoint(local).value(), scope};
}

inline const bind_request here = to("127.0.0.1:20111");

/// A socket that is bound as the request says, and listens if it is TCP.
inline unique_fd open(const bind_request& request, reuse options = reuse::none) {
  std::error_code error;
  unique_fd fd = tidewait::detail::bind_socket(request, options, error);
  if (!error && request.protocol == protocol::tcp && ::listen(fd.get(), 16) != 0) {
    error = tidewait::detail::last_error();
  }
  if (error) throw std::system_error{error, to_string(request.local)};
  return fd;
}

/// What tidewait says of the bind, after it has been compared with what the kernel does.
inline std::string why(const bind_request& request) {
  const auto [told, seen] = tidewait::explain_bind(request);
  for (const auto& [options, promised] : {std::pair{reuse::none, told.outcome.plain},
                                          {reuse::address, told.outcome.reuse_address},
                                          {reuse::port, told.outcome.reuse_port}}) {
    std::error_code error;
    tidewait::detail::bind_socket(request, options, error);
    if (error != promised) return "not true: " + error.message() + ", not " + promised.message();
  }
  return render(told, seen);
}

/// The text on one line, as an expectation may quote a sentence that was wrapped.
inline std::string unwrapped(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
    const std::size_t next = text.find_first_not_of(' ', at + 1);
    const bool goes_on = next != std::string::npos && next - at > 3;
    if (goes_on) text.replace(at, next - at, " ");
    ++at;
  }
  return text;
}

/// Root keeps its rights in it, and so sees every process of the machine.
template <typename Work>
std::string in_namespace(Work work) {
  const user_ids ids = ::geteuid() == 0 ? user_ids::kept : user_ids::mapped;
  return unwrapped(in_private_network([&](auto say) { say(work()); }, ids));
}

/// The same with the users of the machine, which only root may.
template <typename Work>
std::string as_root_in_namespace(Work work) {
  if (::geteuid() != 0) return "skip: needs root";
  return unwrapped(in_private_network([&](auto say) { say(work()); }, user_ids::kept));
}

/// Takes the run's mark off this process, which then is a stranger, as is what it starts.
inline void become_stranger() {
  tidewait::detail::shared_state::instance().binds.stop();  // the memory is still its parent's
  ::unsetenv("TIDEWAIT_RUN");
  for (int fd = 3; fd < 1024; ++fd) {
    char link[64] = {};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), link, sizeof link - 1) > 0 &&
        std::strstr(link, "tidewait-run") != nullptr) {
      ::close(fd);
    }
  }
}

inline constexpr uid_t nobody = 65534;

inline void become_nobody() {
  if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) throw std::runtime_error{"setuid"};
  // Otherwise its own /proc/self/fd belongs to root.
  ::prctl(PR_SET_DUMPABLE, 1);
}

/// What a process says that is no relative of the one that runs `server`, which ends with it.
template <typename Server, typename Looker>
std::string beside(Server server, Looker looker) {
  forked holder{[&](auto say) {
    become_stranger();
    [[maybe_unused]] const auto kept = server();
    say(std::string{"ready\n"});
    ::pause();
  }};
  if (const std::string line = holder.line(); line != "ready") return line;
  forked asking{[&](auto say) { say(looker()); }};
  return asking.all();
}

/// Both ends of a connection with the port, and the listener.
struct connected {
  explicit connected(reuse options = reuse::address)
      : listener{open(here, options)}, client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const tidewait::detail::socket_address where{here.local};
    static_cast<void>(::connect(client.get(), where.get(), where.size));
    server = unique_fd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  }
  unique_fd listener;
  unique_fd client;
  unique_fd server;
};

}  // namespace causes
