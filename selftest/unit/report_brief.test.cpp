// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/diagnosis.hpp>
#include <tidewait/report.hpp>

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tidewait::finding;
using tidewait::observed_socket;
using tidewait::ownership;
using tidewait::relation;
using tidewait::report;
using tidewait::report_detail;
using tidewait::socket_state;

observed_socket made(socket_state state, const char* local, const char* remote = nullptr) {
  observed_socket socket;
  socket.state = state;
  socket.local = *tidewait::parse_endpoint(local);
  if (remote != nullptr) socket.remote = *tidewait::parse_endpoint(remote);
  if (state == socket_state::time_wait) {
    socket.owned = ownership::kernel;
    socket.time_left = std::chrono::seconds{59};
  } else {
    socket.owned = ownership::found;
    socket.owners = {{4711, "net_tests", "./net_tests", {7}, "", relation::self}};
  }
  return socket;
}

finding of(std::vector<observed_socket> sockets) {
  tidewait::bind_request request;
  request.local = sockets.front().local;
  finding found;
  const auto in_use = std::make_error_code(std::errc::address_in_use);
  found.why = diagnose(request, sockets, {in_use, in_use, in_use});
  return found;
}

report brief(std::vector<finding> findings) {
  report whole;
  whole.test = "Net.Test";
  whole.rule_test = "Net.Test";
  whole.detail = report_detail::brief;
  whole.findings = std::move(findings);
  return whole;
}

tidewait::unix_finding of_unix(const char* path, std::string same_as) {
  tidewait::unix_finding found;
  found.why.name = path;
  tidewait::observed_unix socket;
  socket.name = path;
  found.why.conflicting = {socket};
  found.same_as = std::move(same_as);
  return found;
}

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// The worst: many of each state, held by processes with long command lines, of other tests.
std::vector<observed_socket> crowd() {
  std::vector<observed_socket> sockets{made(socket_state::listen, "127.0.0.1:8080")};
  sockets.push_back(made(socket_state::listen, "0.0.0.0:8080"));
  sockets.back().owners = {{4712,
                            "server",
                            std::string(300, 'x') + " --port 8080",
                            {3, 4, 5},
                            "",
                            relation::descendant}};
  sockets.back().test = std::string(150, 't');
  sockets.back().left_behind = true;
  for (int i = 0; i < 100; ++i) {
    const std::string client = "127.0.0.1:" + std::to_string(40000 + i);
    sockets.push_back(made(socket_state::time_wait, "127.0.0.1:8080", client.c_str()));
    sockets.push_back(made(socket_state::close_wait, "127.0.0.1:8080", client.c_str()));
  }
  sockets.push_back(made(socket_state::bound, "[2001:db8:1111:2222:3333:4444:5555:6666]:8080"));
  return sockets;
}

TEST(BriefReport, OfOneFindingHasAtMostEightLines) {
  for (const bool leased : {false, true}) {
    finding found = of(crowd());
    if (leased) found.lease = tidewait::lease_note{8080, {}, {"a/net_test.cpp", 12}};
    const std::string text = render(brief({found}));
    EXPECT_LE(lines_of(text), 8U) << text;
    EXPECT_THAT(text, AllOf(HasSubstr("tidewait: Net.Test left 203 sockets behind on "),
                            HasSubstr("  why: "), HasSubstr("  fix: "), HasSubstr("next bind: ")));
  }
}

TEST(BriefReport, OfAListenerSaysWhatToDoAndWhatToTolerate) {
  report whole = brief({of({made(socket_state::listen, "127.0.0.1:8080")})});
  whole.rules = tidewait::rule_form::text;
  whole.seen.tcp = whole.seen.udp = tidewait::table_source::sock_diag;
  EXPECT_THAT(render(whole),
              AllOf(HasSubstr("tidewait: Net.Test left 1 socket behind on 127.0.0.1:8080\n"
                              "  LISTEN 127.0.0.1:8080: pid 4711 net_tests fd 7\n"
                              "  next bind: "),
                    HasSubstr("  tolerate: listen+port=8080+test=Net.Test, in TIDEWAIT_POLICY")));
}

TEST(BriefReport, ThatIsLikeAnEarlierOneHasOneLine) {
  finding found = of(crowd());
  found.same_as = "Net.First";
  EXPECT_EQ(lines_of(render(brief({found}))), 1U);
  EXPECT_THAT(render(brief({found})), HasSubstr(": as Net.First\n"));
  found.same_as = "Net.Test";
  EXPECT_THAT(render(brief({found})), HasSubstr(": as before\n"));
  const std::string both = render(brief({found, of({made(socket_state::listen, "[::1]:99")})}));
  EXPECT_THAT(both, HasSubstr("  127.0.0.1:8080: as before\n"));
  EXPECT_LE(lines_of(both), 9U) << both;
}

TEST(BriefReport, NamesNoNumberThatWasChosen) {
  finding found = of({made(socket_state::listen, "127.0.0.1:40123")});
  found.port_was_chosen = true;
  for (const auto form : {tidewait::rule_form::code, tidewait::rule_form::text}) {
    report whole = brief({found});
    whole.rules = form;
    const std::string text = render(whole);
    EXPECT_THAT(text.substr(text.find("tolerate: ")), Not(HasSubstr("40123"))) << text;
  }
}

TEST(BriefReport, WarnsOfWhatThePolicyOnlyWarnsOf) {
  report whole = brief({});
  whole.warnings = {"the server had to be killed\nits last words"};
  EXPECT_EQ(render(whole),
            "tidewait: warning: Net.Test: the server had to be killed\n  its last words\n");
  EXPECT_TRUE(whole.clean());
  EXPECT_FALSE(whole.silent());
}

TEST(BriefReport, OfWhatOtherTestsHaveToldIsOneLineWhateverWasLeft) {
  report whole = brief({of({made(socket_state::listen, "127.0.0.1:80")}),
                        of({made(socket_state::bound, "127.0.0.1:81")})});
  whole.findings[0].same_as = "Net.A";
  whole.findings[1].same_as = "Net.B";
  whole.unix_findings = {of_unix("/tmp/a", "Net.A")};
  EXPECT_EQ(render(whole),
            "tidewait: Net.Test left 2 sockets behind on 127.0.0.1:80 and 127.0.0.1:81 and 1 Unix "
            "socket behind on /tmp/a: as Net.A and Net.B\n");
  whole.unix_findings = {of_unix("/tmp/a", "")};
  EXPECT_THAT(render(whole), AllOf(HasSubstr("  127.0.0.1:80: as Net.A\n"),
                                   HasSubstr("  127.0.0.1:81: as Net.B\n"), HasSubstr("/tmp/a"),
                                   HasSubstr("tolerate: ")));
  whole.findings.clear();
  whole.unix_findings = {of_unix("/tmp/a", "Net.Test")};
  EXPECT_EQ(lines_of(render(whole)), 1U) << render(whole);
  EXPECT_THAT(render(whole), HasSubstr(": as before\n"));
}

TEST(BriefReport, OfAProgramNamesTheTestsThatBoundWhatIsLeft) {
  const auto bound_in = [](const char* test) {
    observed_socket socket = made(socket_state::bound, "127.0.0.1:80");
    tidewait::bind_record record;
    record.test = test;
    socket.bound = std::make_shared<const tidewait::bind_record>(record);
    return socket;
  };
  report whole = brief({of({bound_in("Net.A"), bound_in("Net.B"), bound_in("Net.A")})});
  whole.test = "the test program";
  EXPECT_THAT(render(whole), HasSubstr("\n  bound in: Net.A, Net.B\n"));
  whole.detail = report_detail::full;
  EXPECT_THAT(render(whole), HasSubstr("\n  bound in: Net.A, Net.B\n"));
  whole = brief({of({bound_in("Net.Test"), bound_in("")})});
  EXPECT_THAT(render(whole), Not(HasSubstr("bound in")));
}

}  // namespace
