// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/detail/addr2line.hpp>
#include <tidewait/detail/call_path.hpp>

namespace {

using tidewait::code_place;
using namespace tidewait::detail;

code_place in(const char* function, const char* file = "", unsigned line = 0,
              const char* module = "/build/net_tests") {
  code_place place;
  place.module = module;
  place.function = function;
  place.file = file;
  place.line = line;
  return place;
}

std::string path_of(const std::vector<code_place>& stack) {
  const call_path path = find_call_path(stack);
  std::string text = path.made_at == nullptr ? "nowhere" : to_text(*path.made_at);
  if (path.called_from != nullptr) text += " < " + to_text(*path.called_from);
  return text;
}

TEST(Addr2line, IsReadWithInlinedCalls) {
  const auto places = parse_addr2line(
      "0x0000000000001234: inner(int) at /src/a.cpp:12 (discriminator 3)\n"
      " (inlined by) outer<int, char>(int) at /src/b.cpp:34\n"
      "0x20: ?? ??:0\n"
      "0x30: known at ??:?\n");
  ASSERT_EQ(places.count(0x1234), 1U);
  const auto& both = places.at(0x1234);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].function, "inner(int)");
  EXPECT_EQ(both[0].file, "/src/a.cpp");
  EXPECT_EQ(both[0].line, 12U);
  EXPECT_EQ(both[1].function, "outer<int, char>(int)");
  EXPECT_EQ(both[1].line, 34U);
  EXPECT_EQ(places.at(0x20).front().function, "");
  EXPECT_EQ(places.at(0x30).front().function, "known");
  EXPECT_EQ(places.at(0x30).front().line, 0U);
}

TEST(Addr2line, IsReadWithTheColumnsOfLlvm) {
  const auto places = parse_addr2line("0x1: f() at /src/a.cpp:12:7\n");
  EXPECT_EQ(places.at(1).front().file, "/src/a.cpp");
  EXPECT_EQ(places.at(1).front().line, 12U);
}

TEST(Addr2line, OfAnyBytesIsNoTrouble) {
  for (const char* const text : {"", "\n\n", "0x", "0x: ", "0xzz: a at b:1", "0x1",
                                 "0x1: ", "0x1: at", "0x1:  at ", "0xffffffffffffffffff: a at b:1",
                                 " (inlined by) a at b:1", "0x1: a at :", "0x1: a at b:c:d"}) {
    EXPECT_NO_THROW(parse_addr2line(text)) << text;
  }
}

TEST(Addr2line, LeavesOutAnonymousNamespaces) {
  const auto places =
      parse_addr2line("0x10: (anonymous namespace)::server::server(int) at /s/a.cpp:3\n");
  ASSERT_EQ(places.count(0x10), 1U);
  EXPECT_EQ(places.at(0x10).front().function, "server::server(int)");
}

TEST(CallPath, NamesTheUsersCodeAndTheTest) {
  EXPECT_EQ(path_of({in("bind"), in("echo_server::echo_server(unsigned short)", "/s/echo.cpp", 12),
                     in("(anonymous namespace)::Net_Echo_Test::TestBody()", "/s/net.cpp", 48),
                     in("void testing::internal::Handle()", "/usr/src/gtest.cc", 9),
                     in("main", "/s/main.cpp", 3)}),
            "echo.cpp:12 (echo_server::echo_server) < net.cpp:48 (Net_Echo_Test::TestBody)");
}

TEST(CallPath, PassesOverLibrariesAndTheRuntime) {
  EXPECT_EQ(
      path_of({in("tidewait_witnessed_bind"), in("", "", 0, "/lib/libzmq.so.5"),
               in("boost::asio::detail::bind(int)", "/usr/include/boost/asio/a.hpp", 7),
               in("std::thread::run()", "/usr/include/c++/12/thread", 5),
               in("serve(int)", "/s/serve.cpp", 21), in("start_thread", "", 0, "/lib/libc.so.6")}),
      "serve.cpp:21 (serve)");
}

TEST(CallPath, NamesALibraryWhereNothingElseIsThere) {
  EXPECT_EQ(path_of({in("bind", "", 0, "/lib/libc.so.6"), in("zmq_bind", "", 0, "/lib/libzmq.so.5"),
                     in("_start")}),
            "zmq_bind");
}

TEST(CallPath, SaysModuleAndOffsetWithoutSymbols) {
  code_place bare = in("");
  bare.offset = 0x1a2b;
  EXPECT_EQ(path_of({bare}), "net_tests+0x1a2b");
  EXPECT_EQ(path_of({}), "nowhere");
}

TEST(BareName, IsWithoutArguments) {
  EXPECT_EQ(bare_name("f(int)"), "f");
  EXPECT_EQ(bare_name("a::f<std::function<void (int)>>(int) const"),
            "a::f<std::function<void (int)>>");
  EXPECT_EQ(bare_name("(anonymous namespace)::g()"), "(anonymous namespace)::g");
  EXPECT_EQ(bare_name("a::operator()(int)"), "a::operator()");
  EXPECT_EQ(bare_name("main"), "main");
}

}  // namespace
