// SPDX-License-Identifier: BSL-1.0
//
// Whole looks at Unix sockets on an invented world: see fake_os.hpp.
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/watch.hpp>

namespace {

using tidewait::policy;
using tidewait::relation;
using tidewait::report;
using tidewait::watch;

/// "fails /tmp/a.sock: listener_not_closed", "warns ...", a line for each finding.
std::string verdict(const report& found) {
  std::string text;
  for (const tidewait::unix_finding& each : found.unix_findings) {
    text += (each.fails ? "fails " : "warns ") + tidewait::unix_name_text(each.why.name) + ':';
    for (const auto& said : each.why.explanations) text += ' ' + std::string{to_string(said.what)};
    text += '\n';
  }
  if (!found.blind.empty()) text += "blind\n";
  for (const std::string& note : found.notes) text += "note " + note.substr(0, 12) + '\n';
  return text.empty() ? "clean\n" : text;
}

class UnixLook : public testing::Test {
 protected:
  UnixLook() { there = {}; }
  world& there = world::now_there();
};

struct situation {
  const char* name;
  std::function<void(world&)> before;
  std::function<void(world&)> test;
  const char* expected;
};

const situation situations[] = {
    {"a listener on a path", nullptr, [](world& w) { w.add_unix("/tmp/a.sock", relation::self); },
     "fails /tmp/a.sock: listener_not_closed\n"},
    {"a listener on an abstract name", nullptr, [](world& w) { w.add_unix("@a", relation::self); },
     "fails @a: listener_not_closed\n"},
    {"a listener on a relative path", nullptr,
     [](world& w) { w.add_unix("a.sock", relation::self); },
     "fails /work/a.sock: listener_not_closed\n"},
    {"a listener of a child while this process has one more descriptor", nullptr,
     [](world& w) {
       w.add_unix("/tmp/a.sock", relation::descendant);
       ++w.descriptors;
     },
     "fails /tmp/a.sock: child_listens\n"},
    {"a listener of an orphan of this run", nullptr,
     [](world& w) {
       w.add_unix("@a", relation::marked_orphan);
       ++w.descriptors;
     },
     "fails @a: orphan_listens\n"},
    {"a listener of another program", nullptr,
     [](world& w) {
       w.add_unix("@a", relation::other);
       ++w.descriptors;
     },
     "clean\n"},
    {"a listener from before the test", [](world& w) { w.add_unix("@a", relation::self); }, nullptr,
     "clean\n"},
    {"a listener that takes the place and the descriptor of one from before",
     [](world& w) { w.add_unix("@a", relation::self); },
     [](world& w) {
       w.close_unix("@a");
       w.add_unix("@b", relation::self);
     },
     "fails @b: listener_not_closed\n"},
    {"the stale file of a server from before",
     [](world& w) { w.add_unix("/tmp/a.sock", relation::self); },
     [](world& w) { w.close_unix("/tmp/a.sock"); }, "fails /tmp/a.sock: stale_socket_file\n"},
    {"a server from before that removes its file",
     [](world& w) { w.add_unix("/tmp/a.sock", relation::self); },
     [](world& w) {
       w.close_unix("/tmp/a.sock");
       w.socket_files.clear();
     },
     "clean\n"},
    {"a path on which another server has come",
     [](world& w) { w.add_unix("/tmp/a.sock", relation::self); },
     [](world& w) {
       w.close_unix("/tmp/a.sock");
       w.add_unix("/tmp/a.sock", relation::other);
     },
     "clean\n"},
    {"the file of another program, stale from before",
     [](world& w) { w.socket_files["/tmp/other.sock"] = 1; }, [](world& w) { ++w.descriptors; },
     "clean\n"},
    {"the lock of a lease", nullptr,
     [](world& w) { w.add_unix("@tidewait/tcp/20111", relation::self); }, "clean\n"},
    {"everything in a namespace of the test's own", [](world& w) { w.private_namespace = true; },
     [](world& w) {
       w.add_unix("@a", relation::other);
       ++w.descriptors;
     },
     "fails @a: listener_of_other\n"},
};

TEST_F(UnixLook, SaysWhatWasLeft) {
  for (const situation& each : situations) {
    there = {};
    watch earlier{{}, "earlier"};  // so that no table is new
    if (each.before) each.before(there);
    watch look_after{{}, each.name};
    if (each.test) each.test(there);
    EXPECT_EQ(verdict(look_after.look()), each.expected) << each.name;
    EXPECT_EQ(verdict(look_after.look()), "clean\n") << each.name << ": reported twice";
  }
}

TEST_F(UnixLook, ReadsNoTableWhileTheDescriptorsAreThoseOfTheLastOne) {
  watch first{{}, "Net.First"};
  static_cast<void>(first.look());
  const std::size_t reads = there.unix_reads;
  const std::size_t searches = there.searches;
  for (int i = 0; i < 3; ++i) {
    watch look_after{{}, "Net.Clean"};
    EXPECT_EQ(verdict(look_after.look()), "clean\n");
  }
  EXPECT_EQ(there.unix_reads, reads);
  EXPECT_EQ(there.searches, searches);
}

TEST_F(UnixLook, FindsAtTheEndOfTheProgramWhatReplacedAnotherDescriptor) {
  watch program{{}, "the test program", tidewait::look_depth::thorough};
  watch test{{}, "Net.Replaces"};
  there.add_unix("@late", relation::self);
  --there.descriptors;  // something else was closed for it
  EXPECT_EQ(verdict(test.look()), "clean\n");
  EXPECT_EQ(verdict(program.look()), "fails @late: listener_not_closed\n");
}

TEST_F(UnixLook, LeavesWhatASuiteOpenedToTheWatchOfTheSuite) {
  watch suite{{}, "suite Net"};
  there.add_unix("/tmp/suite.sock", relation::self);
  watch test{{}, "Net.Uses"};
  EXPECT_EQ(verdict(test.look()), "clean\n");
  EXPECT_EQ(verdict(suite.look()), "fails /tmp/suite.sock: listener_not_closed\n");
}

TEST_F(UnixLook, ObeysThePolicy) {
  const auto judged = [&](const char* rules) {
    there = {};
    watch look_after{tidewait::parse_policy(rules), "Net.Tolerates"};
    there.add_unix("/tmp/x/a.sock", relation::self);
    return verdict(look_after.look());
  };
  EXPECT_EQ(judged("path=/tmp/*"), "clean\n");
  EXPECT_EQ(judged("listen"), "clean\n");
  EXPECT_EQ(judged("any"), "clean\n");
  EXPECT_EQ(judged("owner=net_tests"), "clean\n");
  EXPECT_EQ(judged("warn:path=*.sock"), "warns /tmp/x/a.sock: listener_not_closed\n");
  for (const char* const other : {"path=/tmp/x", "path=@*", "port=1-65535", "bound+path=*",
                                  "path=*, fail:listen", "owner=server"}) {
    EXPECT_EQ(judged(other), "fails /tmp/x/a.sock: listener_not_closed\n") << other;
  }
}

TEST_F(UnixLook, IsNotBlindWithoutTheTableAndSaysSoOnce) {
  there.no_unix_table = std::make_error_code(std::errc::operation_not_permitted);
  watch first{{}, "Net.First"};
  EXPECT_EQ(verdict(first.look()), "note Unix sockets\n");
  watch second{{}, "Net.Second"};
  EXPECT_EQ(verdict(second.look()), "clean\n");
}

}  // namespace
