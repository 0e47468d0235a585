// SPDX-License-Identifier: BSL-1.0
//
// The page of `tidewait report`, also in a real browser where one is installed.
#include <unistd.h>

#include <filesystem>
#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "journal_text.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// The page of a journal.
std::string page_of(const journal_text& journal) {
  const own_file file{journal};
  const own_file page;
  const run_result result = tidewait_command({"report", file.path(), "--html", page.path()});
  EXPECT_EQ(result.status, 0) << result.err;
  return page.read();
}

/// Two tests at once: the first leaves its server, the second cannot have the port.
journal_text one_of_each(const std::string& first = "A.leaks") {
  journal_text journal;
  journal.process(10, "a").begin(first).bound(first, "0.0.0.0:1234", 1);
  journal.bound(first, "127.0.0.1:40000", 2, R"(,"kernel_chose_port":1)").pass(50);
  journal.process(20, "b").begin("B.fails").bind_failed("B.fails", "127.0.0.1:1234").pass(20);
  journal.bound("B.fails", "[::1]:8080", 3).end("B.fails");
  journal.process(10, "a").left(first, "0.0.0.0:1234", 1).end(first);
  return journal;
}

/// A journal of many tests, each with some sockets.
journal_text many(int tests, int sockets) {
  journal_text journal;
  for (int i = 0; i < tests; ++i) {
    const std::string test = "Suite" + std::to_string(i % 40) + ".test" + std::to_string(i);
    journal.process(1000 + i, "r" + std::to_string(i)).begin(test);
    for (int j = 0; j < sockets; ++j) {
      journal.bound(test, "127.0.0.1:" + std::to_string(33000 + (i * 7 + j * 13) % 20000),
                    i * sockets + j + 1, R"(,"kernel_chose_port":1)");
    }
    journal.pass(7).end(test);
  }
  return journal;
}

TEST(ReportPage, LoadsNothing) {
  const std::string page = page_of(one_of_each());
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  const std::string without_data = std::regex_replace(page, std::regex{"www\\.w3\\.org"}, "");
  for (const char* each : {"http:", "https:", " src=", "@import", "<link", "<iframe", "fetch("})
    EXPECT_THAT(without_data, Not(HasSubstr(each)));
}

TEST(ReportPage, IsReadableWithoutScript) {
  const std::string page = page_of(one_of_each());
  EXPECT_THAT(page,
              AllOf(HasSubstr("<h2 id=h-failed_binds>Failed binds</h2>"),
                    HasSubstr("<td>B.fails<td>127.0.0.1:1234/tcp<td>EADDRINUSE"),
                    HasSubstr("<path class=\"fail\" d=\"M"), HasSubstr("<tr><td>A.leaks<td>")));
}

TEST(ReportPage, EscapesEveryForeignText) {
  const std::string evil = R"(</script><script>alert(1)</script><img src=x onerror=alert(2)>)";
  journal_text journal = one_of_each("A." + evil);
  journal.process(30, "c", evil)
      .begin("C.one")
      .bound("C.one", "127.0.0.1:8080", 7, R"(,"stack":")" + evil + "\"");
  journal.bind_failed("C.one", "127.0.0.1:1234", R"(,"held_by":")" + evil + "\"");
  const std::string page = page_of(journal);
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script>alert")), Not(HasSubstr("<img"))));
  EXPECT_THAT(page, HasSubstr("&lt;img src=x"));
}

TEST(ReportPage, OfAThousandTestsIsSmall) {
  const std::string page = page_of(many(1000, 3));
  EXPECT_LT(page.size(), 300000U);
  EXPECT_THAT(page, HasSubstr("1000 tests"));
}

TEST(ReportPage, IsSmallAlsoWhereEachBindHasAStackOfItsOwn) {
  journal_text journal;
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    const std::string test = "Suite" + std::to_string(i % 40) + ".test" + number;
    journal.process(1000 + i, "r" + number).begin(test);
    for (int j = 0; j < 3; ++j) {
      const std::string line = std::to_string(3 * i + j);
      const std::string place =
          "suite_test.cpp:" + line + " (Suite_test" + number + "_Test::TestBody)";
      journal.line("bound", test,
                   R"(,"protocol":"tcp","got":"127.0.0.1:)" + std::to_string(33000 + 3 * i + j) +
                       R"(","kernel_chose_port":1,"error":0,"cookie":")" + line + R"(","place":")" +
                       place + R"(","stack":"server.cpp:12 (server::server) < )" + place + '"');
    }
    journal.end(test);
  }
  const std::string page = page_of(journal);
  EXPECT_LT(page.size(), 300000U);
  EXPECT_THAT(page, AllOf(HasSubstr("server::server) \\u003c suite_test.cpp:0 "),
                          Not(HasSubstr("suite_test.cpp:2999 "))));
}

std::string browser() {
  for (const char* each : {"/usr/bin/chromium", "/usr/bin/chromium-browser",
                           "/usr/bin/google-chrome-stable", "/usr/bin/google-chrome"}) {
    if (::access(each, X_OK) == 0) return each;
  }
  return {};
}

#define SKIP_WITHOUT_BROWSER() \
  if (browser().empty()) GTEST_SKIP() << "no browser is installed (chromium)"

/// What a script that runs at the end of the page returns there, as JSON. What goes wrong in the
/// page is in "errors".
nlohmann::json in_browser(std::string page, const std::string& script) {
  const std::string watch =
      "<script>window.errors=[];addEventListener('error',e=>errors.push(e.message));"
      "const put=console.error;console.error=(...x)=>{errors.push(x.join(' '));put(...x)}</script>";
  const std::string probe =
      "<script>(()=>{const seen={};const $=id=>document.getElementById(id);"
      "const key=(name)=>$('chart').dispatchEvent(new KeyboardEvent('keydown',{key:name}));" +
      script +
      ";setTimeout(()=>{seen.looks=[...document.querySelectorAll('#chart path')].map(x=>"
      "x.getAttribute('class'));seen.errors=errors;const all=document.createElement('pre');"
      "all.id='seen';all.textContent=JSON.stringify(seen);document.body.append(all)},1500)})()"
      "</script>";
  page.insert(page.find("<title>"), watch);
  page.insert(page.rfind("</body>"), probe);
  const own_file file{page};
  const std::string html = file.path() + ".html";
  const std::string profile = file.path() + ".profile";
  std::filesystem::copy_file(file.path(), html);
  // Debian's is a shell script, which fexecve(3) cannot run.
  const run_result result = run_program(
      {"/usr/bin/env", browser(), "--headless", "--no-sandbox", "--disable-gpu",
       "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
       "--disable-background-networking", "--window-size=1400,1000", "--user-data-dir=" + profile,
       "--virtual-time-budget=4000", "--dump-dom", "file://" + html});
  std::filesystem::remove(html);
  std::filesystem::remove_all(profile);
  const auto begin = result.out.find("<pre id=\"seen\">");
  const auto end = result.out.find("</pre>", begin);
  if (begin == std::string::npos || end == std::string::npos) {
    ADD_FAILURE() << result.err << result.out.substr(0, 2000);
    return {};
  }
  std::string text = result.out.substr(begin + 15, end - begin - 15);
  for (const auto& [escaped, plain] :
       {std::pair{"&lt;", "<"}, std::pair{"&gt;", ">"}, std::pair{"&amp;", "&"}})
    text = std::regex_replace(text, std::regex{escaped}, plain);
  return nlohmann::json::parse(text);
}

TEST(ReportPageInBrowser, DrawsTheTimeline) {
  SKIP_WITHOUT_BROWSER();
  const nlohmann::json seen = in_browser(page_of(one_of_each()), "");
  EXPECT_EQ(seen["errors"], nlohmann::json::array());
  EXPECT_THAT(seen["looks"].dump(), AllOf(HasSubstr("axis"), HasSubstr("test"), HasSubstr("fail"),
                                          HasSubstr("left"), HasSubstr("chosen")));
}

TEST(ReportPageInBrowser, GoesFromSocketToSocketByKey) {
  SKIP_WITHOUT_BROWSER();
  const nlohmann::json seen = in_browser(
      page_of(one_of_each()),
      "key('ArrowRight');seen.first=$('detail').innerText;key('ArrowRight');key('ArrowRight');"
      "seen.third=$('detail').innerText;key('+');key('Enter');seen.port=$('port').value;"
      "key('Escape');seen.none=$('detail').innerText");
  EXPECT_EQ(seen["errors"], nlohmann::json::array());
  const auto text = [&](const char* name) { return seen[name].get<std::string>(); };
  EXPECT_THAT(text("first"), AllOf(HasSubstr("A.leaks"), HasSubstr("0.0.0.0:1234/tcp"),
                                   HasSubstr("server.cpp:12"), HasSubstr("LISTEN")));
  EXPECT_THAT(text("third"), AllOf(HasSubstr("B.fails"), HasSubstr("EADDRINUSE"),
                                   HasSubstr("held by"), HasSubstr("A.leaks")));
  EXPECT_EQ(text("port"), "1234");
  EXPECT_THAT(text("none"), HasSubstr("Point at a socket"));
}

TEST(ReportPageInBrowser, FiltersTimelineAndTables) {
  SKIP_WITHOUT_BROWSER();
  const std::string rows =
      "[...document.querySelectorAll('#tests tbody tr')].filter(x=>!x.hidden).map(x=>"
      "x.cells[0].textContent)";
  const nlohmann::json seen =
      in_browser(page_of(one_of_each()),
                 "$('state').value='failed';$('state').dispatchEvent(new Event('input'));"
                 "setTimeout(()=>{seen.rows=" +
                     rows + ";seen.count=$('count').textContent},200)");
  EXPECT_EQ(seen["errors"], nlohmann::json::array());
  EXPECT_EQ(seen["rows"], nlohmann::json({"B.fails"}));
  EXPECT_EQ(seen["count"], "1 of 2 tests, 1 of 4 sockets");
  EXPECT_THAT(seen["looks"].dump(), AllOf(HasSubstr("fail"), Not(HasSubstr("chosen"))));
}

TEST(ReportPageInBrowser, SortsTables) {
  SKIP_WITHOUT_BROWSER();
  const nlohmann::json seen = in_browser(
      page_of(one_of_each()),
      "const head=$('tests').tHead.rows[0].cells[1];head.firstChild.click();"
      "const names=()=>[...$('tests').tBodies[0].rows].map(x=>x.cells[0].textContent);"
      "seen.down=names();seen.how=head.getAttribute('aria-sort');head.firstChild.click();"
      "seen.up=names()");
  EXPECT_EQ(seen["errors"], nlohmann::json::array());
  EXPECT_EQ(seen["down"], nlohmann::json({"A.leaks", "B.fails"})) << "the longest first";
  EXPECT_EQ(seen["how"], "descending");
  EXPECT_EQ(seen["up"], nlohmann::json({"B.fails", "A.leaks"}));
}

TEST(ReportPageInBrowser, OfFiftyThousandRecordsHasFewElements) {
  SKIP_WITHOUT_BROWSER();
  const nlohmann::json seen = in_browser(
      page_of(many(5000, 8)), "seen.elements=document.querySelectorAll('#chart *').length");
  EXPECT_EQ(seen["errors"], nlohmann::json::array());
  EXPECT_LT(seen["elements"], 2000) << "what makes a page slow";
}

}  // namespace
