// SPDX-License-Identifier: BSL-1.0
//
// Unix sockets and stale socket files that a command leaves, as `tidewait run` sees them.
#include <string>

#include <gmock/gmock.h>

#include "../support/unix_server.hpp"
#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// Binds a path, listens, and then does what `end` says.
std::string serve(const std::string& path, const std::string& end) {
  return "import os, socket, sys, time\n"
         "s = socket.socket(socket.AF_UNIX); s.bind('" +
         path + "'); s.listen()\n" + end;
}

std::string why_no_witness() {
  const outcome got = run(wrapped({"--witness=require"}, {"true"}));
  return got.status == 0 ? "" : got.err;
}

TEST(UnixRun, AServerThatOutlivesTheCommandIsFound) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const outcome got = run(wrapped({"--name", "Net.Forks", "--max-wait", "50ms"},
                                  python(serve(path, "if os.fork() == 0: time.sleep(60)"))));
  EXPECT_EQ(got.status, 97);
  EXPECT_THAT(got.err, AllOf(HasSubstr("Net.Forks left 1 Unix socket behind on " + path + "\n"),
                             HasSubstr("has outlived its parent and is still listening"),
                             ContainsRegex("tolerate: path=[*]/.*/a[.]sock[+]test=Net[.]Forks, in "
                                           "TIDEWAIT_POLICY")));
}

TEST(UnixRun, AStaleFileOfTheCommandIsFound) {
  if (const std::string why = why_no_witness(); !why.empty()) GTEST_SKIP() << why;
  const socket_folder there;
  const std::string path = there / "a.sock";
  const outcome stale =
      run(wrapped({"--witness", "--name", "Net.Forgets"}, python(serve(path, ""))));
  EXPECT_EQ(stale.status, 97);
  EXPECT_THAT(stale.err,
              AllOf(HasSubstr("tidewait: Net.Forgets left 1 stale socket file behind: " + path),
                    HasSubstr("rm " + path)));
  ::unlink(path.c_str());
  const outcome clean =
      run(wrapped({"--witness"}, python(serve(path, "os.unlink('" + path + "')"))));
  EXPECT_EQ(clean.status, 0) << clean.err;
  const outcome tolerated = run(
      wrapped({"--witness", "--tolerate", "path=" + there.path() + "/*"}, python(serve(path, ""))));
  EXPECT_EQ(tolerated.status, 0) << tolerated.err;
}

TEST(UnixRun, ABindThatFailsIsExplained) {
  if (const std::string why = why_no_witness(); !why.empty()) GTEST_SKIP() << why;
  const socket_folder there;
  const std::string path = there / "a.sock";
  serve_unix(path).reset();
  const auto bind = python("import socket; socket.socket(socket.AF_UNIX).bind('" + path + "')");
  const outcome stale = run(wrapped({"--witness"}, bind));
  EXPECT_EQ(stale.status, 1);
  EXPECT_THAT(stale.err, AllOf(HasSubstr("tidewait: 1 bind failed while this ran\n  " + path +
                                         "  EADDRINUSE  pid "),
                               HasSubstr("next: remove the file"), Not(HasSubstr("held by"))));
  ::unlink(path.c_str());
  const unix_server server = serve_unix(path);
  EXPECT_THAT(run(wrapped({"--witness"}, bind)).err,
              HasSubstr("held by pid " + std::to_string(::getpid()) + ' '));
}

TEST(UnixRun, AStaleFileFromBeforeTheCommandIsNotItsFault) {
  if (const std::string why = why_no_witness(); !why.empty()) GTEST_SKIP() << why;
  const socket_folder there;
  const std::string path = there / "a.sock";
  serve_unix(path).reset();
  const outcome got =
      run(wrapped({"--witness"}, python("import socket\ntry: socket.socket(socket.AF_UNIX).bind('" +
                                        path + "')\nexcept OSError: pass\n")));
  EXPECT_EQ(got.status, 0) << got.err;
}

TEST(UnixRun, ARelativePathCountsFromWhereItWasBound) {
  if (const std::string why = why_no_witness(); !why.empty()) GTEST_SKIP() << why;
  const socket_folder there;
  const outcome got =
      run(wrapped({"--witness"}, python("import os\nos.chdir('" + there.path() + "')\n" +
                                        serve("a.sock", "os.chdir('/')"))));
  EXPECT_EQ(got.status, 97);
  EXPECT_THAT(got.err, HasSubstr("left 1 stale socket file behind: " + (there / "a.sock") + "\n"));
}

TEST(UnixRun, IsolationSeparatesAbstractNamesAndNotPaths) {
  const std::string name = "@selftest-" + std::to_string(::getpid()) + "-isolated";
  const auto outside = serve_unix(name);
  const std::string bind =
      "import socket\nsocket.socket(socket.AF_UNIX).bind('\\0" + name.substr(1) + "')\n";
  const outcome got = run(wrapped({"--isolate=require"}, python(bind)));
  if (got.status == 3) GTEST_SKIP() << got.err;
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_NE(run(wrapped({}, python(bind))).status, 0);
  const socket_folder there;
  const std::string path = there / "a.sock";
  const auto taken = serve_unix(path);
  EXPECT_NE(run(wrapped({"--isolate=require"}, python(serve(path, "")))).status, 0);
}

TEST(UnixRun, TheReportHasThemInJson) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  run(wrapped({"--json", there / "r.json", "--max-wait", "50ms"},
              python(serve(path, "if os.fork() == 0: time.sleep(60)"))));
  const outcome read = run(python("import json; r = json.load(open('" + (there / "r.json") +
                                  "'))\nf = r['unix_findings'][0]\n"
                                  "print(f['name'], f['fails'], f['causes'][0]['cause'],\n"
                                  "      f['conflicting'][0]['state'], r['leaks'])\n"));
  EXPECT_EQ(read.out, path + " True orphan_listens LISTEN 2\n") << read.err;
}

}  // namespace
