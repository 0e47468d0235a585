// SPDX-License-Identifier: BSL-1.0
//
// A program with the library of LLVM: two tests, the second of which leaves a listener and a
// TIME_WAIT. Ends with 0 if both are found, with their lines.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include <tidewait/tidewait.hpp>
#include <tidewait/witness.hpp>

#ifndef _LIBCPP_VERSION
#error "This is not the library of LLVM"
#endif

namespace {

int serve() {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  ::bind(server, reinterpret_cast<const sockaddr*>(&where), size);
  ::listen(server, 1);
  ::getsockname(server, reinterpret_cast<sockaddr*>(&where), &size);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::connect(client, reinterpret_cast<const sockaddr*>(&where), size);
  ::close(::accept(server, nullptr, nullptr));
  char byte = 0;
  static_cast<void>(::read(client, &byte, 1));
  ::close(client);
  return server;
}

}  // namespace

int main() {
  tidewait::watch clean{tidewait::policy{}, "Clean"};
  if (!clean.look().silent()) return 2;
  tidewait::watch leaky{tidewait::policy{}, "Leaky"};
  const int server = serve();
  const tidewait::report found = leaky.look();
  ::close(server);
  std::printf("%s", render(found).c_str());
  return found.clean() ? 0 : 1;
}
