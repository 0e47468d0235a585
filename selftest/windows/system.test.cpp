// SPDX-License-Identifier: BSL-1.0
//
// What the backend asks of Windows beside sockets, and what the diagnosis says in its terms.

#include <fstream>
#include <string>
#include <system_error>

#include <gmock/gmock.h>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/tidewait.hpp>

#include "child.hpp"
// clang-format off: after windows.h
#include <aclapi.h>
// clang-format on

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using tidewait::bind_outcome;
using tidewait::cause;

constexpr auto in_use = std::errc::address_in_use;
constexpr auto denied = std::errc::permission_denied;

tidewait::observed_socket listener_of_other(const char* local) {
  tidewait::observed_socket socket;
  socket.state = tidewait::socket_state::listen;
  socket.local = *tidewait::parse_endpoint(local);
  socket.owned = tidewait::ownership::found;
  socket.inode = 1234;
  socket.owners.push_back({1234, "server.exe", "C:\\tests\\server.exe --port", {}, "", {}});
  return socket;
}

tidewait::diagnosis explain(const std::vector<tidewait::observed_socket>& sockets, std::errc plain,
                            std::error_code reuse_address) {
  bind_outcome outcome;
  outcome.plain = outcome.reuse_port = std::make_error_code(plain);
  outcome.reuse_address = reuse_address;
  tidewait::bind_request request;
  request.local = *tidewait::parse_endpoint("127.0.0.1:8080");
  return diagnose(request, sockets, outcome, {});
}

TEST(WindowsDiagnosis, SaysThatReuseAddressHijacks) {
  const auto why = explain({listener_of_other("127.0.0.1:8080")}, in_use, {});
  EXPECT_THAT(why.next_bind, AllOf(StartsWith("fails without SO_REUSEADDR; with it, it succeeds"),
                                   HasSubstr("hijacks the port"), HasSubstr("SO_EXCLUSIVEADDRUSE"),
                                   Not(HasSubstr("REUSEPORT"))));
}

TEST(WindowsDiagnosis, SaysWhyReuseAddressIsRefused) {
  const auto why =
      explain({listener_of_other("127.0.0.1:8080")}, in_use, std::make_error_code(denied));
  EXPECT_THAT(why.next_bind,
              AllOf(HasSubstr("even with SO_REUSEADDR"),
                    HasSubstr("the other socket has not set SO_REUSEADDR, or belongs")));
}

TEST(WindowsDiagnosis, NamesTheExcludedRangesWhereNothingIsInTheWay) {
  const auto why = explain({}, denied, std::make_error_code(denied));
  ASSERT_EQ(why.explanations.size(), 1U);
  EXPECT_EQ(why.explanations.front().what, cause::excluded_port);
  EXPECT_THAT(why.explanations.front().why, AllOf(HasSubstr("WSAEACCES"), HasSubstr("Hyper-V")));
  EXPECT_THAT(why.explanations.front().fix,
              HasSubstr("netsh int ipv4 show excludedportrange protocol=tcp"));
}

TEST(WindowsDiagnosis, DoesNotAdviseReuseAddressAgainstATimeWait) {
  tidewait::observed_socket socket;
  socket.state = tidewait::socket_state::time_wait;
  socket.local = *tidewait::parse_endpoint("127.0.0.1:8080");
  socket.owned = tidewait::ownership::kernel;
  const auto why = explain({socket}, in_use, {});
  ASSERT_FALSE(why.explanations.empty());
  EXPECT_THAT(why.explanations.front().fix, HasSubstr("let the client close first"));
  EXPECT_THAT(why.explanations.front().fix, Not(HasSubstr("set SO_REUSEADDR before bind")));
}

TEST(WindowsVisibility, SaysWhyNoTableCouldBeRead) {
  tidewait::visibility seen;
  seen.tcp = seen.udp = tidewait::table_source::nothing;
  seen.ip_helper_error = std::make_error_code(std::errc::not_enough_memory);
  EXPECT_TRUE(seen.blind());
  ASSERT_EQ(gaps(seen).size(), 1U);
  EXPECT_THAT(to_string(gaps(seen).front()),
              AllOf(HasSubstr("IP Helper refused"), Not(HasSubstr("netlink"))));
}

TEST(WindowsEnvironment, IsReadInUtf8) {
  ::SetEnvironmentVariableW(L"TIDEWAIT_TEST", L"Pr\u00fcfung");
  EXPECT_STREQ(tidewait::detail::environment("TIDEWAIT_TEST"),
               "Pr\xc3\xbc"
               "fung");
  ::SetEnvironmentVariableW(L"TIDEWAIT_TEST", nullptr);
  EXPECT_EQ(tidewait::detail::environment("TIDEWAIT_TEST"), nullptr);
}

TEST(WindowsEnvironment, HasTheMarkOfTheRun) {
  const std::string mark = tidewait::detail::ensure_run_mark();
  EXPECT_EQ(mark.size(), 16U);
  const char* const marks = tidewait::detail::environment(tidewait::detail::run_variable);
  ASSERT_NE(marks, nullptr);
  EXPECT_TRUE(tidewait::detail::has_mark(marks, mark)) << marks;
}

TEST(WindowsProcess, HasOneStateForAllItsLibraries) {
  using tidewait::detail::named_mapping;
  int state = 0;
  EXPECT_EQ(named_mapping::find("selftest", 0), nullptr);
  auto* const made = named_mapping::publish("selftest", "layout", &state);
  ASSERT_NE(made, nullptr);
  auto* const found = named_mapping::find("selftest", 0);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->state, &state);
  EXPECT_STREQ(found->layout, "layout");
  ASSERT_NE(named_mapping::publish("selftest", "other layout", nullptr), nullptr);
  EXPECT_STREQ(named_mapping::find("selftest", 1)->layout, "other layout");
}

/// A file in the directory for temporary ones, removed at the end.
class temporary_file {
 public:
  temporary_file() {
    char folder[MAX_PATH + 1];
    char name[MAX_PATH + 1];
    ::GetTempPathA(sizeof folder, folder);
    ::GetTempFileNameA(folder, "tw", 0, name);
    path_ = name;
    ::DeleteFileA(name);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { ::DeleteFileA(path_.c_str()); }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

TEST(WindowsFile, IsAppendedToAndReadFromItsEnd) {
  const temporary_file file;
  const char* const path = file.path().c_str();
  std::string text;
  EXPECT_EQ(tidewait::detail::read_own_file(path, text, 100).error,
            std::errc::no_such_file_or_directory);
  EXPECT_FALSE(tidewait::detail::append_own_file(path, "first\n").error);
  EXPECT_FALSE(tidewait::detail::append_own_file(path, "torn").error);
  EXPECT_FALSE(tidewait::detail::append_own_file(path, "third\n").error);
  EXPECT_FALSE(tidewait::detail::read_own_file(path, text, 100).error);
  EXPECT_EQ(text, "first\ntorn\nthird\n");
  EXPECT_FALSE(tidewait::detail::read_own_file(path, text, 8).error);
  EXPECT_EQ(text, "third\n");
}

TEST(WindowsFile, IsMadeForNobodyElse) {
  const temporary_file file;
  ASSERT_FALSE(tidewait::detail::append_own_file(file.path().c_str(), "line\n").error);
  PACL list = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  ASSERT_EQ(::GetNamedSecurityInfoA(file.path().c_str(), SE_FILE_OBJECT, DACL_SECURITY_INFORMATION,
                                    nullptr, nullptr, &list, nullptr, &descriptor),
            static_cast<DWORD>(ERROR_SUCCESS));
  ASSERT_NE(list, nullptr);
  EXPECT_GT(list->AceCount, 0);
  for (DWORD i = 0; i < list->AceCount; ++i) {
    void* entry = nullptr;
    ASSERT_NE(::GetAce(list, i, &entry), 0);
    auto* const sid = &static_cast<ACCESS_ALLOWED_ACE*>(entry)->SidStart;
    EXPECT_EQ(::IsWellKnownSid(sid, WinWorldSid), 0) << "everybody has the file";
  }
  ::LocalFree(descriptor);
}

TEST(WindowsFile, WithASecondNameIsNotTrusted) {
  const temporary_file file;
  const std::string second = file.path() + ".link";
  ASSERT_FALSE(tidewait::detail::append_own_file(file.path().c_str(), "line\n").error);
  ASSERT_NE(::CreateHardLinkA(second.c_str(), file.path().c_str(), nullptr), 0);
  const auto refused = tidewait::detail::append_own_file(file.path().c_str(), "line\n");
  EXPECT_EQ(refused.error, tidewait::errc::untrusted_file);
  EXPECT_THAT(refused.why, HasSubstr("second name"));
  ::DeleteFileA(second.c_str());
}

TEST(WindowsFile, TellsTheNextTestInTheJournalWhoLeftASocket) {
  const temporary_file file;
  ::SetEnvironmentVariableA("TIDEWAIT_JOURNAL", file.path().c_str());
  tidewait::journal_entry entry;
  entry.test = "Suite.Test";
  entry.socket.local = *tidewait::parse_endpoint("127.0.0.1:8080");
  EXPECT_FALSE(tidewait::append_journal({entry}));
  const auto entries = tidewait::read_journal();
  ::SetEnvironmentVariableA("TIDEWAIT_JOURNAL", nullptr);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries.front().test, "Suite.Test");
}

TEST(WindowsProcess, IsNamedByItsProgram) {
  EXPECT_EQ(tidewait::detail::process_name(static_cast<int>(::GetCurrentProcessId())),
            "selftest_library.exe");
  EXPECT_THAT(tidewait::detail::process_name(0x7ffffffc), IsEmpty());
}

}  // namespace
