// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/requirements.hpp>

namespace tidewait {
inline namespace v0 {

/// What a process is to the one that looks.
enum class relation : std::uint8_t {
  self,           ///< The process itself.
  descendant,     ///< A child, or a child's child.
  marked_orphan,  ///< Re-parented, but started in this run: it carries the run's marker.
  other,          ///< Anything else.
};

/// "self", "descendant", "orphan" or "other".
inline std::string_view to_string(relation value) noexcept {
  switch (value) {
    case relation::self: return "self";
    case relation::descendant: return "descendant";
    case relation::marked_orphan: return "orphan";
    case relation::other: break;
  }
  return "other";
}

/// The environment variable with the name of the test that a process runs in or was started by:
/// CTest's name of it, set by the package's functions for CMake, or by `tidewait run --name`.
inline constexpr const char* test_variable = "TIDEWAIT_TEST";

/// One holder of a socket, as a value.
struct process {
  int pid = 0;             ///< As this process's /proc shows it.
  std::string name{};      ///< /proc/PID/comm: at most 15 bytes. Valid UTF-8.
  std::string command{};   ///< Command line, arguments joined by spaces. Valid UTF-8; may be empty.
  std::vector<int> fds{};  ///< The descriptors through which it holds the socket.
  std::string test{};      ///< Of another process tree: what TIDEWAIT_TEST is there; may be empty.
  tidewait::relation relation = relation::other;  ///< How it is related to the calling process.
  /// The thread that has them in a descriptor table of its own (unshare(2), CLONE_FILES); 0: they
  /// are the process's.
  int thread = 0;
  // What a diagnosis adds:
  /// The systemd unit or container that it runs in, if that is another than where the one that
  /// looks runs: "nginx.service", "docker container 0123456789ab". Valid UTF-8.
  std::string unit{};
  std::string parent{};  ///< Who started it: "pid 80 (code)"; empty where that says nothing.
  bool stopped = false;  ///< In state T (SIGSTOP): SIGTERM waits until it continues.
  std::string tracer{};  ///< The debugger that has stopped it: "pid 80 (gdb)"; otherwise empty.
  /// Only its main thread has ended: ps shows it as defunct, and its other threads run on.
  bool defunct = false;
  bool inherited = false;  ///< It has not bound the socket, but got it from another program.
  /// The nearest of its ancestors that holds the socket as well, as the master of a worker does; 0:
  /// none of them does.
  int started_by = 0;
  std::string
      ending{};  ///< What it still does before it ends: "writes its core dump"; may be empty.

  /// Whether it belongs to the process tree of the one that looks.
  bool ours() const noexcept { return relation != relation::other; }
};

namespace detail {

inline bool any_ours(const std::vector<process>& owners) noexcept {
  for (const process& each : owners) {
    if (each.ours()) return true;
  }
  return false;
}

/// The command of a launcher has ended, and with it whatever started these.
template <typename Sockets>
void call_orphans(Sockets& sockets) {
  for (auto& socket : sockets) {
    for (process& owner : socket.owners) {
      if (owner.relation == relation::descendant) owner.relation = relation::marked_orphan;
    }
  }
}

}  // namespace detail

}  // namespace v0
}  // namespace tidewait
