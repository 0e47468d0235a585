// SPDX-License-Identifier: BSL-1.0
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/socket_table.hpp>

#include "recorded.hpp"
#include "swapped_system.hpp"

namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::SizeIs;
using tidewait::gap;
using tidewait::observed_socket;
using tidewait::socket_query;
using tidewait::socket_state;
using tidewait::socket_table;
using tidewait::table_source;
using tidewait::detail::sys;

/// What the netlink socket of these tests answers, and what it was asked.
struct {
  int refuse_socket = 0;      ///< errno of socket(2)
  int interrupted_calls = 0;  ///< so many calls are interrupted by a signal first
  int torn_dumps = 0;         ///< so many dumps say that the table changed
  std::string refuse;         ///< name of the dump that ends in the error...
  int refuse_error = 0;       ///< ...with this number
  std::string malformed;      ///< name of the dump that breaks off
  std::vector<std::string> asked;
  std::vector<inet_diag_req_v2> requests;
  std::deque<std::string> datagrams;
} kernel;

int fake_socket(int, int, int) {
  if (kernel.refuse_socket == 0) return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  errno = kernel.refuse_socket;
  return -1;
}

bool interrupt() {
  if (kernel.interrupted_calls == 0) return false;
  --kernel.interrupted_calls;
  errno = EINTR;
  return true;
}

/// Gives every message of a recorded dump the sequence number that was asked with.
void number(std::string& bytes, std::uint32_t sequence, bool torn) {
  for (std::size_t at = 0; at < bytes.size();) {
    nlmsghdr header;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    header.nlmsg_seq = sequence;
    if (torn) header.nlmsg_flags |= NLM_F_DUMP_INTR;
    std::memcpy(bytes.data() + at, &header, sizeof header);
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
}

ssize_t fake_sendto(int, const void* bytes, std::size_t size, int, const sockaddr*, socklen_t) {
  if (interrupt()) return -1;
  nlmsghdr header;
  inet_diag_req_v2 request;
  std::memcpy(&header, bytes, sizeof header);
  std::memcpy(&request, static_cast<const char*>(bytes) + sizeof header, sizeof request);
  const std::string name = std::string{request.sdiag_protocol == IPPROTO_TCP ? "tcp" : "udp"} +
                           (request.sdiag_family == AF_INET ? "4" : "6");
  kernel.asked.push_back(name);
  kernel.requests.push_back(request);
  std::string answer = recorded(kernel.refuse == name ? "refused.dump" : name + ".dump");
  if (kernel.refuse == name) {
    const int error = -kernel.refuse_error;
    std::memcpy(answer.data() + NLMSG_HDRLEN, &error, sizeof error);
  }
  const bool torn = kernel.torn_dumps > 0;
  if (torn) --kernel.torn_dumps;
  number(answer, header.nlmsg_seq, torn);
  if (kernel.malformed == name) answer.resize(answer.size() - 3);
  kernel.datagrams.push_back(answer);
  return static_cast<ssize_t>(size);
}

ssize_t fake_recv(int, void* to, std::size_t room, int) {
  if (interrupt()) return -1;
  if (kernel.datagrams.empty()) {
    errno = EAGAIN;  // a real one would wait for ever
    return -1;
  }
  const std::string datagram = kernel.datagrams.front();
  kernel.datagrams.pop_front();
  const std::size_t size = std::min(room, datagram.size());
  std::memcpy(to, datagram.data(), size);
  return static_cast<ssize_t>(size);
}

class SocketTable : public testing::Test {
 protected:
  SocketTable() {
    kernel = {};
    sys.socket = fake_socket;
    sys.sendto = fake_sendto;
    sys.recv = fake_recv;
    for (const char* name : {"tcp", "tcp6", "udp", "udp6"}) {
      proc.file(std::string{"thread-self/net/"} + name, recorded(std::string{name} + ".proc"));
    }
  }

  static std::vector<std::string> locals(const socket_table& table) {
    std::vector<std::string> text;
    for (const observed_socket& each : table.sockets) text.push_back(to_string(each.local));
    return text;
  }

  proc_tree proc;
};

TEST_F(SocketTable, IsReadFromNetlinkFamilyByFamily) {
  const socket_table table = socket_table::current();
  EXPECT_THAT(kernel.asked, ElementsAre("tcp4", "tcp6", "udp4", "udp6"));
  EXPECT_THAT(table.sockets, SizeIs(15));
  EXPECT_EQ(table.seen.tcp, table_source::sock_diag);
  EXPECT_EQ(table.seen.udp, table_source::sock_diag);
  EXPECT_FALSE(table.seen.sock_diag_error);
  EXPECT_FALSE(table.seen.torn);
}

TEST_F(SocketTable, AsksTheKernelForTheStatesInQuestionOnly) {
  socket_query query;
  query.states = socket_state::listen | socket_state::unconn | socket_state::syn_recv;
  static_cast<void>(socket_table::current(query));
  ASSERT_THAT(kernel.requests, SizeIs(4));
  // Never CLOSE of TCP, which no socket is in; and SYN_RECV by both its numbers.
  EXPECT_EQ(kernel.requests[0].idiag_states, 1U << 10U | 1U << 3U | 1U << 12U);
  EXPECT_EQ(kernel.requests[2].idiag_states, 1U << 7U);

  kernel.asked.clear();
  query.states = socket_state::listen;
  static_cast<void>(socket_table::current(query));
  EXPECT_THAT(kernel.asked, ElementsAre("tcp4", "tcp6"));  // no UDP socket listens
}

TEST_F(SocketTable, FiltersPortsAlsoWhereTheKernelDidNot) {
  socket_query query;
  query.ports = {20006, 20001};
  const socket_table table = socket_table::current(query);
  EXPECT_THAT(locals(table), ElementsAre("127.0.0.1:20001", "127.0.0.1:20001", "127.0.0.1:20001",
                                         "127.0.0.1:20001", "127.0.0.1:20006"));
}

TEST_F(SocketTable, IsReadThroughSignals) {
  kernel.interrupted_calls = 7;
  EXPECT_THAT(socket_table::current().sockets, SizeIs(15));
  EXPECT_EQ(kernel.interrupted_calls, 0);
}

TEST_F(SocketTable, IsAskedForAgainIfItChangedMeanwhile) {
  kernel.torn_dumps = 3;
  const socket_table table = socket_table::current();
  EXPECT_THAT(kernel.asked, ElementsAre("tcp4", "tcp4", "tcp4", "tcp4", "tcp6", "udp4", "udp6"));
  EXPECT_THAT(table.sockets, SizeIs(15));
  EXPECT_FALSE(table.seen.torn);
}

TEST_F(SocketTable, SaysSoIfItKeepsChanging) {
  kernel.torn_dumps = 4;
  const socket_table table = socket_table::current();
  EXPECT_THAT(table.sockets, SizeIs(15));
  EXPECT_TRUE(table.seen.torn);
  EXPECT_THAT(gaps(table.seen).back().why, HasSubstr("kept changing"));
}

TEST_F(SocketTable, StepsDownToProcAndSaysSo) {
  for (const int error : {EPERM, EPROTONOSUPPORT, EACCES, EAFNOSUPPORT}) {
    kernel.refuse_socket = error;
    const socket_table table = socket_table::current();
    EXPECT_THAT(table.sockets, SizeIs(13));  // without the two that are bound
    EXPECT_THAT(table.sockets, Each(Field(&observed_socket::cookie, 0U)));
    EXPECT_EQ(table.seen.sock_diag_error, std::error_code(error, std::system_category()));
    EXPECT_EQ(to_string(table.seen), "/proc/net");
    EXPECT_THAT(
        gaps(table.seen),
        ElementsAre(Field(&gap::why, HasSubstr("sockets read from /proc/net: sock_diag refused (")),
                    Field(&gap::why, "bound sockets not visible: /proc/net does not list them")));
  }
}

TEST_F(SocketTable, StepsDownForOneProtocolOnly) {
  kernel.refuse = "udp4";
  kernel.refuse_error = ENOENT;  // the module udp_diag is missing
  const socket_table table = socket_table::current();
  EXPECT_EQ(table.seen.tcp, table_source::sock_diag);
  EXPECT_EQ(table.seen.udp, table_source::proc_net);
  EXPECT_THAT(table.sockets, SizeIs(15));

  kernel.refuse = "tcp4";
  const socket_table other = socket_table::current();
  EXPECT_EQ(other.seen.tcp, table_source::proc_net);
  EXPECT_EQ(other.seen.udp, table_source::sock_diag);
  EXPECT_THAT(other.sockets, SizeIs(13));
}

TEST_F(SocketTable, StepsDownIfTheAnswerMakesNoSense) {
  kernel.malformed = "tcp6";
  const socket_table table = socket_table::current();
  EXPECT_EQ(table.seen.tcp, table_source::proc_net);
  EXPECT_EQ(table.seen.sock_diag_error, tidewait::errc::malformed_answer);
  EXPECT_THAT(table.sockets, SizeIs(13));
}

TEST_F(SocketTable, DoesWithoutIPv6) {
  kernel.refuse = "tcp6";
  kernel.refuse_error = ENOENT;
  EXPECT_EQ(socket_table::current().seen.tcp, table_source::sock_diag);

  kernel.refuse_socket = EPERM;
  ::unlink((std::string{sys.proc} + "/thread-self/net/tcp6").c_str());
  const socket_table table = socket_table::current();
  EXPECT_EQ(table.seen.tcp, table_source::proc_net);
  EXPECT_THAT(table.sockets, SizeIs(10));
}

TEST_F(SocketTable, CountsLinesOfProcThatItCannotRead) {
  kernel.refuse_socket = EPERM;
  proc.file("thread-self/net/tcp", recorded("tcp.proc") + "garbage\n");
  const socket_table table = socket_table::current();
  EXPECT_EQ(table.seen.unread_lines, 1U);
  EXPECT_THAT(table.sockets, SizeIs(13));
}

TEST_F(SocketTable, FiltersWhatProcSays) {
  kernel.refuse_socket = EPERM;
  socket_query query;
  query.states = socket_state::listen;
  EXPECT_THAT(locals(socket_table::current(query)),
              ElementsAre("127.0.0.1:20001", "[::1]:20004", "[::]:20003"));
  query.ports = {20003};
  EXPECT_THAT(locals(socket_table::current(query)), ElementsAre("[::]:20003"));
}

TEST_F(SocketTable, ThatCannotBeReadIsAnErrorThatSaysWhy) {
  kernel.refuse_socket = EPERM;
  ::unlink((std::string{sys.proc} + "/thread-self/net/tcp").c_str());
  const socket_table table = tidewait::detail::look_at_sockets({});
  EXPECT_TRUE(table.seen.blind());
  EXPECT_THAT(table.sockets, SizeIs(3)) << "what could be read of UDP is kept";
  try {
    static_cast<void>(socket_table::current());
    FAIL() << "no exception";
  } catch (const tidewait::observe_error& thrown) {
    EXPECT_EQ(thrown.code(), tidewait::errc::cannot_look);
    EXPECT_STREQ(
        thrown.what(),
        "looking at the sockets of this machine: the kernel's socket tables cannot be read; "
        "TCP sockets not visible: sock_diag refused (Operation not permitted) and /proc/net not "
        "readable; UDP sockets read from /proc/net: sock_diag refused (Operation not permitted; "
        "seccomp, or the modules tcp_diag and udp_diag are missing); allow netlink sockets "
        "(NETLINK_SOCK_DIAG) in the sandbox, or mount /proc");
  }
}

TEST_F(SocketTable, DropsASocketThatWasClosedWhileOwnersWereSearched) {
  proc.link("self", "100");
  proc.process(1, 0, "init", {});
  proc.process(100, 1, "test", {{3, "socket:[243722]"}});
  socket_query query;
  query.udp = false;
  query.ports = {20001, 20002};
  query.owners = tidewait::owner_reach::until_found;
  const socket_table table = socket_table::current(query);
  EXPECT_THAT(locals(table), SizeIs(5));
  EXPECT_EQ(table.sockets[0].owned, tidewait::ownership::found);
  EXPECT_EQ(table.sockets[1].owned, tidewait::ownership::ownerless);
  EXPECT_EQ(to_string(table.seen), "sock_diag; owners of all processes visible");

  // One that the second look does not find, and that nobody holds, has been closed.
  socket_table stale = table;
  stale.sockets[1].cookie = 4711;
  tidewait::detail::name_owners(stale, query);
  EXPECT_THAT(locals(stale), SizeIs(4));
}

TEST(OwnerView, SaysWhyNoProcessCouldBeSearched) {
  using tidewait::owner_view;
  tidewait::detail::process_visibility visible;
  const auto view = [&] {
    return tidewait::detail::view_of(visible, tidewait::owner_reach::everyone);
  };
  EXPECT_EQ(view(), owner_view::all);
  for (const std::errc error :
       {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system}) {
    visible.proc = std::make_error_code(error);
    EXPECT_EQ(view(), owner_view::no_descriptors);
  }
  visible.proc = std::make_error_code(std::errc::no_such_file_or_directory);
  EXPECT_EQ(view(), owner_view::no_proc);
}

TEST_F(SocketTable, SaysNothingOfOwnersWhereThereIsNoSocketToOwn) {
  proc.link("self", "100");
  proc.process(1, 0, "init", {});
  proc.process(100, 1, "test", {});
  socket_query query;
  query.udp = false;
  query.ports = {1};
  query.owners = tidewait::owner_reach::until_found;
  const socket_table table = socket_table::current(query);
  EXPECT_THAT(locals(table), SizeIs(0));
  EXPECT_EQ(to_string(table.seen), "sock_diag");
}

TEST_F(SocketTable, CountsTimeWaits) {
  EXPECT_EQ(tidewait::time_wait_count(), std::nullopt);
  proc.file("thread-self/net/sockstat", "sockets: used 9\nTCP: inuse 6 orphan 0 tw 12 alloc 9\n");
  EXPECT_EQ(tidewait::time_wait_count(), 12U);
}

}  // namespace
