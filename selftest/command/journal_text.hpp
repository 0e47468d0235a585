// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "run_command.hpp"

/// Makes the text of a journal, line by line: time goes on by a millisecond with each.
class journal_text {
 public:
  explicit journal_text(std::string host = "build", std::string boot = "boot-1")
      : host_{std::move(host)}, boot_{std::move(boot)} {}

  /// From here on lines are of this process.
  journal_text& process(int pid, const std::string& run, const std::string& program = "net_tests") {
    pid_ = pid;
    run_ = run;
    program_ = program;
    return *this;
  }
  journal_text& pass(std::uint64_t ms) {
    now_ += ms;
    return *this;
  }
  journal_text& set_clock(std::int64_t by_ms) {
    clock_ += by_ms;
    return *this;
  }
  journal_text& net(const std::string& cookie) {
    net_ = cookie;
    return *this;
  }

  /// CTest's name of the test that lines from here on are of.
  journal_text& ctest(const std::string& name) {
    ctest_ = name;
    return *this;
  }

  /// `more`, here and below: further fields, each with a comma in front.
  journal_text& begin(const std::string& test, const std::string& more = "") {
    return line("test_begin", test, more);
  }
  journal_text& end(const std::string& test, const std::string& more = "") {
    return line("test_end", test, more);
  }
  journal_text& bound(const std::string& test, const std::string& where, int cookie,
                      const std::string& more = "") {
    return line("bound", test,
                R"(,"protocol":"tcp","asked":")" + where + R"(","got":")" + where +
                    R"(","listening":1,"error":0,"cookie":")" + std::to_string(cookie) +
                    R"(","place":"server.cpp:12","count":1)" + more);
  }
  journal_text& bind_failed(const std::string& test, const std::string& where,
                            const std::string& more = "") {
    return line("bind_failed", test,
                R"(,"protocol":"tcp","asked":")" + where +
                    R"(","error":98,"cookie":"0","place":"server.cpp:12","count":1)" + more);
  }
  /// As a launcher records it, without the code and without `program`; `count` calls.
  journal_text& launcher_saw_failure(const std::string& test, const std::string& where, int cookie,
                                     int count, const std::string& held_by) {
    const std::string program = std::exchange(program_, "");
    line("bind_failed", test,
         R"(,"protocol":"tcp","asked":")" + where + R"(","error":98,"inferred":1,"cookie":")" +
             std::to_string(cookie) + R"(","held_by":")" + held_by + R"(","count":)" +
             std::to_string(count));
    program_ = program;
    return *this;
  }
  journal_text& left(const std::string& test, const std::string& where, int cookie,
                     const std::string& state = "LISTEN", const std::string& more = "") {
    return line("left_behind", test,
                R"(,"protocol":"tcp","state":")" + state + R"(","local":")" + where +
                    R"(","cookie":")" + std::to_string(cookie) + R"(","command":"server")" + more);
  }
  journal_text& raw(std::string_view text) {
    text_ += text;
    return *this;
  }
  journal_text& line(const std::string& event, const std::string& test,
                     const std::string& more = "") {
    ++now_;
    text_ += R"({"journal":1,"event":")" + event + R"(","test":")" + test + R"(","ctest":")" +
             ctest_ + '"' + more + R"(,"namespace":")" + net_ + R"(","pid":)" +
             std::to_string(pid_) + R"(,"run":")" + run_ + '"' +
             (program_.empty() ? "" : R"(,"program":")" + program_ + '"') + R"(,"time":)" +
             std::to_string(1700000000000 + clock_ + static_cast<std::int64_t>(now_)) +
             R"(,"host":")" + host_ + R"(","boot":")" + boot_ + R"(","uptime":)" +
             std::to_string((1000000 + now_) * 1000) + "}\n";
    return *this;
  }

  const std::string& text() const { return text_; }

 private:
  std::string host_, boot_, run_ = "run-1", program_ = "net_tests", net_ = "1", ctest_, text_;
  int pid_ = 100;
  std::uint64_t now_ = 0;
  std::int64_t clock_ = 0;
};

/// A file of a test's own, which ends with it.
class own_file {
 public:
  explicit own_file(std::string_view text = {}) {
    ::close(::mkstemp(path_.data()));
    std::ofstream{path_, std::ios::binary} << text;
  }
  explicit own_file(const journal_text& journal) : own_file{journal.text()} {}
  own_file(const own_file&) = delete;
  own_file& operator=(const own_file&) = delete;
  ~own_file() { ::unlink(path_.c_str()); }

  const std::string& path() const { return path_; }
  std::string read() const {
    std::ifstream file{path_, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

 private:
  std::string path_ = "/tmp/tidewait-report-XXXXXX";
};
