// SPDX-License-Identifier: BSL-1.0
#include "report_code.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/call_path.hpp>
#include <tidewait/detail/stack_text.hpp>

#include "module_names.hpp"

namespace tidewait::command {
namespace {

/// A stack as it was read, and the earliest record that has it.
struct read_stack {
  std::vector<code_place> calls;
  std::int64_t since = 0;  ///< Microseconds since 1970.
};

/// The calls of the user's own code, and of the libraries between them.
std::string to_text(const std::vector<code_place>& calls) {
  std::string text;
  for (const code_place& each : calls) {
    if (detail::is_plumbing(each)) continue;
    if (detail::is_framework(each)) break;
    if (!text.empty()) text += detail::stack_separator;
    text += detail::to_text(each);
  }
  return text;
}

}  // namespace

std::string name_code(journal_records& all) {
  std::map<text_id, read_stack> stacks;
  for (const journal_record& each : all.records) {
    if (each.stack == 0) continue;
    const auto [stack, is_new] = stacks.emplace(each.stack, read_stack{{}, each.time});
    if (is_new) {
      if (auto calls = detail::parse_stack_text(all.texts.raw(each.stack)))
        stack->second.calls = std::move(*calls);
    }
    stack->second.since = std::min(stack->second.since, each.time);
  }
  struct question {
    std::set<std::uint64_t> offsets;
    std::int64_t since = 0;
  };
  std::map<std::string, question> questions;  // by module
  for (const auto& [id, stack] : stacks) {
    for (const code_place& call : stack.calls) {
      const auto [asked, is_new] = questions.emplace(call.module, question{{}, stack.since});
      asked->second.offsets.insert(call.offset);
      asked->second.since = std::min(asked->second.since, stack.since);
    }
  }
  module_names names;
  std::map<std::string, named_places> known;
  for (const auto& [module, wanted] : questions) {
    known[module] = names.ask(module, wanted.since, {wanted.offsets.begin(), wanted.offsets.end()});
  }
  std::map<text_id, std::pair<text_id, text_id>> shown;  // place and stack
  for (const auto& [id, stack] : stacks) {
    std::vector<code_place> calls;
    for (const code_place& call : stack.calls) {
      const named_places& in = known[call.module];
      const auto found = in.find(call.offset);
      if (found == in.end()) {
        calls.push_back(call);
        continue;
      }
      for (code_place place : found->second) {
        place.module = call.module;
        calls.push_back(std::move(place));
      }
    }
    if (calls.empty()) continue;
    const detail::call_path path = detail::find_call_path(calls);
    const std::string place = path.made_at == nullptr ? "" : detail::to_text(*path.made_at);
    shown[id] = {all.texts.intern(place), all.texts.intern(to_text(calls))};
  }
  for (journal_record& each : all.records) {
    const auto found = shown.find(each.stack);
    if (each.stack == 0 || found == shown.end()) continue;
    if (each.place == 0) each.place = found->second.first;
    each.stack = found->second.second;
  }
  return questions.empty() ? "" : names.why_not();
}

}  // namespace tidewait::command
