// SPDX-License-Identifier: BSL-1.0
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/sock_diag.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/socket_table.hpp>

#include "../support/forked.hpp"
#include "../support/in_words.hpp"
#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using sockets::unique_fd;
using tidewait::bind_request;
using tidewait::endpoint;
using tidewait::ipv6_only;
using tidewait::observed_socket;
using tidewait::protocol;
using tidewait::reuse;
using tidewait::socket_state;
using tidewait::socket_table;

/// Sockets of every state that a program can leave, IPv4 and IPv6, which live as long as this.
class many_sockets {
 public:
  many_sockets() {
    for (const char* local : {"127.0.0.1:20001", "*:20002", "[::1]:20003", "[::]:20004"}) {
      const int listener = open(local, protocol::tcp);
      for (int i = 0; i < 40; ++i) {
        const int client = connect_to(local_of(listener), protocol::tcp);
        const int server = keep(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        if (i % 5 == 1) close(server), close(client);  // TIME_WAIT
        if (i % 5 == 2) close(client);                 // CLOSE_WAIT
        if (i % 5 == 3) ::shutdown(server, SHUT_WR);   // FIN_WAIT2
        if (i % 5 == 4 && ::write(client, "unread", 6) != 6) throw failed("write");
      }
      for (int i = 0; i < 3; ++i) connect_to(local_of(listener), protocol::tcp);  // not accepted
    }
    connect_to({sockets::loopback, 20004}, protocol::tcp);  // IPv4 to the dual-stack listener
    open("[::]:20005", protocol::tcp, ipv6_only::yes);
    for (const char* local : {"127.0.0.1:20006", "*:20007", "[::1]:20008", "[::]:20009"}) {
      const int server = open(local, protocol::udp);
      for (int i = 0; i < 20; ++i) connect_to(local_of(server), protocol::udp);
    }
    open("[::]:20010", protocol::udp, ipv6_only::yes);
    // A queue that is full: the third client stays in SYN_SENT.
    const int full = open("127.0.0.1:20011", protocol::tcp);
    ::listen(full, 0);
    for (int i = 0; i < 3; ++i) connect_to(local_of(full), protocol::tcp, SOCK_NONBLOCK);
    // One socket, several descriptors.
    for (int i = 0; i < 3; ++i) keep(::dup(full));
  }

 private:
  static std::system_error failed(const char* call) {
    return std::system_error{tidewait::detail::last_error(), call};
  }
  int keep(int fd) {
    if (fd < 0) throw failed("a socket");
    kept_.emplace_back(fd);
    return fd;
  }
  void close(int fd) {
    for (unique_fd& each : kept_) {
      if (each.get() == fd) each.reset();
    }
  }
  int open(const char* local, protocol which, ipv6_only scope = ipv6_only::no) {
    std::error_code error;
    const bind_request request{which, tidewait::parse_endpoint(local).value(), scope};
    unique_fd fd = tidewait::detail::bind_socket(request, reuse::address, error);
    if (error) throw std::system_error{error, local};
    if (which == protocol::tcp) ::listen(fd.get(), 64);
    return keep(fd.release());
  }
  static endpoint local_of(int fd) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    endpoint where;
    if (name.ss_family == AF_INET) {
      sockaddr_in four;
      std::memcpy(&four, &name, sizeof four);
      where = {sockets::loopback, ntohs(four.sin_port)};
    } else {
      sockaddr_in6 six;
      std::memcpy(&six, &name, sizeof six);
      where = {tidewait::parse_address("::1").value(), ntohs(six.sin6_port)};
    }
    return where;
  }
  int connect_to(const endpoint& where, protocol which, int flags = 0) {
    const tidewait::detail::socket_address address{where};
    const int type = (which == protocol::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | flags;
    const int fd = keep(::socket(address.storage.ss_family, type, 0));
    if (::connect(fd, address.get(), address.size) != 0 && errno != EINPROGRESS)
      throw failed("connect");
    return fd;
  }

  std::vector<unique_fd> kept_;
};

/// What both have to say of a socket, as one line.
std::string line(std::string_view which, std::string_view state, const std::string& local,
                 const std::string& remote, const std::string& queues, std::uint64_t inode,
                 const std::set<std::string>& users) {
  std::string text{which};
  text += ' ';
  text += state;
  text += ' ' + local + ' ' + remote + ' ' + queues + " inode " + std::to_string(inode);
  for (const std::string& user : users) text += ' ' + user;
  return text;
}

std::string queues_of(std::uint64_t receive, std::uint64_t send) {
  return std::to_string(receive) + '/' + std::to_string(send);
}

/// Sockets by cookie.
using listing = std::map<std::uint64_t, std::string>;

listing ours(const socket_table& table) {
  listing all;
  for (const observed_socket& socket : table.sockets) {
    if (socket.state == socket_state::bound) continue;  // which ss does not list
    std::set<std::string> users;
    for (const tidewait::process& owner : socket.owners) {
      for (const int fd : owner.fds) {
        users.insert(std::to_string(owner.pid) + " fd " + std::to_string(fd));
      }
    }
    all[socket.cookie] =
        line(to_string(socket.protocol), to_string(socket.state), to_string(socket.local),
             to_string(socket.remote), queues_of(socket.receive_queue, socket.send_queue),
             socket.inode, users);
  }
  return all;
}

/// "127.0.0.1:80" of ss; "*" is its dual-stack wildcard, and port 0 its "*", too.
std::string endpoint_of_ss(std::string text) {
  if (text.rfind("*:", 0) == 0) text = "[::]" + text.substr(1);
  return text;
}

/// The value after `key` in a line of ss -e, up to a space.
std::string field(const std::string& text, const std::string& key) {
  const auto at = text.find(' ' + key);
  if (at == std::string::npos) return "";
  const auto start = at + 1 + key.size();
  return text.substr(start, text.find(' ', start) - start);
}

/// Runs ss; nothing if it is not there.
listing theirs(const char* command, std::string_view which) {
  const std::map<std::string, socket_state> states = {
      {"ESTAB", socket_state::established},    {"SYN-SENT", socket_state::syn_sent},
      {"SYN-RECV", socket_state::syn_recv},    {"FIN-WAIT-1", socket_state::fin_wait1},
      {"FIN-WAIT-2", socket_state::fin_wait2}, {"TIME-WAIT", socket_state::time_wait},
      {"UNCONN", socket_state::unconn},        {"CLOSE-WAIT", socket_state::close_wait},
      {"LAST-ACK", socket_state::last_ack},    {"LISTEN", socket_state::listen},
      {"CLOSING", socket_state::closing}};
  listing all;
  FILE* const pipe = ::popen(command, "re");
  std::string text;
  char part[4096];
  for (std::size_t got = 0; (got = std::fread(part, 1, sizeof part, pipe)) != 0;)
    text.append(part, got);
  ::pclose(pipe);
  std::istringstream lines{text};
  for (std::string each; std::getline(lines, each);) {
    std::istringstream words{each};
    std::string state;
    std::uint64_t receive = 0;
    std::uint64_t send = 0;
    std::string local;
    std::string remote;
    words >> state >> receive >> send >> local >> remote;
    std::set<std::string> users;
    for (std::size_t at = 0; (at = each.find("pid=", at)) != std::string::npos; ++at) {
      int pid = 0;
      int fd = 0;
      std::sscanf(each.c_str() + at, "pid=%d,fd=%d", &pid, &fd);
      users.insert(std::to_string(pid) + " fd " + std::to_string(fd));
    }
    const std::string inode = field(each, "ino:");
    const std::uint64_t cookie = std::stoull(field(each, "sk:"), nullptr, 16);
    all[cookie] =
        line(which, to_string(states.at(state)), endpoint_of_ss(local), endpoint_of_ss(remote),
             queues_of(receive, send), inode.empty() ? 0 : std::stoull(inode), users);
  }
  return all;
}

listing all_of_theirs() {
  listing all = theirs("ss -Htanpe", "tcp");
  all.merge(theirs("ss -Huanpe", "udp"));
  return all;
}

TEST(SocketTable, IsWhatSsSays) {
  const std::string said = in_private_network([user = ::geteuid()](auto say) {
    if (::system("command -v ss >/dev/null") != 0) {
      say(std::string{"skip: ss is not installed"});
      return;
    }
    become_root_here(user);
    const many_sockets kept;
    tidewait::socket_query query;
    query.owners = tidewait::owner_reach::everyone;
    const listing before = all_of_theirs();
    const socket_table table = socket_table::current(query);
    const listing after = all_of_theirs();
    std::string text;
    std::set<std::string> states;
    const listing mine = ours(table);
    for (const auto& [cookie, told] : before) {
      const auto later = after.find(cookie);
      if (later == after.end() || later->second != told) continue;  // it has changed meanwhile
      states.insert(told.substr(0, told.find(' ', 4)));
      const auto same = mine.find(cookie);
      if (same == mine.end()) {
        text += "only in ss: " + told + '\n';
      } else if (same->second != told) {
        text += "ss:   " + told + "\nours: " + same->second + '\n';
      }
    }
    for (const auto& [cookie, told] : mine) {
      if (before.count(cookie) == 0 && after.count(cookie) == 0)
        text += "only ours: " + told + '\n';
    }
    text += std::to_string(mine.size()) + " sockets:";
    for (const std::string& state : states) text += ' ' + state;
    say(text);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, testing::MatchesRegex(
                        "[3-9][0-9][0-9] sockets: tcp CLOSE_WAIT tcp ESTABLISHED tcp FIN_WAIT2 "
                        "tcp LISTEN tcp SYN_SENT tcp TIME_WAIT udp ESTABLISHED udp UNCONN"));
}

TEST(SocketTable, NamesEveryDescriptorOfAProcessThatHoldsMany) {
  const tidewait::port_lease port = tidewait::lease_port();
  constexpr int copies = 1500;
  forked holder{[&](auto say) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const int listener = sockets::listen_on(port.number());
    for (int i = 0; i < copies; ++i) {
      if (::dup(listener) < 0) throw std::runtime_error{"dup"};
    }
    say("ready\n");
    ::pause();
  }};
  ASSERT_EQ(holder.line(), "ready");
  // To a process that is not its parent it is one among all others.
  const std::string seen = forked{[&](auto say) {
                             tidewait::socket_query query;
                             query.ports = {port.number()};
                             query.owners = tidewait::owner_reach::everyone;
                             std::string text;
                             for (const auto& socket : socket_table::current(query).sockets) {
                               for (const auto& owner : socket.owners) {
                                 text += std::to_string(owner.pid) + ' ' + owner.name + ' ' +
                                         std::to_string(owner.fds.size()) + '\n';
                               }
                             }
                             say(text);
                           }}.all();
  EXPECT_EQ(seen,
            std::to_string(holder.pid()) + " selftest_live " + std::to_string(copies + 1) + '\n');
}

TEST(SocketTable, TellsIPv6OnlyAndTimeLeft) {
  const std::string said = in_private_network([](auto say) {
    const many_sockets kept;
    std::string text;
    for (const observed_socket& socket : socket_table::current().sockets) {
      // A connection that was closed here waits for the peer for a minute, too: FIN_WAIT2. It has
      // no timer yet in the moment when the peer's ACK arrives.
      const bool waits = socket.state == socket_state::time_wait;
      const bool may_wait = socket.state == socket_state::fin_wait2 && socket.inode == 0;
      const auto left = socket.time_left.value_or(std::chrono::milliseconds{0});
      const bool has_timer = left.count() > 0;
      if ((waits && !has_timer) || (has_timer && !waits && !may_wait) ||
          left > std::chrono::seconds{61}) {
        text += in_words(socket) + '\n';
      }
      const bool holder =
          socket.state == socket_state::listen || socket.state == socket_state::unconn;
      if (!holder || socket.local.address.is_v4() || !socket.local.address.is_wildcard()) continue;
      text += std::to_string(socket.local.port) + (*socket.v6only ? " only\n" : " dual-stack\n");
    }
    say(text);
  });
  SKIP_IF_DENIED(said);
  std::istringstream lines{said};
  std::set<std::string> sorted;
  for (std::string each; std::getline(lines, each);) sorted.insert(each);
  EXPECT_THAT(sorted, testing::ElementsAre("20004 dual-stack", "20005 only", "20009 dual-stack",
                                           "20010 only"));
}

TEST(PortFilter, IsObeyedByTheKernel) {
  const std::string said = in_private_network([](auto say) {
    const many_sockets kept;
    using tidewait::detail::dump_question;
    using tidewait::detail::sock_diag;
    sock_diag diag;
    if (const auto error = sock_diag::open(diag)) throw std::system_error{error, "sock_diag"};
    const auto ports_in = [&](protocol which, int family, const std::vector<std::uint16_t>* ports) {
      std::vector<observed_socket> found;
      bool torn = false;
      const auto error = diag.dump({which, family, tidewait::state_set::all(), ports}, found, torn);
      if (error) throw std::system_error{error, "dump"};
      std::multiset<std::uint16_t> numbers;
      for (const observed_socket& each : found) numbers.insert(each.local.port);
      return numbers;
    };
    std::vector<std::uint16_t> odd;
    for (unsigned port = 1; port < 6000; port += 2) odd.push_back(static_cast<std::uint16_t>(port));
    for (unsigned port = 20001; port < 20012; ++port) {
      if (port % 2 == 0) odd.back() = static_cast<std::uint16_t>(port);
    }
    std::string text;
    std::size_t compared = 0;
    for (const std::vector<std::uint16_t>& ports : {std::vector<std::uint16_t>{20001},
                                                    {0},
                                                    {65535},
                                                    {20001, 20002, 20003},
                                                    {1, 20002, 20004, 20006, 65535},
                                                    {20003, 20009},
                                                    odd}) {
      for (const protocol which : {protocol::tcp, protocol::udp}) {
        for (const int family : {AF_INET, AF_INET6}) {
          std::multiset<std::uint16_t> wanted;
          for (const std::uint16_t port : ports_in(which, family, nullptr)) {
            if (std::binary_search(ports.begin(), ports.end(), port)) wanted.insert(port);
          }
          compared += wanted.size();
          if (ports_in(which, family, &ports) != wanted) {
            text += "differs from " + std::to_string(ports.front()) + " on\n";
          }
        }
      }
    }
    say(text + (compared > 100 ? "compared" : "compared too little"));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "compared");
}

}  // namespace
