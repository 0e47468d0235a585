// SPDX-License-Identifier: BSL-1.0
#include <chrono>
#include <limits>
#include <string>

#include <gmock/gmock.h>

#include <json.hpp>

// A row of `tidewait list --json` is written as text; nlohmann-json says whether it is the value.
namespace {

using tidewait::observed_socket;
using tidewait::socket_state;
using tidewait::command::append_json;
using tidewait::command::json;
using tidewait::command::port_leases;

std::string row(const observed_socket& socket, const port_leases& leases = {}) {
  std::string text;
  append_json(text, socket, leases);
  return text;
}

observed_socket full(const std::string& text) {
  observed_socket socket;
  socket.protocol = tidewait::protocol::tcp;
  socket.state = socket_state::established;
  socket.local = *tidewait::parse_endpoint("127.0.0.1:80");
  socket.remote = *tidewait::parse_endpoint("[fe80::1%2]:65535");
  socket.cookie = std::numeric_limits<std::uint64_t>::max();
  socket.inode = socket.uid = socket.receive_queue = socket.send_queue =
      std::numeric_limits<std::uint32_t>::max();
  socket.interface_index = 1;
  socket.v6only = true;
  socket.time_left = std::chrono::milliseconds{-1};
  socket.owned = tidewait::ownership::found;
  socket.owners.resize(2);
  socket.owners[0] = {7, text, text, {3, -1}, text, tidewait::relation::other};
  socket.owners[0].unit = socket.owners[0].parent = text;
  socket.owners[0].stopped = socket.owners[0].inherited = true;
  socket.keeper = {tidewait::keeper_kind::thread, {}, text};
  socket.test = text;
  socket.left_behind = true;
  return socket;
}

json expected(const std::string& text) {
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  const json nobody = {
      {"pid", 0},          {"name", ""},          {"command", ""},     {"fds", json::array()},
      {"thread", nullptr}, {"relation", "other"}, {"test", nullptr},   {"unit", nullptr},
      {"parent", nullptr}, {"stopped", false},    {"inherited", false}};
  const json holder = {{"pid", 7},        {"name", text},      {"command", text},
                       {"fds", {3, -1}},  {"thread", nullptr}, {"relation", "other"},
                       {"test", text},    {"unit", text},      {"parent", text},
                       {"stopped", true}, {"inherited", true}};
  return {{"protocol", "tcp"},
          {"state", "ESTABLISHED"},
          {"local", {{"address", "127.0.0.1"}, {"port", 80}}},
          {"remote", {{"address", "fe80::1%2"}, {"port", 65535}}},
          {"v6only", true},
          {"interface", 1},
          {"receive_queue", most},
          {"send_queue", most},
          {"uid", most},
          {"inode", most},
          {"cookie", "ffffffffffffffff"},
          {"time_left_ms", -1},
          {"ownership", "found"},
          {"owners", {holder, nobody}},
          {"keeper", {{"kind", "thread"}, {"process", nobody}, {"what", text}}},
          {"leased_by", {{"pid", 9}, {"name", text}, {"command", text}}},
          {"test", {{"name", text}, {"left_behind", true}}}};
}

TEST(JsonRow, IsTheValueWhateverTheTextIn) {
  std::string ascii;
  for (char c = 0; c >= 0 && c < 127; ++c) ascii += c;
  for (const std::string& text :
       {std::string{"server"}, std::string{"a b"}, ascii + '\x7f', std::string{"\"\\\"\\u0000"},
        std::string{"\",\"pid\":1}"}, std::string{"<CTestMeasurement ##[error]"},
        std::string{"\u00e4 \u2028\u2029\u202e \U0001f600"}, std::string(4096, '"')}) {
    port_leases leases;
    leases[{tidewait::protocol::tcp, 80}] = {9, text, text, {}, "", tidewait::relation::other};
    const std::string written = row(full(text), leases);
    EXPECT_EQ(json::parse(written).dump(), expected(text).dump());
    EXPECT_EQ(written.find_first_of("\n\r\t\x1b"), std::string::npos) << "one row, one line";
  }
  EXPECT_EQ(row(full("server -x")), [] {
    json plain = expected("server -x");
    plain["leased_by"] = nullptr;
    return plain.dump();
  }()) << "byte for byte";
}

TEST(JsonRow, HasNullForWhatIsNotKnown) {
  observed_socket socket;
  socket.state = socket_state::time_wait;
  port_leases leases;
  leases[{socket.protocol, 0}] = {};  // by a process that cannot be seen
  json empty = expected("");
  for (const char* name : {"remote", "v6only", "interface", "uid", "inode", "cookie",
                           "time_left_ms", "keeper", "test"}) {
    empty[name] = nullptr;
  }
  empty["state"] = "TIME_WAIT";
  empty["local"] = {{"address", "0.0.0.0"}, {"port", 0}};
  empty["receive_queue"] = empty["send_queue"] = 0;
  empty["ownership"] = "not_searched";
  empty["owners"] = json::array();
  empty["leased_by"] = json::object();
  EXPECT_EQ(row(socket, leases), empty.dump());
  for (const bool known : {true, false}) {
    socket.v6only = known;
    EXPECT_EQ(json::parse(row(socket, leases))["v6only"], known);
  }
}

TEST(JsonRow, RefusesTextThatIsNoUtf8AsTheLibraryDoes) {
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "a\xe2\x82"}) {
    EXPECT_THROW(row(full(text)), json::exception);
  }
}

}  // namespace
