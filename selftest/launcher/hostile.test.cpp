// SPDX-License-Identifier: BSL-1.0
//
// Strings that others choose, in every place where they can put them and in every form of output.
// The judges are those who read the output: parsers of XML and JSON, CTest, the rules of GitHub's
// runner.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "run_launcher.hpp"

namespace {

using testing::HasSubstr;
using testing::Not;

const std::string file_command =
    "<CTestMeasurementFile type=\"file\" name=\"planted\">/etc/hostname</CTestMeasurementFile>";

const std::vector<std::string> hostile{
    file_command,
    "<CTestMeasurement type=\"numeric/integer\" name=\"planted\">9</CTestMeasurement>",
    "<DartMeasurementFile type=\"file\" name=\"planted\">/etc/hostname</DartMeasurementFile>",
    "x\n::stop-commands::token",
    "x\r\n  ::error::planted",
    "x \xc2\xa0::add-mask::planted",
    "a ::error::b",
    "a,::error::b",
    "##[add-mask]planted",
    "x ##[error]planted",
    "x ##vso[task.complete result=Failed]planted",
    "\033[31mred\033]0;title\a",
    "\xc2\x9b"
    "31m",
    "user\xe2\x80\xae"
    "exe.txt",
    "zero\xe2\x80\x8bwidth\xef\xbb\xbf",
    "line\xe2\x80\xa8separator\xe2\x80\xa9",
    "tag\xf3\xa0\x81\x81",
    "not \xff\xfe utf-8 \xc0\xaf \xed\xa0\x80",
    "\"quotes\" 'and' <tags> & ]]> \\ entities &#0;",
    "\x01\x02\b\t\v\f\x7f",
    "tidewait: x\ntidewait: all is well",
    std::string(100000, 'a') + file_command,
};

/// GitHub's runner: ActionCommand.TryParseV2 (a line that begins, after blanks, with "::") and
/// TryParse ("##[" anywhere in a line); that of Azure ("##vso[" likewise). Lines that are commands
/// on purpose begin with `ours`.
std::string obeyed_by_github(const std::string& text) {
  const std::string ours = "::error title=tidewait::";
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(ours, 0) == 0) line.erase(0, ours.size());
    std::size_t begin = 0;
    for (bool blank = true; blank && begin < line.size();) {
      blank = false;
      for (const std::string each : {" ", "\t", "\r", "\v", "\f", "\xc2\x85", "\xc2\xa0",
                                     "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe3\x80\x80"}) {
        if (line.compare(begin, each.size(), each) != 0) continue;
        begin += each.size();
        blank = true;
      }
    }
    if (line.compare(begin, 2, "::") == 0 || line.find("##[") != std::string::npos ||
        line.find("##vso[") != std::string::npos) {
      return line;
    }
  }
  return {};
}

/// What a terminal or CTest would act on, or no reader can show; empty if there is none.
std::string acted_on(const std::string& text) {
  for (const char* each : {"<CTest", "</CTest", "<Dart", "</Dart", "\xe2\x80\xae", "\xe2\x80\x8b",
                           "\xef\xbb\xbf", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc2\x9b",
                           "\xf3\xa0\x81\x81", "\xff", "\xc0\xaf", "\xed\xa0\x80"}) {
    if (text.find(each) != std::string::npos) return each;
  }
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f)
      return "control character " + std::to_string(static_cast<unsigned char>(c));
  }
  return {};
}

void expect_harmless(const std::string& text, const std::string& where) {
  EXPECT_EQ(obeyed_by_github(text), "") << where << ": " << text.substr(0, 3000);
  EXPECT_EQ(acted_on(text), "") << where << ": " << text.substr(0, 3000);
  EXPECT_THAT(text, Not(HasSubstr("\ntidewait: all is well"))) << where << ": a forged line";
}

void expect_harmless(const outcome& got, const std::string& where) {
  expect_harmless(got.out, where + ", standard output");
  expect_harmless(got.err, where + ", standard error");
  EXPECT_NE(got.status, 0) << where;
}

std::string contents(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// A command that leaves a process whose command line has the text.
words leaves(const std::string& text) {
  return {"bash", "-c", "(exec -a \"$0\" sleep 1000) & exit 0", text};
}

/// Every report of a run whose name, environment and left process are these.
void judge_run(words options, const std::string& text, const words& environment) {
  const directory there;
  const std::string json_file = there / "r.json";
  const std::string xml_file = there / "r.xml";
  options.insert(options.end(), {"--max-wait", "0ms", "--json", json_file, "--junit", xml_file});
  words all = environment;
  all.emplace_back("GITHUB_ACTIONS=true");
  const outcome got = run(wrapped(options, leaves(text)), all);
  EXPECT_EQ(got.status, 97) << got.err.substr(0, 2000);
  expect_harmless(got, "run");
  const std::string json_text = contents(json_file);
  expect_harmless(json_text, "JSON");
  const auto json = nlohmann::json::parse(json_text, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << json_text.substr(0, 2000);
  EXPECT_EQ(json["leaks"], 1);
  expect_harmless(contents(xml_file), "JUnit");
  const outcome xml = run(python("import xml.etree.ElementTree as e; s = e.parse('" + xml_file +
                                 "').getroot()[0]; print(s.get('failures'), len(s), len(s[0]))"));
  EXPECT_EQ(xml.out, "1 1 1\n") << xml.err;
}

class Hostile : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Strings, Hostile, testing::Range(std::size_t{0}, hostile.size()));

TEST_P(Hostile, NamesOfARunSteerNobody) {
  const std::string& each = hostile[GetParam()];
  SKIP_WITHOUT("bash");
  judge_run({"--name", each}, "sleep", {});
}

TEST_P(Hostile, TheEnvironmentSteersNobody) {
  const std::string& each = hostile[GetParam()];
  SKIP_WITHOUT("bash");
  judge_run({}, "sleep", {"TIDEWAIT_TEST=" + each});
}

TEST_P(Hostile, CommandLinesSteerNobody) {
  const std::string& each = hostile[GetParam()];
  SKIP_WITHOUT("bash");
  judge_run({}, each, {});
}

TEST_P(Hostile, JsonKeepsTheValue) {
  const std::string& each = hostile[GetParam()];
  const directory there;
  if (each.find('\xff') != std::string::npos) GTEST_SKIP() << "no JSON has that";
  const std::string file = there / "r.json";
  run(wrapped({"--name", each, "--json", file}, {"true"}));
  EXPECT_EQ(nlohmann::json::parse(contents(file))["name"], each);
}

TEST_P(Hostile, ErrorsThatQuoteSteerNobody) {
  const std::string& each = hostile[GetParam()];
  const directory there;
  for (const words& arguments : std::vector<words>{{each},
                                                   {"run", "--" + each, "--", "true"},
                                                   {"run", each, "--", "true"},
                                                   {"run", "--tolerate", each, "--", "true"},
                                                   {"run", "--max-wait", each, "--", "true"},
                                                   {"run", "--isolate=" + each, "--", "true"},
                                                   {"run", "--ports", each, "--", "true"},
                                                   {"run", "--", each},
                                                   {"run", "--", "/no/such/" + each},
                                                   {"run", "--", "echo", each + "{port:7}"},
                                                   {"lease", each, "--", "true"},
                                                   {"lease", "--", each},
                                                   {"list", "--state", each},
                                                   {"list", "--port", each},
                                                   {"list", "--color", each},
                                                   {"why", each},
                                                   {"why", each + ":80"},
                                                   {"doctor", each},
                                                   {"gate", each}}) {
    words command{program_path};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const outcome got = run(command);
    expect_harmless(got, arguments.front() + ' ' + arguments.back().substr(0, 40));
  }
  const std::string nowhere = there / ("no-such-directory/" + each.substr(0, 200));
  expect_harmless(run(wrapped({"--json", nowhere, "--junit", nowhere}, {"true"})), "a path");
  expect_harmless(run(wrapped({}, {"true"}), {"TIDEWAIT_POLICY=" + each}), "a policy");
  // No journal can be written there: a note, and no failure.
  const outcome journal = run(wrapped({"--journal", nowhere}, leaves("sleep")));
  expect_harmless(journal, "a journal");
}

TEST_P(Hostile, HoldersOfSocketsSteerNobody) {
  const std::string& each = hostile[GetParam()];
  SKIP_WITHOUT("python3");
  // Its name by prctl(PR_SET_NAME), its command line by its arguments.
  running server{{"/usr/bin/python3", "-c",
                  "import ctypes, os, socket, sys, time\n"
                  "ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[1]), 0, 0, 0)\n"
                  "s = socket.create_server(('127.0.0.1', 0))\n"
                  "print(s.getsockname()[1], 'up', flush=True)\n"
                  "time.sleep(1000)\n",
                  each},
                 {{"TIDEWAIT_TEST=" + each}}};
  ASSERT_TRUE(server.says(" up\n"));
  const std::string port = server.out().substr(0, server.out().find(' '));
  expect_harmless(run({program_path, "why", port}), "why");
  const outcome list = run({program_path, "list", "--port", port});
  expect_harmless(list.out, "list");
  for (const words& command :
       std::vector<words>{{program_path, "why", "--json", port},
                          {program_path, "list", "--json", "--port", port}}) {
    const outcome json = run(command);
    expect_harmless(json.out, "JSON");
    EXPECT_FALSE(nlohmann::json::parse(json.out, nullptr, false).is_discarded()) << json.out;
  }
  std::string painted = run({program_path, "why", "--color", "always", port}).out;
  painted += run({program_path, "list", "--color", "always", "--port", port}).out;
  for (const std::string code : {"0", "1", "2", "31", "32", "33"}) {
    const std::string sequence = "\033[" + code + 'm';
    for (auto at = painted.find(sequence); at != std::string::npos; at = painted.find(sequence))
      painted.erase(at, sequence.size());
  }
  expect_harmless(painted, "in colour");
}

TEST(HostileUnderCTest, CopiesNoFileIntoItsReport) {
  SKIP_WITHOUT("ctest");
  const directory there;
  const std::string secret = there / "secret";
  std::ofstream{secret} << "the planted secret\n";
  std::string planted = file_command;
  planted.replace(planted.find("/etc/hostname"), 13, secret);
  const std::string quoted = "[==[" + planted + "]==]";
  std::ofstream{there / "CTestTestfile.cmake"}
      << "add_test(by_name \"" << program_path << "\" run --name " << quoted
      << " -- sh -c \"sleep 1000 & exit 0\")\n"
      << "add_test(by_command \"" << program_path
      << "\" run -- bash -c [==[(exec -a \"$0\" sleep 1000) & "
      << "exit 0]==] " << quoted << ")\n"
      << "add_test(by_environment \"" << program_path
      << "\" run -- sh -c \"sleep 1000 & exit 0\")\n"
      << "set_tests_properties(by_environment PROPERTIES ENVIRONMENT [==[TIDEWAIT_TEST=" << planted
      << "]==])\n"
      << "add_test(by_mistake \"" << program_path << "\" why " << quoted << ")\n"
      << "add_test(by_program \"" << program_path << "\" run -- " << quoted << ")\n"
      << "add_test(control \"/bin/echo\" " << quoted << ")\n";
  std::ofstream{there / "DartConfiguration.tcl"} << "SourceDirectory: " << there / ""
                                                 << "\nBuildDirectory: " << there / "" << '\n';
  const auto planted_in_report = [&](const std::string& tests) {
    const outcome ctest = run(shell("cd '" + there / "" + "' && ctest -T Test -R '" + tests + "'"));
    const outcome found = run(python(
        "import glob, xml.etree.ElementTree as e\n"
        "report = e.parse(glob.glob('" +
        there / "Testing/*/Test.xml" +
        "')[0])\n"
        "print(len([t for t in report.iter('Test') if t.get('Status')]) > 0, "
        "len([m for m in report.iter('NamedMeasurement') if m.get('name') == 'planted']))\n"));
    run({"rm", "-rf", there / "Testing"});
    EXPECT_THAT(found.out, testing::StartsWith("True ")) << ctest.out << found.err;
    return found.out != "True 0\n";
  };
  EXPECT_TRUE(planted_in_report("control")) << "or this test could not fail";
  EXPECT_FALSE(planted_in_report("by_"));
}

TEST(ReportFile, FollowsNoLinkAndWaitsForNobody) {
  const directory there;
  const std::string target = there / "target";
  std::ofstream{target} << "precious\n";
  const std::string link = there / "link";
  ASSERT_EQ(::symlink(target.c_str(), link.c_str()), 0);
  EXPECT_EQ(run(wrapped({"--json", link}, {"true"})).status, 0);
  EXPECT_EQ(contents(target), "precious\n");
  EXPECT_FALSE(nlohmann::json::parse(contents(link), nullptr, false).is_discarded());
  const std::string fifo = there / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const outcome nobody_reads = run(wrapped({"--junit", fifo}, {"true"}));
  EXPECT_EQ(nobody_reads.status, 3);
  EXPECT_THAT(nobody_reads.err, HasSubstr("/fifo: No such device or address"));
  EXPECT_EQ(run({"ls", "-A", there / ""}).out, "fifo\nlink\ntarget\n");
}

TEST(ReportFile, MayBeStandardOutput) {
  const directory there;
  // As /dev/stdout is; not that one itself, which root could lose here.
  const std::string link = there / "stdout";
  const std::string out = there / "out";
  ASSERT_EQ(::symlink("/proc/self/fd/1", link.c_str()), 0);
  const std::string command =
      "'" + program_path + "' run --json '" + link + "' -- echo before > '" + out + "'";
  EXPECT_EQ(run(shell(command)).status, 0);
  EXPECT_EQ(run({"readlink", link}).out, "/proc/self/fd/1\n");
  EXPECT_THAT(contents(out), testing::StartsWith("before\n{"));
}

}  // namespace
