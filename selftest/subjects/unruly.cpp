// SPDX-License-Identifier: BSL-1.0
//
// unruly <way> [<way>...]: leaves something behind that is hard to see or to end, and exits 0. All
// of it ends by itself after a minute.
//
//   hop            a process that forks and exits on and on
//   hop_sessions   the same, each in a session of its own, and ignoring SIGTERM
//   thread         a process whose main thread has ended and a worker runs on
//   serve_thread   the same, in this process: it listens on PORT, and says "ready"
//   huge           a process whose command line and environment have gigabytes
//   as_nobody      (root) a process of another user, with all that it inherits
//   as_root        (set-user-ID root) a process that is root's, whoever has started it
//   stop_keeper    stops the launcher's keeper; kill_keeper kills it
//   serve PORT     stays, instead of exiting; so does serve_thread PORT
//   lock FILE      locks the file, as long as anything that comes after this is alive
//   ignore_sigterm ignores it, and so does what comes after this

#include <fcntl.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr int longest_life_s = 60;

time_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

[[noreturn]] void hop(bool sessions) {
  const time_t end = now() + longest_life_s;
  if (sessions) ::signal(SIGTERM, SIG_IGN);
  while (now() < end) {
    const pid_t next = ::fork();
    if (next > 0) ::_exit(0);
    if (next == 0 && sessions) ::setsid();
  }
  ::_exit(0);
}

void* idle(void*) {
  ::sleep(longest_life_s);
  ::_exit(0);
}

[[noreturn]] void run_on_in_a_thread() {
  pthread_t worker{};
  ::pthread_create(&worker, nullptr, idle, nullptr);
  ::pthread_exit(nullptr);
}

/// Points the kernel's idea of where this process's arguments and environment lie to memory that
/// was never touched. Needs a kernel with CONFIG_CHECKPOINT_RESTORE.
[[noreturn]] void have_a_huge_command_line() {
  constexpr std::size_t size = std::size_t{4} << 30U;
  auto* const memory = static_cast<char*>(::mmap(
      nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (memory == MAP_FAILED) ::_exit(4);
  char text[4096] = "";
  const int file = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (::read(file, text, sizeof text - 1) <= 0) ::_exit(4);
  ::close(file);
  // proc(5): fields 26 to 28 are startcode, endcode, startstack; 45 to 51 start_data, end_data,
  // start_brk, arg_start, arg_end, env_start, env_end.
  unsigned long long field[64] = {};
  const char* next = std::strrchr(text, ')') + 3;
  for (int i = 4; i < 52; ++i) {
    next = std::strchr(next, ' ') + 1;
    field[i] = std::strtoull(next, nullptr, 10);
  }
  prctl_mm_map map{};
  map.start_code = field[26];
  map.end_code = field[27];
  map.start_stack = field[28];
  map.start_data = field[45];
  map.end_data = field[46];
  map.start_brk = field[47];
  map.brk = reinterpret_cast<std::uintptr_t>(::sbrk(0));
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  map.arg_start = begin;
  map.arg_end = begin + size / 2;
  map.env_start = begin + size / 2;
  map.env_end = begin + size - 1;
  map.exe_fd = static_cast<unsigned>(-1);
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) != 0) ::_exit(5);
  ::alarm(longest_life_s);
  for (;;) ::pause();
}

[[noreturn]] void stay_as(unsigned user) {
  if (::setgid(user) != 0 || ::setuid(user) != 0) ::_exit(6);
  ::alarm(longest_life_s);
  for (;;) ::pause();
}

/// The keeper is a child of the launcher, which is the parent of this process.
void signal_keeper(int number) {
  const std::string line =
      "/proc/" + std::to_string(::getppid()) + "/task/" + std::to_string(::getppid()) + "/children";
  std::FILE* const children = std::fopen(line.c_str(), "re");
  int pid = 0;
  while (children != nullptr && std::fscanf(children, "%d", &pid) == 1) {
    char name[32] = "";
    std::FILE* const comm = std::fopen(("/proc/" + std::to_string(pid) + "/comm").c_str(), "re");
    if (comm == nullptr) continue;
    if (std::fgets(name, sizeof name, comm) != nullptr &&
        std::strcmp(name, "tidewait-keeper\n") == 0) {
      ::kill(pid, number);
      std::puts("signalled the keeper");
    }
    std::fclose(comm);
  }
  if (children != nullptr) std::fclose(children);
  std::fflush(stdout);
}

/// Forks; in the child it does not return.
template <typename Way>
void leave(Way&& way) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::exit(3);
  if (::fork() == 0) {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    ::close(ends[0]);
    ::close(ends[1]);  // whoever waits for it knows that it is on its way
    way();
  }
  ::close(ends[1]);
  char byte = 0;
  static_cast<void>(!::read(ends[0], &byte, 1));
  ::close(ends[0]);
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string way = arguments[i];
    if (way == "hop") leave([] { hop(false); });
    if (way == "hop_sessions") leave([] { hop(true); });
    if (way == "thread") leave(run_on_in_a_thread);
    if (way == "huge") leave(have_a_huge_command_line);
    if (way == "as_nobody") leave([] { stay_as(65534); });
    if (way == "as_root") leave([] { stay_as(0); });
    if (way == "ignore_sigterm") ::signal(SIGTERM, SIG_IGN);
    if (way == "lock" && i + 1 < count) {
      const int file = ::open(arguments[++i], O_RDWR | O_CREAT, 0644);  // never closed
      if (file < 0 || ::flock(file, LOCK_EX) != 0) return 8;
    }
    if (way == "stop_keeper") signal_keeper(SIGSTOP);
    if (way == "kill_keeper") signal_keeper(SIGKILL);
    if (way == "serve_thread" || way == "serve") {
      sockaddr_in any{};
      any.sin_family = AF_INET;
      any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (i + 1 < count)
        any.sin_port = htons(static_cast<std::uint16_t>(std::atoi(arguments[++i])));
      const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) return 7;
      if (::listen(listener, 8) != 0) return 7;
      std::puts("ready");
      std::fflush(stdout);
      if (way == "serve_thread") run_on_in_a_thread();
      ::alarm(longest_life_s);
      for (;;) ::pause();
    }
  }
  return 0;
}
