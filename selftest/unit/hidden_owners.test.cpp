// SPDX-License-Identifier: BSL-1.0
//
// Holders that cannot be seen, and what is said then.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/owner_search.hpp>

#include "owner_search.hpp"
#include "swapped_system.hpp"

namespace {

class HiddenOwners : public OwnerSearch {};

using testing::ElementsAre;
using tidewait::observed_socket;
using tidewait::owner_reach;
using tidewait::ownership;
using tidewait::detail::owner_search;
using tidewait::detail::process_visibility;

TEST_F(HiddenOwners, SaysThatAnEnvironmentIsTooLargeToBeSeenWhole) {
  const std::string mark = "TIDEWAIT_RUN=" + tidewait::detail::ensure_run_mark() + '\0';
  const std::string large = std::string(tidewait::detail::most_of_an_environment, 'x') + '\0';
  proc.process(600, 1, "marked behind", {{3, "socket:[20]"}});
  proc.file("600/environ", large + mark);
  proc.process(700, 1, "marked in front", {{3, "socket:[21]"}});
  proc.file("700/environ", mark + large);
  proc.process(800, 1, "of no interest", {{3, "socket:[22]"}});
  proc.file("800/environ", large);
  for (const char* pid : {"600", "700", "800"}) started_by(pid, ::getuid());
  std::vector<observed_socket> sockets{socket(20), socket(21)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("other 600 fd 3", "orphan 700 fd 3"));
  EXPECT_EQ(seen.large_environments, 1U);
  EXPECT_EQ(sockets[0].owned, ownership::found);
}

TEST_F(HiddenOwners, CannotLookWithoutProc) {
  ::unlink((std::string{tidewait::detail::sys.proc} + "/self").c_str());
  std::vector<observed_socket> sockets{socket(10), socket(0)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_EQ(seen.proc, std::errc::no_such_file_or_directory);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::kernel);
}

TEST_F(HiddenOwners, TakesAProcWithoutTheFirstProcessForHidepid) {
  std::filesystem::remove_all(std::string{tidewait::detail::sys.proc} + "/1");
  std::vector<observed_socket> sockets{socket(99, ::geteuid() + 1), socket(99, ::geteuid())};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).hidepid);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::ownerless);
}

/// The directory fd/ of whoever has a file "secret" cannot be read.
int open_unless_secret(int at, const char* path, int flags, ...) {
  if (std::strcmp(path, "fd") == 0 && ::faccessat(at, "secret", F_OK, 0) == 0) {
    errno = EACCES;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(HiddenOwners, NeverCallsASocketOwnerlessThatAHiddenProcessMayHold) {
  proc.file("400/secret", "");  // its effective user is 1001
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(99, 1001), socket(98, 1000), socket(10)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::ownerless);
  EXPECT_EQ(sockets[2].owned, ownership::found);
}

/// What the descriptors of process 400 stand for cannot be read, although they are listed.
ssize_t readlink_unless_of_400(int at, const char* path, char* to, std::size_t size) {
  struct stat here {};
  struct stat other {};
  const std::string directory = std::string{tidewait::detail::sys.proc} + "/400/fd";
  if (::fstat(at, &here) == 0 && ::stat(directory.c_str(), &other) == 0 &&
      here.st_ino == other.st_ino) {
    errno = EACCES;
    return -1;
  }
  return ::readlinkat(at, path, to, size);
}

TEST_F(HiddenOwners, TakesDescriptorsThatCannotBeReadForHidden) {
  tidewait::detail::sys.readlinkat = readlink_unless_of_400;
  std::vector<observed_socket> sockets{socket(99, 1001)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
}

TEST_F(HiddenOwners, TakesDescriptorsThatCannotBeReadForHiddenHoweverManyThereAre) {
  tidewait::detail::sys.readlinkat = readlink_unless_of_400;
  for (int fd = 20; fd < 400; ++fd) proc.link("400/fd/" + std::to_string(fd), "/dev/null");
  for (const owner_reach reach : {owner_reach::until_found, owner_reach::everyone}) {
    std::vector<observed_socket> sockets{socket(99, 1001), socket(98, 0), socket(97, 1000)};
    const process_visibility seen = owner_search{sockets}.run(reach);
    EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
    EXPECT_EQ(sockets[0].owned, ownership::hidden);
    EXPECT_EQ(sockets[1].owned, ownership::hidden)
        << "opened by root, which then gave up its rights";
    EXPECT_EQ(sockets[2].owned, ownership::ownerless);
  }
}

/// As `open_unless_secret`, with what is in "secret" for errno.
int open_fails_by_secret(int at, const char* path, int flags, ...) {
  char number[8] = {};
  const int secret = std::strcmp(path, "fd") == 0 ? ::openat(at, "secret", O_RDONLY) : -1;
  if (secret >= 0) {
    const ssize_t length = ::read(secret, number, sizeof number - 1);
    ::close(secret);
    errno = length > 0 ? std::stoi(number) : 0;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(HiddenOwners, TakesNoSocketForOwnerlessWhenItRunsShortOfSomething) {
  tidewait::detail::sys.openat = open_fails_by_secret;
  for (const int shortage : {EMFILE, ENFILE, ENOMEM, EIO}) {
    proc.file("400/secret", std::to_string(shortage));
    std::vector<observed_socket> sockets{socket(99), socket(10)};
    const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
    EXPECT_EQ(seen.shortage.value(), shortage);
    EXPECT_FALSE(seen.all());
    EXPECT_EQ(sockets[0].owned, ownership::hidden);
    EXPECT_EQ(sockets[1].owned, ownership::found);
  }
  for (const int gone : {ENOENT, ESRCH}) {
    proc.file("400/secret", std::to_string(gone));
    std::vector<observed_socket> sockets{socket(99)};
    EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
    EXPECT_EQ(sockets[0].owned, ownership::ownerless);
  }
}

/// Reads the links of one process without memory, and with an error that no process can help.
ssize_t readlink_without_memory(int at, const char* path, char* to, std::size_t size) {
  const ssize_t length = ::readlinkat(at, path, to, size);
  const std::string_view link{to, length > 0 ? static_cast<std::size_t>(length) : 0};
  if (link == "socket:[77]") throw std::bad_alloc{};
  if (link != "socket:[78]") return length;
  errno = ENOMEM;
  return -1;
}

TEST_F(HiddenOwners, GoesOnBehindAProcessThatCannotBeRead) {
  tidewait::detail::sys.readlinkat = readlink_without_memory;
  for (const char* link : {"socket:[77]", "socket:[78]"}) {
    for (const char* pid : {"200", "400"}) {
      proc.link(std::string{pid} + "/fd/90", link);
      for (const owner_reach reach : {owner_reach::until_found, owner_reach::everyone}) {
        std::vector<observed_socket> sockets{socket(13), socket(14), socket(99)};
        const process_visibility seen = owner_search{sockets}.run(reach);
        EXPECT_EQ(seen.shortage, std::errc::not_enough_memory) << pid;
        EXPECT_EQ(sockets[0].owned, ownership::found) << pid;
        EXPECT_EQ(sockets[1].owned, ownership::found) << pid;
        EXPECT_EQ(sockets[2].owned, ownership::hidden) << pid;
      }
      ::unlink((std::string{tidewait::detail::sys.proc} + '/' + pid + "/fd/90").c_str());
    }
  }
}

TEST_F(HiddenOwners, LooksThroughAThreadWhereTheFirstHasEnded) {
  proc.process(600, 1, "server", {});
  const auto stat = [](const char* state, const char* threads) {
    return std::string{"600 (server) "} + state + " 1 1 1 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 " +
           threads + " 0 1 1000 2\n";
  };
  proc.file("600/stat", stat("Z", "2"));
  proc.file("600/status", "State:\tZ (zombie)\nUid:\t0\t0\t0\t0\nThreads:\t2\n");
  proc.file("600/task/600/stat", stat("Z", "2"));
  proc.file("600/task/601/stat", stat("S", "2"));
  proc.link("600/task/601/fd/3", "socket:[20]");
  proc.file("600/task/601/cmdline", "server --port 80");
  proc.file("600/cmdline", "");
  for (const bool refused : {false, true}) {  // to root its directory is open, and empty
    if (refused) {
      for (const char* secret : {"600/secret", "600/task/600/secret"}) proc.file(secret, "13");
      tidewait::detail::sys.openat = open_fails_by_secret;
    }
    std::vector<observed_socket> sockets{socket(20)};
    EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
    EXPECT_THAT(holders(sockets), ElementsAre("other 600 fd 3"));
    EXPECT_EQ(sockets[0].owners.at(0).name, "server");
    EXPECT_EQ(sockets[0].owners.at(0).command, "server --port 80");
  }
}

TEST_F(HiddenOwners, KnowsThatAZombieHoldsNothing) {
  proc.file("400/secret", "");
  proc.file("400/status", "State:\tZ (zombie)\nUid:\t1001\t1001\t1001\t1001\nThreads:\t1\n");
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(99, 1001)};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
  EXPECT_EQ(sockets[0].owned, ownership::ownerless);
}

TEST_F(HiddenOwners, SaysThatAChildOfItsOwnIsHidden) {
  proc.file("200/secret", "");
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(12, 1001), socket(13)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::own_tree);
  EXPECT_FALSE(seen.all());
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_THAT(holders(sockets), ElementsAre("", "descendant 300 fd 3"));
}

/// As with hidepid=1: processes of others appear, and that is all.
int open_unless_of_init(int at, const char* path, int flags, ...) {
  const std::string name{path};
  const std::string init = std::string{tidewait::detail::sys.proc} + "/1";
  if (name == init || name.compare(0, init.size() + 1, init + '/') == 0) {
    errno = EPERM;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(HiddenOwners, SaysWhatIsHiddenThoughItDidNotHaveToLookThere) {
  std::vector<observed_socket> sockets{socket(10)};
  const auto look = [&] { return owner_search{sockets}.run(owner_reach::until_found); };
  EXPECT_TRUE(look().all());
  proc.file("1/secret", "");
  tidewait::detail::sys.openat = open_unless_secret;
  EXPECT_THAT(look().unreadable_users, ElementsAre(1001U));
  EXPECT_FALSE(look().hidepid);
  tidewait::detail::sys.openat = open_unless_of_init;
  EXPECT_TRUE(look().hidepid);
  tidewait::detail::sys.openat = ::openat;
  std::filesystem::remove_all(std::string{tidewait::detail::sys.proc} + "/1");
  EXPECT_TRUE(look().hidepid);
}

TEST_F(HiddenOwners, TakesProcessesThatShowNothingForHidepid) {
  tidewait::detail::sys.openat = open_unless_of_init;
  std::vector<observed_socket> sockets{socket(99, ::geteuid() + 1)};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).hidepid);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
}

}  // namespace
