// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/explain_unix.hpp>
#include <tidewait/detail/look_depth.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/unix_journal.hpp>
#include <tidewait/detail/witnessed.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/explain_unix_bind.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The Unix sockets of this process tree that were there before a test.
struct unix_baseline {
  std::vector<std::uint64_t> open{};  ///< Identities.
  std::vector<std::string> stale{};   ///< Paths of files that nobody had open.
};

/// Whether it belongs to this process tree.
inline bool is_ours(const observed_unix& socket, bool private_namespace) {
  if (private_namespace) return true;
  return any_ours(socket.owners) || (socket.keeper && socket.keeper->who.ours());
}

/// Of one that this process has bound, the file from the root; a relative path of another process
/// counts from a directory that is not known.
inline std::string file_of(const observed_unix& socket) {
  if (socket.is_abstract()) return {};
  const bool self =
      std::any_of(socket.owners.begin(), socket.owners.end(),
                  [](const process& each) { return each.relation == relation::self; });
  return socket.name.front() == '/' || self ? absolute_path(socket.name) : std::string{};
}

/// Brings up to date what is known of the tree's Unix sockets. Where nothing suggests that there is
/// a new one it asks for the number of descriptors, and that is all.
inline void read_own_unix(shared_state& shared, look_depth depth, owner_reach reach,
                          bool private_namespace, visibility& seen) {
  const auto descriptors = open_descriptors();
  if (depth == look_depth::quick && shared.unix_sockets.is_current(descriptors)) return;
  std::vector<observed_unix> table = read_unix_sockets(unix_states::open, seen);
  if (seen.unix_sockets == table_source::nothing) {
    shared.told.note("unix", "Unix sockets are not checked: sock_diag refused (" +
                                 seen.unix_diag_error.message() +
                                 "), and /proc/net/unix cannot be read");
    return;
  }
  table.erase(std::remove_if(table.begin(), table.end(), is_lease_lock), table.end());
  std::vector<observed_unix> fresh = shared.unix_sockets.unknown(table);
  if (!fresh.empty()) {
    visibility owners;
    find_owners(fresh, reach, owners);
    fresh.erase(std::remove_if(
                    fresh.begin(), fresh.end(),
                    [&](const observed_unix& each) { return !is_ours(each, private_namespace); }),
                fresh.end());
    std::vector<std::string> files;
    for (const observed_unix& each : fresh) files.push_back(file_of(each));
    shared.unix_sockets.add_own(std::move(fresh), files);
  }
  shared.unix_sockets.mark_read(descriptors);
}

/// Notes the paths that this process was witnessed to bind, since their files may be left. Returns
/// whether it has bound any Unix socket.
inline bool note_unix_binds(shared_state& shared, const witnessed_binds& binds) {
  bool any = false;
  for (const auto& each : binds.records) {
    if (each->kind != bound_kind::local || each->error) continue;
    any = true;
    if (!each->path.empty() && each->path.front() != '@')
      shared.unix_sockets.note_path(absolute_path(each->path));
  }
  return any;
}

/// The paths that the tree has bound and whose file is there, with nobody to have it open.
inline std::vector<std::string> stale_files(shared_state& shared) {
  std::vector<std::string> stale;
  for (const std::string& path : shared.unix_sockets.paths()) {
    if (shared.unix_sockets.is_leased(path)) continue;
    const unix_bind_facts facts = look_at_unix_name(path, unix_kind::stream);
    if (facts.there != unix_bind_facts::file::socket) {
      shared.unix_sockets.forget_path(path);
    } else if (facts.socket == unix_bind_facts::life::none &&
               !shared.unix_sockets.is_told(file_identity(facts))) {
      stale.push_back(path);
    }
  }
  return stale;
}

inline unix_baseline take_unix_baseline(shared_state& shared, look_depth depth,
                                        bool private_namespace) {
  unix_baseline before;
  visibility seen;
  read_own_unix(shared, depth, owner_reach::own_tree, private_namespace, seen);
  for (const observed_unix& each : shared.unix_sockets.own()) before.open.push_back(identity(each));
  before.stale = stale_files(shared);
  return before;
}

/// The tree's Unix sockets and stale files that are new since the baseline, and that no look has
/// reported.
inline std::vector<observed_unix> unix_left_since(shared_state& shared,
                                                  const unix_baseline& before) {
  const auto is_among = [](const auto& list, const auto& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  std::vector<observed_unix> left;
  for (observed_unix& each : shared.unix_sockets.own()) {
    if (!is_among(before.open, identity(each)) && !shared.seen.is_handled(identity(each)))
      left.push_back(std::move(each));
  }
  for (const std::string& path : stale_files(shared)) {
    if (is_among(before.stale, path)) continue;
    observed_unix file;
    file.name = path;
    file.stale_file = true;
    left.push_back(std::move(file));
  }
  return left;
}

/// What a finding is about: the file if it is known, so that a relative path is told in full.
inline std::string told_name(const observed_unix& socket) {
  if (socket.is_abstract() || socket.stale_file) return socket.name;
  const std::string file = file_of(socket);
  return file.empty() ? socket.name : file;
}

/// Adds to the report what the test has left of Unix sockets, by `rules`. `let_pass(rule, what)` is
/// told of what they tolerate or warn of.
template <typename LetPass>
void look_at_unix_sockets(shared_state& shared, const unix_baseline& before, look_depth depth,
                          bool private_namespace, const policy& rules, const test_id& test,
                          report& found, LetPass&& let_pass) {
  visibility seen;
  read_own_unix(shared, depth, owner_reach::until_found, private_namespace, seen);
  std::vector<observed_unix> left = unix_left_since(shared, before);
  found.seen.unix_sockets = seen.unix_sockets;
  found.seen.unix_diag_error = seen.unix_diag_error;
  if (left.empty()) return;
  find_owners(left, owner_reach::until_found, seen);
  if (shared.seen.command) call_orphans(left);
  if (found.seen.owners == owner_view::not_searched) found.seen.owners = seen.owners;
  const bind_environment environment = environment_now(seen);
  std::string lines;  // of the journal
  for (const observed_unix& each : left) {
    const std::string name = told_name(each);
    const unix_bind_facts facts = look_at_unix_name(name, each.kind);
    shared.unix_sockets.mark_told(file_identity(facts));
    if (!each.stale_file) shared.seen.mark_handled({identity(each)});
    const policy_rule* const rule = rules.match(each, test);
    const action what = rule == nullptr ? action::fail : rule->action;
    const bool fails = what == action::fail && !rules.warns_only();
    if (!journal_path().empty()) lines += left_unix_line(found.test, each, name, facts, fails);
    if (what != action::fail) let_pass(*rule, shown_unix_name(name));
    if (what == action::tolerate)
      found.tolerated.push_back({"a Unix socket", shown_unix_name(name), *rule});
    if (what == action::tolerate) continue;
    unix_finding next;
    next.fails = what == action::fail;
    std::vector<observed_unix> sockets;
    if (!each.stale_file) sockets.push_back(each);
    for (observed_unix& socket : sockets) socket.name = name;
    next.why = diagnose_unix(name, sockets, facts, environment);
    if (rule != nullptr) next.decided_by = *rule;
    found.unix_findings.push_back(std::move(next));
  }
  note_journal(shared.told, shared.journal.flush(lines));
  std::stable_partition(found.unix_findings.begin(), found.unix_findings.end(),
                        [](const unix_finding& each) { return each.fails; });
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
