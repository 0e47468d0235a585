// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What was found to keep a socket that no process holds.
inline explanation explain_kept(const socket_keeper& keeper, const std::string& what, bool ours) {
  const std::string front = "no descriptor of this " + what + " is open, but ";
  const std::string stop = ours ? "" : "stop " + name_of(keeper.who) + "; in its code, ";
  switch (keeper.kind) {
    case keeper_kind::thread:
      return {cause::closed_under_call,
              front + whose(keeper.who) + " still waits in " + keeper.what +
                  " on the descriptor that was closed",
              stop + "call shutdown(fd, SHUT_RDWR) before close(fd), and join the thread"};
    case keeper_kind::io_uring:
      return {cause::held_by_io_uring,
              front + "an io_uring of " + whose(keeper.who) + " (" + descriptors_of(keeper.who) +
                  ") keeps it, by a pending request or as a registered file",
              stop +
                  "cancel the request (IORING_OP_ASYNC_CANCEL) and unregister the file before "
                  "close(fd), or close the io_uring"};
    case keeper_kind::message:
      return {cause::in_flight,
              front + "a file is on its way in a Unix socket of " + whose(keeper.who) + " (" +
                  descriptors_of(keeper.who) + "): sent with SCM_RIGHTS and not yet received",
              stop + "receive the message and close what it brings, or close that Unix socket"};
    case keeper_kind::mptcp:
      return {cause::kernel_socket,
              "the kernel itself holds this " + what + ", for its " + keeper.what,
              "use another port, or remove the endpoint (`ip mptcp endpoint` lists them, `ip mptcp "
              "endpoint delete id N` removes one)"};
    case keeper_kind::kernel: break;
  }
  return {cause::kernel_socket,
          "the kernel itself holds this " + what + ", for the interface " + keeper.what,
          "use another port, or remove the interface (ip link delete)"};
}

/// No process holds it, and what does was not found: what is possible, the likeliest here in front.
inline explanation explain_unkept(const observed_socket& socket, const std::string& what) {
  const bool outside = socket.owned == ownership::outside;
  const bool udp = socket.protocol == protocol::udp;
  const std::string why = std::string{"no process "} + (outside ? "of this pid namespace " : "") +
                          "holds this " + what + "; what may keep it: ";
  const std::string hard_to_see =
      "an io_uring, a thread that waits on a closed descriptor, or a message that carries the "
      "descriptor (SCM_RIGHTS), in a process that tidewait cannot inspect";
  if (outside) {
    return {cause::unowned,
            why +
                "a process outside of it (a container with --network=host, another container of "
                "the same pod); the kernel itself; " +
                hard_to_see,
            "run `tidewait why` on the host, outside this pid namespace"};
  }
  if (socket.uid == 0) {
    return {cause::unowned,
            why + "the kernel itself (" +
                (udp ? "a tunnel such as VXLAN or WireGuard" : "an NFS server, an MPTCP endpoint") +
                "); " + hard_to_see,
            udp ? "look for a tunnel with `ip -d link` and `wg`, or use another port"
                : "look with `rpcinfo -p` and `ip mptcp endpoint`, or use another port"};
  }
  return {
      cause::unowned, why + hard_to_see,
      "run as root with CAP_SYS_PTRACE to see more; in the server, call shutdown(fd, SHUT_RDWR) "
      "before close(fd), and close its io_urings"};
}

/// A socket of which no process is known, of a kind that somebody must hold.
inline explanation explain_unowned(const observed_socket& socket, const std::string& article,
                                   const std::string& what, const bind_environment& environment) {
  if (socket.keeper) return explain_kept(*socket.keeper, what, socket.keeper->who.ours());
  if (socket.owned == ownership::ownerless || socket.owned == ownership::outside) {
    return explain_unkept(socket, what);
  }
  return {cause::owner_hidden,
          unseen_process(socket) + ", not visible here, holds " + article + what + " on the port",
          show_owner(socket, environment)};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
