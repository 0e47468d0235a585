// SPDX-License-Identifier: BSL-1.0
//
// Whole looks, from the baseline to the report, on a world that is invented: no kernel, no process,
// no waiting. See fake_os.hpp.
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/explain_bind.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

namespace {

using tidewait::cause;
using tidewait::policy;
using tidewait::relation;
using tidewait::report;
using tidewait::socket_state;
using tidewait::watch;
using namespace std::chrono_literals;

/// "fails 8080: listener_not_closed", "warns 8080: ...", a line for each finding, then what else
/// the report holds.
std::string verdict(const report& found) {
  std::string text;
  for (const tidewait::finding& each : found.findings) {
    text += (each.fails ? "fails " : "warns ") + std::to_string(each.why.request.local.port) + ':';
    for (const auto& said : each.why.explanations) text += ' ' + std::string{to_string(said.what)};
    text += '\n';
  }
  if (!found.blind.empty()) text += "blind\n";
  if (found.waited.count() != 0) text += "waited\n";
  return text.empty() ? "clean\n" : text;
}

class WholeLook : public testing::Test {
 protected:
  WholeLook() { there = {}; }

  world& there = world::now_there();
};

/// A listener that no process holds, and what keeps it.
void add_kept(world& w, tidewait::keeper_kind kind, relation whose) {
  tidewait::socket_keeper keeper{kind, {}, "accept()"};
  keeper.who.pid = whose == relation::self ? world::own_pid : 200;
  keeper.who.relation = whose;
  w.add(socket_state::listen, "127.0.0.1:8080").facts.keeper = keeper;
}

/// What is there before a test, what the test does, and what comes of the look.
struct situation {
  const char* name;
  std::function<void(world&)> before;
  std::function<void(world&)> test;
  const char* expected;
};

const situation situations[] = {
    {"nothing", nullptr, nullptr, "clean\n"},
    {"a listener of this process", nullptr,
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::self); },
     "fails 8080: listener_not_closed\n"},
    {"a listener of a child", nullptr,
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::descendant); },
     "fails 8080: child_listens\n"},
    {"a listener of an orphan of this run", nullptr,
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::marked_orphan); },
     "fails 8080: orphan_listens\n"},
    {"a listener of another program", nullptr,
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::other); }, "clean\n"},
    {"a listener from before the test",
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::self); }, nullptr,
     "clean\n"},
    {"a second listener beside one from before the test",
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::self); },
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8081", relation::self); },
     "fails 8081: listener_not_closed\n"},
    {"a listener whose holder is hidden", nullptr,
     [](world& w) {
       w.add(socket_state::listen, "127.0.0.1:8080", relation::other).facts.uid = 2000;
       w.hidden_users = {2000};
     },
     "warns 8080: owner_hidden\nwaited\n"},
    {"a listener closed under accept()", nullptr,
     [](world& w) { add_kept(w, tidewait::keeper_kind::thread, relation::self); },
     "fails 8080: closed_under_call\n"},
    {"a listener that an io_uring of ours keeps", nullptr,
     [](world& w) { add_kept(w, tidewait::keeper_kind::io_uring, relation::self); },
     "fails 8080: held_by_io_uring\n"},
    {"a listener that is on its way to a child", nullptr,
     [](world& w) { add_kept(w, tidewait::keeper_kind::message, relation::descendant); },
     "fails 8080: in_flight\n"},
    {"a listener that an io_uring of another program keeps", nullptr,
     [](world& w) { add_kept(w, tidewait::keeper_kind::io_uring, relation::other); }, "clean\n"},
    {"a listener of the kernel", nullptr,
     [](world& w) { add_kept(w, tidewait::keeper_kind::kernel, relation::other); }, "clean\n"},
    {"a listener that nobody holds", nullptr,
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080"); },
     "warns 8080: unowned\nwaited\n"},
    {"a listener of another program of the host, seen from a container", nullptr,
     [](world& w) {
       w.add(socket_state::listen, "127.0.0.1:8080");
       w.pid_namespace = true;
     },
     "clean\n"},
    {"a listener that a thread of ours keeps, in a container", nullptr,
     [](world& w) {
       add_kept(w, tidewait::keeper_kind::thread, relation::self);
       w.pid_namespace = true;
     },
     "fails 8080: closed_under_call\n"},
    {"a UDP server", nullptr,
     [](world& w) {
       w.add(socket_state::unconn, "127.0.0.1:5353", relation::self).facts.protocol =
           tidewait::protocol::udp;
     },
     "fails 5353: bound_not_listening\n"},
    {"a UDP socket that may be a client", nullptr,
     [](world& w) {
       w.add(socket_state::unconn, "*:40000", relation::self).facts.protocol =
           tidewait::protocol::udp;
     },
     "warns 40000: bound_not_listening\n"},
    {"a TIME_WAIT on the port of a server from before the test",
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::self); },
     [](world& w) { w.add(socket_state::time_wait, "127.0.0.1:8080", "127.0.0.1:40000"); },
     "clean\n"},
    {"a TIME_WAIT on a port where this process has listened",
     [](world& w) { w.add(socket_state::listen, "127.0.0.1:8080", relation::self); },
     [](world& w) {
       w.remove_all_on(8080);
       w.pass(1s);
       w.add(socket_state::time_wait, "127.0.0.1:8080", "127.0.0.1:40000");
     },
     "fails 8080: time_wait\n"},
    {"a TIME_WAIT on a port of which nothing is known", nullptr,
     [](world& w) { w.add(socket_state::time_wait, "127.0.0.1:7070", "127.0.0.1:40000"); },
     "clean\n"},
    {"a TIME_WAIT of a client", nullptr,
     [](world& w) { w.add(socket_state::time_wait, "127.0.0.1:40000", "127.0.0.1:8080"); },
     "clean\n"},
    {"a TIME_WAIT from before the test, while an older one runs out",
     [](world& w) {
       w.add(socket_state::listen, "127.0.0.1:8080", relation::self);
       w.add(socket_state::time_wait, "127.0.0.1:8080", "127.0.0.1:40000").facts.time_left = 1s;
       w.add(socket_state::time_wait, "127.0.0.1:8080", "127.0.0.1:40001").facts.time_left = 30s;
     },
     [](world& w) {
       w.sockets.erase(w.sockets.begin());
       w.pass(2s);
     },
     "clean\n"},
    {"everything in a namespace of the test's own", [](world& w) { w.private_namespace = true; },
     [](world& w) {
       w.add(socket_state::listen, "127.0.0.1:8080", relation::other);
       w.add(socket_state::time_wait, "127.0.0.1:9090", "127.0.0.1:40000");
     },
     "fails 8080: listener_of_other\nfails 9090: time_wait\n"},
    {"a table that cannot be read", nullptr,
     [](world& w) { w.no_table = std::make_error_code(std::errc::operation_not_permitted); },
     "blind\n"},
};

TEST_F(WholeLook, SaysWhatWasLeft) {
  for (const situation& each : situations) {
    there = {};
    if (each.before) each.before(there);
    watch look_after{{}, each.name};
    if (each.test) each.test(there);
    EXPECT_EQ(verdict(look_after.look()), each.expected) << each.name;
    EXPECT_EQ(verdict(look_after.look()).find("fails"), std::string::npos)
        << each.name << ": reported twice";
  }
}

TEST_F(WholeLook, JudgesALeasedPort) {
  watch look_after{{}, "Net.Leases"};
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string local = "127.0.0.1:" + std::to_string(port.number());
  there.add(socket_state::bound, local.c_str(), relation::self);
  there.add(socket_state::time_wait, local.c_str(), "127.0.0.1:40000");
  const report found = look_after.look();
  ASSERT_EQ(found.findings.size(), 1U);
  EXPECT_TRUE(found.findings.front().fails);
  EXPECT_EQ(found.findings.front().count(), 2U);
  EXPECT_EQ(found.findings.front().lease->port, port.number());
}

TEST_F(WholeLook, SaysThatAnotherProgramTookTheLeasedPort) {
  watch look_after{{}, "Net.Leases"};
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string local = "127.0.0.1:" + std::to_string(port.number());
  there.add(socket_state::listen, local.c_str(), relation::other);
  EXPECT_EQ(verdict(look_after.look()),
            "fails " + std::to_string(port.number()) + ": leased_port_taken\n");
}

TEST_F(WholeLook, WaitsForAClosingConnectionAndNoLonger) {
  watch look_after{policy{}.max_wait(100ms), "Net.Closes"};
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string local = "127.0.0.1:" + std::to_string(port.number());
  const auto closing = [&] {
    there.add(socket_state::last_ack, local.c_str(), "127.0.0.1:40000").facts.inode = 0;
  };
  closing();
  there.later.emplace_back(there.now + 20ms, [&] { there.remove_all_on(port.number()); });
  report found = look_after.look();
  EXPECT_TRUE(found.findings.empty());
  EXPECT_GE(found.waited, 20ms);
  EXPECT_LE(found.waited, 100ms);

  closing();
  found = look_after.look();
  EXPECT_EQ(found.findings.size(), 1U);
  EXPECT_EQ(found.waited, 100ms);
}

TEST_F(WholeLook, ThatFindsNothingReadsTheTableOnceAndSearchesNobody) {
  there.add(socket_state::listen, "127.0.0.1:22", relation::other);
  watch look_after{{}, "Net.Clean"};
  const std::size_t reads = there.reads;
  const std::size_t searches = there.searches;
  EXPECT_EQ(verdict(look_after.look()), "clean\n");
  EXPECT_EQ(there.reads - reads, 1U);
  EXPECT_EQ(there.searches - searches, 0U);
}

TEST_F(WholeLook, BesideAServerThatWasThereReadsTheTableOnceAndAsksForNoBind) {
  for (const bool isolated : {false, true}) {
    there = {};
    there.private_namespace = isolated;
    const tidewait::port_lease port = tidewait::lease_port();
    const std::string local = "127.0.0.1:" + std::to_string(port.number());
    there.add(socket_state::listen, local.c_str(), relation::self);
    watch look_after{{}, "Net.Clean"};
    for (const socket_state state :
         {socket_state::close_wait, socket_state::established, socket_state::fin_wait2}) {
      there.add(state, local.c_str(), relation::self, "127.0.0.1:40000");
    }
    there.add(socket_state::time_wait, local.c_str(), "127.0.0.1:40001");
    const std::size_t reads = there.reads;
    const std::size_t searches = there.searches;
    there.asked.clear();
    EXPECT_EQ(verdict(look_after.look()), "clean\n");
    EXPECT_EQ(there.reads - reads, isolated ? 2U : 1U) << "in a namespace of its own, TIME_WAITs";
    EXPECT_EQ(there.searches - searches, 0U);
    EXPECT_EQ(there.asked.count(port.number()), 0U);
  }
}

TEST_F(WholeLook, SearchesAnotherProgramsListenerOnce) {
  watch first{{}, "Net.First"};
  there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
  EXPECT_EQ(verdict(first.look()), "clean\n");
  const std::size_t searches = there.searches;
  EXPECT_EQ(verdict(first.look()), "clean\n");
  EXPECT_EQ(there.searches, searches);
}

TEST_F(WholeLook, AsksAgainWhetherThePortIsStillInUse) {
  const tidewait::bind_request request{tidewait::protocol::tcp,
                                       *tidewait::parse_endpoint("127.0.0.1:8080")};
  there.add(socket_state::listen, "127.0.0.1:8080");
  there.later.push_back({there.now + 5ms, [this] { there.remove_all_on(8080); }});
  const tidewait::diagnosis ended = tidewait::explain_bind(request).why;
  EXPECT_TRUE(ended.free());
  ASSERT_EQ(ended.explanations.size(), 1U);
  EXPECT_EQ(ended.explanations.front().what, cause::freed_meanwhile);
  EXPECT_EQ(render(ended, {}),
            "tidewait: 127.0.0.1:8080 is free\n\n"
            "  next bind to 127.0.0.1:8080: succeeds\n"
            "  why: the port was in use a moment ago and is free now\n"
            "  fix: wait for the process that had it to end (waitpid), then bind\n"
            "  seen by: \n");
  there.later.clear();
  there.add(socket_state::listen, "127.0.0.1:8080");
  there.later.push_back({there.now + 5ms, [this] { there.remove_all_on(8080); }});
  EXPECT_EQ(tidewait::explain_port(tidewait::protocol::tcp, 8080).why.explanations.front().what,
            cause::freed_meanwhile);
  there.later.clear();
  there.add(socket_state::listen, "127.0.0.1:8080");
  EXPECT_EQ(tidewait::explain_bind(request).why.explanations.front().what, cause::unowned);
}

TEST_F(WholeLook, CountsOnlyWhatIsTheTests) {
  const tidewait::port_lease port = tidewait::lease_port();
  watch test{{}, "Shares.aPort"};
  const std::string where = "127.0.0.1:" + std::to_string(port.number());
  there.add(socket_state::listen, where.c_str(), relation::self).reuse_port = true;
  there.add(socket_state::listen, where.c_str(), relation::other).reuse_port = true;
  there.add(socket_state::listen, where.c_str(), relation::other).reuse_port = true;
  const std::string text = render(test.look());
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "tidewait: Shares.aPort left 1 socket behind on " + where);
}

TEST_F(WholeLook, AtTheEndFindsConnectionsThatWereLeftOnPortsOfTheTests) {
  watch program{{}, "net_tests", tidewait::look_depth::thorough};
  there.add(socket_state::established, "127.0.0.1:8080", relation::self, "127.0.0.1:40000");
  there.add(socket_state::close_wait, "127.0.0.1:8081", relation::descendant, "127.0.0.1:40001");
  there.add(socket_state::established, "127.0.0.1:40002", relation::self, "127.0.0.1:443");
  there.add(socket_state::established, "127.0.0.1:8082", relation::other, "127.0.0.1:40003");
  EXPECT_EQ(verdict(program.look()), "fails 8080: connection_open\nfails 8081: connection_open\n");
}

}  // namespace
