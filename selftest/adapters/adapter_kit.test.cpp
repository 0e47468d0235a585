// SPDX-License-Identifier: BSL-1.0
//
// A whole adapter, for a framework of a few lines, as docs/adapters.md shows it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/adapter.hpp>

#include "../support/sockets.hpp"

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A framework that knows the name of the running test and takes failures.
namespace tiny {
std::string running;
std::vector<std::string> failures;
}  // namespace tiny

// [adapter]
/// What tidewait has to know of the framework.
struct framework {
  static std::string test_name() { return tiny::running; }
  static void raise(const tidewait::report& found) noexcept {
    if (!found.clean()) tiny::failures.push_back(tiny::running + ": " + render(found));
  }
};

class fixture : public tidewait::watching_fixture<framework> {};
using watch = tidewait::scoped_watch<framework>;
template <typename Existing>
class with_ports : public tidewait::watched_fixture<framework, Existing> {
 protected:
  using tidewait::watched_fixture<framework, Existing>::watched_fixture;
};
std::string is_free(const tidewait::port_lease& port) { return tidewait::why_not_free(port); }
// [adapter]

/// A fixture that somebody has already, with each kind of constructor.
struct existing {
  existing() = default;
  explicit existing(int number) : text{std::to_string(number)} {}
  existing(std::string first, std::unique_ptr<std::string> second)
      : text{std::move(first) + *second} {}
  std::string text = "none";
};

template <typename Test>
std::vector<std::string> failures_of(Test test) {
  tiny::running = "Suite.Test";
  tiny::failures.clear();
  test();
  return std::exchange(tiny::failures, {});
}

TEST(AdapterKit, FailsTheTestThatLeaves) {
  EXPECT_THAT(failures_of([] {
                const watch here;
                static_cast<void>(sockets::listen_on(0));
              }),
              ElementsAre(HasSubstr("Suite.Test: tidewait: Suite.Test left 1 socket behind")));
  EXPECT_THAT(failures_of([] { const watch here; }), IsEmpty());
}

TEST(AdapterKit, LooksWhenTheExistingFixtureIsDestroyed) {
  struct closes : existing {
    ~closes() { ::close(listener); }
    int listener = sockets::listen_on(0);
  };
  struct test : with_ports<closes> {};
  EXPECT_THAT(failures_of([] { const test here; }), IsEmpty());
}

TEST(AdapterKit, MakesTheExistingFixtureOfItsArguments) {
  struct plain : with_ports<existing> {};
  struct of_a_number : with_ports<existing> {
    of_a_number() : with_ports{7} {}
  };
  struct moved : with_ports<existing> {
    moved() : with_ports{"a", std::make_unique<std::string>("b")} {}
  };
  struct tolerant : with_ports<existing> {
    tolerant() : with_ports{tidewait::policy{}.tolerate(tidewait::socket_state::listen)} {
      static_cast<void>(sockets::listen_on(0));
    }
  };
  struct tolerant_of_a_number : with_ports<existing> {
    tolerant_of_a_number() : with_ports{tidewait::policy{}, 8} {}
  };
  EXPECT_THAT(failures_of([] {
                EXPECT_EQ(plain{}.text, "none");
                EXPECT_EQ(of_a_number{}.text, "7");
                EXPECT_EQ(moved{}.text, "ab");
                EXPECT_EQ(tolerant{}.text, "none");
                EXPECT_EQ(tolerant_of_a_number{}.text, "8");
              }),
              IsEmpty());
}

TEST(AdapterKit, LeasesInTheFixture) {
  struct serving : fixture {
    std::vector<tidewait::port_lease> ports = lease_block(3);
    std::vector<tidewait::port_lease> more = lease_ports(2);
    tidewait::port_lease one = lease_port();
  };
  EXPECT_THAT(failures_of([] {
                const serving here;
                EXPECT_EQ(here.ports.at(2).number(), here.ports.at(0).number() + 2);
                EXPECT_EQ(is_free(here.one), "");
                EXPECT_EQ(here.more.at(0).where().file, here.one.where().file);
              }),
              IsEmpty());
}

}  // namespace
