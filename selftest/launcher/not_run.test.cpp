// SPDX-License-Identifier: BSL-1.0
//
// What was not run, or of what nothing is known, is never a success.
#include <signal.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

words with(words front, const words& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

/// The reports that are asked for, and what they say of the run: "<clean> <exit code> <error>".
struct reports {
  directory there;

  words options() const { return {"--json", there / "r.json", "--junit", there / "r.xml"}; }
  std::string json() const {
    return run(python("import json; r = json.load(open('" + there / "r.json" +
                      "')); print(r['clean'], r['exit_code'], r['error'])"))
        .out;
  }
  /// "<failures> <errors> <first child of the test case>"
  std::string junit() const {
    return run(python("import xml.etree.ElementTree as e; s = e.parse('" + there / "r.xml" +
                      "').getroot()[0]; print(s.get('failures'), s.get('errors'), s[0][0].tag)"))
        .out;
  }
};

TEST(NotRun, UnderAPolicyThatCannotBeRead) {
  const words environment{"TIDEWAIT_POLICY=bogus"};
  const reports written;
  const std::string ran = written.there / "ran";
  const outcome got = run(wrapped(written.options(), {"touch", ran}), environment);
  EXPECT_EQ(got.status, 3);
  EXPECT_THAT(got.err, StartsWith("tidewait: touch " + ran.substr(0, 5)));
  EXPECT_THAT(got.err, HasSubstr(" was not run: TIDEWAIT_POLICY: reading 'bogus': "));
  EXPECT_FALSE(exists(ran));
  EXPECT_THAT(written.json(), AllOf(StartsWith("False None "), HasSubstr("'bogus'")));
  EXPECT_EQ(written.junit(), "0 1 error\n");
  EXPECT_EQ(run(wrapped({"--abort"}, {"true"}), environment).status, 128 + SIGABRT);
  EXPECT_EQ(run(wrapped({"--success-codes", "3"}, {"true"}), environment).status, 3);
}

TEST(NotRun, WithOptionsThatCannotBeUnderstood) {
  for (const words& options : std::vector<words>{{"--tolerate", "bogus"},
                                                 {"--max-wait", "soon"},
                                                 {"--no-such-option"},
                                                 {"--ports", "x"}}) {
    EXPECT_EQ(run(wrapped(options, {"true"})).status, 2) << options.front();
    EXPECT_EQ(run(wrapped(with({"--abort"}, options), {"true"})).status, 128 + SIGABRT)
        << options.front() << ": CTest's WILL_FAIL would turn exit code 2 into a success";
  }
  EXPECT_EQ(run(wrapped({"--abort", "--ports", "1"}, {"echo", "{port:1}"})).status, 128 + SIGABRT);
}

TEST(NotRun, BecauseItCannotBeExecuted) {
  for (const auto& [program, status] : {std::pair{"./no-such-program", 127}, std::pair{"/", 126}}) {
    const reports written;
    EXPECT_EQ(run(wrapped(written.options(), {program})).status, status);
    EXPECT_THAT(written.json(), HasSubstr(std::string{"cannot run "} + program));
    EXPECT_EQ(written.junit(), "0 1 error\n");
    EXPECT_EQ(run(wrapped({"--abort"}, {program})).status, 128 + SIGABRT);
  }
}

TEST(NotRun, AnnouncesNoNumberOfLeaks) {
  EXPECT_EQ(run(wrapped({"--ctest-measurement"}, {"./no-such-program"})).out, "");
}

/// A system call of the launcher that fails, each time from that one on (strace(1): `when=`).
struct fault {
  const char* calls;
  const char* error;
  const char* when;
  const char* named;  ///< What the message says.
};

words under(const fault& what, const words& command) {
  const std::string calls = what.calls;
  return with({"strace", "-o", "/dev/null", "-e", "trace=" + calls, "-e",
               "inject=" + calls + ":error=" + what.error + ":when=" + what.when},
              command);
}

#define SKIP_WITHOUT_STRACE() \
  SKIP_WITHOUT("strace");     \
  if (run({"strace", "-o", "/dev/null", "true"}).status != 0) GTEST_SKIP() << "ptrace is denied"

class FaultBeforeTheStart : public testing::TestWithParam<fault> {};

TEST_P(FaultBeforeTheStart, RunsNothingAndIsNoSuccess) {
  SKIP_WITHOUT_STRACE();
  const reports written;
  const std::string ran = written.there / "ran";
  const words command{"touch", ran};
  const outcome got = run(under(GetParam(), wrapped(written.options(), command)));
  EXPECT_EQ(got.status, 3);
  EXPECT_THAT(got.err, AllOf(HasSubstr(" was not run: "), HasSubstr(GetParam().named)));
  EXPECT_FALSE(exists(ran));
  EXPECT_THAT(written.json(), AllOf(StartsWith("False None "), HasSubstr(GetParam().named)));
  EXPECT_EQ(written.junit(), "0 1 error\n");
  EXPECT_EQ(run(under(GetParam(), wrapped({"--abort"}, command))).status, 128 + SIGABRT);
  EXPECT_FALSE(exists(ran));
}

constexpr const char* any_fork = "/^(clone3?|v?fork)$";

INSTANTIATE_TEST_SUITE_P(
    Run, FaultBeforeTheStart,
    testing::Values(fault{"pipe2", "EMFILE", "1+", "(pipe2): Too many open files"},
                    fault{"pipe2", "ENFILE", "1", "(pipe2): Too many open files in system"},
                    fault{any_fork, "EAGAIN", "1+", "(fork): Resource temporarily unavailable"},
                    fault{any_fork, "ENOMEM", "1", "(fork): Cannot allocate memory"},
                    fault{"signalfd4", "EMFILE", "1", "(signalfd4): Too many open files"},
                    fault{"prctl", "EPERM", "1", "(prctl): Operation not permitted"},
                    fault{"prctl", "EINVAL", "1", "run the tidewait of the host machine"},
                    fault{"rt_sigprocmask", "EPERM", "1+", "(sigprocmask): Operation not"}));

class FaultAfterTheStart : public testing::TestWithParam<fault> {};

TEST_P(FaultAfterTheStart, EndsTheCommandAndIsNoSuccess) {
  SKIP_WITHOUT_STRACE();
  const reports written;
  const std::string seconds = unique_seconds();
  const words command{"sleep", seconds};
  const outcome got = run(under(GetParam(), wrapped(written.options(), command)));
  EXPECT_EQ(got.status, 3);
  EXPECT_THAT(got.err,
              AllOf(HasSubstr(" cannot be judged, and is ended: "), HasSubstr(GetParam().named)));
  EXPECT_FALSE(is_alive(seconds));
  EXPECT_THAT(written.json(), AllOf(StartsWith("False None "), HasSubstr(GetParam().named)));
  EXPECT_EQ(written.junit(), "0 1 error\n");
  EXPECT_EQ(run(under(GetParam(), wrapped({"--abort"}, command))).status, 128 + SIGABRT);
  EXPECT_FALSE(is_alive(seconds));
}

INSTANTIATE_TEST_SUITE_P(Run, FaultAfterTheStart,
                         testing::Values(fault{"ppoll", "EPERM", "1", "(ppoll): Operation not"},
                                         fault{"ppoll", "ENOMEM", "1+", "(ppoll): Cannot allocate"},
                                         fault{"ppoll", "EINVAL", "3", "(ppoll): Invalid"},
                                         fault{"wait4", "EPERM", "1", "(wait4): Operation not"},
                                         fault{"wait4", "ECHILD", "1", "(wait4): No child"}));

TEST(Fault, OfALookIsNoSuccessEither) {
  SKIP_WITHOUT_STRACE();
  const words without_proc{
      "unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"};
  if (run(with(without_proc, {"true"})).status != 0) GTEST_SKIP() << "unshare -Urm is denied";
  const fault no_tables{"socket", "EPERM", "1+", ""};
  const auto look = [&](const words& options, const std::string& script) {
    return run(with(without_proc, under(no_tables, wrapped(options, shell(script)))));
  };
  const outcome got = look({}, "exit 0");
  EXPECT_EQ(got.status, 3);
  EXPECT_THAT(got.err, HasSubstr("could not look: "));
  EXPECT_EQ(look({}, "exit 4").status, 4);
  EXPECT_EQ(look({"--abort"}, "exit 0").status, 128 + SIGABRT);
  EXPECT_EQ(look({"--tolerate", "blind=skip"}, "exit 0").status, 0);
}

TEST(Fault, OfALeaseRunsNothing) {
  SKIP_WITHOUT_STRACE();
  const directory there;
  const std::string ran = there / "ran";
  const fault no_lock{"fcntl", "EMFILE", "1+", ""};
  const outcome got = run(under(no_lock, {program_path, "lease", "--", "touch", ran}));
  EXPECT_EQ(got.status, 3);
  EXPECT_THAT(got.err, HasSubstr("(fcntl): Too many open files"));
  EXPECT_FALSE(exists(ran));
}

TEST(Fault, OfTheDoctorIsNotHealth) {
  SKIP_WITHOUT_STRACE();
  for (const fault& each : {fault{any_fork, "EAGAIN", "1+", "fork: Resource temporarily"},
                            fault{"pipe2", "EMFILE", "1", "pipe2: Too many open files"},
                            fault{"pipe2", "EMFILE", "9", "pipe2: Too many open files"}}) {
    const outcome got = run(under(each, {program_path, "doctor"}));
    EXPECT_EQ(got.status, 1) << each.when;
    EXPECT_THAT(got.out, HasSubstr(each.named));
  }
}

TEST(ClosedOutput, IsAnErrorWhereThereIsAnAnswer) {
  for (const char* arguments : {"list", "list --json", "why 1", "doctor", "--help", "--version"}) {
    const outcome got = run(shell("'" + program_path + "' " + arguments + " >&-"));
    EXPECT_EQ(got.status, 3) << arguments;
    EXPECT_THAT(got.err, HasSubstr("writing to standard output: ")) << arguments;
  }
}

TEST(ClosedOutput, IsClosedForTheCommandToo) {
  const outcome got = run(shell(
      "'" + program_path + "' run -- sh -c 'test ! -e /proc/self/fd/1 && exit 5' >&- 2>/dev/null"));
  EXPECT_EQ(got.status, 5);
}

}  // namespace
