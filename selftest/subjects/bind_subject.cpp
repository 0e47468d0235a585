// SPDX-License-Identifier: BSL-1.0
//
// bind_subject PORT: binds 127.0.0.1:PORT, listens, and prints the errno of both. Without the C++
// library, so that it also links statically and as a 32-bit program; that one does the same once
// more through socketcall(2), as older C libraries do.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static sockaddr_in loopback(int port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<unsigned short>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return where;
}

static int error_of(long result) { return result == 0 ? 0 : errno; }

int main(int argc, char** argv) {
  const sockaddr_in where = loopback(argc > 1 ? atoi(argv[1]) : 0);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int bound = error_of(bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where));
  printf("bind=%d listen=%d\n", bound, error_of(listen(fd, 8)));
#ifdef __i386__
  const sockaddr_in any = loopback(0);
  const int second = socket(AF_INET, SOCK_STREAM, 0);
  unsigned long arguments[] = {static_cast<unsigned long>(second),
                               reinterpret_cast<unsigned long>(&any), sizeof any};
  const int old_bound = error_of(syscall(SYS_socketcall, 2, arguments));
  arguments[1] = 8;
  const int old_listening = error_of(syscall(SYS_socketcall, 4, arguments));
  printf("socketcall: bind=%d listen=%d\n", old_bound, old_listening);
#endif
  fflush(stdout);
  return 0;
}
