// SPDX-License-Identifier: BSL-1.0
#include <gmock/gmock.h>

#include <tidewait/bound_socket.hpp>

// [test]
#include <tidewait/gtest.hpp>
#include <tidewait/server_process.hpp>

using namespace std::chrono_literals;

class HttpServer : public tidewait::gtest::fixture {};

TEST_F(HttpServer, ServesItsDirectory) {
  const tidewait::port_lease port = lease_port();
  tidewait::server_process server{"python3", {"-u", "-m", "http.server", port}};
  server.wait_until_listening(port, 30s);
  // ... and now be its client
}
// [test]

TEST_F(HttpServer, TakesItsOptions) {
  const tidewait::port_lease port = lease_port();
  // [options]
  const auto options = tidewait::server_options{}
                           .environment("PYTHONUNBUFFERED", "1")
                           .working_directory("/tmp")
                           .stop_signal(SIGINT)
                           .grace(10s)
                           .echo_output();
  tidewait::server_process server{
      "python3", {"-m", "http.server", "--bind", "127.0.0.1", port}, options};
  const std::string line = server.wait_for_output("Serving HTTP on .* port", 30s);
  EXPECT_THAT(line, testing::HasSubstr(std::to_string(port.number())));
  // [options]
}

TEST_F(HttpServer, IsStartedAgain) {
  const tidewait::port_lease port = lease_port();
  tidewait::server_process server{"python3", {"-u", "-m", "http.server", port}};
  server.wait_until_listening(port, 30s);
  // [stop]
  server.restart();
  server.wait_until_listening(port, 30s);
  const tidewait::server_exit end = server.stop();
  EXPECT_TRUE(end.orderly()) << to_string(end);
  // [stop]
}

TEST_F(HttpServer, IsHandedASocket) {
  // [socket]
  const tidewait::listening_socket socket;
  tidewait::server_process server{"python3",
                                  {"-c", "import socket; socket.socket(fileno=3).accept()"},
                                  tidewait::server_options{}.pass_socket(socket)};
  server.wait_until_listening(socket.port(), 30s);
  // [socket]
}
