// SPDX-License-Identifier: BSL-1.0
//
// What netsh tells of ports. That of Wine tells nothing.

#include "port_settings.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/diagnosis.hpp>

#include "child.hpp"

namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tidewait::detail::ask_netsh;

constexpr milliseconds long_enough{60000};

/// Where the program is that stands in for netsh.exe.
std::string system_of_the_test() { return child::beside_us("system_of_the_test"); }

std::optional<std::string> ask(const char* how, milliseconds most) {
  ::SetEnvironmentVariableA("SELFTEST_NETSH", how);
  auto answer =
      ask_netsh(system_of_the_test(), {"ipv4", "show", "excludedportrange", "protocol=tcp"}, most);
  ::SetEnvironmentVariableA("SELFTEST_NETSH", nullptr);
  return answer;
}

TEST(WindowsNetsh, IsAskedForOneTable) {
  const auto answer = ask("answers", long_enough);
  ASSERT_TRUE(answer);
  const auto ranges = tidewait::detail::parse_excluded_ranges(*answer);
  ASSERT_TRUE(ranges);
  ASSERT_EQ(ranges->size(), 2U);
  EXPECT_EQ(ranges->front().ports.first, 49994);
  EXPECT_FALSE(ranges->front().administered);
  EXPECT_TRUE(ranges->back().administered);
}

TEST(WindowsNetsh, TellsNothingWhereItFails) { EXPECT_FALSE(ask("fails", long_enough)); }

TEST(WindowsNetsh, IsEndedWhereItTakesTooLong) { EXPECT_FALSE(ask("hangs", milliseconds{300})); }

TEST(WindowsNetsh, IsEndedWhereItPrintsTooMuch) { EXPECT_FALSE(ask("huge", long_enough)); }

TEST(WindowsNetsh, IsNotSearchedElsewhere) {
  EXPECT_FALSE(ask_netsh(system_of_the_test() + "\\none", {"ipv4"}, long_enough));
}

TEST(WindowsPortRules, AreTheDefaultsWhereNetshTellsNothing) {
  if (::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == nullptr)
    GTEST_SKIP() << "the netsh of Windows tells something";
  for (const auto which : {tidewait::protocol::tcp, tidewait::protocol::udp}) {
    EXPECT_FALSE(tidewait::detail::dynamic_range(which));
    EXPECT_FALSE(tidewait::detail::excluded_ranges(which, false));
    const auto rules = tidewait::detail::look_up_port_rules(which, tidewait::ip_address::any_v6());
    EXPECT_EQ(rules.ephemeral.first, 49152);
    EXPECT_EQ(rules.ephemeral.last, 65535);
    EXPECT_TRUE(rules.reserved.empty());
  }
}

tidewait::port_range range_where_bind_gives(int port, std::optional<tidewait::port_range> netsh,
                                            int& asked) {
  return tidewait::detail::range_of_choice(static_cast<std::uint16_t>(port), [&] {
    ++asked;
    return netsh;
  });
}

TEST(WindowsPortRules, TakeTheDefaultWithoutAProgramWhereABindDoesNotContradict) {
  int asked = 0;
  for (const int port : {49152, 50000, 65535, 0}) {
    const auto range = range_where_bind_gives(port, tidewait::port_range{1024, 15000}, asked);
    EXPECT_EQ(range.first, 49152);
    EXPECT_EQ(range.last, 65535);
  }
  EXPECT_EQ(asked, 0);
}

TEST(WindowsPortRules, AskNetshWhereABindIsGivenAPortOutsideTheDefault) {
  for (const int port : {1024, 49151}) {
    int asked = 0;
    const auto moved = range_where_bind_gives(port, tidewait::port_range{1024, 65000}, asked);
    EXPECT_EQ(moved.first, 1024);
    EXPECT_EQ(moved.last, 65000);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(range_where_bind_gives(port, std::nullopt, asked).first, 49152) << "netsh is mute";
  }
}

TEST(WindowsDoctor, SaysWhoTellsThePorts) {
  const outcome doctor = tidewait_with("doctor");
  EXPECT_THAT(doctor.output,
              AllOf(HasSubstr("  TCP dynamic range: "), HasSubstr("  UDP dynamic range: "),
                    HasSubstr("  TCP excluded ranges: "), HasSubstr("  UDP excluded ranges: "),
                    HasSubstr("netsh")));
}

tidewait::explanation refusal(const char* where, tidewait::protocol which) {
  const auto denied = std::make_error_code(std::errc::permission_denied);
  tidewait::bind_request request;
  request.protocol = which;
  request.local = *tidewait::parse_endpoint(where);
  tidewait::bind_environment environment;
  environment.rules.reserved = {{5357, 5357}, {49994, 50093}};
  return diagnose(request, {}, {denied, denied, denied}, environment).explanations.at(0);
}

TEST(WindowsDiagnosis, NamesTheRangeThatWindowsKeepsBackAndWhatToDo) {
  for (const char* const where : {"127.0.0.1:49994", "0.0.0.0:50000", "[::]:50093"}) {
    const auto why = refusal(where, tidewait::protocol::tcp);
    EXPECT_EQ(why.what, tidewait::cause::excluded_port);
    EXPECT_THAT(why.why, AllOf(HasSubstr("lies in the range 49994-50093"), HasSubstr("WinNAT")));
    EXPECT_THAT(why.fix, AllOf(HasSubstr("lease_port()"), HasSubstr("net stop winnat")));
  }
  const auto why = refusal("0.0.0.0:5357", tidewait::protocol::udp);
  EXPECT_THAT(why.why, HasSubstr("port 5357 lies in the range 5357-5357"));
  EXPECT_THAT(why.fix, HasSubstr("protocol=udp startport=5357 numberofports=1"));
}

TEST(WindowsDiagnosis, BlamesNoRangeOfAPortBesideThem) {
  for (const char* const where : {"127.0.0.1:49993", "127.0.0.1:50094"}) {
    const auto why = refusal(where, tidewait::protocol::tcp);
    EXPECT_THAT(why.why, AllOf(HasSubstr("in none of the ranges"), Not(HasSubstr("Hyper-V"))));
  }
}

}  // namespace
