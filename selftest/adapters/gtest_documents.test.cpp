// SPDX-License-Identifier: BSL-1.0
//
// GoogleTest's XML and JSON, with findings inside and outside of tests, read by real parsers.

#include <unistd.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/run_program.hpp"

namespace {

using selftest::run_result;
using selftest::run_together;
using selftest::words;
using testing::HasSubstr;

constexpr const char* json_reader =
    "import json, sys\n"
    "print(json.dumps(json.load(open(sys.argv[1]))))\n";
constexpr const char* xml_reader =
    "import sys, xml.etree.ElementTree as tree\n"
    "root = tree.parse(sys.argv[1]).getroot()\n"
    "print(root.tag, [each.get('message') for each in root.iter('failure')])\n"
    "print('tidewait:', root.get('tidewait'))\n";

struct document {
  std::string format;
  std::vector<std::string> leaks;  ///< The subject's variables.
  std::vector<std::string> flags = {};
  words more = {};
};

void PrintTo(const document& each, std::ostream* out) {
  *out << each.format;
  for (const std::string& leak : each.leaks) *out << ' ' << leak;
}

class Document : public testing::TestWithParam<document> {
 protected:
  void SetUp() override {
    if (run_together({"python3", "-c", ""}).status != 0) GTEST_SKIP() << "python3 is not installed";
  }
  ~Document() override { ::unlink(file_.c_str()); }

  run_result run() {
    std::vector<std::string> command{SELFTEST_GTEST_AUTO_SUBJECT,
                                     "--gtest_output=" + GetParam().format + ':' + file_};
    for (const std::string& flag : GetParam().flags) command.push_back(flag);
    words changes = GetParam().more;
    for (const std::string& leak : GetParam().leaks) {
      ports_.push_back(tidewait::lease_port());
      changes.push_back(leak + '=' + std::to_string(ports_.back().number()));
    }
    return run_together(command, changes);
  }
  run_result read() const {
    return run_together(
        {"python3", "-c", GetParam().format == "json" ? json_reader : xml_reader, file_});
  }

  std::string file_ =
      testing::TempDir() + "tidewait_document_" + std::to_string(::getpid()) + ".out";
  std::vector<tidewait::port_lease> ports_;
};

TEST_P(Document, IsWellFormedAndHoldsEachFinding) {
  const run_result left = run();
  const bool fails = !GetParam().leaks.empty() || !GetParam().more.empty();
  EXPECT_EQ(left.status, fails ? 1 : 0) << left.out;
  const run_result parsed = read();
  EXPECT_EQ(parsed.status, 0) << parsed.out;
  for (const auto& port : ports_) {
    EXPECT_THAT(parsed.out, HasSubstr(":" + std::to_string(port.number())));
    EXPECT_THAT(left.out, HasSubstr("behind on 127.0.0.1:" + std::to_string(port.number())));
  }
}

std::vector<document> documents() {
  std::vector<document> all;
  for (const char* const format : {"json", "xml"}) {
    all.push_back({format, {}});
    all.push_back({format, {"LEAK_IN_FIRST"}});
    all.push_back({format, {"LEAK_IN_SUITE"}});
    all.push_back({format, {"LEAK_IN_ENVIRONMENT"}});
    all.push_back({format, {"LEAK_IN_FIRST", "LEAK_IN_SUITE", "LEAK_IN_ENVIRONMENT"}});
    all.push_back({format, {"LEAK_IN_ENVIRONMENT"}, {}, {"FAIL_THIRD=1"}});
    all.push_back({format, {"LEAK_IN_SUITE"}, {"--gtest_filter=Auto.First"}});
    all.push_back({format, {"LEAK_IN_ENVIRONMENT"}, {"--gtest_throw_on_failure"}});
    all.push_back({format, {}, {"--gtest_repeat=2", "--gtest_shuffle"}});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Of, Document, testing::ValuesIn(documents()));

}  // namespace
