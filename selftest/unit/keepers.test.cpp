// SPDX-License-Identifier: BSL-1.0
#include <poll.h>
#include <sys/syscall.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/keeper_search.hpp>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::detail::call_shape;
using tidewait::detail::parse_files_in_flight;
using tidewait::detail::parse_mptcp_endpoint;
using tidewait::detail::parse_ring;
using tidewait::detail::parse_tunnel;
using tidewait::detail::parse_waiting_call;

std::string call(long number,
                 const char* arguments = " 0x3 0x7ffc 0x10 0x0 0x0 0x0 0x7ffc 0x7f00\n") {
  return std::to_string(number) + arguments;
}

TEST(WaitingCall, IsReadFromProc) {
  const auto accepts = parse_waiting_call(call(SYS_accept4));
  ASSERT_TRUE(accepts);
  EXPECT_STREQ(accepts->name, "accept()");
  EXPECT_EQ(accepts->shape, call_shape::accept);
  EXPECT_THAT(accepts->arguments, ElementsAre(3U, 0x7ffcU, 0x10U, 0U));
  EXPECT_STREQ(parse_waiting_call(call(SYS_recvfrom))->name, "recv()");
  EXPECT_STREQ(parse_waiting_call(call(SYS_ppoll))->name, "poll()");
  EXPECT_STREQ(parse_waiting_call(call(SYS_pselect6))->name, "select()");
}

TEST(WaitingCall, IsNoneInAnyOtherText) {
  for (const std::string& text :
       {std::string{}, std::string{"running\n"}, std::string{"-1 0x7ffc 0x7f00\n"}, call(SYS_futex),
        call(SYS_accept4, ""), call(SYS_accept4, " 0x3\n"), call(SYS_accept4, " 3 3 3 3\n"),
        call(SYS_accept4, " 0x 0x 0x 0x\n"), call(SYS_accept4, "x 0x3 0x0 0x0 0x0\n"),
        call(SYS_accept4, " 0x10000000000000000 0x0 0x0 0x0\n")}) {
    EXPECT_FALSE(parse_waiting_call(text)) << text;
  }
}

TEST(WaitingCall, NamesTheDescriptorsInTheMemoryOfTheProcess) {
  const tidewait::detail::unique_fd memory{::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};
  const pollfd list[] = {{9, POLLIN, 0}, {-1, 0, 0}, {5, POLLIN, 0}};
  tidewait::detail::waiting_call waits{"poll()", call_shape::poll, {}};
  waits.arguments = {reinterpret_cast<std::uintptr_t>(list), 3, 0, 0};
  EXPECT_THAT(waited_descriptors(waits, memory.get()), ElementsAre(5, 9));
  waits.arguments[1] = ~std::uint64_t{0};  // more than there is
  EXPECT_THAT(waited_descriptors(waits, -1), IsEmpty());

  const unsigned long bits[] = {1UL << 4U | 1UL << 6U, 1};
  waits = {"select()", call_shape::select, {}};
  waits.arguments = {70, reinterpret_cast<std::uintptr_t>(bits), 0, 0};
  EXPECT_THAT(waited_descriptors(waits, memory.get()),
              ElementsAre(4, 6, static_cast<int>(8 * sizeof(unsigned long))));
  waits.arguments[0] = 6;
  EXPECT_THAT(waited_descriptors(waits, memory.get()), ElementsAre(4));
}

TEST(Ring, ShowsItsFilesAndWhatItWaitsFor) {
  const auto ring = parse_ring(
      "pos:\t0\nflags:\t02000002\nino:\t28990979\nSqMask:\t0x3\nUserFiles:\t2\n"
      "    0: /dev/null\n    1: socket:[4711]\nUserBufs:\t0\nPollList:\n"
      "  op=13, task_works=0\n  op=6, task_works=0\n  op=27, task_works=0\nCqOverflowList:\n");
  EXPECT_THAT(ring.registered, ElementsAre(4711U));
  EXPECT_EQ(ring.accepts, 1U);
  EXPECT_EQ(ring.polls, 1U);
  EXPECT_EQ(ring.receives, 1U);
  EXPECT_THAT(parse_ring("").registered, IsEmpty());
}

TEST(FilesInFlight, AreCountedByTheKernel) {
  EXPECT_EQ(parse_files_in_flight("pos:\t0\nino:\t7\nscm_fds: 2\n"), 2U);
  EXPECT_EQ(parse_files_in_flight("pos:\t0\nino:\t7\n"), 0U);
  EXPECT_EQ(parse_files_in_flight("scm_fds: x\n"), 0U);
}

/// One attribute of a netlink message.
std::string attribute(std::uint16_t type, const std::string& value) {
  const nlattr header{static_cast<__u16>(sizeof(nlattr) + value.size()), type};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += value;
  bytes.resize((bytes.size() + 3) / 4 * 4);
  return bytes;
}

std::string link_of(const char* kind, std::uint16_t port_type) {
  using namespace std::string_literals;
  const std::string data = attribute(IFLA_INFO_KIND, kind + "\0"s) +
                           attribute(IFLA_INFO_DATA, attribute(port_type, "\x12\xb5"));
  return attribute(IFLA_IFNAME, "tun0\0"s) + attribute(IFLA_LINKINFO, data);
}

TEST(Tunnel, IsALinkWithAPortOfItsOwn) {
  const auto vxlan = parse_tunnel(link_of("vxlan", IFLA_VXLAN_PORT));
  EXPECT_EQ(vxlan.name, "tun0");
  EXPECT_EQ(vxlan.port, 4789);
  EXPECT_EQ(parse_tunnel(link_of("geneve", IFLA_GENEVE_PORT)).port, 4789);
  EXPECT_EQ(parse_tunnel(link_of("wireguard", 1)).name, "tun0");
  EXPECT_EQ(parse_tunnel(link_of("bridge", 1)).name, "");
  const std::string whole = link_of("vxlan", IFLA_VXLAN_PORT);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    parse_tunnel(std::string_view{whole}.substr(0, size));  // reads nothing behind its end
  }
}

TEST(MptcpEndpoint, IsAnAddressWithAPort) {
  using namespace std::string_literals;
  const std::string four =
      attribute(1, attribute(2, "\x07") + attribute(3, "\x7f\0\0\x01"s) + attribute(5, "\x90\x1f"));
  const auto found = parse_mptcp_endpoint(four);
  EXPECT_EQ(found.id, 7U);
  EXPECT_EQ(to_string(found.local), "127.0.0.1:8080");
  const std::string six = attribute(1, attribute(4, std::string(15, '\0') + '\x01'));
  EXPECT_EQ(to_string(parse_mptcp_endpoint(six).local.address), "::1");
  EXPECT_EQ(parse_mptcp_endpoint(six).local.port, 0);
  for (std::size_t size = 0; size < four.size(); ++size) {
    parse_mptcp_endpoint(std::string_view{four}.substr(0, size));  // nor does this
  }
}

}  // namespace
