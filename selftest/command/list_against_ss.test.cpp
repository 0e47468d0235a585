// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "../support/private_network.hpp"
#include "run_command.hpp"
#include "socket_zoo.hpp"

namespace {

using nlohmann::json;

/// Sockets by their cookie, each as one line of all that both programs tell of it.
using sockets_by_cookie = std::map<std::string, std::string>;

std::string joined(const std::set<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

/// What follows `key` in the attributes that ss prints behind the addresses.
std::string attribute(const std::string& text, const std::string& key, const std::string& none) {
  std::smatch found;
  return std::regex_search(text, found, std::regex{" " + key + ":([0-9a-f]+)"}) ? found[1].str()
                                                                                : none;
}

sockets_by_cookie read_ss(const std::string& protocol, const std::string& text) {
  sockets_by_cookie sockets;
  const std::regex row{R"((\S+) +(\d+) +(\d+) +(\S+) +(\S+) *(.*))"};
  const std::regex holder{R"re(\("([^"]*)",pid=(\d+),fd=(\d+)\))re"};
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (!std::regex_match(line, part, row)) throw std::runtime_error{"no line of ss: " + line};
    const std::string rest = ' ' + part[6].str();
    std::set<std::string> holders;
    for (std::sregex_iterator each{rest.begin(), rest.end(), holder}, end; each != end; ++each) {
      holders.insert((*each)[1].str() + '/' + (*each)[2].str() + '/' + (*each)[3].str());
    }
    const bool waits = part[1] == "TIME-WAIT";
    sockets[attribute(rest, "sk", "none")] =
        protocol + ' ' + part[1].str() + ' ' + part[2].str() + ' ' + part[3].str() + ' ' +
        part[4].str() + ' ' + part[5].str() + " uid " +
        (waits ? "-" : attribute(rest, "uid", "0")) + " inode " + attribute(rest, "ino", "0") +
        " v6only " + attribute(rest, "v6only", "-") + " holders " + joined(holders);
  }
  return sockets;
}

/// An address as ss writes it: a dual-stack wildcard is a star.
std::string as_ss(const json& end, const json& socket) {
  const bool v6only = socket["v6only"] == true;
  const bool v6 = socket["local"]["address"].get<std::string>().find(':') != std::string::npos;
  if (end.is_null()) return !v6 ? "0.0.0.0:*" : (v6only ? "[::]:*" : "*:*");
  const std::string address = end["address"];
  const std::string port = ':' + std::to_string(end["port"].get<int>());
  if (!v6) return address + port;
  return (address == "::" && !v6only ? "*" : '[' + address + ']') + port;
}

/// `bound`: with bound TCP sockets that do not listen, which newer versions of ss show as UNCONN.
sockets_by_cookie read_ours(const std::string& text, bool bound) {
  const std::map<std::string, std::string> names{
      {"ESTABLISHED", "ESTAB"},     {"SYN_SENT", "SYN-SENT"},    {"SYN_RECV", "SYN-RECV"},
      {"FIN_WAIT1", "FIN-WAIT-1"},  {"FIN_WAIT2", "FIN-WAIT-2"}, {"TIME_WAIT", "TIME-WAIT"},
      {"CLOSE_WAIT", "CLOSE-WAIT"}, {"LAST_ACK", "LAST-ACK"},    {"CLOSING", "CLOSING"},
      {"LISTEN", "LISTEN"},         {"UNCONN", "UNCONN"},        {"BOUND", "UNCONN"}};
  sockets_by_cookie sockets;
  const json answer = json::parse(text);
  for (const json& socket : answer["sockets"]) {
    if (socket["state"] == "BOUND" && !bound) continue;
    std::set<std::string> holders;
    for (const json& owner : socket["owners"]) {
      for (const json& fd : owner["fds"]) {
        holders.insert(owner["name"].get<std::string>() + '/' + owner["pid"].dump() + '/' +
                       fd.dump());
      }
    }
    // ss writes v6only for listening IPv6 sockets alone.
    const std::string state = names.at(socket["state"]);
    const bool listening = state == "LISTEN" || state == "UNCONN";
    const json& v6only = socket["v6only"];
    sockets[socket["cookie"]] =
        socket["protocol"].get<std::string>() + ' ' + state + ' ' + socket["receive_queue"].dump() +
        ' ' + socket["send_queue"].dump() + ' ' + as_ss(socket["local"], socket) + ' ' +
        as_ss(socket["remote"], socket) + " uid " +
        (socket["uid"].is_null() ? "-" : socket["uid"].dump()) + " inode " +
        (socket["inode"].is_null() ? "0" : socket["inode"].dump()) + " v6only " +
        (v6only.is_null() || !listening ? "-" : (v6only == true ? "1" : "0")) + " holders " +
        joined(holders);
  }
  return sockets;
}

sockets_by_cookie look_with_ss() {
  sockets_by_cookie all = read_ss("tcp", run_program({"/usr/bin/ss", "-Htanpe"}).out);
  all.merge(read_ss("udp", run_program({"/usr/bin/ss", "-Huanpe"}).out));
  return all;
}

/// What differs between our list and two of ss, one taken before it and one after: "" if nothing.
/// A socket that came, went or changed between those two may be seen by ours in either way.
std::string differences(const sockets_by_cookie& before, const sockets_by_cookie& ours,
                        const sockets_by_cookie& after) {
  std::string text;
  for (const auto& [cookie, line] : before) {
    const auto later = after.find(cookie);
    if (later == after.end() || later->second != line) continue;
    const auto mine = ours.find(cookie);
    if (mine == ours.end()) {
      text += "missing: " + line + '\n';
    } else if (mine->second != line) {
      text += "ss:   " + line + "\nours: " + mine->second + '\n';
    }
  }
  for (const auto& [cookie, line] : ours) {
    if (before.count(cookie) == 0 && after.count(cookie) == 0) text += "invented: " + line + '\n';
  }
  return text;
}

void fill(socket_zoo& zoo, int of_each) {
  for (int i = 0; i < of_each; ++i) {
    zoo.listen();
    zoo.bind_only();
    zoo.connect_udp(zoo.bind_udp());
    zoo.established();
    zoo.not_accepted();
    zoo.half_closed();
    zoo.time_wait();
    zoo.fin_wait1();
    zoo.closing();
    zoo.last_ack();
    zoo.syn_recv();
    zoo.syn_sent();
  }
}

/// Compares in the caller's network namespace; says "compared N sockets", or what differs.
std::string compare() {
  socket_zoo four{tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}}};
  socket_zoo six{*tidewait::parse_address("::1")};
  socket_zoo wildcard{tidewait::ip_address::any_v6()};
  fill(four, 10);
  fill(six, 10);
  fill(wildcard, 2);
  const sockets_by_cookie before = look_with_ss();
  const bool bound = std::any_of(before.begin(), before.end(), [](const auto& each) {
    return each.second.rfind("tcp UNCONN ", 0) == 0;
  });
  const sockets_by_cookie ours = read_ours(tidewait_command({"list", "--json"}).out, bound);
  const sockets_by_cookie after = look_with_ss();
  std::string text = differences(before, ours, after);
  std::set<std::string> states;
  for (const auto& [cookie, line] : ours) {
    states.insert(line.substr(4, line.find(' ', 4) - 4));
  }
  return text + "compared " + std::to_string(ours.size()) + " sockets in " + joined(states);
}

TEST(List, AgreesWithSsSocketBySocket) {
  if (::access("/usr/bin/ss", X_OK) != 0) GTEST_SKIP() << "ss is not installed (iproute2)";
  // In a network namespace of our own nothing comes or goes meanwhile.
  std::string said = in_private_network([](auto say) { say(compare()); });
  if (said.rfind("skip: ", 0) == 0) said = compare();
  EXPECT_THAT(
      said, testing::MatchesRegex("compared [0-9]+ sockets in CLOSE-WAIT,CLOSING,ESTAB,FIN-WAIT-1,"
                                  "FIN-WAIT-2,LAST-ACK,LISTEN,SYN-RECV,SYN-SENT,TIME-WAIT,UNCONN"));
  const std::string count = said.substr(0, said.find(" sockets")).substr(sizeof "compared");
  EXPECT_GE(std::atoi(count.c_str()), 300) << said;
}

TEST(List, DiffersFromSsWhereTheTestSaysSo) {
  const sockets_by_cookie theirs{{"1", "a"}, {"2", "b"}, {"3", "c"}};
  EXPECT_EQ(differences(theirs, theirs, theirs), "");
  EXPECT_EQ(differences(theirs, {{"1", "a"}, {"2", "x"}, {"4", "d"}}, theirs),
            "ss:   b\nours: x\nmissing: c\ninvented: d\n");
  // One that went, one that changed, one that came.
  EXPECT_EQ(differences(theirs, {{"1", "a"}, {"2", "x"}}, {{"1", "a"}, {"2", "y"}, {"4", "d"}}),
            "");
}

}  // namespace
