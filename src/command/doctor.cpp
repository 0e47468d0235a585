// SPDX-License-Identifier: BSL-1.0
#include "doctor.hpp"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/symbolizer.hpp>
#include <tidewait/detail/linux/waiting_call.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/watch.hpp>

#include "command.hpp"
#include "isolation.hpp"
#include "launcher.hpp"

namespace tidewait::command {
namespace {

using detail::unique_fd;

/// `untested`: there is nothing here to be seen, such as another namespace where none can be made.
enum class verdict : char { seen = 'y', unseen = 'n', untested = '-' };

/// What came of one planted leak.
struct answer {
  verdict what = verdict::unseen;
  std::string how;  ///< What the look said, or why it did not see it.
};

/// The report must name the leak by one of these causes.
answer expect(const report& found, std::initializer_list<cause> wanted) {
  if (!found.blind.empty()) return {verdict::unseen, to_string(found.blind)};
  for (const finding& each : found.findings) {
    for (const explanation& said : each.why.explanations) {
      const bool right = std::find(wanted.begin(), wanted.end(), said.what) != wanted.end();
      if (right && each.fails) return {verdict::seen, said.why};
    }
  }
  std::string seen = "the look named no such leak";
  for (const gap& each : gaps(found.seen)) seen += "; " + to_string(each);
  return {verdict::unseen, std::move(seen)};
}

unique_fd bind_or_throw(std::uint16_t port, protocol which = protocol::tcp) {
  std::error_code error;
  const endpoint local{ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, port};
  unique_fd fd = detail::bind_socket({which, local}, reuse::address, error, false);
  if (error) throw std::system_error{error, "binding " + to_string(local)};
  return fd;
}

unique_fd listen_or_throw(std::uint16_t port) {
  unique_fd fd = bind_or_throw(port);
  if (::listen(fd.get(), 8) != 0) throw std::system_error{detail::last_error(), "listening"};
  return fd;
}

unique_fd connect_or_throw(std::uint16_t port) {
  unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const detail::socket_address where{{ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, port}};
  if (!fd || ::connect(fd.get(), where.get(), where.size) != 0) {
    throw std::system_error{detail::last_error(), "connecting to a port of our own"};
  }
  return fd;
}

struct pipe_ends {
  unique_fd read_end;
  unique_fd write_end;
};

pipe_ends pipe_or_throw() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error{detail::last_error(), "pipe2"};
  return {unique_fd{ends[0]}, unique_fd{ends[1]}};
}

pid_t fork_or_throw() {
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error{detail::last_error(), "fork"};
  return child;
}

ssize_t read_some(const unique_fd& from, void* room, std::size_t size) {
  ssize_t got = 0;
  do {
    got = ::read(from.get(), room, size);
  } while (got < 0 && errno == EINTR);
  return got;
}

/// The read end of a pipe whose other end `in_child()` has. It is at its end when that has its
/// answer or is gone, however that came about.
unique_fd lifeline;

/// What a process does that was planted: it stays for as long as it is needed.
[[noreturn]] void stay() {
  char nothing = 0;
  if (read_some(lifeline, &nothing, 1) < 0) {
    say("tidewait doctor: a planted process: read: " + detail::last_error().message() + '\n');
  }
  ::_exit(0);
}

// Each plants one leak and looks. It runs in a process of its own, which takes the leak with it.

answer plant_listener() {
  watch look_after;
  const unique_fd listener = listen_or_throw(0);
  return expect(look_after.look(), {cause::listener_not_closed});
}

answer plant_bound() {
  watch look_after{{}, {}, look_depth::thorough};
  const unique_fd bound = bind_or_throw(0);
  const answer direct = expect(look_after.look(), {cause::bound_not_listening});
  if (direct.what == verdict::seen) return direct;
  // Before Linux 6.8 no table has it; that its port is taken a probe still tells.
  watch look_again;
  const port_lease port = lease_port();
  const unique_fd on_lease = bind_or_throw(port.number());
  if (look_again.look().findings.empty()) return direct;
  return {verdict::seen, "on a leased port only, by a probe; " + direct.how};
}

answer plant_udp() {
  watch look_after;
  const unique_fd bound = bind_or_throw(0, protocol::udp);
  return expect(look_after.look(), {cause::bound_not_listening});
}

answer plant_time_wait() {
  watch look_after;
  const port_lease port = lease_port();
  {
    const unique_fd listener = listen_or_throw(port.number());
    const unique_fd client = connect_or_throw(port.number());
    const unique_fd server{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!server) throw std::system_error{detail::last_error(), "accepting a connection"};
  }  // `server`, this side's, closes first
  return expect(look_after.look(), {cause::time_wait});
}

answer plant_inherited() {
  watch look_after;
  unique_fd listener = listen_or_throw(0);
  if (fork_or_throw() == 0) stay();
  listener.reset();
  return expect(look_after.look(), {cause::inherited_by_child, cause::child_listens});
}

answer plant_orphan() {
  watch look_after;
  pipe_ends ready = pipe_or_throw();
  const pid_t parent = fork_or_throw();
  if (parent == 0) {
    const pid_t orphan = ::fork();
    if (orphan == 0) {
      try {
        const unique_fd listener = listen_or_throw(0);  // NOLINT(clang-analyzer-deadcode*): held
        if (::write(ready.write_end.get(), "", 1) == 1) stay();
      } catch (const std::exception& error) {
        static_cast<void>(!::write(ready.write_end.get(), error.what(), std::strlen(error.what())));
      }
    }
    ::_exit(orphan < 0 ? errno : 0);
  }
  ready.write_end.reset();
  int status = 0;
  while (::waitpid(parent, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    throw std::system_error{WEXITSTATUS(status), std::system_category(), "starting a process"};
  }
  char said[256];
  const ssize_t got = read_some(ready.read_end, said, sizeof said);
  if (got < 0) throw std::system_error{detail::last_error(), "reading from the planted server"};
  if (got == 0) throw std::runtime_error{"the planted server could not start"};
  if (said[0] != '\0') throw std::runtime_error{std::string(said, static_cast<std::size_t>(got))};
  return expect(look_after.look(), {cause::orphan_listens});
}

/// A listener that is closed while a thread waits for it in `call(fd)`.
answer close_under(void* (*call)(void* fd)) {
  watch look_after;
  static unique_fd listener;
  listener = listen_or_throw(0);
  pthread_t thread;
  const int refused = ::pthread_create(&thread, nullptr, call, new int{listener.get()});
  if (refused != 0) throw std::system_error{refused, std::system_category(), "starting a thread"};
  // Until the thread waits its descriptor is open, and the leak is a plain listener.
  for (int i = 0; i < 500 && !detail::any_thread_waits_for(listener.get()); ++i) {
    detail::sleep_for(std::chrono::milliseconds{2});
  }
  listener.reset();
  return expect(look_after.look(), {cause::closed_under_call});
}

answer plant_under_accept() {
  return close_under([](void* fd) -> void* {
    ::accept4(*static_cast<int*>(fd), nullptr, nullptr, SOCK_CLOEXEC);
    return nullptr;
  });
}

answer plant_under_poll() {
  return close_under([](void* fd) -> void* {
    pollfd wanted{*static_cast<int*>(fd), POLLIN, 0};
    ::poll(&wanted, 1, -1);
    return nullptr;
  });
}

answer plant_in_io_uring() {
#ifdef SYS_io_uring_setup
  watch look_after;
  io_uring_params rules{};
  const unique_fd ring{static_cast<int>(::syscall(SYS_io_uring_setup, 1, &rules))};
  if (!ring) return {verdict::untested, "no io_uring here: " + detail::last_error().message()};
  unique_fd listener = listen_or_throw(0);
  int file = listener.get();
  if (::syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_FILES, &file, 1) != 0)
    throw std::system_error{detail::last_error(), "registering a file"};
  listener.reset();
  return expect(look_after.look(), {cause::held_by_io_uring});
#else
  return {verdict::untested, "built without io_uring"};
#endif
}

answer plant_in_flight() {
  watch look_after;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error{detail::last_error(), "socketpair"};
  const unique_fd sender{ends[0]};
  const unique_fd receiver{ends[1]};
  {
    const unique_fd listener = listen_or_throw(0);
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = listener.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(sender.get(), &message, 0) != 1)
      throw std::system_error{detail::last_error(), "sending a descriptor"};
  }
  return expect(look_after.look(), {cause::in_flight});
}

answer plant_process() {
  process_tree tree;
  launch what;
  what.asked.command = {"sh", "-c", "sleep 60 &"};
  what.asked.rules.max_wait(std::chrono::milliseconds{0});
  const run_report run = run_and_look(what, tree);
  tree.end_all(std::chrono::seconds{1});
  if (!run.error.empty()) return {verdict::unseen, run.error};
  if (!run.found.blind.empty()) return {verdict::unseen, to_string(run.found.blind)};
  if (run.orphans.empty()) return {verdict::unseen, "the launcher found nobody alive"};
  return {verdict::seen, run.orphans.front().name + " was found and ended"};
}

answer look_from_another_namespace() {
  watch look_after;
  isolation network;
  if (const std::string denied = network.enter(); !denied.empty()) {
    return {verdict::untested, "cannot be planted without isolation: " + denied};
  }
  const report found = look_after.look();
  if (found.clean())
    return {verdict::unseen,
            "a look from another network namespace saw nothing "
            "and did not say so"};
  return {verdict::seen, "not seen from outside, and said so: look from inside (nsenter --net)"};
}

answer try_isolation() {
  isolation network;
  const std::string denied = network.enter();
  if (!denied.empty()) return {verdict::unseen, denied};
  watch look_after;
  const unique_fd listener = listen_or_throw(8080);
  const answer inside = expect(look_after.look(), {cause::listener_not_closed});
  return inside.what == verdict::seen
             ? answer{verdict::seen, "a network namespace for each run, without root"}
             : inside;
}

answer try_witness() {
  bind_witness witness{witnessing::automatic, {}};
  process_tree tree;
  launch what;
  // As a command of which only the binds matter.
  what.asked.command = {"/proc/self/exe", "lease", "1", "--", "true"};
  what.asked.rules.max_wait(std::chrono::milliseconds{0});
  what.witness = &witness;
  const run_report run = run_and_look(what, tree);
  tree.end_all(std::chrono::seconds{1});
  if (!run.error.empty()) return {verdict::unseen, run.error};
  if (!run.witness.absent.empty()) return {verdict::unseen, to_string(run.witness.absent)};
  for (const witnessed_bind& each : run.witness.binds) {
    if (!each.partial.empty()) return {verdict::unseen, each.partial};
  }
  if (run.witness.binds.empty()) return {verdict::unseen, "no bind was seen"};
  return {verdict::seen,
          "pid " + std::to_string(run.witness.binds.front().pid) + " was seen to bind"};
}

/// What the witness in a test program does. Nobody else has asked for it in this process.
answer try_witness_of_a_program() {
  if (detail::turned_off("TIDEWAIT_WITNESS")) return {verdict::unseen, "TIDEWAIT_WITNESS=off"};
  detail::bind_log& log = detail::shared_state::instance().binds;
  if (!log.begin()) return {verdict::unseen, "no memory for its records"};
  const endpoint local{ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, 0};
  const bound_socket bound{bind_request{protocol::tcp, local}};
  std::uint64_t missing = 0;
  const auto records = log.since(0, missing);
  if (records.empty() || !(records.back().got == bound.local())) {
    return {verdict::unseen, "no bind was recorded"};
  }
  const std::string seen = "pid " + std::to_string(records.back().pid) + " was seen to bind; ";
  if (records.back().stack.empty()) return {verdict::seen, seen + "without its code"};
  const std::string tool = detail::find_addr2line();
  return {verdict::seen,
          seen + (tool.empty() ? "its code has no names: install binutils for addr2line"
                               : "its code is named by " + tool)};
}

/// Runs one of them in a child and takes its answer.
answer in_child(answer (*plant)()) try {
  pipe_ends told = pipe_or_throw();
  pipe_ends life = pipe_or_throw();
  const pid_t child = fork_or_throw();
  constexpr std::size_t longest = 4096;  // no pipe holds less
  if (child == 0) {
    told.read_end.reset();
    life.write_end.reset();
    lifeline = std::move(life.read_end);
    answer got;
    try {
      got = plant();
    } catch (const std::exception& error) {
      got = {verdict::unseen, std::string{"could not be tried: "} + error.what()};
    }
    const std::string text = (static_cast<char>(got.what) + got.how).substr(0, longest);
    ssize_t written = 0;
    do {
      written = ::write(told.write_end.get(), text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
      say("tidewait doctor: giving an answer: write: " + detail::last_error().message() + '\n');
    }
    ::_exit(0);
  }
  told.write_end.reset();
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  // What was planted may hold the other end: only the lifeline tells it to end.
  life.write_end.reset();
  char text[longest];
  const ssize_t got = read_some(told.read_end, text, sizeof text);
  if (got < 0)
    return {verdict::unseen, "could not be tried: read: " + detail::last_error().message()};
  if (got == 0) return {verdict::unseen, "could not be tried: the process that planted it died"};
  return {static_cast<verdict>(text[0]), std::string{text + 1, static_cast<std::size_t>(got) - 1}};
} catch (const std::system_error& error) {
  return {verdict::unseen, std::string{"could not be tried: "} + error.what()};
}

struct probe {
  const char* leak;
  answer (*plant)();
  bool promised;
};

constexpr probe probes[] = {
    {"listener", plant_listener, true},
    {"bound socket", plant_bound, true},
    {"UDP socket", plant_udp, true},
    {"TIME_WAIT", plant_time_wait, true},
    {"inherited by a child", plant_inherited, true},
    {"orphaned server", plant_orphan, true},
    {"closed under accept()", plant_under_accept, true},
    {"closed under poll()", plant_under_poll, true},
    {"held by an io_uring", plant_in_io_uring, false},
    {"on its way in a message", plant_in_flight, false},
    {"process left running", plant_process, true},
    {"other network namespace", look_from_another_namespace, true},
    {"isolation", try_isolation, false},
    {"binds while it runs", try_witness, false},
    {"binds of a test program", try_witness_of_a_program, false},
};

int run() {
  detail::text_table table{{"leak", "seen", "how, or why not"}};
  bool all_seen = true;
  for (const probe& each : probes) {
    const answer got = in_child(each.plant);
    if (got.what == verdict::unseen && each.promised) all_seen = false;
    const char* const word = got.what == verdict::seen     ? "yes"
                             : got.what == verdict::unseen ? "no"
                                                           : "-";
    table.add({each.leak, word, detail::sanitised(got.how)});
  }
  std::string text = all_seen ? "tidewait sees every kind of leak here\n\n"
                              : "tidewait does not see every kind of leak here\n\n";
  text += table.render("  ", 100);
  socket_query query;
  query.owners = owner_reach::everyone;
  query.states = socket_state::listen;
  const socket_table all = detail::look_at_sockets(query);
  std::vector<gap> limits = gaps(all.seen);
  if (detail::loopback_is_down()) {
    limits.insert(limits.begin(),
                  gap{"the loopback interface is down", "bring it up (ip link set lo up)"});
  }
  for (const gap& each : limits) {
    text += "  limit: " + detail::wrapped(to_string(each), 9, 100) + '\n';
  }
  print(text);
  return all_seen ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_doctor(CLI::App& app, int& status) {
  CLI::App* const sub = app.add_subcommand(
      "doctor", "Check what tidewait sees here: plant each kind of leak and look for it");
  sub->footer(
      "Exit code 0: everything that tidewait promises is seen here. 1: something is not. "
      "Isolation,\n"
      "recorded binds and what needs a newer kernel are shown, not promised: many systems deny\n"
      "them.\n"
      "\n"
      "Examples:\n"
      "  tidewait doctor\n");
  sub->callback([&status] { status = run(); });
}

}  // namespace tidewait::command
