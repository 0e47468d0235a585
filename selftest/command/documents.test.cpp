// SPDX-License-Identifier: BSL-1.0
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "../support/unix_server.hpp"
#include "run_command.hpp"
#include "socket_zoo.hpp"

namespace {

using nlohmann::json;

std::string source_file(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream{std::string{SELFTEST_SOURCE} + '/' + name}.rdbuf();
  return text.str();
}

/// The kinds of objects that a page describes: by name, their members and the types of these.
using object_types = std::map<std::string, std::map<std::string, std::string>>;

object_types read_types(const std::string& page) {
  object_types types;
  std::string object;
  std::istringstream lines{page};
  const std::regex heading{"### (\\w+)"};
  const std::regex member{"\\| `(\\w+)` \\| ([^| ]+) \\|.*"};
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (std::regex_match(line, part, heading)) object = part[1];
    if (!object.empty() && std::regex_match(line, part, member)) types[object][part[1]] = part[2];
  }
  return types;
}

/// What is not as described, each with its place; empty if all is.
std::string flaws(const json& value, std::string type, const object_types& types,
                  const std::string& place) {
  if (type.back() == '?') {
    if (value.is_null()) return {};
    type.pop_back();
  }
  const std::string wrong = place + " is no " + type + ": " + value.dump() + '\n';
  if (type == "integer") return value.is_number_integer() ? "" : wrong;
  if (type == "string") return value.is_string() ? "" : wrong;
  if (type == "boolean") return value.is_boolean() ? "" : wrong;
  std::string found;
  if (type.front() == '[') {
    if (!value.is_array()) return wrong;
    for (const json& each : value) {
      found += flaws(each, type.substr(1, type.size() - 2), types, place + "[]");
    }
    return found;
  }
  const auto object = types.find(type);
  if (object == types.end()) return place + ": " + type + " is not described\n";
  if (!value.is_object()) return wrong;
  if (type == "lessee" && value.empty()) return {};
  for (const auto& [name, member_type] : object->second) {
    found += value.contains(name) ? flaws(value[name], member_type, types, place + '.' + name)
                                  : place + '.' + name + " is missing\n";
  }
  for (const auto& [name, member] : value.items()) {
    if (object->second.count(name) == 0) found += place + '.' + name + " is not described\n";
  }
  return found;
}

TEST(DocumentedJson, IsWhatListPrints) {
  const object_types types = read_types(source_file("docs/command.md"));
  socket_zoo four{tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}}};
  socket_zoo six{*tidewait::parse_address("::1")};
  for (socket_zoo* const zoo : {&four, &six}) {
    zoo->bind_only();
    zoo->connect_udp(zoo->bind_udp());
    zoo->half_closed();
    zoo->time_wait();
    zoo->not_accepted();
  }
  const json answer = json::parse(tidewait_command({"list", "--json"}).out);
  EXPECT_GE(answer["sockets"].size(), 14U);
  EXPECT_EQ(flaws(answer, "list", types, ""), "");
}

TEST(DocumentedJson, IsWhatWhyPrints) {
  const object_types types = read_types(source_file("docs/command.md"));
  socket_zoo zoo{tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}}};
  const tidewait::port_lease free = tidewait::lease_port();
  for (const std::string& where :
       {std::to_string(free.number()), std::to_string(zoo.listen()),
        std::to_string(zoo.time_wait()), std::string{"192.0.2.1:8080"}}) {
    const json answer = json::parse(tidewait_command({"why", "--json", where}).out);
    EXPECT_EQ(flaws(answer, "why", types, where), "");
  }
}

TEST(DocumentedJson, IsWhatWaitAndFreePrint) {
  const object_types types = read_types(source_file("docs/command.md"));
  socket_zoo zoo{tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}}};
  const std::string port = std::to_string(zoo.listen());
  for (const char* const what : {"--free", "--listening"}) {
    const run_result result = tidewait_command({"wait", "--json", "--timeout", "10ms", what, port});
    EXPECT_EQ(flaws(json::parse(result.out), "wait", types, what), "");
  }
  // It is held by what has started the command.
  const json refused = json::parse(tidewait_command({"free", "--json", "--yes", port}).out);
  EXPECT_EQ(flaws(refused, "free", types, port), "");
  EXPECT_EQ(refused["processes"].size(), 1U);
}

TEST(DocumentedJson, IsWhatIsPrintedOfUnixSockets) {
  const object_types types = read_types(source_file("docs/command.md"));
  const socket_folder there;
  const auto open = serve_unix(there / "open.sock");
  const auto datagram = serve_unix(there / "datagram.sock", SOCK_DGRAM);
  serve_unix(there / "stale.sock").reset();
  for (const char* const name : {"open.sock", "datagram.sock", "stale.sock", "free", "none/a"}) {
    const json answer = json::parse(tidewait_command({"why", "--json", there / name}).out);
    EXPECT_EQ(flaws(answer, "unix_why", types, name), "");
  }
  const tidewait::port_lease lease = tidewait::lease_port();
  const json answer = json::parse(tidewait_command({"list", "--unix", "--json"}).out);
  EXPECT_GE(answer["sockets"].size(), 3U);
  EXPECT_EQ(flaws(answer, "unix_list", types, ""), "");
}

TEST(DocumentedJson, IsCheckedByATestThatCanFail) {
  const object_types types = read_types(
      "### list\n| `a` | integer | |\n| `b` | [pair] | |\n| `c` | string? | |\n"
      "### pair\n| `d` | boolean | not null |\n");
  EXPECT_EQ(flaws({{"a", 1}, {"b", {{{"d", true}}}}, {"c", nullptr}}, "list", types, ""), "");
  EXPECT_EQ(flaws({{"a", "1"}, {"b", {{{"d", nullptr}, {"e", 2}}}}}, "list", types, ""),
            ".a is no integer: \"1\"\n"
            ".b[].d is no boolean: null\n"
            ".b[].e is not described\n"
            ".c is missing\n");
}

std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex{pattern};
  std::set<std::string> found;
  for (std::sregex_iterator each{text.begin(), text.end(), regex}, end; each != end; ++each) {
    found.insert((*each)[1]);
  }
  return found;
}

std::string help_of(std::vector<std::string> command) {
  command.emplace_back("--help");
  return tidewait_command(command).out;
}

/// The options that a subcommand's help lists, those of its own subcommands included.
std::set<std::string> options_in_help(const std::vector<std::string>& command) {
  const std::string help = help_of(command);
  EXPECT_THAT(help, testing::Not(testing::ContainsRegex("  -.*[A-Z]:[A-Z{]")));
  std::set<std::string> options = matches(help, "\n  (?:-\\w, )?--([a-z-]+)");
  if (help.find("SUBCOMMAND") == std::string::npos) return options;
  for (const std::string& each : matches(help, "\n  ([a-z]+)  ")) {
    std::vector<std::string> below = command;
    below.push_back(each);
    options.merge(options_in_help(below));
  }
  return options;
}

const std::filesystem::path man_pages = SELFTEST_SOURCE "/src/command/man";

std::string man_page(const std::string& name) {
  return source_file("src/command/man/" + name + ".1");
}

/// The part of a text from one mark up to the next.
std::string between(const std::string& text, const std::string& first, const std::string& last) {
  const auto begin = std::min(text.find(first), text.size());
  return text.substr(begin, text.find(last, begin) - begin);
}

TEST(ManPage, IsThereForEachSubcommand) {
  const std::set<std::string> subcommands = matches(help_of({}), "\n  ([a-z]+)  ");
  EXPECT_GT(subcommands.size(), 5U);
  EXPECT_EQ(matches(man_page("tidewait"), "\n\\.It Xr tidewait-(\\w+) 1\n"), subcommands);
  std::set<std::string> pages;
  for (const auto& each : std::filesystem::directory_iterator{man_pages}) {
    pages.merge(matches(each.path().filename().string(), "^tidewait-(\\w+)\\.1$"));
  }
  EXPECT_EQ(pages, subcommands);
}

TEST(ManPage, HasTheOptionsOfTheHelp) {
  const auto options = [](const std::string& page) {
    return matches(page, "\n\\.It (?:Fl \\w , )?Fl -([a-z-]+)");
  };
  EXPECT_EQ(options(man_page("tidewait")), matches(help_of({}), "\n  (?:-\\w, )?--([a-z-]+)"));
  for (const std::string& each : matches(help_of({}), "\n  ([a-z]+)  ")) {
    EXPECT_EQ(options(man_page("tidewait-" + each)), options_in_help({each})) << each;
  }
}

TEST(ManPage, HasTheExitCodesOfTheDocumentation) {
  const std::string exit_status =
      between(man_page("tidewait"), "\n.Sh EXIT STATUS", "\n.Sh EXAMPLES");
  const std::set<std::string> codes = matches(exit_status, "\n\\.It (\\d+)");
  EXPECT_EQ(codes, matches(source_file("docs/reference.md"), "\n\\| (\\d+) \\|"));
  EXPECT_EQ(codes, matches(source_file("src/command/command.hpp"), "constexpr int \\w+ = (\\d+);"));
}

TEST(ManPage, HasTheVariablesThatTheCommandReads) {
  const std::string environment = between(man_page("tidewait"), "\n.Sh ENVIRONMENT", "\n.Sh FILES");
  const std::string table = between(source_file("docs/reference.md"), "\nThose that you set",
                                    "\nThose that tidewait sets");
  EXPECT_EQ(matches(environment, "\n\\.It Ev (\\w+)\n"),
            matches(table, "\n\\| `(\\w+)` \\| [^|]*(?:`tidewait |the command)"));
}

TEST(ManPage, IsWellFormed) {
  struct checker {
    const char* package;
    std::vector<std::string> command;
    const char* prints;
  };
  const checker checkers[] = {
      {"man-db", {"/usr/bin/man", "--warnings", "-l"}, "NAME"},
      {"mandoc", {"/usr/bin/mandoc", "-T", "lint", "-W", "warning"}, ""},
  };
  std::string missing;
  for (const auto& [package, command, prints] : checkers) {
    if (::access(command.front().c_str(), X_OK) != 0) {
      missing += std::string{package} + ' ';
      continue;
    }
    for (const auto& each : std::filesystem::directory_iterator{man_pages}) {
      if (each.path().extension() != ".1") continue;
      std::vector<std::string> line = command;
      line.push_back(each.path());
      const run_result result = run_program(line, {{"MANPAGER=cat", "LC_ALL=C.UTF-8"}});
      EXPECT_EQ(result.status, 0) << each.path() << '\n' << result.out;
      EXPECT_EQ(result.err, "") << each.path();
      EXPECT_THAT(result.out, testing::HasSubstr(prints));
    }
  }
  if (!missing.empty()) GTEST_SKIP() << "not installed: " << missing;
}

}  // namespace
