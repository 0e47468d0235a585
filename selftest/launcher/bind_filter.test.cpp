// SPDX-License-Identifier: BSL-1.0
#include "bind_filter.hpp"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>

#include "bind_calls.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::HasSubstr;
using testing::SizeIs;
using tidewait::command::read_call;
using tidewait::command::stopped_call;
using witness::filter_line;
using witness::filter_step;
using witness::number;
using witness::numbers;
using witness::outcome;
using witness::run;
using witness::setup;
using witness::tcp_socket;
using witness::try_bind;

seccomp_data call_of(std::uint32_t architecture, std::uint32_t call, std::uint64_t first = 7) {
  seccomp_data data{};
  data.arch = architecture;
  data.nr = static_cast<int>(call);
  data.args[0] = first;
  data.args[1] = 0x1000;
  data.args[2] = 0xffffffff00000010;
  return data;
}

TEST(BindFilter, KnowsTheNumbersOfEachArchitecture) {
  const struct {
    std::uint32_t architecture, bind, listen;
  } all[] = {{AUDIT_ARCH_X86_64, 49, 50}, {AUDIT_ARCH_X86_64, 0x40000031, 0x40000032},
             {AUDIT_ARCH_I386, 361, 363}, {AUDIT_ARCH_AARCH64, 200, 201},
             {AUDIT_ARCH_ARM, 282, 284},  {AUDIT_ARCH_RISCV64, 200, 201}};
  for (const auto& each : all) {
    const auto bind = read_call(call_of(each.architecture, each.bind));
    const auto listen = read_call(call_of(each.architecture, each.listen));
    ASSERT_TRUE(bind && listen) << each.architecture;
    EXPECT_EQ(bind->call, stopped_call::bind);
    EXPECT_EQ(bind->fd, 7);
    EXPECT_EQ(bind->address, 0x1000U);
    EXPECT_EQ(bind->size, 16U);
    EXPECT_EQ(listen->call, stopped_call::listen);
    EXPECT_FALSE(read_call(call_of(each.architecture, each.bind + 7)));
  }
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_S390X, 49)));
}

TEST(BindFilter, ReadsSocketcallOf32BitX86) {
  const auto bind = read_call(call_of(AUDIT_ARCH_I386, 102, 2));
  const auto listen = read_call(call_of(AUDIT_ARCH_I386, 102, 4));
  ASSERT_TRUE(bind && listen);
  EXPECT_TRUE(bind->in_memory);
  EXPECT_EQ(bind->block, 0x1000U);
  EXPECT_EQ(listen->call, stopped_call::listen);
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_I386, 102, 3)));
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_X86_64, 102, 2))) << "that is getuid";
}

TEST(BindFilter, SaysWhyThereIsNone) {
  using tidewait::command::explain_no_filter;
  EXPECT_TRUE(explain_no_filter(filter_step::installed, 0).empty());
  EXPECT_THAT(explain_no_filter(filter_step::rights, EACCES).fix, HasSubstr("--witness"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EBUSY).why,
              HasSubstr("outer `tidewait run`"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EINVAL).why, HasSubstr("user notifications"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EPERM).why, HasSubstr("denied"));
  EXPECT_THAT(explain_no_filter(filter_step::kernel, 0).why, HasSubstr("5.5"));
}

TEST(BindFilter, IsRefusedOnceMoreBelowAnother) {
  const outcome outer = run([](auto say) {
    filter_line line;
    forked inner{[&](auto say_inner) {
      line.install(setup{}.privileges);
      say_inner(number(try_bind(tcp_socket(), 0)));
    }};
    const auto answer = line.receive();
    say(numbers({static_cast<int>(answer.step), answer.error}) + inner.all());
  });
  SKIP_WITHOUT_FILTER(outer);
  EXPECT_EQ(outer.said, numbers({static_cast<int>(filter_step::install), EBUSY}) + "0 ");
  EXPECT_THAT(outer.binds, SizeIs(1)) << "the outer one sees what the inner one cannot";
}

TEST(BindFilter, LeavesNoDescriptorInTheChild) {
  const auto open_descriptors = [] {
    std::string all;
    for (int fd = 0; fd < 64; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) all += number(fd);
    }
    return all;
  };
  const outcome result = run([&](auto say) { say(open_descriptors()); });
  SKIP_WITHOUT_FILTER(result);
  filter_line line;
  forked plain{[&](auto say) { say(open_descriptors()); }};
  EXPECT_EQ(result.said, plain.all());
}

TEST(BindFilter, ThrowsIfTheChildEndsWithoutAnAnswer) {
  filter_line line;
  forked child{[](auto) {}};
  EXPECT_THROW(line.receive(), std::system_error);
}

}  // namespace
