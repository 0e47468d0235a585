// SPDX-License-Identifier: BSL-1.0
//
// Servers as people have them. Each test is skipped where its server is not installed.

#include <dirent.h>

#include <cstdlib>
#include <fstream>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/process/linux/start_server.hpp>

#include "bad_server.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using tidewait::server_options;
using tidewait::server_process;

/// A directory of the test's own, gone with all its files at the end.
class scratch {
 public:
  scratch() {
    std::string name = testing::TempDir() + "tidewait-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~scratch() { remove(path_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  static void remove(const std::string& path) {
    if (DIR* const entries = ::opendir(path.c_str())) {
      while (const dirent* const entry = ::readdir(entries)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") remove(path + '/' + name);
      }
      ::closedir(entries);
      ::rmdir(path.c_str());
    } else {
      ::unlink(path.c_str());
    }
  }

  std::string path_;
};

bool installed(const std::string& program) {
  // Debian has nginx where only root looks.
  const char* const path = std::getenv("PATH");
  return !tidewait::process_impl::find_program(program, path == nullptr ? "" : path).empty();
}

class RealServer : public server_test {
 protected:
  using server_test::server_test;

  static void SetUpTestSuite() {
    const char* const path = std::getenv("PATH");
    ::setenv("PATH", ((path == nullptr ? "" : std::string{path} + ':') + "/usr/sbin:/sbin").c_str(),
             1);
  }

  const scratch files_;
};

TEST_F(RealServer, Redis) {
  if (!installed("redis-server")) GTEST_SKIP() << "redis-server is not installed";
  const tidewait::port_lease port = lease_port();
  server_process redis{
      "redis-server",
      {"--port", port, "--save", "", "--dir", files_.path(), "--bind", "127.0.0.1"}};
  redis.wait_until_listening(port, long_enough);
  EXPECT_EQ(ask(port.number(), "PING\r\n", 7), "+PONG\r\n");
  redis.wait_for_output("Ready to accept connections", long_enough);
  redis.restart();
  redis.wait_until_listening(port, long_enough);
  EXPECT_EQ(ask(port.number(), "PING\r\n", 7), "+PONG\r\n");
  EXPECT_EQ(to_string(redis.stop()), "exit status 0");
}

TEST_F(RealServer, RedisOnAPortThatIsTaken) {
  if (!installed("redis-server")) GTEST_SKIP() << "redis-server is not installed";
  const tidewait::port_lease port = lease_port();
  std::vector<tidewait::argument> arguments{"--port", port, "--save", "", "--bind", "127.0.0.1"};
  server_process first{"redis-server", arguments};
  first.wait_until_listening(port, long_enough);
  server_process second{"redis-server", arguments};
  EXPECT_THAT(error_of([&] { second.wait_until_listening(port, long_enough); }),
              AllOf(HasSubstr("the server has ended; it ended with exit status 1"),
                    HasSubstr("Address already in use"),
                    HasSubstr("pid " + std::to_string(first.pid()) + " redis-server")));
}

/// A configuration that keeps to the scratch directory; the port is in it, and in no argument.
std::vector<tidewait::argument> nginx_arguments(const scratch& files,
                                                const tidewait::port_lease& port,
                                                const char* daemon) {
  const std::string path = files.path() + "/nginx.conf";
  std::ofstream{path} << "daemon " << daemon << ";\n"
                      << "master_process on;\nworker_processes 2;\n"
                      << "pid " << files.path() << "/nginx.pid;\nerror_log stderr;\n"
                      << "events {}\nhttp {\n  access_log off;\n"
                      << "  client_body_temp_path " << files.path() << "/body;\n"
                      << "  proxy_temp_path " << files.path() << "/proxy;\n"
                      << "  fastcgi_temp_path " << files.path() << "/fastcgi;\n"
                      << "  uwsgi_temp_path " << files.path() << "/uwsgi;\n"
                      << "  scgi_temp_path " << files.path() << "/scgi;\n"
                      << "  server {\n    listen 127.0.0.1:" << port.number()
                      << ";\n    location / { return 200 hello; }\n  }\n}\n";
  return {"-p", files.path(), "-c", path, "-e", "stderr"};
}

std::string get(const tidewait::port_lease& port) {
  return ask(port.number(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 100);
}

TEST_F(RealServer, NginxWithItsWorkers) {
  if (!installed("nginx")) GTEST_SKIP() << "nginx is not installed";
  const tidewait::port_lease port = lease_port();
  server_process nginx{"nginx", nginx_arguments(files_, port, "off"), server_options{}.lease(port)};
  nginx.wait_until_listening(port, long_enough);
  EXPECT_THAT(get(port), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("hello")));
  const auto end = nginx.stop();
  EXPECT_TRUE(end.orderly());
  EXPECT_EQ(to_string(end), "exit status 0");
}

TEST_F(RealServer, NginxAsADaemon) {
  if (!installed("nginx")) GTEST_SKIP() << "nginx is not installed";
  const tidewait::port_lease port = lease_port();
  server_process nginx{"nginx", nginx_arguments(files_, port, "on"),
                       server_options{}.lease(port).daemon()};
  nginx.wait_until_listening(port, long_enough);
  EXPECT_THAT(get(port), HasSubstr("hello"));
  EXPECT_TRUE(nginx.running());
  EXPECT_TRUE(nginx.stop().orderly());
}

TEST_F(RealServer, NginxAsADaemonThatNobodyAnnounced) {
  if (!installed("nginx")) GTEST_SKIP() << "nginx is not installed";
  const tidewait::port_lease port = lease_port();
  server_process nginx{"nginx", nginx_arguments(files_, port, "on"), server_options{}.lease(port)};
  while (nginx.running()) tidewait::detail::sleep_for(1ms);
  // Before it has left the group of its parent the daemon would end with it.
  const auto has_left = [&] {
    pid_t daemon = 0;
    std::ifstream{files_.path() + "/nginx.pid"} >> daemon;
    return daemon > 0 && ::getpgid(daemon) == daemon;
  };
  for (int i = 0; !has_left() && i < 10000; ++i) tidewait::detail::sleep_for(1ms);
  const auto end = nginx.stop();
  EXPECT_EQ(to_string(end), "exit status 0");
  EXPECT_THAT(end.escaped, Not(IsEmpty())) << "the master, and the workers that it had so far";
  EXPECT_TRUE(tidewait::gtest::is_free(port));
}

/// For servers that hang up on their clients.
class RealServerThatClosesFirst : public RealServer {
 protected:
  RealServerThatClosesFirst()
      : RealServer{tidewait::policy{}.tolerate(tidewait::socket_state::time_wait)} {}
};

TEST_F(RealServerThatClosesFirst, RedisThatIsShutDownByItsClient) {
  if (!installed("redis-server")) GTEST_SKIP() << "redis-server is not installed";
  const tidewait::port_lease port = lease_port();
  server_process redis{"redis-server", {"--port", port, "--save", "", "--dir", files_.path()}};
  redis.wait_until_listening(port, long_enough);
  ask(port.number(), "SHUTDOWN NOSAVE\r\n", 1);
  EXPECT_EQ(to_string(redis.wait_for_exit(long_enough)), "exit status 0");
}

TEST_F(RealServerThatClosesFirst, HttpServerOfPython) {
  if (!installed("python3")) GTEST_SKIP() << "python3 is not installed";
  const tidewait::port_lease port = lease_port();
  server_process python{"python3",
                        {"-u", "-m", "http.server", "--bind", "127.0.0.1", port},
                        server_options{}.working_directory(files_.path())};
  python.wait_until_listening(port, long_enough);
  EXPECT_THAT(ask(port.number(), "GET / HTTP/1.0\r\n\r\n", 1000000), HasSubstr("200 OK"));
  python.wait_for_output("\"GET / HTTP/1.0\" 200", long_enough);
  EXPECT_EQ(to_string(python.stop()), "signal 15 (SIGTERM)");
}

}  // namespace
