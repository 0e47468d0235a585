// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/owner_search.hpp>

#include "swapped_system.hpp"

namespace {

using tidewait::observed_socket;

/// A machine: this process 100 with child 200, its child 300; 400 and 500 are strangers.
class OwnerSearch : public testing::Test {
 protected:
  OwnerSearch() {
    proc.link("self", "100");
    proc.process(1, 0, "init", {});
    proc.process(100, 50, "test", {{0, "/dev/null"}, {7, "socket:[10]"}, {8, "socket:[11]"}},
                 "200 ");
    proc.process(200, 100, "child", {{3, "socket:[12]"}, {4, "socket:[11]"}}, "300 ");
    proc.process(300, 200, "grand child", {{3, "socket:[13]"}});
    proc.process(400, 1, "stranger", {{5, "socket:[14]"}, {6, "socket:[14]"}});
    proc.process(500, 1, "worker", {{5, "socket:[14]"}, {9, "pipe:[15]"}});
  }

  static observed_socket socket(std::uint32_t inode, std::uint32_t uid = 1000) {
    observed_socket entry;
    entry.inode = inode;
    entry.uid = uid;
    return entry;
  }

  void started_by(const std::string& pid, unsigned real, unsigned effective) const {
    proc.file(pid + "/status",
              "Uid:\t" + std::to_string(real) + '\t' + std::to_string(effective) + "\t0\t0\n");
  }
  void started_by(const std::string& pid, unsigned uid) const { started_by(pid, uid, uid); }

  /// "self 100 test [7]" for each holder of each socket.
  static std::vector<std::string> holders(const std::vector<observed_socket>& sockets) {
    std::vector<std::string> lines;
    for (const observed_socket& each : sockets) {
      std::string line;
      for (const tidewait::process& owner : each.owners) {
        if (!line.empty()) line += ", ";
        line += std::string{to_string(owner.relation)} + ' ' + std::to_string(owner.pid);
        for (const int fd : owner.fds) line += " fd " + std::to_string(fd);
      }
      lines.push_back(line);
    }
    return lines;
  }

  proc_tree proc;
};

}  // namespace
