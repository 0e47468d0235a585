// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <utility>

#include <tidewait/detail/linux/system.hpp>

/// Puts the system calls back as they were.
class swapped_system {
 public:
  swapped_system() = default;
  swapped_system(const swapped_system&) = delete;
  swapped_system& operator=(const swapped_system&) = delete;
  ~swapped_system() { tidewait::detail::sys = before_; }

 private:
  tidewait::detail::system_calls before_ = tidewait::detail::sys;
};

/// A /proc of our own, in a temporary directory. While it lives, tidewait reads it.
class proc_tree {
 public:
  proc_tree() {
    std::string name = (std::filesystem::temp_directory_path() / "tidewait-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::filesystem::filesystem_error{name, {}};
    path_ = name;
    tidewait::detail::sys.proc = path_.c_str();
  }
  ~proc_tree() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  void file(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path{path_ + '/' + name}.parent_path());
    std::ofstream{path_ + '/' + name, std::ios::binary} << text;
  }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories(std::filesystem::path{path_ + '/' + name}.parent_path());
    std::filesystem::create_symlink(target, path_ + '/' + name);
  }
  /// As the kernel prints it: one thread, sleeping, started that many ticks after boot.
  static std::string stat_text(int pid, int parent, const std::string& name, int start = 1) {
    return std::to_string(pid) + " (" + name + ") S " + std::to_string(parent) +
           " 1 1 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 1 0 " + std::to_string(start) + " 1000 2\n";
  }
  /// A process that holds files, each "fd -> what /proc shows of it".
  void process(int pid, int parent, const std::string& name,
               std::initializer_list<std::pair<int, const char*>> files,
               const std::string& children = {}) const {
    const std::string at = std::to_string(pid);
    std::filesystem::create_directories(path_ + '/' + at + "/fd");
    for (const auto& [fd, target] : files) link(at + "/fd/" + std::to_string(fd), target);
    file(at + "/comm", name + '\n');
    file(at + "/cmdline", "/usr/bin/" + name + '\0' + "--port" + '\0' + "80" + '\0');
    file(at + "/stat", stat_text(pid, parent, name));
    file(at + "/status", "Name:\t" + name + "\nUid:\t1000\t1001\t1000\t1000\n");
    file(at + "/environ", "");
    file(at + "/task/" + at + "/children", children);
  }

 private:
  swapped_system restore_;
  std::string path_;
};
