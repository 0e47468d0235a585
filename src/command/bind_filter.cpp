// SPDX-License-Identifier: BSL-1.0
#include "bind_filter.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace tidewait::command {
namespace {

/// The numbers of the calls on one architecture (the kernel's syscall tables).
struct call_numbers {
  std::uint32_t architecture;
  std::uint32_t bind;
  std::uint32_t listen;
  std::uint32_t socketcall;  // 0: it has none
};

constexpr std::uint32_t x32 = 0x40000000;
constexpr call_numbers architectures[] = {
    {AUDIT_ARCH_X86_64, 49, 50, 0},   {AUDIT_ARCH_X86_64, x32 | 49, x32 | 50, 0},
    {AUDIT_ARCH_I386, 361, 363, 102}, {AUDIT_ARCH_AARCH64, 200, 201, 0},
    {AUDIT_ARCH_ARM, 282, 284, 0},    {AUDIT_ARCH_RISCV64, 200, 201, 0},
};

constexpr std::size_t instructions_each = 9;
constexpr std::size_t program_size = std::size(architectures) * instructions_each + 2;

constexpr sock_filter statement(std::uint16_t code, std::uint32_t k) { return {code, 0, 0, k}; }

/// For each architecture: is it this one, and is it one of these numbers? It asks for arguments
/// only behind the number of socketcall, so that the kernel keeps its answer to every other call
/// in a bitmap (Linux 5.11) and those cost nothing.
constexpr std::array<sock_filter, program_size> make_program() {
  std::array<sock_filter, program_size> program{};
  constexpr std::size_t allow = program_size - 2;
  constexpr std::size_t notify = program_size - 1;
  std::size_t at = 0;
  const auto load = [&](std::size_t offset) {
    program[at++] = statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  };
  const auto jump_if = [&](std::uint32_t value, std::size_t yes, std::size_t no) {
    program[at] = {BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint8_t>(yes - at - 1),
                   static_cast<std::uint8_t>(no - at - 1), value};
    ++at;
  };
  for (const call_numbers& each : architectures) {
    const std::size_t next = at + instructions_each;
    load(offsetof(seccomp_data, arch));
    jump_if(each.architecture, at + 1, next);
    load(offsetof(seccomp_data, nr));
    jump_if(each.bind, notify, at + 1);
    jump_if(each.listen, notify, at + 1);
    // Where there is no socketcall, number 0 must not be taken for it.
    if (each.socketcall != 0) {
      jump_if(each.socketcall, at + 1, next);
    } else {
      program[at] = statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(next - at - 1));
      ++at;
    }
    load(offsetof(seccomp_data, args));  // the low half: all of these are little-endian
    jump_if(SYS_BIND, notify, at + 1);
    jump_if(SYS_LISTEN, notify, next);
  }
  program[allow] = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[notify] = statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  return program;
}

constexpr std::array<sock_filter, program_size> program = make_program();
static_assert(program_size < 255, "a jump in the filter has 8 bits");

/// What the child says, with the descriptor beside it if there is one.
struct message {
  filter_step step;
  std::int32_t error;
};

union descriptor_space {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

int try_install() noexcept {
  const sock_fprog code{static_cast<unsigned short>(program_size),
                        const_cast<sock_filter*>(program.data())};
  // Without SPEC_ALLOW kernels before 5.16 slow every process down that has a filter.
  constexpr unsigned long wanted =
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const auto install = [&](unsigned long flags) {
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code));
  };
  // Once we look at a call, only a fatal signal interrupts it (Linux 5.19).
  const int listener = install(wanted | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  return listener < 0 && errno == EINVAL ? install(wanted) : listener;
}

}  // namespace

std::optional<call_arguments> read_call(const seccomp_data& data) noexcept {
  const auto number = static_cast<std::uint32_t>(data.nr);
  for (const call_numbers& each : architectures) {
    if (data.arch != each.architecture) continue;
    call_arguments found;
    if (each.socketcall != 0 && number == each.socketcall) {
      if (data.args[0] != SYS_BIND && data.args[0] != SYS_LISTEN) return std::nullopt;
      found.call = data.args[0] == SYS_BIND ? stopped_call::bind : stopped_call::listen;
      found.in_memory = true;
      found.block = data.args[1];
      return found;
    }
    if (number != each.bind && number != each.listen) continue;
    found.call = number == each.bind ? stopped_call::bind : stopped_call::listen;
    found.fd = static_cast<int>(data.args[0]);
    found.address = data.args[1];
    found.size = data.args[2] & 0xffffffffU;  // an int, whatever the upper half holds
    return found;
  }
  return std::nullopt;
}

bool kernel_can_witness() noexcept {
  utsname name{};
  if (::uname(&name) != 0) return false;
  char* rest = nullptr;
  const unsigned long major = std::strtoul(name.release, &rest, 10);
  const unsigned long minor = *rest == '.' ? std::strtoul(rest + 1, nullptr, 10) : 0;
  return major > 5 || (major == 5 && minor >= 5);
}

gap explain_no_filter(filter_step step, int error) {
  const std::string said = std::error_code{error, std::system_category()}.message();
  switch (step) {
    case filter_step::installed: return {};
    case filter_step::kernel: return {"the kernel is older than Linux 5.5", ""};
    case filter_step::rights:
      return {"a seccomp filter needs CAP_SYS_ADMIN or no_new_privs",
              "run as root, with --isolate, or with --witness, which sets no_new_privs (sudo and "
              "other setuid programs then fail in the command)"};
    case filter_step::hand_over: return {"cannot pass the seccomp descriptor: " + said, ""};
    case filter_step::install: break;
  }
  if (error == EBUSY) {
    return {
        "another program that started this one already supervises its system calls, for "
        "example an outer `tidewait run` or a container manager; the kernel allows one",
        ""};
  }
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) {
    return {"the kernel has no seccomp user notifications (" + said + ')', ""};
  }
  return {"seccomp is denied (" + said + ')', ""};
}

filter_line::filter_line() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error{detail::last_error(), "making a socket pair"};
  }
  ours_ = detail::unique_fd{ends[0]};
  theirs_ = detail::unique_fd{ends[1]};
  reserved_ = detail::unique_fd{::fcntl(ends[0], F_DUPFD_CLOEXEC, 0)};
  if (!reserved_) throw std::system_error{detail::last_error(), "duplicating a descriptor"};
}

filter_step filter_line::install(no_new_privs privileges) noexcept {
  message said{filter_step::installed, 0};
  int listener = try_install();
  if (listener < 0 && errno == EACCES && privileges == no_new_privs::set &&
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    listener = try_install();
  }
  if (listener < 0) {
    said = {errno == EACCES ? filter_step::rights : filter_step::install, errno};
  }
  iovec part{&said, sizeof said};
  descriptor_space space{};
  msghdr whole{};
  whole.msg_iov = &part;
  whole.msg_iovlen = 1;
  if (listener >= 0) {
    whole.msg_control = &space;
    whole.msg_controllen = sizeof space;
    cmsghdr* const header = CMSG_FIRSTHDR(&whole);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    std::memcpy(CMSG_DATA(header), &listener, sizeof listener);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(theirs_.get(), &whole, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  // A copy that stayed here would keep callers waiting for an answer when the supervisor is dead.
  if (listener >= 0) ::close(listener);
  return sent < 0 && listener >= 0 ? filter_step::hand_over : said.step;
}

int filter_line::parents_end() noexcept {
  theirs_.reset();
  reserved_.reset();
  return ours_.get();
}

filter_line::answer filter_line::receive() {
  const int ours = parents_end();
  message said{};
  iovec part{&said, sizeof said};
  descriptor_space space{};
  msghdr whole{};
  whole.msg_iov = &part;
  whole.msg_iovlen = 1;
  whole.msg_control = &space;
  whole.msg_controllen = sizeof space;
  ssize_t got = 0;
  do {
    got = ::recvmsg(ours, &whole, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  ours_.reset();
  if (got != static_cast<ssize_t>(sizeof said)) {
    const std::error_code error =
        got < 0 ? detail::last_error() : std::make_error_code(std::errc::no_child_process);
    throw std::system_error{error, "waiting for the child to install its seccomp filter"};
  }
  answer result;
  result.step = said.step;
  result.error = said.error;
  const cmsghdr* const header = CMSG_FIRSTHDR(&whole);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int listener = -1;
    std::memcpy(&listener, CMSG_DATA(header), sizeof listener);
    result.listener = detail::unique_fd{listener};
  }
  if (result.step == filter_step::installed && !result.listener) {
    throw std::system_error{std::make_error_code(std::errc::too_many_files_open),
                            "receiving the seccomp descriptor"};
  }
  return result;
}

}  // namespace tidewait::command
