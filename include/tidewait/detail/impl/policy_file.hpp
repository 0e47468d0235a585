// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/impl/policy_text.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/policy_line.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Reads one line of a file of rules; the rules that it adds know where they are.
inline void read_policy_line(std::string_view line, const std::string& file, std::size_t number,
                             policy& rules) {
  if (line.size() > longest_policy_line)
    refuse_policy(line.substr(0, 40), "a line has at most 4096 bytes");
  const policy_line parts = split_policy_line(line);
  if (parts.item.empty()) return;
  if (before_any(policy_separators, parts.item).size() != parts.item.size())
    refuse_policy(parts.item, "one rule a line; put a name with a separator or a blank in quotes");
  policy read;
  read_item(parts.item, read);
  for (policy_rule rule : read.rules()) {
    rule.reason = parts.reason;
    rule.file = file;
    rule.line = number;
    rules.add(std::move(rule));
  }
  if (read.rules().empty()) rules.add(read);
}

/// What is said of a file of rules that cannot be read, and what to do.
[[noreturn]] inline void refuse_policy_file(const std::string& path, const std::error_code& error) {
  std::string why = error.message();
  if (error == std::errc::file_too_large) why = "it is larger than 1 MiB";
  if (error == std::errc::invalid_argument) why = "it is not a regular file";
  if (error == std::errc::no_such_file_or_directory && absolute_path(path) != path) {
    std::string here = absolute_path(".");
    if (here.size() > 2) here.resize(here.size() - 2);  // "/."
    why +=
        "; a relative path starts at the working directory of the process, here " + sanitised(here);
  }
  throw policy_error{errc::bad_policy, "reading the rules in '" + sanitised(path) + '\'',
                     std::move(why)};
}

}  // namespace detail

TIDEWAIT_INLINE policy read_policy_file(const std::string& path, policy onto) {
  std::string text;
  if (const auto error = detail::read_named_file(path.c_str(), text, detail::most_of_a_policy)) {
    detail::refuse_policy_file(path, error);
  }
  std::string_view rest = text;
  rest.remove_prefix(detail::byte_order_mark_of(text).size());
  const std::string file = detail::absolute_path(path);
  for (std::size_t line = 1; !rest.empty(); ++line) {
    try {
      detail::read_policy_line(detail::take_line(rest), file, line, onto);
    } catch (const policy_error& flaw) {
      const std::string what = flaw.what();
      const std::string doing = what.substr(0, what.find(": " + flaw.code().message()));
      throw policy_error{errc::bad_policy,
                         detail::sanitised(path) + ':' + std::to_string(line) + ": " + doing,
                         flaw.likely_cause()};
    }
  }
  return onto;
}

}  // namespace v0
}  // namespace tidewait
