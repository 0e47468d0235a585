// SPDX-License-Identifier: BSL-1.0
#include "report_code.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/call_path.hpp>
#include <tidewait/detail/linux/symbolizer.hpp>
#include <tidewait/detail/os_handles.hpp>
#include <tidewait/detail/stack_text.hpp>

namespace tidewait::command {
namespace {

using offsets = std::vector<std::uint64_t>;
using named_places = std::map<std::uint64_t, std::vector<code_place>>;

/// A stack as it was read, and the earliest record that has it.
struct read_stack {
  std::vector<code_place> calls;
  std::int64_t since = 0;  ///< Microseconds since 1970.
};

/// The file of a program or library, if it may be shown to a tool and is still the one that ran
/// then. A journal can name any file.
detail::unique_fd open_module(const std::string& path, std::int64_t since) {
  if (path.empty() || path.front() != '/')
    return {};  // by a name that only the program could follow
  detail::unique_fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  struct stat facts {};
  if (!file || ::fstat(file.get(), &facts) != 0) return {};
  constexpr std::int64_t micro = 1000000;
  const std::int64_t built = static_cast<std::int64_t>(facts.st_mtim.tv_sec) * micro;
  const bool trusted = facts.st_uid == 0 || facts.st_uid == ::geteuid();
  if (!S_ISREG(facts.st_mode) || !trusted || (facts.st_mode & S_IWOTH) != 0 || built > since)
    return {};
  return file;
}

/// Asks about modules until 20 s have passed.
class code_names {
 public:
  bool has_tool() const noexcept { return !tool_.empty(); }
  /// What is known of these offsets of a module.
  named_places ask(const std::string& module, std::int64_t since, const offsets& wanted) {
    named_places all;
    const detail::unique_fd file = tool_.empty() ? detail::unique_fd{} : open_module(module, since);
    if (!file) return all;
    // By the descriptor: the name may lead elsewhere by now.
    const std::string path =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file.get());
    constexpr std::size_t at_once = 500;
    for (std::size_t from = 0; from < wanted.size(); from += at_once) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until_ - std::chrono::steady_clock::now());
      if (left.count() <= 0) break;
      const std::size_t to = std::min(wanted.size(), from + at_once);
      const auto at = [&](std::size_t i) {
        return wanted.begin() + static_cast<offsets::difference_type>(i);
      };
      auto named = detail::ask_addr2line(tool_, path, {at(from), at(to)}, left);
      if (!named) break;
      all.merge(*named);
    }
    return all;
  }

 private:
  std::string tool_ = detail::find_addr2line();
  std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds{20};
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
  code_names names;
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
  return questions.empty() || names.has_tool()
             ? ""
             : "no addr2line to name the code with: install binutils to see lines, not offsets";
}

}  // namespace tidewait::command
