// SPDX-License-Identifier: BSL-1.0
//
// What follows from the records of a run: attribution, consequence, the journal.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <tidewait/bound_socket.hpp>
#include <tidewait/port_lease.hpp>

#include "../support/private_network.hpp"
#include "bind_notes.hpp"
#include "run_launcher.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using tidewait::bind_entry;
using tidewait::command::socket_kind;
using tidewait::command::testimony;
using tidewait::command::witnessed_bind;

#define SKIP_WITHOUT_WITNESS()                                                            \
  if (const outcome got = run(wrapped({"--witness=require"}, {"true"})); got.status != 0) \
  GTEST_SKIP() << got.err

/// The recorded binds in a journal.
std::vector<bind_entry> binds_in(const std::string& path) {
  std::vector<bind_entry> entries;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    if (auto entry = tidewait::parse_bind_line(line)) entries.push_back(std::move(*entry));
  }
  return entries;
}

json report_in(const std::string& path) { return json::parse(std::ifstream{path}); }

witnessed_bind bind_of(const std::string& asked, const std::string& got, int error = 0) {
  witnessed_bind bind;
  bind.kind = socket_kind::tcp;
  bind.pid = 7;
  bind.asked = tidewait::parse_endpoint(asked);
  if (!got.empty()) bind.got = tidewait::parse_endpoint(got);
  bind.kernel_chose_port = bind.asked->port == 0;
  bind.error = {error, std::system_category()};
  return bind;
}

TEST(WitnessNotes, ShareALineWhereCallsAgree) {
  testimony seen;
  for (int i = 0; i < 5; ++i) {
    seen.binds.push_back(bind_of("127.0.0.1:8080", "", EADDRINUSE));
    seen.binds.push_back(bind_of("127.0.0.1:0", "127.0.0.1:" + std::to_string(40000 + i)));
    seen.binds.back().cookie = static_cast<std::uint64_t>(i + 1);
  }
  seen.binds.push_back(bind_of("127.0.0.1:8080", "", EADDRINUSE));
  seen.binds.back().pid = 8;
  seen.binds.push_back(bind_of("127.0.0.1:1", ""));
  seen.binds.back().kind = socket_kind::local;
  const auto notes = tidewait::command::to_notes(seen, "run", 100);
  ASSERT_EQ(notes.lines.size(), 7U);
  EXPECT_EQ(notes.lines.front().count, 5U);
  EXPECT_EQ(notes.lines.front().error, EADDRINUSE);
  EXPECT_EQ(notes.lines.front().test, "run");
  EXPECT_EQ(notes.left_out, 0U);
}

TEST(WitnessNotes, KeepWhatAReaderNeedsWhereThereAreTooMany) {
  testimony seen;
  const auto at = [](int ms) {
    return std::chrono::system_clock::time_point{std::chrono::milliseconds{ms}};
  };
  for (int i = 0; i < 20; ++i) {
    seen.binds.push_back(bind_of("127.0.0.1:0", "127.0.0.1:" + std::to_string(40000 + i)));
    seen.binds.back().time = at(i);
  }
  seen.binds.push_back(bind_of("127.0.0.1:8080", "127.0.0.1:8080"));
  seen.binds.back().time = at(30);
  seen.binds.push_back(bind_of("127.0.0.1:8080", "", EADDRINUSE));
  seen.binds.back().time = at(40);
  const auto notes = tidewait::command::to_notes(seen, "run", 4);
  std::vector<std::uint64_t> times;
  for (const bind_entry& each : notes.lines) times.push_back(each.time);
  EXPECT_THAT(times, ElementsAre(0, 1, 30, 40));
  EXPECT_EQ(notes.left_out, 18U);
}

std::string binding(std::uint16_t port) {
  return "import socket\ns = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()\n"
         "try: socket.socket().bind(('127.0.0.1', " +
         std::to_string(port) + "))\nexcept OSError: pass\n";
}

TEST(WitnessConduct, FailsTheRunOrWarnsAsThePolicySays) {
  SKIP_WITHOUT_WITNESS();
  const tidewait::listening_socket taken;
  const auto judged = [&](const std::string& rule) {
    return run(wrapped({"--witness", "--tolerate", rule}, python(binding(taken.port()))));
  };
  const std::string failed =
      "a bind of python3 to " + to_string(taken.local()) + " failed: EADDRINUSE";
  const outcome fails = judged("fail:bind_failed");
  EXPECT_EQ(fails.status, 97) << fails.err;
  EXPECT_THAT(fails.err, AllOf(HasSubstr(failed), Not(HasSubstr("wildcard"))));
  const outcome warned = judged("warn:bind_failed");
  EXPECT_EQ(warned.status, 0) << warned.err;
  EXPECT_THAT(warned.err, AllOf(HasSubstr("tidewait: warning: "), HasSubstr(": " + failed)));
  const outcome wildcard = judged("fail:wildcard");
  EXPECT_EQ(wildcard.status, 97) << wildcard.err;
  EXPECT_THAT(wildcard.err, HasSubstr("python3 serves on the wildcard address 0.0.0.0:"));
  EXPECT_EQ(judged("fail:bind_failed,bind_failed").status, 0) << "the last rule counts";
  EXPECT_EQ(judged("fail:bind_failed+port=1").status, 0);
}

TEST(WitnessConduct, IsNotCleanWhereNobodyWatched) {
  const tidewait::listening_socket taken;
  const auto judged = [&](const std::string& rule) {
    return run(wrapped({"--no-witness", "--tolerate", rule}, python(binding(taken.port()))));
  };
  const outcome blind = judged("fail:bind_failed");
  EXPECT_EQ(blind.status, 3) << blind.err;
  EXPECT_THAT(blind.err, HasSubstr("fail:bind_failed cannot be checked"));
  EXPECT_EQ(judged("warn:bind_failed").status, 0);
  EXPECT_EQ(judged("blind=skip,fail:bind_failed").status, 0);
}

TEST(WitnessNotes, TheJournalHasEachBindOfTheTree) {
  SKIP_WITHOUT_WITNESS();
  const directory there;
  const tidewait::listening_socket taken;
  const outcome got = run(
      wrapped({"--witness", "--name", "outer", "--journal", there / "journal"},
              {"env", "TIDEWAIT_TEST=net.Serves", "python3", "-c",
               "import socket\n"
               "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
               "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0))\n"
               "for i in range(3):\n"
               "  try: socket.socket().bind(('127.0.0.1', " +
                   std::to_string(taken.port()) + "))\n  except OSError: pass\n"}));
  EXPECT_EQ(got.status, 0) << got.err;
  const auto binds = binds_in(there / "journal");
  ASSERT_EQ(binds.size(), 3U);
  EXPECT_EQ(binds[0].test, "outer");
  EXPECT_EQ(binds[0].ctest_name, "net.Serves");
  EXPECT_EQ(binds[0].error, 0);
  EXPECT_TRUE(binds[0].kernel_chose_port);
  EXPECT_TRUE(binds[0].listening);
  EXPECT_NE(binds[0].cookie, 0U);
  ASSERT_TRUE(binds[0].got);
  EXPECT_NE(binds[0].got->port, 0);
  EXPECT_EQ(binds[1].protocol, tidewait::protocol::udp);
  EXPECT_EQ(binds[2].error, EADDRINUSE);
  EXPECT_EQ(binds[2].count, 3U);
  EXPECT_EQ(binds[2].asked, taken.local());
  EXPECT_THAT(binds[2].held_by, HasSubstr("pid " + std::to_string(::getpid()) + ' '));
}

TEST(WitnessNotes, TheJournalHasNoMoreThanItsShare) {
  SKIP_WITHOUT_WITNESS();
  const directory there;
  const outcome got =
      run(wrapped({"--witness", "--journal", there / "journal"},
                  {"/usr/bin/python3", "-c",
                   "import socket\n"
                   "for i in range(400): socket.socket().bind(('127.0.0.1', 0))\n"}));
  EXPECT_EQ(got.status, 0) << got.err;
  std::uint64_t calls = 0;
  const auto binds = binds_in(there / "journal");
  for (const bind_entry& each : binds) calls += each.count;
  EXPECT_LE(binds.size(), tidewait::command::most_bind_notes);
  if (binds.size() == tidewait::command::most_bind_notes) {
    EXPECT_THAT(got.err, HasSubstr(std::to_string(400 - calls) + " binds more than the journal"));
  }
}

/// Serves `clients` connections on a port, closes first, and prints on which port.
std::string serve(const std::string& port, const std::string& option, int clients) {
  return "l = socket.socket()\n" + option + "l.bind(('127.0.0.1', " + port +
         ")); l.listen()\n"
         "for i in range(" +
         std::to_string(clients) +
         "):\n"
         "  c = socket.create_connection(l.getsockname()); s, _ = l.accept()\n"
         "  s.close(); c.recv(1); c.close()\n"
         "l.close()\n";
}

const std::string reuse_address = "l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n";

TEST(WitnessNotes, ATimeWaitIsJudgedByTheOptionsOfItsServer) {
  SKIP_WITHOUT_WITNESS();
  SKIP_WITHOUT_ISOLATION();
  const auto of = [](const std::string& option, const words& more) {
    words options{"--isolate", "--witness"};
    options.insert(options.end(), more.begin(), more.end());
    return run(
        wrapped(options, {"/usr/bin/python3", "-c", "import socket\n" + serve("8080", option, 2)}));
  };
  const outcome harmless = of(reuse_address, {});
  EXPECT_EQ(harmless.status, 0) << harmless.err;
  EXPECT_THAT(harmless.err, HasSubstr("2 TIME_WAITs on 127.0.0.1:8080: harmless, since the server "
                                      "sets SO_REUSEADDR"));
  const outcome blocks = of("", {});
  EXPECT_EQ(blocks.status, 97) << blocks.err;
  EXPECT_THAT(blocks.err, Not(HasSubstr("harmless")));
  EXPECT_EQ(of(reuse_address, {"--tolerate", "fail:time_wait"}).status, 97);
  const outcome one_of_two =
      run(wrapped({"--isolate", "--witness"},
                  {"/usr/bin/python3", "-c",
                   "import socket\np = socket.socket(); p.bind(('127.0.0.1', 8080)); p.close()\n" +
                       serve("8080", reuse_address, 2)}));
  EXPECT_EQ(one_of_two.status, 97) << "the first bind would fail now: " << one_of_two.err;
}

/// Each TIME_WAIT on a port that a server had is the command's, and no other is: the kernel's table
/// in the namespace says which there are.
TEST(WitnessNotes, EveryTimeWaitIsAttributedAsTheKernelCountsThem) {
  SKIP_WITHOUT_WITNESS();
  SKIP_WITHOUT_ISOLATION();
  const directory there;
  std::string script = "import collections, json, socket\n";
  for (int i = 0; i < 30; ++i) {
    script += i % 3 == 0   ? serve(std::to_string(8000 + i), "", 1 + i % 4)
              : i % 3 == 1 ? serve(std::to_string(8000 + i), reuse_address, 1 + i % 4)
                           : serve("0", "", 1 + i % 4);
  }
  script +=
      "lines = [line.split() for line in open('/proc/net/tcp').read().splitlines()[1:]]\n"
      "there = collections.Counter(int(l[1].split(':')[1], 16) for l in lines if l[3] == '06')\n"
      "print(json.dumps(there))\n";
  const outcome got = run(wrapped({"--isolate", "--witness", "--json", there / "report"},
                                  {"/usr/bin/python3", "-c", script}));
  EXPECT_EQ(got.status, 97) << got.err;
  json attributed = json::object();
  const json report = report_in(there / "report");
  for (const json& each : report["findings"]) {
    attributed[std::to_string(each["local"]["port"].get<int>())] = each["conflicting"].size();
  }
  EXPECT_EQ(attributed.size(), 10U) << "those without SO_REUSEADDR";
  for (const json& each : report["harmless"]) {
    attributed[std::to_string(each["local"]["port"].get<int>())] = each["count"];
  }
  EXPECT_EQ(attributed, json::parse(got.out)) << got.err;
}

TEST(WitnessNotes, TheTestIsNamedThatHasThePort) {
  SKIP_WITHOUT_WITNESS();
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  const outcome got = run(wrapped({"--witness"}, {"/usr/bin/python3", "-c", R"(
import os, subprocess, sys
def start(test, code):
  return subprocess.Popen([sys.executable, '-c', 'import socket; s = socket.socket();'
      's.bind(("127.0.0.1", ' + sys.argv[1] + '));' + code], stdin=subprocess.PIPE,
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ, TIDEWAIT_TEST=test))
has = start('CacheTest.Evicts', 's.listen(); print(flush=True); input()')
has.stdout.readline()
wants = start('NetTest.Serves', '')
failed = wants.wait()
has.communicate(b'\\n')
sys.exit(failed)
)",
                                                  number}));
  EXPECT_NE(got.status, 0);
  EXPECT_THAT(got.err, HasSubstr("127.0.0.1:" + number + "  EADDRINUSE  pid "));
  EXPECT_THAT(got.err, HasSubstr("(test CacheTest.Evicts, running now)\n"));
  EXPECT_THAT(got.err, HasSubstr("next: lease_port(), FIXED_PORTS " + number + ", or ISOLATE\n"));
}

TEST(WitnessNotes, CTestShowsTheFailedBindInTheOutputOfTheTest) {
  SKIP_WITHOUT_WITNESS();
  if (run({"ctest", "--version"}).status != 0) GTEST_SKIP() << "ctest is not installed";
  const directory there;
  const tidewait::listening_socket taken;
  std::ofstream{there / "CTestTestfile.cmake"}
      << "add_test(binds \"" << program_path << "\" run --witness -- python3 -c [=[import socket; "
      << "socket.socket().bind(('127.0.0.1', " << taken.port() << "))]=])\n";
  const outcome got = run({"ctest", "--test-dir", there / "", "--output-on-failure"});
  EXPECT_NE(got.status, 0);
  EXPECT_THAT(got.out, AllOf(HasSubstr("tidewait: 1 bind failed while this ran\n"),
                             HasSubstr("held by pid " + std::to_string(::getpid()) + ' '),
                             HasSubstr("next: ")));
}

}  // namespace
