// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>

#include <tidewait/detail/linux/inet_diag.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/linux/unix_diag.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// One question to sock_diag(7): the sockets of one protocol and family, in some states, on some
/// local ports (sorted; none: on any).
struct dump_question {
  tidewait::protocol protocol = protocol::tcp;
  int family = AF_INET;
  state_set states;
  const std::vector<std::uint16_t>* ports = nullptr;
};

/// A netlink socket to sock_diag. It belongs to the network namespace in which it was made; it is
/// opened for one look only, since a child of fork() that shared it would read our answers.
class sock_diag {
 public:
  /// Opens; the error is the system's (EPERM under seccomp, EPROTONOSUPPORT without the module).
  static std::error_code open(sock_diag& diag) {
    diag.fd_ = unique_fd{sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    return diag.fd_ ? std::error_code{} : last_error();
  }

  /// Appends what the kernel answers to `sockets`. A dump that was interrupted by a change of the
  /// table is asked again, three times at most; `torn` then says that the last one was, too.
  std::error_code dump(const dump_question& question, std::vector<observed_socket>& sockets,
                       bool& torn) {
    const std::size_t before = sockets.size();
    for (int attempt = 0; attempt < 4; ++attempt) {
      sockets.resize(before);
      bool interrupted = false;
      if (const auto error = send(question)) return error;
      const auto error = receive(interrupted, [&](std::string_view bytes) {
        return parse_dump(bytes, sequence_, question.protocol,
                          [&](socket_entry&& entry) { sockets.push_back({std::move(entry)}); });
      });
      if (error) return error;
      torn = interrupted;
      if (!interrupted) break;
    }
    return {};
  }

  /// The Unix sockets in those states. The kernel does not say whether the table changed meanwhile.
  std::error_code dump_unix(unix_states states, std::vector<unix_entry>& entries) {
    entries.clear();
    unix_question message{states};
    message.header.nlmsg_seq = ++sequence_;
    if (const auto error = send(&message, sizeof message)) return error;
    bool interrupted = false;
    return receive(interrupted, [&](std::string_view bytes) {
      return parse_diag(bytes, sequence_, [&](std::string_view body) {
        auto entry = parse_unix_diag_msg(body);
        if (entry) entries.push_back(std::move(*entry));
        return entry.has_value();
      });
    });
  }

 private:
  std::error_code send(const dump_question& question) {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
      nlattr filter;
    } message{};
    std::vector<inet_diag_bc_op> program;
    if (question.ports != nullptr) program = port_filter(*question.ports);
    const std::size_t program_size = program.size() * sizeof(inet_diag_bc_op);
    const std::size_t size = NLMSG_HDRLEN + sizeof message.request +
                             (program.empty() ? 0 : sizeof(nlattr) + program_size);

    message.header.nlmsg_len = static_cast<__u32>(size);
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.header.nlmsg_seq = ++sequence_;
    message.request.sdiag_family = static_cast<__u8>(question.family);
    message.request.sdiag_protocol = question.protocol == protocol::tcp ? IPPROTO_TCP : IPPROTO_UDP;
    // 12 is SYN_RECV's other face (TCP_NEW_SYN_RECV).
    message.request.idiag_states =
        question.states.bits() |
        (question.states.contains(socket_state::syn_recv) ? 1U << 12U : 0U);
    message.filter.nla_len = static_cast<__u16>(sizeof(nlattr) + program_size);
    message.filter.nla_type = INET_DIAG_REQ_BYTECODE;

    std::vector<char> bytes(size);
    std::memcpy(bytes.data(), &message, std::min(sizeof message, size));
    if (!program.empty()) {
      std::memcpy(bytes.data() + sizeof message, program.data(), program_size);
    }
    return send(bytes.data(), bytes.size());
  }

  std::error_code send(const void* message, std::size_t size) const {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    for (;;) {
      const ssize_t sent = sys.sendto(fd_.get(), message, size, 0,
                                      reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
      if (sent >= 0) return {};
      if (errno != EINTR) return last_error();
    }
  }

  /// Receives one dump; `parse(bytes)` reads a datagram of it.
  template <typename Parse>
  std::error_code receive(bool& interrupted, Parse&& parse) {
    constexpr std::size_t room = 32768;           // the kernel fills at most that much per datagram
    if (!buffer_) buffer_.reset(new char[room]);  // not zeroed, on purpose
    for (;;) {
      const ssize_t got = sys.recv(fd_.get(), buffer_.get(), room, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return last_error();
      if (got == 0) return errc::malformed_answer;
      const dump_progress progress =
          parse(std::string_view{buffer_.get(), static_cast<std::size_t>(got)});
      interrupted = interrupted || progress.interrupted;
      switch (progress.next) {
        case dump_progress::step::more: break;
        case dump_progress::step::done: return {};
        case dump_progress::step::refused: return {progress.error, std::system_category()};
        case dump_progress::step::malformed: return errc::malformed_answer;
      }
    }
  }

  unique_fd fd_{};
  std::uint32_t sequence_ = 0;
  std::unique_ptr<char[]> buffer_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
