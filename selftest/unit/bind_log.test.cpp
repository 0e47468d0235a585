// SPDX-License-Identifier: BSL-1.0
//
// What the witness of this process writes down, past the functions that call it.
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/bind_witness.hpp>
#include <tidewait/detail/linux/self.hpp>

namespace {

using tidewait::bind_record;
using tidewait::detail::bind_log;
using tidewait::detail::bind_ring;
using tidewait::detail::call_stack;
using tidewait::detail::has_stack;
using tidewait::detail::raw_bind;
using tidewait::detail::socket_call;
using tidewait::detail::thread_number;
using tidewait::detail::unique_fd;
using tidewait::detail::walk_stack;

raw_bind filled(unsigned char with, std::uint16_t asked, std::uint16_t got, std::size_t frames) {
  raw_bind record;
  record.cookie = with;
  record.asked_size = asked;
  record.got_size = got;
  record.stack.size = frames;
  std::fill_n(record.asked.begin(), asked, with);
  std::fill_n(record.got.begin(), got, with);
  std::fill_n(record.stack.frames.begin(), frames, with);
  return record;
}

/// One in which a longer record was stays behind it.
TEST(BindRing, GivesEachRecordOfASlotAsItWasWritten) {
  bind_ring* const ring = bind_ring::make();
  ASSERT_NE(ring, nullptr);
  const raw_bind records[] = {filled(1, 112, 112, 24), filled(2, 16, 28, 3), filled(3, 0, 0, 0),
                              filled(4, 7, 1, 1), filled(5, 110, 2, 24)};
  for (const raw_bind& each : records) {
    const std::uint64_t number = ring->next();
    ring->prepare();
    ring->write(each);
    raw_bind read;
    ASSERT_TRUE(ring->read(number, read));
    EXPECT_EQ(read.cookie, each.cookie);
    ASSERT_EQ(read.asked_size, each.asked_size);
    ASSERT_EQ(read.got_size, each.got_size);
    ASSERT_EQ(read.stack.size, each.stack.size);
    EXPECT_EQ(std::memcmp(read.asked.data(), each.asked.data(), each.asked_size), 0);
    EXPECT_EQ(std::memcmp(read.got.data(), each.got.data(), each.got_size), 0);
    EXPECT_TRUE(std::equal(each.stack.frames.begin(), each.stack.frames.begin() + each.stack.size,
                           read.stack.frames.begin()));
    for (std::uint64_t i = 1; i < bind_ring::slots; ++i) ring->write(raw_bind{});
  }
  ::munmap(ring, sizeof *ring);
}

std::uintptr_t function_of(std::uintptr_t return_address) {
  return reinterpret_cast<std::uintptr_t>(
      _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(return_address - 1)));
}

[[gnu::noinline]] call_stack stack_of_caller(bool known) {
  call_stack stack;
  walk_stack(stack, known ? __builtin_return_address(0) : nullptr);
  return stack;
}

TEST(CallStack, GoesFromTheCallerToMain) {
  const call_stack whole = stack_of_caller(false);
  const call_stack stack = stack_of_caller(true);
  ASSERT_GT(stack.size, 3U);
  EXPECT_EQ(stack.size + 1, whole.size);
  EXPECT_EQ(function_of(stack.frames[0]), function_of(whole.frames[1]));
  EXPECT_NE(function_of(stack.frames[0]), function_of(whole.frames[0]));
  EXPECT_EQ(function_of(stack.frames[stack.size - 1]),
            reinterpret_cast<std::uintptr_t>(&::tidewait_main_of_program));
}

TEST(CallStack, OfAThreadEndsWhereTheThreadBegan) {
  call_stack stack;
  std::thread{[&] { stack = stack_of_caller(true); }}.join();
  ASSERT_GT(stack.size, 1U);
  EXPECT_NE(function_of(stack.frames[stack.size - 1]),
            reinterpret_cast<std::uintptr_t>(&::tidewait_main_of_program));
}

[[gnu::noinline]] void dive(int calls, call_stack& stack) {
  if (calls == 0) {
    stack = stack_of_caller(true);
  } else {
    dive(calls - 1, stack);
  }
  asm volatile("");  // no tail call
}

TEST(CallStack, HasTheInnermostCallsOfManyOnly) {
  call_stack stack;
  dive(100, stack);
  EXPECT_EQ(stack.size, stack.frames.size());
}

class BindLog : public testing::Test {
 protected:
  BindLog() { begun_ = log_.begin(); }
  void SetUp() override { ASSERT_TRUE(begun_); }

  unique_fd bound(int type = SOCK_STREAM, int option = 0) {
    unique_fd made{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
    const int on = 1;
    if (option != 0) ::setsockopt(made.get(), SOL_SOCKET, option, &on, sizeof on);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* const address = reinterpret_cast<const sockaddr*>(&where);
    const int result = tidewait::detail::call_bind(made.get(), address, sizeof where);
    log_.note(socket_call::bind, made.get(), address, sizeof where, result == 0 ? 0 : errno);
    return made;
  }
  void listens(const unique_fd& on) {
    const int result = tidewait::detail::call_listen(on.get(), 8);
    log_.note(socket_call::listen, on.get(), nullptr, 0, result == 0 ? 0 : errno);
  }
  std::vector<bind_record> records() {
    std::uint64_t missing = 0;
    std::vector<bind_record> all = log_.since(0, missing);
    EXPECT_EQ(missing, 0U);
    return all;
  }

  bind_log log_;
  bool begun_ = false;
};

TEST_F(BindLog, MakesOneRecordOfABindAndTheListenThatFollows) {
  const unique_fd fd = bound();
  listens(fd);
  const auto all = records();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].listening);
  EXPECT_TRUE(all[0].kernel_chose_port);
  EXPECT_EQ(all[0].pid, ::getpid());
  EXPECT_EQ(all[0].thread, thread_number());
  EXPECT_EQ(all[0].fd, fd.get());
  EXPECT_FALSE(all[0].stack.empty());
}

TEST_F(BindLog, FindsTheBindOfAListenThatComesLater) {
  const unique_fd one = bound();
  const unique_fd two = bound();
  listens(one);
  const auto half = records();
  ASSERT_EQ(half.size(), 2U);
  EXPECT_TRUE(half[0].listening);
  EXPECT_FALSE(half[1].listening);
  listens(two);
  ASSERT_EQ(records().size(), 2U);
  EXPECT_TRUE(records()[1].listening);
}

TEST_F(BindLog, HasAListenWithoutABind) {
  const unique_fd first = bound();
  const unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  listens(fd);
  const auto all = records();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(all[0].listening);
  EXPECT_TRUE(all[1].listening);
  EXPECT_TRUE(all[1].kernel_chose_port);
}

/// The descriptor is the same, the socket another one.
TEST_F(BindLog, DoesNotTakeAReusedDescriptorForTheSocketThatWasBound) {
  unique_fd fd = bound();
  const int number = fd.get();
  fd.reset();
  fd = unique_fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ASSERT_EQ(fd.get(), number);
  listens(fd);
  const auto all = records();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(all[0].listening);
  EXPECT_TRUE(all[1].listening);
}

TEST_F(BindLog, NamesTheProcessAndTheThreadThatBound) {
  int of_thread = 0;
  const auto bind_here = [&] { bound(); };
  bind_here();
  std::thread{[&] {
    of_thread = thread_number();
    bind_here();
    bind_here();
  }}.join();
  const pid_t child = ::fork();
  if (child == 0) {
    bind_here();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  bind_here();
  const auto all = records();
  ASSERT_EQ(all.size(), 5U);
  const int expected[][2] = {{::getpid(), thread_number()},
                             {::getpid(), of_thread},
                             {::getpid(), of_thread},
                             {child, child},
                             {::getpid(), thread_number()}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].pid, expected[i][0]) << i;
    EXPECT_EQ(all[i].thread, expected[i][1]) << i;
  }
}

std::vector<bind_record>* looked_at = nullptr;

TEST_F(BindLog, HasASocketLookedAtThatMayShareItsPort) {
  std::vector<bind_record> seen;
  looked_at = &seen;
  log_.on_call([](const bind_record& record) noexcept { looked_at->push_back(record); });
  const unique_fd alone = bound();
  listens(alone);
  EXPECT_TRUE(seen.empty());
  const unique_fd udp = bound(SOCK_DGRAM, SO_REUSEADDR);
  ASSERT_EQ(seen.size(), 1U);
  const unique_fd one = bound(SOCK_STREAM, SO_REUSEPORT);
  const unique_fd two = bound(SOCK_STREAM, SO_REUSEPORT);
  EXPECT_EQ(seen.size(), 1U);
  for (const unique_fd* const each : {&two, &one}) {  // the first follows on its bind
    listens(*each);
    EXPECT_TRUE(seen.back().listening);
    EXPECT_TRUE(seen.back().reuse_port);
    EXPECT_TRUE(seen.back().got);
    EXPECT_FALSE(seen.back().stack.empty());
  }
  EXPECT_EQ(seen.size(), 3U);
  const pid_t child = ::fork();
  if (child == 0) {
    const unique_fd more = bound(SOCK_DGRAM, SO_REUSEADDR);
    ::_exit(seen.size() == 3 ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "only this process looks";
}

bool on_another_stack = true;

TEST(HasStack, IsTrueOfTheThreadsOwnOnly) {
  constexpr std::size_t little = 4096;
  EXPECT_TRUE(has_stack(little));
  EXPECT_FALSE(has_stack(SIZE_MAX / 2));
  std::thread{[] { EXPECT_TRUE(has_stack(little)); }}.join();
  std::vector<char> fiber(std::size_t{256} << 10U);
  ucontext_t here{};
  ucontext_t there{};
  ASSERT_EQ(::getcontext(&there), 0);
  there.uc_stack.ss_sp = fiber.data();
  there.uc_stack.ss_size = fiber.size();
  there.uc_link = &here;
  ::makecontext(
      &there, [] { on_another_stack = has_stack(little); }, 0);
  ASSERT_EQ(::swapcontext(&here, &there), 0);
  EXPECT_FALSE(on_another_stack);
}

/// Where the main thread's stack ends the C library reads in /proc, which takes long.
TEST(HasStack, AsksOnceInAThread) {
  ASSERT_TRUE(has_stack(4096));
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{0, files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool still = has_stack(4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_TRUE(still);
}

}  // namespace
