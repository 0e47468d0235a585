// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/explain_unowned.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The name for output: encoded, an abstract one with '@' in front.
inline std::string shown_unix_name(std::string_view name) {
  return sanitised(unix_name_text(name));
}

/// The path as a shell takes it.
inline std::string shell_quoted(std::string_view path) {
  const std::string text = sanitised(path);
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string{c};
  return quoted + '\'';
}

/// The text as a string of C++ that no line break is put into, and that has no trigraph.
inline std::string cpp_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '?') quoted += '\\';
    quoted += c == ' ' ? "\\040" : std::string{c};
  }
  return quoted + '"';
}

inline const process* find_owner(const observed_unix& socket, relation which) noexcept {
  const auto found = std::find_if(socket.owners.begin(), socket.owners.end(),
                                  [&](const process& each) { return each.relation == which; });
  return found == socket.owners.end() ? nullptr : &*found;
}

/// A Unix socket that somebody has open on the name, by who holds it.
inline explanation explain_unix_holder(const observed_unix& socket,
                                       const bind_environment& environment) {
  const bool listens = socket.state == socket_state::listen;
  const bool on_path = !socket.is_abstract();
  const std::string name = shown_unix_name(socket.name);
  const std::string what = listens ? "listening on it" : "bound to it, without listening";
  const std::string close = std::string{"close the "} + (listens ? "listening " : "") + "socket" +
                            (on_path ? " and unlink the path" : "") + " before the test ends";
  const process* const self = find_owner(socket, relation::self);
  const process* const child = find_owner(socket, relation::descendant);
  if (self != nullptr && child != nullptr) {
    return {cause::inherited_by_child,
            descriptors_of(*self) + " of this process is still " + what + ", and child " +
                name_of(*child) + " has inherited it as " + descriptors_of(*child),
            close + ", and open it with SOCK_CLOEXEC so that no child keeps it"};
  }
  if (self != nullptr) {
    return {listens ? cause::listener_not_closed : cause::bound_not_listening,
            descriptors_of(*self) + " of this process " + (self->fds.size() > 1 ? "are" : "is") +
                " still " + what,
            close};
  }
  if (child != nullptr) {
    return {listens ? cause::child_listens : cause::inherited_by_child,
            "child " + name_of(*child) + " is still " + what + " (" + descriptors_of(*child) + ")",
            "stop that process before the test ends; if it only inherited the descriptor, open the "
            "socket with SOCK_CLOEXEC"};
  }
  if (const process* const orphan = find_owner(socket, relation::marked_orphan)) {
    return {
        cause::orphan_listens,
        name_of(*orphan) + ", started in this run, has outlived its parent and is still " + what,
        "stop the server with its parent: signal the process group and wait"};
  }
  if (const process* const other = find_owner(socket, relation::other)) {
    return {listens ? cause::listener_of_other : cause::bound_not_listening,
            name_of(*other) + " is " + what,
            std::string{"stop that process, or use another "} + (on_path ? "path" : "name") +
                (on_path ? ": lease_socket_path() gives one" : "")};
  }
  if (socket.keeper) {
    return explain_kept(*socket.keeper, listens ? "listener" : "socket", socket.keeper->who.ours());
  }
  if (socket.owned == ownership::ownerless || socket.owned == ownership::outside) {
    return {
        cause::unowned,
        std::string{"a socket is "} + what + ", and no process " +
            (socket.owned == ownership::outside ? "of this pid namespace " : "") +
            "holds it; what may keep it: an io_uring, a thread that waits on a closed descriptor, "
            "or a message that carries the descriptor (SCM_RIGHTS), in a process that tidewait "
            "cannot inspect",
        socket.owned == ownership::outside
            ? "run `tidewait why` on the host, outside this pid namespace"
            : "run as root with CAP_SYS_PTRACE to see more"};
  }
  observed_socket held;
  held.uid = socket.uid;
  return {cause::owner_hidden,
          (socket.has_uid ? "a process of uid " + std::to_string(socket.uid)
                          : std::string{"a process"}) +
              ", not visible here, is " + what,
          show_owner(held, environment)};
}

/// A socket file on which this network namespace has no socket.
inline explanation explain_socket_file(const std::string& path, const unix_bind_facts& facts) {
  using alive = unix_bind_facts::life;
  const alive life = facts.socket;
  const std::string name = shown_unix_name(path);
  const std::string remove = "rm " + shell_quoted(path);
  if (life == alive::none) {
    const std::string why = "nobody listens on it: " + name +
                            " is the file of a socket that was closed without unlink()";
    if (!facts.removable) {
      return {cause::stale_socket_file,
              why + ", and belongs to uid " + std::to_string(facts.file_user),
              "this user may not remove it: have uid " + std::to_string(facts.file_user) +
                  " or root do so (sudo " + remove +
                  "), or use another path: lease_socket_path() gives one"};
    }
    return {cause::stale_socket_file, why,
            "remove the file (" + remove +
                "), and have the server unlink() the path when it ends, and before it binds; or "
                "give each test a path of its own: lease_socket_path()"};
  }
  if (life == alive::open) {
    return {cause::owner_hidden,
            "a process has a socket open on it, in another network namespace (a container, or a "
            "test that runs isolated)",
            "stop that process, or use another path: lease_socket_path() gives one"};
  }
  return {
      cause::owner_hidden,
      "no socket of this network namespace is open on it, and this user may not ask whether one "
      "of another is",
      "run as root or as uid " + std::to_string(facts.file_user) +
          "; if nobody listens, remove it there: " + remove};
}

/// Why no file can be made at the path, where none is.
inline explanation explain_no_file(const std::string& path, const unix_bind_facts& facts) {
  const std::string part = shown_unix_name(facts.failing_part);
  if (facts.bind == std::errc::no_such_file_or_directory) {
    return {cause::directory_missing, "the directory " + part + " does not exist",
            "create it before the bind: mkdir -p " + shell_quoted(path.substr(0, path.rfind('/')))};
  }
  if (facts.bind == std::errc::permission_denied) {
    return {cause::directory_denied,
            "uid " + std::to_string(facts.user) + " may not create a file in " + part,
            "use a directory of your own ($XDG_RUNTIME_DIR, or mkdtemp()): lease_socket_path() "
            "gives a path in one"};
  }
  if (facts.bind == std::errc::not_a_directory) {
    return {cause::directory_missing, part + " is not a directory", "use another path"};
  }
  if (facts.on_file_system == unix_bind_facts::sockets::no) {
    return {cause::refused,
            "the file system of " + part + " (" + facts.file_system + ") has no sockets",
            "use a directory on a disk of this system or in memory, such as $XDG_RUNTIME_DIR or "
            "/tmp: lease_socket_path() gives a path there"};
  }
  return {cause::refused, "the file system refuses it: " + facts.bind.message(),
          facts.bind == std::errc::read_only_file_system ? "use a directory that can be written to"
                                                         : "use another path"};
}

/// A bind that nothing is known to hinder, in a directory where it may fail all the same.
inline explanation explain_unsure(const unix_bind_facts& facts) {
  return {cause::refused,
          "whether it succeeds is not known without a trial: the directory " +
              shown_unix_name(facts.failing_part) + " is on " + facts.file_system +
              ", and shares of another machine (virtiofs, Docker Desktop, Windows drives in WSL) "
              "often have no sockets",
          "if bind() answers \"Operation not permitted\" or the like, use a directory that is "
          "local, such as $XDG_RUNTIME_DIR or /tmp: lease_socket_path() gives a path there"};
}

inline explanation explain_too_long(std::string_view name) {
  return {cause::path_too_long,
          "the name has " + std::to_string(name.size()) + " bytes, and sockaddr_un has room for " +
              std::to_string(longest_socket_path),
          "use a shorter directory: lease_socket_path() gives a short path; a long TMPDIR or build "
          "directory is the usual reason"};
}

/// Something else than a socket is at the path.
inline explanation explain_other_file(const std::string& path, unix_bind_facts::file there) {
  using file = unix_bind_facts::file;
  const std::string what = there == file::symbolic_link
                               ? "a symbolic link, which bind() does not follow"
                           : there == file::directory ? "a directory"
                                                      : "a file that is not a socket";
  return {cause::not_a_socket, shown_unix_name(path) + " is " + what,
          "use another path, or look at the file and remove it yourself"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
