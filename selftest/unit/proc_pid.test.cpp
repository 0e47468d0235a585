// SPDX-License-Identifier: BSL-1.0
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/owner_search.hpp>

#include "swapped_system.hpp"

namespace {

using tidewait::detail::environment_has_mark;
using tidewait::detail::has_mark;
using tidewait::detail::parse_command_line;
using tidewait::detail::parse_pid;
using tidewait::detail::parse_socket_link;

TEST(ProcPid, ReadsTheInodeOfASocket) {
  EXPECT_EQ(parse_socket_link("socket:[4711]"), 4711U);
  EXPECT_EQ(parse_socket_link("socket:[4294967295]"), 4294967295U);
  for (const char* text : {"", "socket:[", "socket:[]", "socket:[4711", "socket:[4711]x",
                           "socket:[-1]", "socket:[4294967296]", "pipe:[4711]", "/dev/null"}) {
    EXPECT_EQ(parse_socket_link(text), std::nullopt) << text;
  }
}

TEST(ProcPid, MakesOneLineOfACommand) {
  using namespace std::string_literals;
  EXPECT_EQ(parse_command_line("server\0--port\0"
                               "80\0"s),
            "server --port 80");
  EXPECT_EQ(parse_command_line("server: worker\0\0\0"s), "server: worker");  // setproctitle
  EXPECT_EQ(parse_command_line("a\0\0b\0"s), "a  b");                        // an empty argument
  EXPECT_EQ(parse_command_line(""), "");                                     // a kernel thread
  EXPECT_EQ(parse_command_line("gr\xfc\xdf\0\x1b[2J\0"s), "gr?? ?[2J");
  EXPECT_EQ(parse_command_line(std::string(4096, 'x')), std::string(4096, 'x'));
  EXPECT_EQ(parse_command_line(std::string(9999, 'x')), std::string(4093, 'x') + "...");
}

TEST(ProcPid, ReadsAPid) {
  EXPECT_EQ(parse_pid("4711"), 4711);
  for (const char* text : {"", "self", "4711x", "-1", "4294967296"}) {
    EXPECT_EQ(parse_pid(text), std::nullopt) << text;
  }
}

TEST(RunMark, IsFoundAmongOthers) {
  using namespace std::string_literals;
  EXPECT_TRUE(has_mark("ab", "ab"));
  EXPECT_TRUE(has_mark("x:ab:y", "ab"));
  EXPECT_FALSE(has_mark("", "ab"));
  EXPECT_FALSE(has_mark("abc", "ab"));
  EXPECT_FALSE(has_mark("xab:a:b", "ab"));

  EXPECT_TRUE(environment_has_mark("A=1\0TIDEWAIT_RUN=x:ab\0B=2\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("A=1\0NOT_TIDEWAIT_RUN=ab\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("TIDEWAIT_RUN\0ab\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("", "ab"));
}

TEST(RunMark, IsOnThisProcessAndWhatItStarts) {
  const std::string& mark = tidewait::detail::ensure_run_mark();
  EXPECT_EQ(mark.size(), 16U);
  EXPECT_EQ(mark, tidewait::detail::ensure_run_mark());
  ASSERT_NE(::getenv("TIDEWAIT_RUN"), nullptr);
  EXPECT_TRUE(has_mark(::getenv("TIDEWAIT_RUN"), mark));
}

}  // namespace
