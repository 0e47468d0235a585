// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/descriptor_table.hpp>
#include <tidewait/detail/linux/fdinfo.hpp>
#include <tidewait/detail/linux/mptcp_endpoints.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/process_visit.hpp>
#include <tidewait/detail/linux/read_sockets.hpp>
#include <tidewait/detail/linux/tunnels.hpp>
#include <tidewait/detail/linux/waiting_call.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Finds what keeps the sockets open that no process holds: first in this process, then in all
/// others that let themselves be looked at so closely (ptrace(2), PTRACE_MODE_ATTACH), then in the
/// kernel. Of what names no inode, the kind of socket, the user and the network have to fit.
class keeper_search {
 public:
  explicit keeper_search(std::vector<observed_socket>& sockets) {
    for (observed_socket& socket : sockets) {
      const bool unheld = socket.owned == ownership::ownerless ||
                          socket.owned == ownership::outside || socket.owned == ownership::hidden;
      if (unheld && !socket.keeper) open_.push_back(&socket);
    }
  }

  bool any() const noexcept { return !open_.empty(); }

  /// Without memory: what was not found by then stays unknown.
  void run() noexcept try {
    if (open_.empty() || visitor_.error()) return;
    network_ = current_net_namespace();
    look_at(visitor_.self());
    look_at_kernel();
    if (open_.empty()) return;
    std::vector<int> pids;
    for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      const auto pid = parse_pid(name);
      if (pid && *pid != visitor_.self()) pids.push_back(*pid);
    });
    for (const int pid : pids) {
      if (open_.empty()) return;
      look_at(pid);
    }
  } catch (...) {
  }

 private:
  /// A process that is looked at, and what is read of it only if that matters.
  struct suspect {
    int pid = 0;
    unique_fd directory;
    std::optional<process> who;
    std::optional<process_status> status;
  };

  void look_at(int pid) {
    suspect each{pid, open_process(pid), std::nullopt, std::nullopt};
    struct stat network {};
    if (!each.directory || (::fstatat(each.directory.get(), "ns/net", &network, 0) == 0 &&
                            network.st_ino != network_ && network_ != 0)) {
      return;
    }
    look_at_threads(each);
    if (!open_.empty()) look_at_files(each);
  }

  void look_at_threads(suspect& each) {
    const unique_fd memory{sys.openat(each.directory.get(), "mem", O_RDONLY | O_CLOEXEC)};
    std::vector<int> told;  // several threads may wait for one socket
    std::string text;
    // This thread is seen to read what is said of it, from a descriptor that is closed by then.
    const std::string looking = each.pid == visitor_.self() ? this_thread_in_proc() : "";
    for_each_name(each.directory.get(), "task", [&](int tasks, const char* name) {
      if (looking == name) return true;
      if (read_file(tasks, (std::string{name} + "/syscall").c_str(), text)) return !open_.empty();
      const auto call = parse_waiting_call(text);
      if (!call) return true;
      for (const int fd : waited_descriptors(*call, memory.get())) {
        if (std::find(told.begin(), told.end(), fd) != told.end()) continue;
        if (!is_closed(tasks, name, fd, call->shape)) continue;
        const auto fits = [&](const observed_socket& socket) {
          const bool listens = socket.state == socket_state::listen;
          const bool right = call->shape == call_shape::accept    ? listens
                             : call->shape == call_shape::receive ? !listens
                                                                  : true;
          return right && may_have_opened(each, socket);
        };
        const socket_keeper keeper{keeper_kind::thread, {}, call->name};
        if (give(each, keeper, parse_pid(name).value_or(0), {}, fits)) told.push_back(fd);
      }
      return !open_.empty();
    });
  }

  /// Whether the descriptor that a thread waits for is no socket any more, or is another one since.
  bool is_closed(int tasks, const char* thread, int fd, call_shape shape) {
    char link[64];
    const std::string path = std::string{thread} + "/fd/" + std::to_string(fd);
    const ssize_t length = sys.readlinkat(tasks, path.c_str(), link, sizeof link);
    if (length < 0) return is_gone(last_error());
    const auto inode = parse_socket_link({link, static_cast<std::size_t>(length)});
    return shape == call_shape::accept && (!inode || !is_listener(*inode));
  }

  bool is_listener(std::uint32_t inode) {
    if (!listeners_) {
      socket_query query;
      query.udp = false;
      query.states = socket_state::listen;
      visibility seen;
      listeners_.emplace();
      read_sockets(query, *listeners_, seen);
      add_unix_listeners();
      if (seen.blind()) return true;
    }
    return std::any_of(listeners_->begin(), listeners_->end(),
                       [inode](const observed_socket& each) { return each.inode == inode; });
  }

  void add_unix_listeners() {
    std::vector<unix_entry> entries;
    sock_diag diag;
    if (sock_diag::open(diag) || diag.dump_unix(unix_states::listening, entries)) return;
    for (const unix_entry& each : entries) {
      listeners_->emplace_back();
      listeners_->back().inode = each.inode;
    }
  }

  void look_at_files(suspect& each) {
    std::size_t sockets = 0;
    constexpr std::size_t most = 4096;
    std::string text;
    for_each_name(each.directory.get(), "fd", [&](int fds, const char* name) {
      char link[64];
      const ssize_t length = sys.readlinkat(fds, name, link, sizeof link);
      const std::string_view target{link, static_cast<std::size_t>(std::max<ssize_t>(0, length))};
      const bool ring = target == "anon_inode:[io_uring]";
      const bool socket = parse_socket_link(target).has_value() && ++sockets < most;
      if (!ring && !socket) return true;
      const std::string info = std::string{"fdinfo/"} + name;
      if (read_file(each.directory.get(), info.c_str(), text)) return true;
      const std::vector<int> number{parse_pid(name).value_or(-1)};
      ring ? look_into_ring(each, parse_ring(text), number)
           : look_into_flight(each, parse_files_in_flight(text), number);
      return !open_.empty();
    });
  }

  void look_into_ring(suspect& each, const ring_contents& ring, const std::vector<int>& fds) {
    const socket_keeper keeper{keeper_kind::io_uring, {}, {}};
    for (const std::uint32_t inode : ring.registered) {
      give(each, keeper, 0, fds,
           [inode](const observed_socket& socket) { return socket.inode == inode; });
    }
    for (std::size_t i = 0; i < ring.accepts + ring.receives + ring.polls; ++i) {
      const bool accepts = i < ring.accepts;
      const bool polls = i >= ring.accepts + ring.receives;
      give(each, keeper, 0, fds, [&](const observed_socket& socket) {
        const bool listens = socket.state == socket_state::listen;
        return (polls || accepts == listens) && may_have_opened(each, socket);
      });
    }
  }

  void look_into_flight(suspect& each, std::size_t files, const std::vector<int>& fds) {
    for (std::size_t i = 0; i < files && !open_.empty(); ++i) {
      give(each, {keeper_kind::message, {}, {}}, 0, fds,
           [&](const observed_socket& socket) { return may_have_opened(each, socket); });
    }
  }

  /// What the kernel itself has opened, as root.
  void look_at_kernel() {
    const auto may_be = [&](const observed_socket& each, protocol which) {
      return each.uid == 0 && each.protocol == which &&
             (which == protocol::udp || each.state == socket_state::listen);
    };
    const auto any = [&](protocol which) {
      return std::any_of(open_.begin(), open_.end(),
                         [&](const observed_socket* each) { return may_be(*each, which); });
    };
    if (any(protocol::udp)) {
      for (const tunnel& each : read_tunnels()) {
        give_to_kernel({keeper_kind::kernel, {}, each.name + " (" + each.kind + ')'},
                       [&](const observed_socket& socket) {
                         return may_be(socket, protocol::udp) &&
                                (each.port == 0 || each.port == socket.local.port);
                       });
      }
    }
    if (any(protocol::tcp)) {
      for (const mptcp_endpoint& each : read_mptcp_endpoints()) {
        give_to_kernel(
            {keeper_kind::mptcp, {}, "MPTCP endpoint with id " + std::to_string(each.id)},
            [&](const observed_socket& socket) {
              return may_be(socket, protocol::tcp) && socket.local == each.local;
            });
      }
    }
  }

  template <typename Fits>
  void give_to_kernel(const socket_keeper& keeper, Fits&& fits) {
    for (auto at = open_.begin(); at != open_.end();) {
      const bool gives = fits(**at);
      if (gives) {
        (*at)->keeper = keeper;
        (*at)->owned = ownership::ownerless;
      }
      at = gives ? open_.erase(at) : at + 1;
    }
  }

  /// Whether a process of that user can have opened the socket; what root has opened, any may have
  /// that gave up its rights.
  static bool may_have_opened(suspect& each, const observed_socket& socket) {
    if (socket.uid == 0) return true;
    if (!each.status) each.status = read_process_status(each.directory.get());
    return each.status && (each.status->uid == socket.uid || each.status->real_uid == socket.uid);
  }

  /// Names the keeper of the first open socket that fits. Where processes are hidden, only what is
  /// found in the own tree counts. Returns whether there was one.
  template <typename Fits>
  bool give(suspect& each, const socket_keeper& keeper, int thread, const std::vector<int>& fds,
            Fits&& fits) {
    const auto at = std::find_if(open_.begin(), open_.end(), [&](const observed_socket* socket) {
      if (!fits(*socket)) return false;
      if (!each.who) each.who = visitor_.describe(each.directory.get(), each.pid);
      return socket->owned != ownership::hidden || each.who->ours();
    });
    if (at == open_.end()) return false;
    observed_socket& socket = **at;
    socket.keeper = keeper;
    socket.keeper->who = *each.who;
    socket.keeper->who.thread = thread;
    socket.keeper->who.fds = fds;
    socket.owned = ownership::ownerless;
    open_.erase(at);
    return true;
  }

  std::vector<observed_socket*> open_{};
  process_visitor visitor_{};
  std::uint64_t network_ = 0;
  std::optional<std::vector<observed_socket>> listeners_{};
};

/// Says of each socket that no process holds what keeps it open, as far as that can be found.
inline void find_keepers(std::vector<observed_socket>& sockets) {
  keeper_search search{sockets};
  // Its own descriptors would take the numbers of those that are closed.
  if (search.any()) in_private_descriptor_table([&] { search.run(); });
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
