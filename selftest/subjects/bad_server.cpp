// SPDX-License-Identifier: BSL-1.0
//
// bad_server <mode> <port> [<argument>...]: a TCP server on 127.0.0.1 that misbehaves in one way.

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

/// Nobody outlives a test that failed.
void end_some_day() { ::alarm(120); }

[[noreturn]] void die(const char* what) {
  std::printf("%s: %s\n", what, std::strerror(errno));
  std::fflush(stdout);
  std::_Exit(3);
}

void say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

struct endpoint {
  const char* address = "127.0.0.1";
  std::uint16_t port = 0;
  int type = SOCK_STREAM;
  int option = 0;
};

int serve_at(const endpoint& where) {
  const bool v6 = std::strchr(where.address, ':') != nullptr;
  const int socket = ::socket(v6 ? AF_INET6 : AF_INET, where.type | SOCK_CLOEXEC, 0);
  const int one = 1;
  if (where.option != 0) ::setsockopt(socket, SOL_SOCKET, where.option, &one, sizeof one);
  sockaddr_in four{};
  sockaddr_in6 six{};
  int refused = 0;
  if (v6) {
    ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(where.port);
    ::inet_pton(AF_INET6, where.address, &six.sin6_addr);
    refused = ::bind(socket, reinterpret_cast<const sockaddr*>(&six), sizeof six);
  } else {
    four.sin_family = AF_INET;
    four.sin_port = htons(where.port);
    ::inet_pton(AF_INET, where.address, &four.sin_addr);
    refused = ::bind(socket, reinterpret_cast<const sockaddr*>(&four), sizeof four);
  }
  if (refused != 0) die("bind");
  if (where.type == SOCK_STREAM && ::listen(socket, SOMAXCONN) != 0) die("listen");
  return socket;
}

[[noreturn]] void wait_for_the_end(void (*how)() = nullptr) {
  sigset_t end;
  ::sigemptyset(&end);
  ::sigaddset(&end, SIGTERM);
  ::sigaddset(&end, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &end, nullptr);
  say("ready");
  int number = 0;
  ::sigwait(&end, &number);
  if (how != nullptr) how();
  std::_Exit(number == SIGUSR1 ? 10 : 0);
}

/// Hangs up on each client, so that TIME_WAIT is on its own side.
[[noreturn]] void hang_up_on_clients(int listener) {
  say("ready");
  for (;;) {
    const int client = ::accept(listener, nullptr, nullptr);
    char byte = 0;
    while (::read(client, &byte, 1) == 1 && byte != '\n') {
    }
    ::close(client);
  }
}

/// The parent exits; what goes on has a session of its own.
void go_to_background() {
  for (int i = 0; i < 2; ++i) {
    if (::fork() != 0) std::_Exit(0);
    if (i == 0) ::setsid();
  }
  end_some_day();
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
}

/// Returns once there is a process that does not belong here any more.
void leave_descendant() {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) die("pipe");
  if (::fork() == 0) {
    go_to_background();
    ::close(ends[0]);
    ::close(ends[1]);
    for (;;) ::pause();
  }
  ::close(ends[1]);
  char byte = 0;
  while (::read(ends[0], &byte, 1) < 0 && errno == EINTR) {
  }
  ::close(ends[0]);
}

/// As programs do that write a title over it.
void wipe_environment() {
  char* const begin = environ[0];
  if (begin == nullptr) return;
  char* end = begin;
  for (char** each = environ; *each != nullptr; ++each) end = *each + std::strlen(*each);
  std::memset(begin, 0, static_cast<std::size_t>(end - begin));
}

void close_all_but_the_first_three() {
  for (int fd = 3; fd < 1024; ++fd) ::close(fd);
}

void print_what_it_got(int count, char** arguments) {
  for (int i = 3; i < count; ++i) std::printf("argument %s\n", arguments[i]);
  for (const char* name : {"COLOUR", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}) {
    if (const char* const value = std::getenv(name)) std::printf("%s=%s\n", name, value);
  }
  char directory[PATH_MAX];
  std::printf("directory %s\n", ::getcwd(directory, sizeof directory));
  std::printf("pid %d group %d\n", ::getpid(), ::getpgrp());
  DIR* const fds = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(fds)) {
    char link[256] = "";
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(fds)) continue;
    if (::readlinkat(::dirfd(fds), entry->d_name, link, sizeof link - 1) < 0) continue;
    std::printf("fd %s %s\n", entry->d_name, link);
  }
  ::closedir(fds);
  std::fprintf(stderr, "to standard error\n");
}

void print_100_megabytes() {
  const std::string line(99, 'x');
  for (int i = 0; i < 1'000'000; ++i) std::puts(line.c_str());
}

/// `name`: a path, or an abstract name behind '@'.
void serve_path(const std::string& name, int type) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  name.copy(where.sun_path, sizeof where.sun_path - 1);
  const bool abstract = name.front() == '@';
  if (abstract) where.sun_path[0] = '\0';
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0U : 1U));
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&where), size) != 0) die("bind to the name");
  if (type == SOCK_STREAM && ::listen(fd, SOMAXCONN) != 0) die("listen on the name");
}

}  // namespace

int main(int count, char** arguments) {
  end_some_day();
  if (count < 3) return 2;
  const std::string mode = arguments[1];
  endpoint where;
  where.port = static_cast<std::uint16_t>(std::atoi(arguments[2]));

  if (mode == "crash") {
    say("about to crash");
    std::abort();
  }
  if (mode == "refuse") {
    say("bad configuration");
    return 4;
  }
  if (mode == "tell") {
    print_what_it_got(count, arguments);
    wait_for_the_end();
  }
  if (mode == "serve_passed") {
    if (::listen(3, SOMAXCONN) != 0) die("listen on the passed socket");
    print_what_it_got(count, arguments);
    wait_for_the_end();
  }
  if (mode == "silent") wait_for_the_end();
  if (mode == "unix" || mode == "unix_datagram") {
    serve_path(arguments[2], mode == "unix" ? SOCK_STREAM : SOCK_DGRAM);
    wait_for_the_end();
  }
  if (mode == "unfinished_line") {
    std::printf("login: ");
    std::fflush(stdout);
    ::pause();
  }
  if (mode == "flood") print_100_megabytes();
  if (mode == "ignore_sigterm") ::signal(SIGTERM, SIG_IGN);
  if (mode == "wrong_port") where.port = 0;
  if (mode == "ipv6_only") where.address = "::1";
  if (mode == "udp") where.type = SOCK_DGRAM;
  if (mode == "reuse_port") where.option = SO_REUSEPORT;
  if (mode == "background") go_to_background();
  if (mode == "background_without_environment") {
    go_to_background();
    wipe_environment();
  }
  if (mode == "background_without_descriptors") {
    go_to_background();
    close_all_but_the_first_three();
  }
  if (mode == "leave_descendant") leave_descendant();
  if (mode == "stubborn_worker") {
    ::signal(SIGTERM, SIG_IGN);  // before the fork: nobody waits for the worker
    if (::fork() == 0) {
      end_some_day();
      for (;;) ::pause();
    }
    ::signal(SIGTERM, SIG_DFL);
  }
  const int listener = serve_at(where);
  if (mode == "hang_up") hang_up_on_clients(listener);
  if (mode == "ignore_sigterm") {
    say("ready");
    for (;;) ::pause();
  }
  if (mode == "stopped") {
    say("ready");
    ::raise(SIGSTOP);
  }
  if (mode == "serve_and_exit") {
    say("ready");
    return 5;
  }
  wait_for_the_end(mode == "crash_at_the_end" ? std::abort : nullptr);
}
