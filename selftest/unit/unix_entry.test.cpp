// SPDX-License-Identifier: BSL-1.0
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/proc_unix.hpp>
#include <tidewait/detail/linux/unix_diag.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>
#include <tidewait/unix_diagnosis.hpp>

#include "../support/golden.hpp"
#include "../support/run_program.hpp"

namespace {

using tidewait::observed_unix;
using tidewait::relation;
using tidewait::socket_state;
using tidewait::unix_entry;
using tidewait::unix_kind;
using tidewait::detail::unix_bind_facts;

/// A message as the kernel writes it, with an attribute.
std::string message(std::uint8_t state, std::uint8_t type, std::uint16_t attribute,
                    const std::string& value) {
  unix_diag_msg head{};
  head.udiag_family = AF_UNIX;
  head.udiag_type = type;
  head.udiag_state = state;
  head.udiag_ino = 77;
  head.udiag_cookie[0] = 5;
  head.udiag_cookie[1] = 1;
  std::string bytes{reinterpret_cast<const char*>(&head), sizeof head};
  nlattr next{};
  next.nla_len = static_cast<__u16>(sizeof next + value.size());
  next.nla_type = attribute;
  bytes.append(reinterpret_cast<const char*>(&next), sizeof next);
  return bytes + value;
}

TEST(UnixEntry, IsReadFromTheKernelsMessage) {
  const auto path = tidewait::detail::parse_unix_diag_msg(
      message(10, SOCK_STREAM, UNIX_DIAG_NAME, std::string{"/run/a.sock\0", 12}));
  ASSERT_TRUE(path);
  EXPECT_EQ(path->name, "/run/a.sock");
  EXPECT_EQ(path->state, socket_state::listen);
  EXPECT_EQ(path->inode, 77U);
  EXPECT_EQ(path->cookie, 0x100000005U);
  EXPECT_FALSE(path->is_abstract());
  const auto abstract = tidewait::detail::parse_unix_diag_msg(
      message(7, SOCK_DGRAM, UNIX_DIAG_NAME, std::string{"\0a\0b", 4}));
  EXPECT_EQ(abstract->name, (std::string{"\0a\0b", 4}));
  EXPECT_EQ(abstract->state, socket_state::bound);
  EXPECT_EQ(abstract->kind, unix_kind::datagram);
  EXPECT_TRUE(abstract->is_abstract());
  EXPECT_EQ(tidewait::detail::parse_unix_diag_msg(message(1, SOCK_SEQPACKET, 99, "x"))->state,
            socket_state::established);
  for (std::size_t length = 0; length < message(10, 1, UNIX_DIAG_VFS, "12345678").size(); ++length)
    static_cast<void>(tidewait::detail::parse_unix_diag_msg(
        std::string_view{message(10, 1, UNIX_DIAG_VFS, "12345678")}.substr(0, length)));
}

TEST(UnixEntry, IsReadFromProcAndBelievedOnlyIfOneLineNamesItsInode) {
  const auto entries = tidewait::detail::parse_proc_unix(
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/a b.sock\n"
      "0000000000000000: 00000002 00000000 00000000 0002 01 4712 @dgram\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 4713 /run/a b.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0005 03 4714\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 4715 /forged\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 4715 /true\n"
      "nonsense\n");
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].name, "/run/a b.sock");
  EXPECT_EQ(entries[0].state, socket_state::listen);
  EXPECT_EQ(tidewait::unix_name_text(entries[1].name), "@dgram");
  EXPECT_EQ(entries[1].state, socket_state::bound);
  EXPECT_EQ(entries[2].state, socket_state::established);
  EXPECT_EQ(entries[3].kind, unix_kind::seqpacket);
}

TEST(UnixEntry, NameIsWrittenWithAnAtSignIfAbstract) {
  EXPECT_EQ(tidewait::parse_unix_name("@a"), (std::string{"\0a", 2}));
  EXPECT_EQ(tidewait::parse_unix_name("./@a"), "./@a");
  EXPECT_EQ(tidewait::unix_name_text(std::string{"\0a\0", 3}), "@a@");
  EXPECT_EQ(tidewait::unix_name_text("/a@b"), "/a@b");
}

observed_unix listener(const std::string& name, relation whose) {
  observed_unix made;
  made.state = socket_state::listen;
  made.name = tidewait::parse_unix_name(name);
  made.inode = 4711;
  made.file_inode = 12;
  made.owned = tidewait::ownership::found;
  made.owners.push_back({4711, "echo_test", "./echo_test --all", {7}, "", whose});
  return made;
}

std::string explained(const std::string& name, const std::vector<observed_unix>& sockets,
                      const unix_bind_facts& facts) {
  tidewait::visibility seen;
  seen.unix_sockets = tidewait::table_source::sock_diag;
  seen.owners = tidewait::owner_view::all;
  return render(diagnose_unix(tidewait::parse_unix_name(name), sockets, facts), seen);
}

/// All that is said of a name, in one golden file.
TEST(UnixDiagnosis, ReadsAsItShould) {
  using file = unix_bind_facts::file;
  using life = unix_bind_facts::life;
  const std::string path = "/run/echo/a.sock";
  unix_bind_facts taken;
  taken.bind = std::make_error_code(std::errc::address_in_use);
  taken.there = file::socket;
  taken.socket = life::open;
  taken.absolute_path = path;
  taken.file_inode = 12;
  std::string text;
  const auto add = [&](const char* title, const std::string& said) {
    text += "== " + std::string{title} + '\n' + said + '\n';
  };
  add("free", explained(path, {}, {}));
  for (const relation each :
       {relation::self, relation::descendant, relation::marked_orphan, relation::other}) {
    add(std::string{"listener of " + std::string{to_string(each)}}.c_str(),
        explained(path, {listener(path, each)}, taken));
  }
  observed_unix shared = listener(path, relation::self);
  shared.owners.push_back({4712, "worker", "./worker", {7}, "", relation::descendant});
  add("inherited", explained(path, {shared}, taken));
  observed_unix hidden = listener(path, relation::other);
  hidden.owners.clear();
  hidden.owned = tidewait::ownership::hidden;
  hidden.uid = 1000;
  hidden.has_uid = true;
  add("hidden", explained(path, {hidden}, taken));
  hidden.owned = tidewait::ownership::ownerless;
  add("without an owner", explained(path, {hidden}, taken));
  hidden.keeper =
      tidewait::socket_keeper{tidewait::keeper_kind::thread,
                              {4711, "echo_test", "./echo_test", {}, "", relation::self, 4713},
                              "accept()"};
  add("closed under accept()", explained(path, {hidden}, taken));
  add("another namespace", explained(path, {}, taken));
  taken.socket = life::unknown;
  add("unknown", explained(path, {}, taken));
  taken.socket = life::none;
  add("stale", explained("/run/echo/it's a.sock", {}, taken));
  taken.removable = false;
  taken.file_user = 33;
  add("stale, of another user", explained(path, {}, taken));
  taken.socket = life::unknown;
  add("unknown, of another user", explained(path, {}, taken));
  taken.there = file::directory;
  add("directory", explained(path, {}, taken));
  taken.there = file::symbolic_link;
  add("symbolic link", explained(path, {}, taken));
  taken.there = file::other;
  add("file", explained(path, {}, taken));
  unix_bind_facts none;
  none.failing_part = "/run/echo";
  none.user = 1000;
  for (const std::errc each : {std::errc::no_such_file_or_directory, std::errc::permission_denied,
                               std::errc::not_a_directory, std::errc::read_only_file_system}) {
    none.bind = std::make_error_code(each);
    add(none.bind.message().c_str(), explained(path, {}, none));
  }
  none.bind = std::make_error_code(std::errc::operation_not_permitted);
  none.on_file_system = unix_bind_facts::sockets::no;
  none.file_system = "vboxsf, a shared folder of VirtualBox";
  add("no sockets there", explained(path, {}, none));
  none.bind.clear();
  none.on_file_system = unix_bind_facts::sockets::unknown;
  none.file_system = "FUSE";
  add("perhaps no sockets there", explained(path, {}, none));
  none.on_file_system = unix_bind_facts::sockets::yes;
  none.bind = std::make_error_code(std::errc::invalid_argument);
  add("too long", explained("/tmp/" + std::string(120, 'x'), {}, none));
  unix_bind_facts abstract;
  abstract.bind = std::make_error_code(std::errc::address_in_use);
  add("abstract", explained("@echo", {listener("@echo", relation::other)}, abstract));
  add("abstract, nothing visible", explained("@echo", {}, abstract));
  add("removed file", explained(path, {listener(path, relation::self)}, {}));
  selftest::expect_golden("why_unix", text);
}

TEST(UnixReport, NamesPortsAndUnixSocketsInItsFirstLine) {
  tidewait::report found;
  found.test = "Net.Test";
  tidewait::unix_finding socket;
  socket.why.name = "/run/a.sock";
  socket.why.conflicting = {listener("/run/a.sock", relation::self)};
  found.unix_findings = {socket};
  const auto first_line = [&] {
    const std::string text = render(found);
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(first_line(), "tidewait: Net.Test left 1 Unix socket behind on /run/a.sock");
  tidewait::unix_finding file;
  file.why.name = "/run/b.sock";
  file.why.conflicting = {observed_unix{}};
  file.why.conflicting.front().stale_file = true;
  found.unix_findings.push_back(file);
  EXPECT_EQ(first_line(),
            "tidewait: Net.Test left 1 Unix socket and 1 stale socket file behind, among them "
            "/run/a.sock");
  tidewait::finding port;
  port.why.request.local = *tidewait::parse_endpoint("127.0.0.1:80");
  port.why.conflicting.emplace_back();
  found.findings.push_back(port);
  EXPECT_EQ(first_line(),
            "tidewait: Net.Test left 1 socket behind on 127.0.0.1:80 and 1 Unix socket and 1 stale "
            "socket file behind, among them /run/a.sock");
  found.findings.clear();
  for (auto& each : found.unix_findings) each.fails = false;
  EXPECT_TRUE(found.clean());
  EXPECT_FALSE(found.silent());
  EXPECT_EQ(first_line().substr(0, 29), "tidewait: warning: Net.Test l");
}

TEST(UnixPolicy, IsReadAndWritten) {
  const auto written = [](const char* text) { return to_string(tidewait::parse_policy(text)); };
  EXPECT_EQ(written("path=/tmp/*.sock"), "path=/tmp/*.sock");
  EXPECT_EQ(written("warn:path=@a+listen+owner=b"), "warn:listen+owner=b+path=@a");
  EXPECT_EQ(written("path=\"/tmp/a, b\""), "path=\"/tmp/a, b\"");
  for (const char* wrong : {"path=", "path=a+path=b", "path=a+port=80", "port=80+path=a"})
    EXPECT_THROW(tidewait::parse_policy(wrong), tidewait::policy_error) << wrong;
  EXPECT_EQ(to_string(tidewait::policy{}.tolerate_path("/a")), "path=/a");
}

}  // namespace
