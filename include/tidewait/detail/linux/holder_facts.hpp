// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <net/if.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <tidewait/detail/linux/cgroup.hpp>
#include <tidewait/detail/linux/ctest_sibling.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_visit.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether a file may call listen(2): it has that name among its strings, as every program that
/// imports it. Unknown counts as yes.
inline bool mentions_listen(int at, const char* path) {
  constexpr std::size_t most = std::size_t{16} << 20U;
  struct stat info {};
  const unique_fd file{sys.openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return true;
  std::string text;
  if (read_rest(file.get(), text, most)) return true;
  constexpr std::string_view name{"\0listen\0", 8};
  return text.find(name) != std::string::npos;
}

/// Whether the code that a process has mapped can have made a socket listen. Of a program that is
/// linked statically that is not known, and counts as yes. The C library has listen(2) for all.
inline bool may_listen(int process) {
  std::string maps;
  if (read_file(process, "maps", maps)) return true;
  std::vector<std::string> files;
  bool dynamic = false;
  for (std::string_view rest = maps; !rest.empty();) {
    const std::string_view line = take_line(rest);
    const auto slash = line.find('/');
    if (slash == std::string_view::npos || line.find(" r-xp ") == std::string_view::npos) continue;
    const std::string_view path = line.substr(slash);
    const std::string_view name = path.substr(path.rfind('/') + 1);
    const auto is = [name](std::string_view front) {
      return name.substr(0, front.size()) == front;
    };
    const bool loader = is("ld-") || is("ld.so");
    dynamic = dynamic || loader;
    if (loader || is("libc.so") || is("libc-") || is("libpthread")) continue;
    files.push_back("root" + std::string{path});
  }
  if (!dynamic || mentions_listen(process, "exe")) return true;
  constexpr std::size_t most_files = 64;
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  const bool all = files.size() <= most_files;
  // The program itself is among the files, and is not there any more if it was replaced.
  return !all || std::any_of(files.begin(), files.end(), [&](const std::string& each) {
    return ::faccessat(process, each.c_str(), R_OK, 0) == 0 &&
           mentions_listen(process, each.c_str());
  });
}

/// Completes what is known of processes that hold sockets, for a message: what they run in, who
/// started them, whether they are stopped, whether they can have bound the socket themselves.
class holder_facts {
 public:
  holder_facts() { own_unit_ = unit_of(open_process("self").get()); }

  void complete(observed_socket& socket) {
    std::vector<int> holders;
    for (const process& owner : socket.owners) holders.push_back(owner.pid);
    for (process& owner : socket.owners) {
      if (owner.relation == relation::self) continue;
      const process*& known = known_[{owner.pid, has_standard_fd(owner), holders}];
      if (known) {
        copy(*known, owner);
      } else {
        complete(owner, socket.owners);
        known = &owner;
      }
    }
  }

 private:
  static void copy(const process& known, process& owner) {
    owner.stopped = known.stopped;
    owner.tracer = known.tracer;
    owner.defunct = known.defunct;
    owner.unit = known.unit;
    owner.parent = known.parent;
    owner.inherited = known.inherited;
    owner.test = known.test;
    owner.started_by = known.started_by;
    owner.ending = known.ending;
  }

  void complete(process& owner, const std::vector<process>& all) const {
    const unique_fd directory = open_process(owner.pid);
    const auto stat = read_process_stat(directory.get());
    if (!stat) return;
    owner.stopped = stat->state == 'T';
    if (stat->state == 't') owner.tracer = tracer_of(directory.get());
    owner.defunct = static_cast<bool>(open_live_thread(directory.get()));
    owner.unit = unit_of(directory.get());
    if (owner.unit == own_unit_) owner.unit.clear();
    if (!owner.ours()) owner.parent = parent_of(*stat, all);
    if (!owner.ours() && owner.test.empty()) owner.test = siblings_.test_of(owner.pid);
    owner.inherited = has_inherited(owner, *stat, directory.get(), all);
    owner.started_by = holder_above(*stat, all);
    owner.ending = ending_of(*stat, directory.get());
  }

  /// The nearest ancestor that holds the socket as well; 0: none.
  static int holder_above(const process_stat& stat, const std::vector<process>& all) {
    int parent = stat.parent;
    for (int steps = 0; parent > 1 && steps < 64; ++steps) {
      if (holds(all, parent)) return parent;
      const auto next = read_process_stat(open_process(parent).get());
      parent = next ? next->parent : 0;
    }
    return 0;
  }

  /// A process keeps its sockets until its memory has been written or given back.
  static std::string ending_of(const process_stat& stat, int directory) {
    const auto status = read_process_status(directory);
    if (status && status->dumps_core) return "has crashed and writes its core dump";
    constexpr std::uint32_t exiting = 4;  // PF_EXITING, include/linux/sched.h
    return stat.threads <= 1 && (stat.flags & exiting) != 0 ? "is just ending" : "";
  }

  static std::string unit_of(int process) {
    std::string text;
    return read_file(process, "cgroup", text, std::size_t{64} << 10U) ? "" : parse_unit(text);
  }

  static bool holds(const std::vector<process>& all, int pid) {
    return std::any_of(all.begin(), all.end(),
                       [pid](const process& each) { return each.pid == pid; });
  }

  /// "pid 80 (code)"; empty where that says nothing: init, a manager of services, one that started
  /// this process as well, or a holder itself.
  std::string parent_of(const process_stat& stat, const std::vector<process>& all) const {
    const int parent = stat.parent;
    if (parent <= 1 || holds(all, parent) ||
        std::find(own_line_.begin(), own_line_.end(), parent) != own_line_.end()) {
      return {};
    }
    const std::string name = read_process_name(open_process(parent).get());
    return name.empty() || name == "systemd" ? std::string{}
                                             : "pid " + std::to_string(parent) + " (" + name + ')';
  }

  static std::string tracer_of(int process) {
    const auto status = read_process_status(process);
    if (!status || status->tracer == 0) return "a debugger";
    const std::string name = read_process_name(open_process(status->tracer).get());
    return "pid " + std::to_string(status->tracer) + " (" + name + ')';
  }

  static bool has_standard_fd(const process& owner) {
    constexpr int standard_error = 2;
    return std::any_of(owner.fds.begin(), owner.fds.end(),
                       [](int fd) { return fd <= standard_error; });
  }

  /// A server that takes sockets on purpose gets them as its first descriptors, or is told so in
  /// its environment (sd_listen_fds(3)).
  static bool has_inherited(const process& owner, const process_stat& stat, int directory,
                            const std::vector<process>& all) {
    std::string environment;
    if (has_standard_fd(owner) || (!read_environment(directory, environment) &&
                                   !variable_in(environment, "LISTEN_FDS").empty())) {
      return false;
    }
    return !may_listen(directory) || shares_with_another_program_above(stat, directory, all);
  }

  static bool shares_with_another_program_above(const process_stat& stat, int directory,
                                                const std::vector<process>& all) {
    struct stat own {};
    struct stat other {};
    const int above = holder_above(stat, all);
    return above != 0 && ::fstatat(directory, "exe", &own, 0) == 0 &&
           ::fstatat(open_process(above).get(), "exe", &other, 0) == 0 &&
           (own.st_ino != other.st_ino || own.st_dev != other.st_dev);
  }

  static std::vector<int> own_line_or_none() {
    std::error_code ignored;
    return own_line(ignored);
  }

  std::vector<int> own_line_ = own_line_or_none();
  ctest_siblings siblings_{own_line_};
  std::string own_unit_{};
  /// By pid, `has_standard_fd` and the pids of all holders of the socket. The answers depend on
  /// nothing else, so a server with thousands of connections is asked about once.
  std::map<std::tuple<int, bool, std::vector<int>>, const process*> known_{};
};

/// Completes what a message says of these sockets, and of the processes that hold them.
inline void describe_holders(std::vector<observed_socket>& sockets) {
  for (observed_socket& each : sockets) {
    char name[IF_NAMESIZE] = {};
    if (each.interface_index != 0 && ::if_indextoname(each.interface_index, name) != nullptr)
      each.interface_name = sanitised(name);
  }
  const bool any = std::any_of(sockets.begin(), sockets.end(), [](const observed_socket& socket) {
    return std::any_of(socket.owners.begin(), socket.owners.end(),
                       [](const process& each) { return each.relation != relation::self; });
  });
  if (!any) return;
  holder_facts facts;
  for (observed_socket& socket : sockets) facts.complete(socket);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
