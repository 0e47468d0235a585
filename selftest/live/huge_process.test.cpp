// SPDX-License-Identifier: BSL-1.0
#include <linux/prctl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/socket_table.hpp>

#include "../support/forked.hpp"
#include "../support/sockets.hpp"

// Any user's process can have a command line and an environment of gigabytes.
namespace {

/// The numbers of this process's /proc/self/stat behind its name, from the third field on.
std::vector<unsigned long long> stat_numbers() {
  std::ifstream file{"/proc/self/stat"};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  std::istringstream words{text.substr(text.rfind(')') + 1)};
  std::vector<unsigned long long> numbers(3);  // fields 0 to 2
  std::string word;
  for (words >> word, numbers.push_back(0); words >> word;) {
    numbers.push_back(word[0] == '-' ? 0 : std::stoull(word));
  }
  return numbers;
}

/// Points the command line and the environment of this process at 4 GiB, which take no memory.
/// Throws if the kernel cannot.
void become_huge() {
  constexpr std::size_t size = std::size_t{4} << 30U;
  void* const room = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
  std::memset(room, 'x', 8192);
  const auto numbers = stat_numbers();  // numbered as in proc(5)
  prctl_mm_map map{};
  map.start_code = numbers.at(26);
  map.end_code = numbers.at(27);
  map.start_stack = numbers.at(28);
  map.start_data = numbers.at(45);
  map.end_data = numbers.at(46);
  map.start_brk = numbers.at(47);
  map.brk = reinterpret_cast<unsigned long>(::sbrk(0));
  map.arg_start = map.env_start = reinterpret_cast<unsigned long>(room);
  map.arg_end = map.env_end = map.arg_start + size;
  map.exe_fd = static_cast<unsigned>(-1);
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) != 0) {
    throw std::system_error{errno, std::generic_category(), "prctl(PR_SET_MM_MAP)"};
  }
}

TEST(HugeProcess, IsNamedInAFewMegabytes) {
  forked huge{[](auto say) {
    std::error_code error;
    const auto server = sockets::listening(0, error);
    for (int fd = 512; fd < 1024; ++fd) ::close(fd);  // where the mark of this run is
    become_huge();
    sockaddr_in local{};
    socklen_t size = sizeof local;
    ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&local), &size);
    say(std::to_string(ntohs(local.sin_port)) + '\n');
    ::pause();
  }};
  const std::string port = huge.line();
  if (port.compare(0, 9, "exception") == 0) GTEST_SKIP() << port;

  // To this process the other is no descendant, so its environment is read.
  forked looker{[&](auto say) {
    tidewait::socket_query query;
    query.ports = {static_cast<std::uint16_t>(std::stoi(port))};
    query.owners = tidewait::owner_reach::until_found;
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    const auto table = tidewait::socket_table::current(query);
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    std::ostringstream text;
    for (const auto& socket : table.sockets) {
      for (const auto& owner : socket.owners) {
        text << "pid " << owner.pid << ' ' << to_string(owner.relation) << ", "
             << owner.command.substr(0, 4) << " (" << owner.command.size() << ")\n";
      }
    }
    for (const tidewait::gap& each : gaps(table.seen)) text << to_string(each) << '\n';
    constexpr long most_kib = 16L << 10U;
    if (after.ru_maxrss - before.ru_maxrss > most_kib) text << "took much memory\n";
    say(text.str());
  }};
  const std::string found = looker.all();
  EXPECT_THAT(
      found, testing::AllOf(
                 testing::StartsWith("pid " + std::to_string(huge.pid()) + " other, xxxx (4096)\n"),
                 testing::HasSubstr("\n1 process has an environment over 1 MiB")));
  EXPECT_THAT(found, testing::Not(testing::HasSubstr("took much memory")));
}

}  // namespace
