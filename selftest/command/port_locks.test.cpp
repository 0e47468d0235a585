// SPDX-License-Identifier: BSL-1.0
#include "port_locks.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/port_lease.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "run_command.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::protocol;
using tidewait::command::parse_port_locks;
using tidewait::command::port_lock;

/// "tcp 8080 inode 17".
std::vector<std::string> in_words(const std::vector<port_lock>& locks) {
  std::vector<std::string> words;
  for (const port_lock& each : locks) {
    words.push_back(std::string{to_string(each.protocol)} + ' ' + std::to_string(each.port) +
                    " inode " + std::to_string(each.inode));
  }
  return words;
}

std::vector<std::string> locks_in(const std::string& text) {
  return in_words(parse_port_locks(text));
}

/// A line as `unix_seq_show` in net/unix/af_unix.c prints it.
std::string line(const std::string& path, int inode, const std::string& flags = "00010000",
                 const std::string& type = "0001", const std::string& state = "01") {
  return "00000000a1b2c3d4: 00000002 00000000 " + flags + ' ' + type + ' ' + state + ' ' +
         std::to_string(inode) + (path.empty() ? "" : ' ' + path) + '\n';
}

std::string name(const char* text, std::size_t size) { return {text, size}; }

TEST(LockName, IsThatOfOnePortAndOfNoOther) {
  using tidewait::detail::lock_name;
  using tidewait::detail::parse_lock_name;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    for (const int port : {0, 1, 9, 10, 8080, 65535}) {
      const auto number = static_cast<std::uint16_t>(port);
      EXPECT_EQ(parse_lock_name(lock_name{which, number}.bytes()), std::pair(which, number));
    }
  }
  for (const char* const each :
       {"", "/", "/tcp", "/tcp/", "/tcp/08080", "/tcp/00", "/tcp/+80", "/tcp/ 80", "/tcp/80 ",
        "/tcp/80\n", "/tcp/65536", "/tcp/8080x", "/tcp//80", "/TCP/80", "/sctp/80", "/udp/-1"}) {
    EXPECT_FALSE(parse_lock_name('\0' + std::string{"tidewait"} + each)) << each;
  }
  EXPECT_FALSE(parse_lock_name("/tidewait/tcp/80"));
  EXPECT_FALSE(parse_lock_name(name("\0tidewait/tcp/80\0", 17)));
  EXPECT_FALSE(parse_lock_name(name("\0\0tidewait/tcp/80", 17)));
  EXPECT_FALSE(parse_lock_name(name("\0", 1)));
}

TEST(PortLocks, AreStreamsWithExactlyTheirNames) {
  std::vector<tidewait::unix_entry> listeners;
  const auto add = [&](std::string named, bool is_stream) {
    listeners.emplace_back();
    listeners.back().name = std::move(named);
    listeners.back().inode = static_cast<std::uint32_t>(listeners.size());
    if (!is_stream) listeners.back().kind = tidewait::unix_kind::datagram;
  };
  add(name("\0tidewait/tcp/8080", 18), true);
  add(name("\0tidewait/tcp/08080", 19), true);
  add(name("\0tidewait/tcp/8081", 18), false);
  add("@tidewait/tcp/8082", true);
  add(name("\0tidewait/udp/8083", 18), true);
  add("", true);
  EXPECT_THAT(in_words(tidewait::command::port_locks_among(listeners)),
              ElementsAre("tcp 8080 inode 1", "udp 8083 inode 5"));
}

TEST(PortLocks, OfProcAreListenersWithExactlyTheirNames) {
  EXPECT_THAT(locks_in("Num       RefCount Protocol Flags    Type St Inode Path\n" +
                       line("@tidewait/tcp/8080", 1) + line("@tidewait/udp/8081", 2) +
                       line("", 3, "00000000") + line("/run/tidewait/tcp/8082", 4)),
              ElementsAre("tcp 8080 inode 1", "udp 8081 inode 2"));
  for (const char* const each :
       {"@tidewait/tcp/08080", "@tidewait/tcp/8080 ", "@tidewait/tcp/8080 x", " @tidewait/tcp/8080",
        "@@tidewait/tcp/8080", "@tidewait/tcp/8080@"}) {
    EXPECT_THAT(locks_in(line(each, 1)), IsEmpty()) << each;
  }
  EXPECT_THAT(locks_in(line("@tidewait/tcp/1", 1, "00000000")), IsEmpty()) << "does not listen";
  EXPECT_THAT(locks_in(line("@tidewait/tcp/1", 1, "00010000", "0002")), IsEmpty()) << "a datagram";
  EXPECT_THAT(locks_in("x: 0 0 00010000 0001 01 1x @tidewait/tcp/1\n"), IsEmpty());
  EXPECT_THAT(locks_in("x 0 0 00010000 0001 01 1 @tidewait/tcp/1\n"), IsEmpty());
}

TEST(PortLocks, OfProcHaveTheirCallersBesideThem) {
  EXPECT_THAT(locks_in(line("@tidewait/tcp/8080", 1) +
                       line("@tidewait/tcp/8080", 0, "00000000", "0001", "02")),
              ElementsAre("tcp 8080 inode 1"));
}

TEST(PortLocks, OfProcAreNobodysIfTheTextSaysTwoThings) {
  // The first line is a name with a line end in it, behind which stands what its owner likes.
  EXPECT_THAT(
      locks_in(line("@x\n" + line("@tidewait/tcp/8080", 7), 1) + line("@tidewait/tcp/8080", 2)),
      ElementsAre("tcp 8080 inode 0"));
  EXPECT_THAT(locks_in(line("@tidewait/tcp/8080", 2) + line("@tidewait/tcp/8080", 7)),
              ElementsAre("tcp 8080 inode 0"));
  // It holds the name and does not listen.
  EXPECT_THAT(locks_in(line("@tidewait/tcp/8080", 2, "00000000") + line("@tidewait/tcp/8080", 7)),
              ElementsAre("tcp 8080 inode 0"));
  // The inode is that of another socket.
  EXPECT_THAT(locks_in(line("/run/innocent", 7) + line("@tidewait/tcp/8080", 7)),
              ElementsAre("tcp 8080 inode 0"));
}

/// An abstract Unix socket that listens on any name.
tidewait::detail::unique_fd listener_named(const std::string& bytes) {
  tidewait::detail::unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, bytes.data(), bytes.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes.size());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(fd.get(), 1) != 0) {
    fd.reset();
  }
  return fd;
}

TEST(PortLocks, AreNotForgedByAName) {
  const std::string said = in_private_network([](auto say) {
    const auto lease = tidewait::lease_port();
    const auto server = sockets::listening(lease.number());
    const auto innocent = sockets::listening(0);
    std::error_code error;
    const auto other = tidewait::detail::local_endpoint(innocent.get(), error).port;
    struct stat info {};
    ::fstat(innocent.get(), &info);
    const std::string forged =
        line("@tidewait/tcp/" + std::to_string(other), static_cast<int>(info.st_ino));
    const auto forger = listener_named('\0' + ("x\n" + forged).substr(0, 107));
    const auto padded = listener_named('\0' + ("tidewait/tcp/0" + std::to_string(other)));
    const auto locks = tidewait::command::read_port_locks();
    say(std::string{forger && padded ? "" : "not forged: "} +
        (locks.size() == 1 && locks[0].port == lease.number() ? "one lock" : "several locks"));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "one lock");
}

int no_netlink(int family, int type, int which) {
  if (family != AF_NETLINK) return ::socket(family, type, which);
  errno = EPERM;
  return -1;
}

TEST(PortLocks, AreNotForgedByANameWhereProcIsAllThereIs) {
  const std::string said = in_private_network([](auto say) {
    const auto lease = tidewait::lease_port();
    const std::string forged = line("@tidewait/tcp/8080", 7);
    const auto forger = listener_named('\0' + ("x\n" + forged).substr(0, 107));
    tidewait::detail::sys.socket = no_netlink;
    const auto locks = tidewait::command::read_port_locks();
    const auto notes = tidewait::detail::shared_state::instance().told.take_notes();
    say(std::string{forger ? "" : "not forged: "} +
        (locks.size() == 1 && locks[0].port == lease.number() && locks[0].inode != 0
             ? "one lock; "
             : "several locks; ") +
        (notes.empty() ? "" : notes.back()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(
      said,
      "one lock; leases read from /proc/net/unix: sock_diag refused (Operation not permitted)");
}

}  // namespace
