// SPDX-License-Identifier: BSL-1.0
//
// Servers on Unix sockets.
#include "../support/unix_server.hpp"

#include <sys/stat.h>

#include <string>

#include <tidewait/detail/linux/socket_directory.hpp>
#include <tidewait/explain_unix_bind.hpp>

#include "bad_server.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using tidewait::server_process;

class UnixServer : public server_test {
 protected:
  static std::string abstract_name() {
    return "@selftest-" + std::to_string(::getpid()) + "-server";
  }
};

TEST_F(UnixServer, IsReadyOnALeasedPathWhichItTakesAsItsArgument) {
  for (const char* const mode : {"unix", "unix_datagram"}) {
    const tidewait::socket_path_lease path = lease_socket_path();
    server_process server{SELFTEST_BAD_SERVER, {mode, path}};
    server.wait_until_listening(path, long_enough);
    EXPECT_FALSE(tidewait::explain_unix_bind(path.path()).free());
    EXPECT_TRUE(server.stop().orderly());
  }
}

TEST_F(UnixServer, IsReadyOnAnAbstractNameAndOnAPortAtOnce) {
  server_process server{SELFTEST_BAD_SERVER, {"unix", abstract_name()}};
  server.wait_until_listening(abstract_name(), long_enough);
  const tidewait::port_lease port = lease_port();
  auto other = bad_server("serve", port);
  EXPECT_THAT(error_of([&] {
                other.wait_until_listening({tidewait::listen_target{abstract_name()}, port});
              }),
              HasSubstr(abstract_name() + " belongs to pid " + std::to_string(server.pid())));
}

TEST_F(UnixServer, ThatDoesNotListenSaysWhatIsThere) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  serve_unix(path).reset();  // a stale file
  server_process server{SELFTEST_BAD_SERVER, {"silent", "0"}};
  EXPECT_THAT(error_of([&] { server.wait_until_listening(path, 1ms); }),
              AllOf(HasSubstr(" to listen on " + path),
                    HasSubstr("nothing listens on " + path + " after 1 ms"),
                    HasSubstr("tidewait: " + path + " is a stale socket file")));
}

TEST_F(UnixServer, ThatCannotBindIsExplainedByWhoHasThePath) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const auto taken = serve_unix(path);
  server_process server{SELFTEST_BAD_SERVER, {"unix", path}};
  EXPECT_THAT(error_of([&] { server.wait_until_listening(path, long_enough); }),
              AllOf(HasSubstr("ended with exit status"),
                    HasSubstr("of this process is still listening on it")));
}

TEST_F(UnixServer, InheritsTheLockOfALeaseThatIsNotNamed) {
  const tidewait::socket_path_lease path = lease_socket_path();
  const std::string name = path.path();
  server_process server{SELFTEST_BAD_SERVER, {"unix", name}};
  server.wait_until_listening(name, long_enough);
  struct stat ours {};
  ASSERT_EQ(::fstat(path.lock_descriptors().front(), &ours), 0);
  bool inherited = false;
  const std::string fds = "/proc/" + std::to_string(server.pid()) + "/fd";
  tidewait::detail::for_each_name(AT_FDCWD, fds.c_str(), [&](int folder, const char* each) {
    struct stat theirs {};
    if (::fstatat(folder, each, &theirs, 0) == 0 && theirs.st_ino == ours.st_ino &&
        theirs.st_dev == ours.st_dev) {
      inherited = true;
    }
  });
  EXPECT_TRUE(inherited);
}

}  // namespace
