// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind_journal.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/stack_text.hpp>
#include <tidewait/detail/witnessed.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// One record as the journal has it. Its code is not named: that takes a tool, and the report does
/// it.
inline bind_entry to_entry(const bind_record& record) {
  bind_entry entry;
  entry.test = record.test;
  entry.ctest_name = test_of_environment();
  entry.protocol = record.kind == bound_kind::udp ? protocol::udp : protocol::tcp;
  entry.asked = record.asked;
  entry.got = record.error ? std::nullopt : record.got;
  entry.kernel_chose_port = record.kernel_chose_port;
  entry.reuse_address = record.reuse_address;
  entry.reuse_port = record.reuse_port;
  entry.ipv6_only = record.ipv6_only;
  entry.listening = record.listening;
  entry.error = record.error.value();
  entry.cookie = record.cookie;
  entry.net_cookie = record.net_cookie;
  entry.pid = record.pid;
  entry.run = ensure_run_mark();
  entry.command = process_name(process_id());
  entry.stack = to_stack_text(locate_places(record));
  entry.time = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(record.time.time_since_epoch())
          .count());
  return entry;
}

/// Adds the binds of a test to the journal, if there is one: each once, however many looks see it.
inline void journal_binds(shared_state& shared, const witnessed_binds& binds) {
  if (binds.records.empty() || journal_path().empty()) return;
  std::vector<bind_entry> entries;
  for (const auto& each : binds.records) {
    if (each->kind != bound_kind::tcp && each->kind != bound_kind::udp) continue;
    if (shared.seen.first_journaled(each->time, each->cookie)) entries.push_back(to_entry(*each));
  }
  // The lines of a test's end say it if the journal cannot be written.
  static_cast<void>(append_journal(entries));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
