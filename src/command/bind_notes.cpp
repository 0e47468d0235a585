// SPDX-License-Identifier: BSL-1.0
#include "bind_notes.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <unordered_map>
#include <utility>

#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/os_calls.hpp>

namespace tidewait::command {
namespace {

bind_entry to_entry(const witnessed_bind& bind, const std::string& run) {
  bind_entry entry;
  entry.test = run;
  entry.ctest_name = bind.test;
  entry.protocol = bind.kind == socket_kind::udp ? protocol::udp : protocol::tcp;
  entry.asked = bind.asked;
  entry.got = bind.got;
  entry.kernel_chose_port = bind.kernel_chose_port;
  entry.reuse_address = bind.reuse_address;
  entry.reuse_port = bind.reuse_port;
  entry.ipv6_only = bind.scope;
  entry.listening = bind.listening;
  entry.error = bind.error.value();
  entry.inferred = bind.sure != certainty::seen;
  entry.cookie = bind.cookie;
  entry.net_cookie = bind.net_cookie;
  entry.pid = bind.pid;
  entry.run = detail::ensure_run_mark();
  entry.command = bind.command;
  entry.time = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(bind.time.time_since_epoch()).count());
  return entry;
}

/// The less, the more a reader needs it.
int rank(const bind_entry& entry) {
  if (entry.error != 0) return 0;
  return entry.kernel_chose_port ? 2 : 1;
}

}  // namespace

bind_notes to_notes(const testimony& seen, const std::string& run, std::size_t most) {
  bind_notes notes;
  std::map<std::string, std::size_t> known;  // by the text of what must agree
  for (const witnessed_bind& bind : seen.binds) {
    if (bind.kind != socket_kind::tcp && bind.kind != socket_kind::udp) continue;
    bind_entry entry = to_entry(bind, run);
    bind_entry key = entry;
    key.time = 0;
    key.cookie = 0;
    const auto [place, fresh] = known.emplace(to_json_line(key), notes.lines.size());
    if (!fresh) {
      ++notes.lines[place->second].count;
      continue;
    }
    if (entry.error != 0) entry.held_by = describe_holder(bind, seen);
    notes.lines.push_back(std::move(entry));
  }
  if (notes.lines.size() <= most) return notes;
  std::stable_sort(notes.lines.begin(), notes.lines.end(),
                   [](const bind_entry& a, const bind_entry& b) { return rank(a) < rank(b); });
  for (std::size_t i = most; i < notes.lines.size(); ++i) notes.left_out += notes.lines[i].count;
  notes.lines.resize(most);
  std::stable_sort(notes.lines.begin(), notes.lines.end(),
                   [](const bind_entry& a, const bind_entry& b) { return a.time < b.time; });
  return notes;
}

void add_stacks(testimony& seen) {
  if (seen.binds.empty() || journal_path().empty()) return;
  std::unordered_multimap<std::uint64_t, bind_entry> known;  // by cookie
  for (bind_entry& each : read_bind_journal()) {
    if (each.stack.empty() || each.cookie == 0 || each.boot != detail::boot_id()) continue;
    const std::uint64_t cookie = each.cookie;
    known.emplace(cookie, std::move(each));
  }
  if (known.empty()) return;
  const auto add_to = [&](witnessed_bind& bind) {
    const auto [first, last] = known.equal_range(bind.cookie);
    for (auto each = first; each != last; ++each)
      if (is_of(each->second, bind)) bind.stack = each->second.stack;
  };
  for (witnessed_bind& each : seen.binds) add_to(each);
  for (failed_bind& each : seen.failures) add_to(each.first);
}

}  // namespace tidewait::command
