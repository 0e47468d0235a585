// SPDX-License-Identifier: BSL-1.0
//
// A program with a main() of its own, which leaves what LEAVE names, and with a listener of its
// own.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using listener_base = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <catch2/catch_reporter_automake.hpp>
#include <catch2/catch_reporter_sonarqube.hpp>
#include <catch2/catch_reporter_tap.hpp>
#include <catch2/catch_reporter_teamcity.hpp>
using listener_base = Catch::TestEventListenerBase;
#endif

#include <cstdio>
#include <cstdlib>
#include <string>

#include <tidewait/catch2.hpp>

#include "../support/sockets.hpp"

namespace {

bool leaves(const char* what) {
  const char* const asked = std::getenv("LEAVE");
  return asked != nullptr && asked == std::string{what};
}

/// A server that lives as long as the program. Made in a test, it is no fault of that test's only
/// if it was there before.
struct global_server {
  int listener = sockets::listen_on(0);
  ~global_server() {
    if (!leaves("global")) ::close(listener);
  }
};

/// The user's: a server for the whole run, and a look at whether tests have failed.
class users_listener : public listener_base {
 public:
  using listener_base::listener_base;

  void testRunStarting(const Catch::TestRunInfo& info) override {
    listener_base::testRunStarting(info);
    static const global_server server;
    if (leaves("run")) sockets::listen_on(0);
  }
  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    listener_base::testCaseStarting(info);
    test_ = info.name;
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.failed != 0) {
      std::fprintf(stderr, "user's listener: %s failed\n", test_.c_str());
    }
    listener_base::testCaseEnded(stats);
  }

 private:
  std::string test_;
};
CATCH_REGISTER_LISTENER(users_listener)

}  // namespace

int main(int argc, char** argv) {
  const int listener = sockets::listen_on(0);
  const int result = Catch::Session{}.run(argc, argv);
  if (!leaves("main")) ::close(listener);
  if (leaves("watched")) {
    const tidewait::catch2::watch watch;
    sockets::listen_on(0);
  }
  if (leaves("bound")) sockets::bind_to(0);
  return result;
}
