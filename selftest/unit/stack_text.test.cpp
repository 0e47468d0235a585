// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/stack_text.hpp>

namespace {

using tidewait::code_place;
using tidewait::detail::parse_stack_text;
using tidewait::detail::to_stack_text;

const std::vector<code_place> stack = {{"/b/net_tests", 0x1234},
                                       {"/b/net_tests", 0x20},
                                       {"/lib/libc.so.6", 0x7},
                                       {"/b/libnet < 2.so", 0xffffffffff},
                                       {"/b/net_tests", 0x5}};

TEST(StackText, LeavesOutRuntimesAndNamesEachModuleOnce) {
  EXPECT_EQ(to_stack_text({stack[0], stack[1], stack[2], stack[4]}),
            "/b/net_tests+0x1234 < +0x20 < +0x5");
  EXPECT_EQ(to_stack_text({}), "");
  EXPECT_EQ(to_stack_text({code_place{}}), "");
  EXPECT_LE(to_stack_text(std::vector(1000, stack[0])).size(), 400U);
}

TEST(StackText, IsReadAsItWasWritten) {
  const auto read = parse_stack_text("/b/net_tests+0x1234 < +0x20 < /b/a+0xb.so+0xffffffffff");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ(read->at(1).module, "/b/net_tests");
  EXPECT_EQ(read->at(1).offset, 0x20U);
  EXPECT_EQ(read->at(2).module, "/b/a+0xb.so");
  EXPECT_EQ(to_stack_text(*read), "/b/net_tests+0x1234 < +0x20 < /b/a+0xb.so+0xffffffffff");
}

TEST(StackText, ThatIsNoneIsNotRead) {
  for (const char* const wrong :
       {"server.cpp:12 (run)", "+0x20", "/b/net_tests+0x", "/b/net_tests+0x2g", "/b/net_tests",
        "/b/net_tests+0x20 < ", "/b/net_tests+0x20 < x", " < ",
        "/b/net_tests+0x11111111111111111"}) {
    const auto read = parse_stack_text(wrong);
    EXPECT_TRUE(!read || std::string{wrong} == "/b/net_tests+0x20 < ") << wrong;
  }
  EXPECT_FALSE(parse_stack_text(to_stack_text(stack)));  // a name with " < " in it
}

}  // namespace
