// SPDX-License-Identifier: BSL-1.0
//
// Prints reports whose lines "tolerate:" are C++: of each state, of several, of a number that
// somebody wrote down, of Unix sockets with the names that a string of C++ is hard on.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/diagnosis.hpp>
#include <tidewait/report.hpp>

namespace {

using tidewait::finding;
using tidewait::observed_socket;
using tidewait::report;
using tidewait::socket_state;
using tidewait::unix_finding;

finding of(const std::vector<socket_state>& states, bool chosen) {
  finding found;
  found.port_was_chosen = chosen;
  found.why.request.local = *tidewait::parse_endpoint("127.0.0.1:8080");
  for (const socket_state state : states) {
    observed_socket socket;
    socket.local = found.why.request.local;
    socket.state = state;
    found.why.conflicting.push_back(socket);
  }
  return found;
}

void print(const report& whole) {
  for (const auto detail : {tidewait::report_detail::brief, tidewait::report_detail::full}) {
    report one = whole;
    one.detail = detail;
    std::fputs(render(one).c_str(), stdout);
  }
}

void print(finding found) {
  report whole;
  whole.findings.push_back(std::move(found));
  print(whole);
}

void print_unix(const std::string& name) {
  unix_finding found;
  found.why.name = name;
  found.why.conflicting.emplace_back();
  found.why.conflicting.back().name = name;
  report whole;
  whole.unix_findings.push_back(std::move(found));
  print(whole);
}

}  // namespace

int main() {
  for (const socket_state state : tidewait::all_socket_states) print(of({state}, true));
  print(of({std::begin(tidewait::all_socket_states), std::end(tidewait::all_socket_states)}, true));
  print(of({socket_state::listen, socket_state::time_wait}, false));
  for (const char* name :
       {"/tmp/a.sock", "/tmp/with a blank/and \"quotes\"/ and \\ 7.sock", "/tmp/ends in \\",
        "/tmp/*/?\?/(a)//b\x1b[0m\n::c", "/tmp/w\xc3\xa4hl\xff"}) {
    print_unix(name);
  }
  print_unix(std::string{"\0abstract \"name\"", 16});
  print_unix("/tmp/" + std::string(40, 'x') + " " + std::string(60, 'y'));
}
