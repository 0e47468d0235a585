// SPDX-License-Identifier: BSL-1.0
#include "bind_supervisor.hpp"

#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <string_view>
#include <system_error>

#include <tidewait/detail/linux/bind_socket.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/port_range.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/unix_entry.hpp>

// Older headers lack these.
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

namespace tidewait::command {
namespace {

using clock = std::chrono::steady_clock;
using detail::unique_fd;

constexpr int process_of_thread = O_EXCL;  // PIDFD_THREAD, which older headers do not have
constexpr std::chrono::microseconds shortest_pause{1000};
// A call that has been continued may wait for a processor before it is made.
constexpr int enough_looks = 5;

/// The value of one line of /proc/TID/status.
template <typename Number>
std::optional<Number> read_status(int thread, std::string_view key, int base) {
  std::string text;
  const std::string path = detail::proc_path(std::to_string(thread) + "/status");
  if (detail::read_file(AT_FDCWD, path.c_str(), text, 4096) && text.empty()) return std::nullopt;
  const auto at = text.find('\n' + std::string{key} + ":\t");
  if (at == std::string::npos) return std::nullopt;
  return static_cast<Number>(std::strtoull(text.c_str() + at + key.size() + 3, nullptr, base));
}

std::error_code system_error_code(int error) noexcept { return {error, std::system_category()}; }

int option(int socket, int level, int name) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, level, name, &value, &size) == 0 ? value : 0;
}

/// A socket address as the kernel would take it.
struct raw_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  sa_family_t family() const noexcept {
    return size < sizeof(sa_family_t) ? sa_family_t{AF_UNSPEC} : storage.ss_family;
  }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }

  std::optional<endpoint> to_endpoint() const noexcept {
    if (family() == AF_INET6 && size >= offsetof(sockaddr_in6, sin6_scope_id)) {
      sockaddr_in6 six{};
      std::memcpy(&six, &storage, sizeof six);
      ip_address::v6_bytes bytes{};
      std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
      return endpoint{ip_address{bytes, six.sin6_scope_id}, ntohs(six.sin6_port)};
    }
    sockaddr_in four{};
    std::memcpy(&four, &storage, sizeof four);
    // Linux takes AF_UNSPEC with 0.0.0.0 for AF_INET (inet_bind).
    const bool is_v4 = family() == AF_INET || (family() == AF_UNSPEC && four.sin_addr.s_addr == 0);
    if (!is_v4 || size < sizeof four) return std::nullopt;
    ip_address::v4_bytes bytes{};
    std::memcpy(bytes.data(), &four.sin_addr, bytes.size());
    return endpoint{ip_address{bytes}, ntohs(four.sin_port)};
  }

  /// The bytes of `sun_path`, as in `unix_entry`; empty for another family, and for no name.
  std::string to_unix_name() const {
    if (family() != AF_UNIX) return {};
    sockaddr_un local{};
    std::memcpy(&local, &storage, std::min(sizeof local, static_cast<std::size_t>(size)));
    const std::string name{local.sun_path,
                           std::min<std::size_t>(size, sizeof local) - sizeof local.sun_family};
    return !name.empty() && name.front() == '\0' ? name : name.substr(0, name.find('\0'));
  }
};

bool read_memory(int thread, std::uint64_t from, void* to, std::size_t size) noexcept {
  const iovec ours{to, size};
  const iovec theirs{reinterpret_cast<void*>(from), size};  // NOLINT: an address of the caller's
  return ::process_vm_readv(thread, &ours, 1, &theirs, 1, 0) == static_cast<ssize_t>(size);
}

/// The arguments of socketcall(2).
bool read_block(int thread, call_arguments& arguments) noexcept {
  std::uint32_t block[3] = {};
  const std::size_t size = arguments.call == stopped_call::bind ? 12 : 8;
  if (!read_memory(thread, arguments.block, block, size)) return false;
  arguments.fd = static_cast<int>(block[0]);
  arguments.address = block[1];
  arguments.size = block[2];
  return true;
}

raw_address read_address(int thread, const call_arguments& arguments) noexcept {
  raw_address read;
  // The kernel refuses a longer one.
  if (arguments.call != stopped_call::bind || arguments.size > sizeof read.storage) return read;
  const auto size = static_cast<std::size_t>(arguments.size);
  if (read_memory(thread, arguments.address, &read.storage, size)) {
    read.size = static_cast<socklen_t>(size);
  }
  return read;
}

/// A thread that waits for its answer.
struct stopped_thread {
  unique_fd table;    ///< For its own table of descriptors, which need not be that of its process.
  bool leads = true;  ///< It is its process's first thread, so their numbers are the same.
};

stopped_thread open_caller(int thread, bool thread_descriptors) {
  stopped_thread caller{unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, thread, 0))}};
  if (caller.table) return caller;
  caller.leads = false;
  if (thread_descriptors) {
    caller.table =
        unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, thread, process_of_thread))};
    if (caller.table || errno != EINVAL) return caller;
  }
  const auto process = read_status<int>(thread, "Tgid", 10);
  if (process && ::syscall(SYS_kcmp, thread, *process, KCMP_FILES, 0, 0) == 0) {
    caller.table = unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, *process, 0))};
  } else {
    errno = EOPNOTSUPP;
  }
  return caller;
}

/// Whether the caller may bind below net.ipv4.ip_unprivileged_port_start in this namespace.
std::optional<bool> may_bind_privileged(int thread) {
  const auto capabilities = read_status<std::uint64_t>(thread, "CapEff", 16);
  struct stat theirs {};
  struct stat ours {};
  const std::string name = std::to_string(thread) + "/ns/user";
  if (!capabilities || ::stat(detail::proc_path(name).c_str(), &theirs) != 0 ||
      ::stat(detail::proc_path("thread-self/ns/user").c_str(), &ours) != 0) {
    return std::nullopt;
  }
  constexpr unsigned cap_net_bind_service = 10;
  return theirs.st_ino == ours.st_ino && (*capabilities >> cap_net_bind_service & 1U) != 0;
}

/// The network namespace of a caller's socket. Before Linux 5.14, that of the caller itself.
std::uint64_t namespace_of(int socket, int thread) {
#ifdef SO_NETNS_COOKIE
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0) return cookie;
#endif
  struct stat info {};
  const std::string path = detail::proc_path(std::to_string(thread) + "/ns/net");
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

std::uint64_t cookie_of(int socket) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/// The descriptor of a caller in /proc.
std::string descriptor_path(int thread, int fd) {
  return detail::proc_path(std::to_string(thread) + "/fd/" + std::to_string(fd));
}

std::uint64_t socket_of(std::uint64_t cookie, std::uint64_t inode) noexcept {
  constexpr std::uint64_t by_inode = std::uint64_t{1} << 63U;
  if (cookie != 0) return cookie;
  return inode == 0 ? 0 : by_inode | inode;
}

/// What names a socket while it is open; 0 if nothing does.
std::uint64_t socket_of(const witnessed_bind& bind) noexcept {
  return socket_of(bind.cookie, bind.inode);
}

/// Whether two explanations name the same socket as the one in the way.
bool same_culprit(const std::optional<diagnosis>& a, const std::optional<diagnosis>& b) {
  const auto cookie = [](const std::optional<diagnosis>& each) {
    return each && !each->conflicting.empty() ? each->conflicting.front().cookie : 0;
  };
  return cookie(a) == cookie(b);
}

bool is_explained(const std::error_code& error) noexcept {
  return error == std::errc::address_in_use || error == std::errc::permission_denied ||
         error == std::errc::address_not_available;
}

/// The path from the root as this process sees it; empty if the thread may see another file there,
/// since it has a root or a mount namespace of its own.
std::string file_of(int thread, const std::string& path) {
  const std::string of_thread = detail::proc_path(std::to_string(thread));
  const std::string of_ours = detail::proc_path("thread-self");
  const auto is_same = [&](const char* what) {
    struct stat theirs {};
    struct stat ours {};
    return ::stat((of_thread + what).c_str(), &theirs) == 0 &&
           ::stat((of_ours + what).c_str(), &ours) == 0 && theirs.st_dev == ours.st_dev &&
           theirs.st_ino == ours.st_ino;
  };
  if (path.empty() || path.front() == '\0' || !is_same("/root") || !is_same("/ns/mnt")) return {};
  if (path.front() == '/') return path;
  char target[PATH_MAX];
  const std::string link = of_thread + "/cwd";
  const ssize_t length = detail::sys.readlinkat(AT_FDCWD, link.c_str(), target, sizeof target);
  if (length <= 0) return {};
  return std::string{target, static_cast<std::size_t>(length)} + '/' + path;
}

/// A bind to a path fails where anything is there already, and then makes no file.
void foresee_unix_bind(int thread, const std::string& name, witnessed_bind& bind) {
  bind.file = file_of(thread, name);
  struct stat info {};
  if (bind.file.empty() || ::lstat(bind.file.c_str(), &info) != 0) return;
  bind.error = system_error_code(EADDRINUSE);
  bind.sure = certainty::inferred;
}

}  // namespace

/// What is seen of one call while its caller is stopped.
struct bind_supervisor::subject {
  witnessed_bind bind;
  stopped_call call = stopped_call::bind;
  int domain = AF_UNSPEC;
  bool bound_before = false;
  raw_address address;

  void read(int socket);
  void read_from_afar(int fd, std::uint64_t own_net_cookie);
  std::optional<std::error_code> ask_kernel(int socket) const;
  std::optional<std::error_code> ask_kernel_from_afar(int fd) const;
  std::optional<std::error_code> make_same_bind(int socket, const sockaddr* where,
                                                socklen_t size) const;
  void foresee_listen(int socket);
};

/// What the very socket says of itself.
void bind_supervisor::subject::read(int socket) {
  domain = option(socket, SOL_SOCKET, SO_DOMAIN);
  if (domain == AF_UNIX) {
    bind.kind = socket_kind::local;
    bind.cookie = cookie_of(socket);
    sockaddr_un name{};
    socklen_t size = sizeof name;
    bound_before = ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
                   size > sizeof name.sun_family;
  }
  if (domain != AF_INET && domain != AF_INET6) return;
  const int protocol = option(socket, SOL_SOCKET, SO_PROTOCOL);
  const int type = option(socket, SOL_SOCKET, SO_TYPE);
  constexpr int mptcp = 262;
  if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == mptcp)) {
    bind.kind = socket_kind::tcp;
  } else if (type == SOCK_DGRAM && protocol == IPPROTO_UDP) {
    bind.kind = socket_kind::udp;
  } else {
    return;
  }
  bind.reuse_address = option(socket, SOL_SOCKET, SO_REUSEADDR) != 0;
  bind.reuse_port = option(socket, SOL_SOCKET, SO_REUSEPORT) != 0;
  if (domain == AF_INET6 && option(socket, IPPROTO_IPV6, IPV6_V6ONLY) != 0) {
    bind.scope = ipv6_only::yes;
  }
  bind.cookie = cookie_of(socket);
  bind.net_cookie = namespace_of(socket, bind.thread);
  std::error_code error;
  const endpoint local = detail::local_endpoint(socket, error);
  if (error || local.port == 0) return;
  bound_before = true;
  bind.got = local;
}

/// What /proc says of a socket that this process may not take (Docker's default profile allows
/// that much): which one it is, and its protocol. It is taken for one of the caller's namespace.
void bind_supervisor::subject::read_from_afar(int fd, std::uint64_t own_net_cookie) {
  const std::string path = descriptor_path(bind.thread, fd);
  char target[64];
  // First: to ask anything but a socket could take as long as its file system likes.
  const ssize_t size = detail::sys.readlinkat(AT_FDCWD, path.c_str(), target, sizeof target);
  constexpr std::string_view kind = "socket:[";
  if (size <= 0 ||
      std::string_view{target, static_cast<std::size_t>(size)}.substr(0, kind.size()) != kind) {
    return;
  }
  char name[32] = {};  // as the kernel calls the protocol, such as "TCPv6"
  if (::getxattr(path.c_str(), "system.sockprotoname", name, sizeof name - 1) <= 0) return;
  const std::string_view protocol = name;
  if (protocol == "TCP" || protocol == "TCPv6" || protocol == "MPTCP" || protocol == "MPTCPv6") {
    bind.kind = socket_kind::tcp;
  } else if (protocol == "UDP" || protocol == "UDPv6") {
    bind.kind = socket_kind::udp;
  } else {
    return;
  }
  struct stat info {};
  const std::string space = detail::proc_path(std::to_string(bind.thread) + "/ns/net");
  if (::stat(space.c_str(), &info) != 0 || info.st_ino != detail::current_net_namespace()) return;
  bind.net_cookie = own_net_cookie;
  bind.inode = std::strtoull(target + kind.size(), nullptr, 10);
}

/// A bind with the fewest options that the socket may have, and one with the most: nothing where
/// the kernel answers one of them otherwise than the other.
std::optional<std::error_code> bind_supervisor::subject::ask_kernel_from_afar(int fd) const {
  if (bind.kind != socket_kind::tcp || !bind.asked || bind.asked->port == 0) return std::nullopt;
  bind_request request;
  request.local = *bind.asked;
  std::error_code fewest;
  detail::bind_socket(request, reuse::none, fewest);
  if (!fewest) return std::error_code{};
  struct stat info {};
  // Only sockets of one user share a port.
  if (::stat(descriptor_path(bind.thread, fd).c_str(), &info) != 0 || info.st_uid != ::geteuid())
    return std::nullopt;
  if (!request.local.address.is_v4_mapped()) request.ipv6_only = ipv6_only::yes;
  std::error_code most;
  detail::bind_socket(request, reuse::address_and_port, most);
  // IP_FREEBIND would let it have an address that is not here.
  const bool depends = most != fewest || most == std::errc::address_not_available;
  return depends ? std::nullopt : std::optional{most};
}

/// The same bind of our own, with the same options and as the same user: nothing where the answer
/// would be another one, or where asking would do harm.
std::optional<std::error_code> bind_supervisor::subject::ask_kernel(int socket) const {
  if (bound_before) return system_error_code(EINVAL);
  if (!bind.asked || (bind.asked->port == 0 &&
                      (bind.asked->address.is_wildcard() || bind.asked->address.is_loopback()))) {
    return std::nullopt;
  }
  return make_same_bind(socket, address.get(), address.size);
}

/// Of two sockets that are bound with SO_REUSEADDR, one may listen. A bind of our own fails once it
/// does.
void bind_supervisor::subject::foresee_listen(int socket) {
  if (!bound_before || !bind.reuse_address || bind.kind != socket_kind::tcp ||
      option(socket, SOL_SOCKET, SO_ACCEPTCONN) != 0) {
    return;
  }
  const detail::socket_address where{*bind.got};
  const auto answer = make_same_bind(socket, where.get(), where.size);
  if (!answer || *answer != std::errc::address_in_use) return;
  bind.error = *answer;
  bind.sure = certainty::inferred;
  bind.at_listen = true;
  bind.asked = bind.got;
}

std::optional<std::error_code> bind_supervisor::subject::make_same_bind(int socket,
                                                                        const sockaddr* where,
                                                                        socklen_t size) const {
  const bool udp = bind.kind == socket_kind::udp;
  // Of a shared UDP port a probe would get datagrams that are meant for others.
  if (udp && (bind.reuse_address || bind.reuse_port)) return std::nullopt;
  if (option(socket, SOL_IP, IP_TRANSPARENT) != 0) return std::nullopt;

  struct stat info {};
  // SO_REUSEPORT lets sockets of one user share a port (inet_csk_get_port).
  const bool as_other =
      bind.reuse_port && ::fstat(socket, &info) == 0 && info.st_uid != ::geteuid();
  if (as_other) ::syscall(SYS_setfsuid, info.st_uid);
  const unique_fd probe{::socket(domain, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0)};
  if (as_other) ::syscall(SYS_setfsuid, ::geteuid());
  struct stat made {};
  if (!probe || (as_other && (::fstat(probe.get(), &made) != 0 || made.st_uid != info.st_uid))) {
    return std::nullopt;
  }
  const auto copy = [&](int level, int name) {
    const int value = option(socket, level, name);
    return value == 0 || ::setsockopt(probe.get(), level, name, &value, sizeof value) == 0;
  };
  const int only = bind.scope == ipv6_only::yes ? 1 : 0;
  if ((domain == AF_INET6 &&
       ::setsockopt(probe.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
      !copy(SOL_SOCKET, SO_REUSEADDR) || !copy(SOL_SOCKET, SO_REUSEPORT) ||
      !copy(SOL_SOCKET, SO_BINDTOIFINDEX) || !copy(SOL_IP, IP_FREEBIND)) {
    return std::nullopt;
  }
  // Not by bind(3): a witness in this process would take it for a bind of ours.
  if (detail::sys.bind(probe.get(), where, size) == 0) return std::error_code{};
  return detail::last_error();
}

bind_supervisor::bind_supervisor(unique_fd listener, explain why, const supervisor_limits& limits)
    : listener_{std::move(listener)},
      why_{std::move(why)},
      limits_{limits},
      own_net_cookie_{detail::current_net_cookie()},
      unprivileged_start_{detail::read_port_rules().unprivileged_start},
      proc_has_our_numbers_{detail::proc_has_our_numbers()} {
  seccomp_notif_sizes sizes{};
  if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) {
    throw std::system_error{detail::last_error(), "asking for the size of seccomp notifications"};
  }
  // Caller and supervisor take turns: best on one processor (Linux 6.6; before, it is refused).
  ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  const auto words = [](std::size_t kernel, std::size_t ours) {
    return (std::max(kernel, ours) + 7) / 8;
  };
  call_space_.resize(words(sizes.seccomp_notif, sizeof(seccomp_notif)));
  answer_space_.resize(words(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
}

bool bind_supervisor::is_alive(std::uint64_t id) const noexcept {
  return ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool bind_supervisor::answer_one() {
  std::fill(call_space_.begin(), call_space_.end(), 0);
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, call_space_.data()) != 0) {
    return errno == ENOENT || errno == EINTR;  // the caller is gone, or does something else
  }
  seccomp_notif call{};
  std::memcpy(&call, call_space_.data(), sizeof call);

  subject seen;
  bool known = false;
  if (const auto arguments = read_call(call.data)) {
    try {
      known = look_at(call, *arguments, seen);
    } catch (const std::exception&) {
      known = false;  // whatever we lack, the caller goes on
    }
  }
  seccomp_notif_resp answer{};
  answer.id = call.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  std::fill(answer_space_.begin(), answer_space_.end(), 0);
  std::memcpy(answer_space_.data(), &answer, sizeof answer);
  bool made = false;
  // ENOENT: a signal came first. The call is not made, or comes again.
  for (int i = 0; i < 3 && !made && (i == 0 || errno != ENOENT); ++i) {
    made = ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, answer_space_.data()) == 0;
  }
  const bool gone = !made && errno == ENOENT;
  if (made && known) {
    if (seen.call == stopped_call::bind) {
      note_bind(seen);
    } else {
      note_listen(seen);
    }
  }
  return made || gone;
}

/// Looks at a stopped thread and its socket; false if it is gone, or if tidewait itself asks and is
/// refused. Every descriptor is closed again when this returns: a copy kept open would keep the
/// port taken.
bool bind_supervisor::look_at(const seccomp_notif& call, call_arguments arguments, subject& seen) {
  const int thread = static_cast<int>(call.pid);
  seen.call = arguments.call;
  seen.bind.time = std::chrono::system_clock::now();
  seen.bind.thread = thread;
  seen.bind.pid = thread;
  const stopped_thread caller = open_caller(thread, limits_.thread_descriptors);
  unique_fd socket;
  if (caller.table && (!arguments.in_memory || read_block(thread, arguments))) {
    socket = unique_fd{
        static_cast<int>(::syscall(SYS_pidfd_getfd, caller.table.get(), arguments.fd, 0))};
  }
  const std::error_code refused = socket ? std::error_code{} : detail::last_error();
  if (socket) {
    seen.read(socket.get());
  } else if (proc_has_our_numbers_) {
    seen.read_from_afar(arguments.fd, own_net_cookie_);
  }
  seen.address = read_address(thread, arguments);
  if (seen.call == stopped_call::bind) {
    seen.bind.asked = seen.address.to_endpoint();
    const std::string unix_name = seen.address.to_unix_name();
    seen.bind.path = detail::sanitised(unix_name_text(unix_name));
    foresee_unix_bind(thread, unix_name, seen.bind);
    seen.bind.kernel_chose_port = seen.bind.asked && seen.bind.asked->port == 0;
    if (!seen.bind.path.empty()) seen.bind.kind = socket_kind::local;
    name_caller(seen.bind, caller.leads);
  } else if (!seen.bound_before || by_socket_.count(socket_of(seen.bind)) == 0) {
    // listen(2) binds what is not bound.
    seen.bind.kernel_chose_port =
        socket && !seen.bound_before && seen.bind.kind == socket_kind::tcp;
    name_caller(seen.bind, caller.leads);
  }
  // Only now is it sure that all this was read of the caller, and not of one that got its number.
  if (!is_alive(call.id)) return false;

  if (!socket) {
    seen.bind.partial = "the caller's socket cannot be looked at (" + refused.message() + ')';
  } else if (seen.bind.kind == socket_kind::other) {
    seen.bind.partial = "neither TCP, UDP nor Unix";
  }
  const bool inet = seen.bind.kind == socket_kind::tcp || seen.bind.kind == socket_kind::udp;
  if (!inet) {
    socket.reset();
    if (seen.bind.error && seen.bind.kind == socket_kind::local) note_failure(seen.bind);
    return true;
  }
  if (seen.bind.net_cookie != own_net_cookie_) {
    if (socket) seen.bind.partial = "in another network namespace";
    return true;
  }
  if (seen.call == stopped_call::listen) {
    if (socket) seen.foresee_listen(socket.get());
    socket.reset();
    if (!seen.bind.error) return true;
    if (const auto known = by_socket_.find(socket_of(seen.bind)); known != by_socket_.end()) {
      const witnessed_bind& bind = binds_[known->second];
      seen.bind.pid = bind.pid;
      seen.bind.command = bind.command;
      seen.bind.test = bind.test;
    }
    note_failure(seen.bind);
    return true;
  }
  std::optional<std::error_code> answer =
      socket ? seen.ask_kernel(socket.get()) : seen.ask_kernel_from_afar(arguments.fd);
  if (answer && seen.bind.asked && seen.bind.asked->port < unprivileged_start_) {
    answer = answer_for_rights_of(thread, *seen.bind.asked, *answer);
  }
  if (!answer) return true;
  // That tidewait itself is refused is no failure of the program.
  if (*answer && detail::is_marked_as_probe(seen.address.storage, seen.address.size)) return false;
  seen.bind.error = *answer;
  seen.bind.sure = certainty::inferred;
  socket.reset();
  if (is_explained(seen.bind.error)) note_failure(seen.bind);
  return true;
}

/// The kernel's answer was to this process, which may have other rights than the caller.
std::optional<std::error_code> bind_supervisor::answer_for_rights_of(
    int thread, const endpoint& asked, const std::error_code& ours) const {
  if (asked.port == 0 || ours == std::errc::invalid_argument ||
      ours == std::errc::address_not_available) {
    return ours;
  }
  const auto may = proc_has_our_numbers_ ? may_bind_privileged(thread) : std::nullopt;
  if (!may || (*may && ours == std::errc::permission_denied)) return std::nullopt;
  return *may ? ours : system_error_code(EACCES);
}

void bind_supervisor::name_caller(witnessed_bind& bind, bool leads) const {
  if (!proc_has_our_numbers_) return;
  std::string name;
  const std::string path = detail::proc_path(std::to_string(bind.thread) + "/comm");
  static_cast<void>(detail::read_file(AT_FDCWD, path.c_str(), name, 64));
  bind.command = detail::sanitised(std::string_view{name}.substr(0, name.find('\n')));
  std::string environment;
  const std::string all = detail::proc_path(std::to_string(bind.thread) + "/environ");
  static_cast<void>(
      detail::read_file(AT_FDCWD, all.c_str(), environment, detail::most_of_an_environment));
  bind.test = detail::sanitised(detail::variable_in(environment, test_variable));
  if (leads) return;
  if (const auto process = read_status<int>(bind.thread, "Tgid", 10)) bind.pid = *process;
}

/// Explains a failure while the caller waits: the first on an endpoint, and then now and then,
/// since a server may try for as long as it likes.
void bind_supervisor::note_failure(const witnessed_bind& bind) {
  const auto same = [&](const failed_bind& each) {
    return each.first.kind == bind.kind && each.first.error == bind.error &&
           each.first.asked == bind.asked && each.first.path == bind.path;
  };
  const auto known = std::find_if(failures_.rbegin(), failures_.rend(), same);
  if (known != failures_.rend()) {
    const auto now = clock::now();
    const bool fresh = now - known->looked < limits_.same_culprit;
    std::optional<diagnosis> why;
    if (!fresh && why_ && looks_ < 4 * limits_.explained) {
      ++looks_;
      why = why_(bind);
      known->looked = now;
    }
    if (!why || same_culprit(why, known->why) || failures_.size() >= limits_.explained) {
      ++known->count;
      return;
    }
    failures_.push_back({bind, std::move(why), 1, now});
    return;
  }
  if (failures_.size() >= limits_.explained) {
    ++unexplained_;
    return;
  }
  failed_bind failure{bind, std::nullopt, 1, clock::now()};
  if (why_) failure.why = why_(bind);
  failures_.push_back(std::move(failure));
}

std::optional<std::size_t> bind_supervisor::add(witnessed_bind bind) {
  if (binds_.size() >= limits_.records) {
    ++unrecorded_;
    return std::nullopt;
  }
  binds_.push_back(std::move(bind));
  return binds_.size() - 1;
}

void bind_supervisor::wait_for_end_of(std::size_t index) {
  const witnessed_bind& bind = binds_[index];
  if (socket_of(bind) == 0 || bind.net_cookie != own_net_cookie_) return;
  if (pending_.empty()) next_look_ = std::max(next_look_, clock::now() + shortest_pause);
  pending_[index] = {};
}

/// A later call has shown that the socket was not bound after all; why is not known.
void bind_supervisor::deny_success_of(std::uint64_t socket) {
  const auto known = by_socket_.find(socket);
  if (known == by_socket_.end()) return;
  witnessed_bind& bind = binds_[known->second];
  pending_.erase(known->second);
  bind.got.reset();
  if (!bind.error) bind.sure = certainty::unknown;
}

/// The socket is there: what was foreseen did not come true, since the culprit was just leaving.
void bind_supervisor::take_back_failure(witnessed_bind& bind) {
  bind.sure = certainty::seen;
  const std::error_code error = std::exchange(bind.error, {});
  if (!is_explained(error)) return;
  const auto known = std::find_if(failures_.begin(), failures_.end(), [&](const auto& each) {
    return each.first.kind == bind.kind && each.first.error == error &&
           each.first.asked == bind.asked && each.first.path == bind.path;
  });
  if (known == failures_.end()) {
    unexplained_ -= unexplained_ == 0 ? 0 : 1;
  } else if (--known->count == 0) {
    failures_.erase(known);
  }
}

void bind_supervisor::note_bind(subject& seen) {
  const std::uint64_t socket = socket_of(seen.bind);
  if (seen.bound_before) {
    seen.bind.got.reset();  // that is where an earlier call has put it
  } else if (socket != 0) {
    deny_success_of(socket);
  }
  const auto index = add(std::move(seen.bind));
  if (!index || socket == 0 || seen.bound_before) return;
  by_socket_[socket] = *index;
  wait_for_end_of(*index);
}

void bind_supervisor::note_listen(subject& seen) {
  const std::uint64_t socket = socket_of(seen.bind);
  const auto known = socket == 0 ? by_socket_.end() : by_socket_.find(socket);
  const bool from_afar = seen.bind.inode != 0;
  if (known != by_socket_.end() &&
      (seen.bound_before || (from_afar && !binds_[known->second].error))) {
    witnessed_bind& bind = binds_[known->second];
    bind.at_listen = seen.bind.at_listen;
    if (seen.bind.at_listen) {
      bind.error = seen.bind.error;
      bind.sure = seen.bind.sure;
      pending_.erase(known->second);
      return;
    }
    bind.listening = true;
    if (!from_afar) {
      bind.got = seen.bind.got;
      take_back_failure(bind);
    }
    wait_for_end_of(known->second);
    return;
  }
  if (socket != 0) deny_success_of(socket);
  const bool failed = seen.bind.at_listen;
  seen.bind.listening = !failed;
  const auto index = add(std::move(seen.bind));
  if (!index || socket == 0) return;
  by_socket_[socket] = *index;
  if (!failed) wait_for_end_of(*index);
}

std::optional<clock::time_point> bind_supervisor::next_look() const noexcept {
  if (pending_.empty()) return std::nullopt;
  return next_look_;
}

void bind_supervisor::complete() {
  if (pending_.empty()) return;
  const auto start = clock::now();
  socket_query query;
  query.states =
      socket_state::listen | socket_state::bound | socket_state::unconn | socket_state::established;
  const auto is = [&](socket_kind kind) {
    return std::any_of(pending_.begin(), pending_.end(),
                       [&](const auto& each) { return binds_[each.first].kind == kind; });
  };
  query.udp = is(socket_kind::udp);
  query.tcp = false;
  std::vector<observed_socket> there;  // none if it cannot look; what was inferred then remains
  if (query.udp) there = detail::look_at_sockets(query).sockets;
  if (is(socket_kind::tcp)) {
    query.udp = false;
    query.tcp = true;
    // Not the connections, of which a machine may have any number.
    query.states = socket_state::listen | socket_state::bound;
    auto tcp = detail::look_at_sockets(query).sockets;
    there.insert(there.end(), std::make_move_iterator(tcp.begin()),
                 std::make_move_iterator(tcp.end()));
  }
  std::unordered_map<std::uint64_t, const observed_socket*> by_socket;
  const bool any_from_afar = std::any_of(pending_.begin(), pending_.end(), [&](const auto& each) {
    return binds_[each.first].cookie == 0;
  });
  for (const observed_socket& each : there) {
    by_socket[each.cookie] = &each;
    if (any_from_afar) by_socket[socket_of(0, each.inode)] = &each;
  }
  for (auto each = pending_.begin(); each != pending_.end();) {
    const auto found = by_socket.find(socket_of(binds_[each->first]));
    const observed_socket* const socket = found == by_socket.end() ? nullptr : found->second;
    each = settle(binds_[each->first], ++each->second, socket, there) ? pending_.erase(each)
                                                                      : std::next(each);
  }
  const auto end = clock::now();
  next_look_ = end + std::max<clock::duration>(shortest_pause, 20 * (end - start));
}

/// Whether there is no more to be learned of this call.
bool bind_supervisor::settle(witnessed_bind& bind, int looks, const observed_socket* socket,
                             const std::vector<observed_socket>& there) {
  if (socket == nullptr) return looks >= enough_looks;
  if (bind.asked && bind.asked->port != 0 && bind.asked->port != socket->local.port) {
    if (!bind.error) bind.sure = certainty::unknown;
    return true;  // a later connect(2) or sendto(2) has bound it
  }
  bind.got = socket->local;
  bind.cookie = socket->cookie;
  take_back_failure(bind);
  if (!bind.listening || bind.kind != socket_kind::tcp) return true;
  if (socket->state == socket_state::listen) return true;
  if (looks < enough_looks) return false;
  // With SO_REUSEADDR both may be bound, and the one that comes second may not listen.
  const bool other = std::any_of(there.begin(), there.end(), [&](const observed_socket& each) {
    return each.state == socket_state::listen &&
           overlap(each.local, each.ipv6_only(), socket->local, socket->ipv6_only());
  });
  if (!other) return true;
  bind.listening = false;
  bind.at_listen = true;
  bind.error = system_error_code(EADDRINUSE);
  bind.sure = certainty::inferred;
  note_failure(bind);
  return true;
}

void bind_supervisor::finish() {
  complete();
  pending_.clear();
}

}  // namespace tidewait::command
