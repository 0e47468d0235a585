// SPDX-License-Identifier: BSL-1.0
#include <tidewait/bind_journal.hpp>
#include <tidewait/detail/unix_journal.hpp>

#include "fuzz.hpp"

namespace {

void fuzz_bind(std::string_view input) {
  const auto entry = tidewait::parse_bind_line(input);
  if (!entry) return;
  std::string line = to_json_line(*entry);
  FUZZ_EXPECT(line.find('\n') == line.size() - 1);
  line.pop_back();
  const auto again = tidewait::parse_bind_line(line);
  FUZZ_EXPECT(again && again->asked == entry->asked && again->got == entry->got &&
              again->held_by == entry->held_by);
}

}  // namespace

void fuzz(std::string_view input) {
  fuzz_bind(input);
  if (const auto left = tidewait::detail::parse_left_unix(input)) FUZZ_EXPECT(!left->name.empty());
  const auto entry = tidewait::parse_journal_line(input);
  if (!entry || entry->socket.local.port == 0) return;  // which is written "*"
  // What was read can be written, as one line, and read again.
  std::string line = to_json_line(*entry);
  FUZZ_EXPECT(line.find('\n') == line.size() - 1);
  line.pop_back();
  const auto again = tidewait::parse_journal_line(line);
  FUZZ_EXPECT(again && again->socket.local.port == entry->socket.local.port &&
              again->test == entry->test);
}
