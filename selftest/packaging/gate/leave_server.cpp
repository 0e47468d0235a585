// SPDX-License-Identifier: BSL-1.0
//
// Leaves a server behind, as a daemon does: in a session of its own, without a parent. It ends by
// itself after two minutes, should nobody end it.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  const int server = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 1;
  if (::listen(server, 1) != 0) return 1;

  const int between = ::fork();
  if (between == 0) {
    if (const int daemon = ::fork(); daemon != 0) {
      std::FILE* const note = std::fopen("server.pid", "w");
      std::fprintf(note, "%d\n", daemon);
      std::fclose(note);
      ::_exit(0);
    }
    ::setsid();
    // As servers do that set their title: they write over arguments and environment.
    if (argc > 1 && std::strcmp(argv[1], "--and-write-over") == 0) {
      char** last = environ;
      while (last[1] != nullptr) ++last;
      std::memset(*environ, 0, static_cast<std::size_t>(*last + std::strlen(*last) - *environ));
    }
    const int nothing = ::open("/dev/null", O_RDWR);
    for (int stream = 0; stream <= 2; ++stream) ::dup2(nothing, stream);
    ::alarm(120);
    ::pause();
    ::_exit(0);
  }
  ::waitpid(between, nullptr, 0);
  if (argc > 1 && std::strcmp(argv[1], "--and-wait") == 0) {
    std::fclose(std::fopen("never_ends.started", "w"));
    ::alarm(120);
    ::pause();
  }
  return 0;
}
