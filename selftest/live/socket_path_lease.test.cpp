// SPDX-License-Identifier: BSL-1.0
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/socket_directory.hpp>
#include <tidewait/gtest.hpp>
#include <tidewait/socket_path_lease.hpp>

#include "../support/forked.hpp"
#include "../support/unix_server.hpp"

namespace {

using testing::HasSubstr;

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// Runs `work` in a child with this environment, so that no other test sees it.
template <typename Work>
std::string with_environment(const char* runtime, const std::string& tmp, Work work) {
  forked child{[&](auto say) {
    runtime == nullptr ? ::unsetenv("XDG_RUNTIME_DIR") : ::setenv("XDG_RUNTIME_DIR", runtime, 1);
    ::setenv("TMPDIR", tmp.c_str(), 1);
    say(work());
  }};
  return child.all();
}

std::string leased_folder() {
  const auto lease = tidewait::lease_socket_path();
  return folder_of(folder_of(lease.path()));
}

class SocketPathLease : public tidewait::gtest::fixture {};

TEST_F(SocketPathLease, IsShortUniquePrivateAndGoneWithTheLease) {
  std::set<std::string> folders;
  {
    std::vector<tidewait::socket_path_lease> leases;
    for (int i = 0; i < 20; ++i) {
      leases.push_back(lease_socket_path());
      const std::string& path = leases.back().path();
      EXPECT_LE(path.size(), tidewait::longest_socket_path);
      EXPECT_FALSE(exists(path));
      struct stat info {};
      ASSERT_EQ(::stat(folder_of(path).c_str(), &info), 0);
      EXPECT_EQ(info.st_mode & 07777, 0700U);
      EXPECT_TRUE(folders.insert(folder_of(path)).second);
      serve_unix(path).reset();
      EXPECT_TRUE(exists(path));
    }
    EXPECT_GT(leases.back().where().line, 0U);
  }
  for (const std::string& each : folders) EXPECT_FALSE(exists(each)) << each;
}

TEST_F(SocketPathLease, MovesAndIsNotEndedByAForkedChild) {
  tidewait::socket_path_lease first = lease_socket_path();
  const std::string path = first.path();
  tidewait::socket_path_lease second = lease_socket_path();
  const std::string other = second.path();
  second = std::move(first);
  EXPECT_FALSE(exists(folder_of(other)));
  EXPECT_TRUE(exists(folder_of(path)));
  forked{[&](auto) { const tidewait::socket_path_lease copy = std::move(second); }}.wait();
  EXPECT_TRUE(exists(folder_of(path)));
}

TEST_F(SocketPathLease, OfAKilledProcessIsRemovedByTheNextOneUnlessAChildHasTheLock) {
  // In a place of its own: the next lease of any other test would remove it as well.
  const socket_folder place;
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string before = runtime == nullptr ? "" : runtime;
  ::setenv("XDG_RUNTIME_DIR", place.path().c_str(), 1);
  const auto lease_and_wait = [](auto say) {
    const auto lease = tidewait::lease_socket_path();
    const unix_server server = serve_unix(lease.path());
    say(lease.path() + '\n');
    ::pause();
  };
  forked killed{lease_and_wait};
  const std::string left = killed.line();
  killed.kill();
  EXPECT_TRUE(exists(left));

  const socket_folder there;
  forked parent{[&](auto say) {
    const auto lease = tidewait::lease_socket_path();
    const pid_t heir = ::fork();  // as a server that inherits lock_descriptors()
    if (heir == 0) {
      ::pause();
      ::_exit(0);
    }
    say(lease.path() + '\n' + std::to_string(heir) + '\n');
    ::pause();
  }};
  const std::string inherited = parent.line();
  const int heir = std::stoi(parent.line());
  parent.kill();

  tidewait::detail::remove_ended_socket_directories();
  EXPECT_FALSE(exists(folder_of(left)));
  EXPECT_TRUE(exists(folder_of(inherited)));
  ::kill(heir, SIGKILL);
  while (exists(folder_of(inherited))) tidewait::detail::remove_ended_socket_directories();
  before.empty() ? ::unsetenv("XDG_RUNTIME_DIR") : ::setenv("XDG_RUNTIME_DIR", before.c_str(), 1);
}

// Anybody can make directories of such names in /tmp.
TEST_F(SocketPathLease, IsRemovedAlsoBesideManyThatAreNotItsOwnOrThatAreAlive) {
  const socket_folder place;
  const std::string said = with_environment(place.path().c_str(), place.path(), [&] {
    std::vector<tidewait::socket_path_lease> alive;
    const auto make = [&](mode_t mode) {
      const std::string name = place.path() + "/tidewait-" + tidewait::detail::random_name();
      return ::mkdir(name.c_str(), mode) == 0 && ::chmod(name.c_str(), mode) == 0 ? name : "";
    };
    std::vector<std::string> ended;
    for (int i = 0; i < 8; ++i) {
      alive.push_back(tidewait::lease_socket_path());
      ended.push_back(make(0700));
      for (int j = 0; j < 20; ++j) make(0777);
    }
    tidewait::detail::remove_ended_socket_directories();
    const auto is_there = [](const std::string& each) { return exists(each); };
    const bool untouched = std::all_of(alive.begin(), alive.end(), [](const auto& each) {
      return exists(folder_of(each.path()));
    });
    return std::string{std::any_of(ended.begin(), ended.end(), is_there) ? "some stay"
                                                                         : "removed"} +
           (untouched ? "" : ", and others");
  });
  EXPECT_EQ(said, "removed");
}

TEST_F(SocketPathLease, GoesToTheFirstDirectoryThatWillDo) {
  const socket_folder there;
  EXPECT_EQ(with_environment(there.path().c_str(), "/nowhere", leased_folder), there.path());
  EXPECT_EQ(with_environment(nullptr, there.path() + '/', leased_folder), there.path());
  EXPECT_EQ(with_environment("/nowhere", there.path(), leased_folder), there.path());
  EXPECT_EQ(with_environment("relative", "", leased_folder), "/tmp");
  EXPECT_EQ(with_environment(nullptr, there.path() + '/' + std::string(90, 'x'), leased_folder),
            "/tmp");
  // Where others could put a directory of their own in the place of ours.
  ASSERT_EQ(::chmod(there.path().c_str(), 0777), 0);
  EXPECT_EQ(with_environment(there.path().c_str(), there.path(), leased_folder), "/tmp");
  ASSERT_EQ(::chmod(there.path().c_str(), 01777), 0);
  EXPECT_EQ(with_environment(there.path().c_str(), "/nowhere", leased_folder), there.path());
  ASSERT_EQ(::chmod(there.path().c_str(), 0700), 0);
}

TEST_F(SocketPathLease, LeavesAloneWhatIsNotItsOwn) {
  const socket_folder there;
  const std::string link = there / "tidewait-0123456789abcdef";
  const socket_folder target;
  serve_unix(target / "kept").reset();
  ASSERT_EQ(::symlink(target.path().c_str(), link.c_str()), 0);
  const std::string shared = there / "tidewait-0123456789abcdee";
  ASSERT_EQ(::mkdir(shared.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(shared.c_str(), 0777), 0);
  const std::string named = there / "tidewait-XXXXXX";
  ASSERT_EQ(::mkdir(named.c_str(), 0700), 0);
  EXPECT_EQ(with_environment(there.path().c_str(), "", leased_folder), there.path());
  EXPECT_TRUE(exists(target / "kept"));
  EXPECT_TRUE(exists(link));
  EXPECT_TRUE(exists(shared));
  EXPECT_TRUE(exists(named));
  ::rmdir(shared.c_str());
  ::rmdir(named.c_str());
}

TEST_F(SocketPathLease, IsRemovedAlsoWhereTheProgramHasClosedItsLock) {
  const socket_folder there;
  const std::string said = with_environment(there.path().c_str(), "", [] {
    std::string folder;
    {
      const auto lease = tidewait::lease_socket_path();
      folder = folder_of(lease.path());
      for (const int lock : lease.lock_descriptors()) ::close(lock);
      EXPECT_TRUE(lease.lock_descriptors().empty());
    }
    return std::string{exists(folder) ? "there" : "gone"};
  });
  EXPECT_EQ(said, "gone");
}

}  // namespace
