// SPDX-License-Identifier: BSL-1.0
//
// Test commands of other languages.
#include <signal.h>

#include <fstream>
#include <string>

#include <gmock/gmock.h>

#include "failed_bind.hpp"
#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Run, APythonUnittestThatLeavesAServerProcessFails) {
  const std::string test = R"(
import socket, subprocess, sys, time, unittest
class Download(unittest.TestCase):
    def test_index(self):
        server = subprocess.Popen([sys.executable, '-m', 'http.server', '{port:0}', '--bind', '127.0.0.1'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for attempt in range(600):
            if socket.socket().connect_ex(('127.0.0.1', {port:0})) == 0: return
            time.sleep(0.05)
        self.fail('no server')
unittest.main()
)";
  const outcome left = run(wrapped({"--ports", "1"}, python(test)));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err,
              AllOf(HasSubstr("\nOK\n"), HasSubstr("-m http.server"), HasSubstr("LISTEN")));
}

TEST(Run, APythonUnittestThatLeavesAServerThreadFailsForItsTimeWait) {
  const std::string test = R"(
import http.server, threading, unittest, urllib.request
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # without a length the client reads until the server has closed
        self.send_response(200); self.end_headers(); self.wfile.write(b'here')
    def log_message(self, *args): pass
class Download(unittest.TestCase):
    def test_index(self):
        server = http.server.HTTPServer(('127.0.0.1', {port:0}), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urllib.request.urlopen('http://127.0.0.1:{port:0}/').read()
unittest.main()
)";
  const outcome left = run(wrapped({"--ports", "1"}, python(test)));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("\nOK\n"), HasSubstr("\n  TIME_WAIT "),
                              HasSubstr("this side closed the connection first")));
  const outcome tolerated = run(wrapped({"--ports", "1", "--tolerate", "time_wait"}, python(test)));
  EXPECT_EQ(tolerated.status, 0) << tolerated.err;
}

TEST(Run, ANodeTestThatLeavesAServerProcessFails) {
  SKIP_WITHOUT("node");
  const std::string test = R"test(
const { spawn } = require('child_process');
const server = spawn(process.execPath, ['-e',
  "require('http').createServer().listen({port:0}, '127.0.0.1', () => console.log('up'))"],
  { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  server.stdout.once('data', () => process.exit(0));
)test";
  const outcome left = run(wrapped({"--ports", "1"}, {"node", "-e", test}));
  EXPECT_EQ(left.status, 97) << left.err;
  EXPECT_THAT(left.err, AllOf(HasSubstr("LISTEN"), HasSubstr("running: node")));
}

TEST(Run, ANodeTestWhoseServerStaysOpenIsEndedByATimeout) {
  SKIP_WITHOUT("node");
  running command{wrapped({"--ports", "1"}, {"node", "-e",
                                             "require('http').createServer().listen("
                                             "{port:0}, '127.0.0.1', () => console.log('up'))"})};
  ASSERT_TRUE(command.says("up"));
  ::kill(command.pid(), SIGTERM);  // as timeout(1) does
  const outcome ended = command.finish();
  EXPECT_EQ(ended.status, 143);
  EXPECT_THAT(ended.err, IsEmpty());
}

TEST(Run, AMakeOfManyProcessesNamesTheOneThatIsLeft) {
  SKIP_WITHOUT("make");
  const directory there;
  const std::string seconds = unique_seconds();
  std::ofstream{there / "Makefile"} << "test: a b\n\t@echo tested\n"
                                       "a:\n\t@$(MAKE) --no-print-directory c d\n"
                                       "b:\n\t@sh -c 'true & wait'\n"
                                       "c:\n\t@(sleep "
                                    << seconds
                                    << " &)\n"
                                       "d:\n\t@true\n";
  const outcome left = run(wrapped({}, {"make", "-j4", "-C", there / "", "test"}));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.out, HasSubstr("tested\n"));
  EXPECT_THAT(left.err, HasSubstr("sleep " + seconds));
}

/// A server in another language, which is told the port and says "up".
struct foreign_server {
  const char* name;
  const char* compiler;  ///< Skipped without it.
  const char* file;
  const char* text;
  words command;  ///< In the directory of the file.
};

std::ostream& operator<<(std::ostream& out, const foreign_server& each) { return out << each.name; }

class ForeignServer : public testing::TestWithParam<foreign_server> {};

/// Their calls come from no library that a witness in the process could stand before: Go makes its
/// own, and Java calls from threads of its own.
TEST_P(ForeignServer, IsFoundWithItsBinds) {
  SKIP_WITHOUT(GetParam().compiler);
  SKIP_WITHOUT_WITNESS();
  const directory there;
  std::ofstream{there / GetParam().file} << GetParam().text;
  words test = shell(
      "set -e; cd \"$1\"; shift; mkfifo up; \"$@\" > up & read said < up; "
      "test \"$said\" = up");
  test.insert(test.end(), {"sh", there / ""});
  test.insert(test.end(), GetParam().command.begin(), GetParam().command.end());
  test.emplace_back("{port:0}");
  const outcome left = run(wrapped({"--witness", "--ports", "1", "--json", there / "r.json"}, test),
                           {"HOME=" + there / "", "GOCACHE=" + there / "cache", "GO111MODULE=off"});
  EXPECT_EQ(left.status, 97) << left.out << left.err;
  EXPECT_THAT(left.err, HasSubstr("LISTEN"));
  const outcome read = run(python("import json; r = json.load(open('" + there / "r.json" +
                                  "'))\n"
                                  "left = r['findings'][0]['conflicting'][0]['local']\n"
                                  "for b in r['binds']:\n"
                                  "  if b['got'] and b['got']['port'] == left['port']:\n"
                                  "    print(b['listening'], b['reuse_address'], b['result'])\n"));
  EXPECT_EQ(read.out, "True True seen\n") << read.err << left.err;
}

const foreign_server foreign_servers[] = {
    {"Perl",
     "perl",
     "server.pl",
     "use IO::Socket::INET; $| = 1;\n"
     "my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], Listen => 8,\n"
     "                              ReuseAddr => 1) or die $!;\n"
     "print \"up\\n\"; sleep 1000;\n",
     {"perl", "server.pl"}},
    {"Go",
     "go",
     "server.go",
     "package main\n"
     "import (\"fmt\"; \"net\"; \"os\"; \"time\")\n"
     "func main() {\n"
     "  _, err := net.Listen(\"tcp\", \"127.0.0.1:\"+os.Args[1])\n"
     "  if err != nil { panic(err) }\n"
     "  fmt.Println(\"up\")\n"
     "  time.Sleep(1000 * time.Second)\n"
     "}\n",
     {"go", "run", "server.go"}},
    {"Java",
     "javac",
     "Server.java",
     "import java.net.*;\n"
     "class Server {\n"
     "  public static void main(String[] all) throws Exception {\n"
     "    var s = new ServerSocket(Integer.parseInt(all[0]), 8, "
     "InetAddress.getByName(\"127.0.0.1\"));\n"
     "    System.out.println(\"up\");\n"
     "    Thread.sleep(1000000);\n"
     "  }\n"
     "}\n",
     {"java", "Server.java"}},
};

INSTANTIATE_TEST_SUITE_P(Each, ForeignServer, testing::ValuesIn(foreign_servers),
                         [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
