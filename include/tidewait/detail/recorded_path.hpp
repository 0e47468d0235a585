// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/os_calls.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What differs from run to run, and from one checkout to another.
struct recording_place {
  std::vector<std::string> folders{};    ///< Where the run is: the checkout, its build, the home.
  std::vector<std::string> temporary{};  ///< For temporary files.
  std::vector<std::string> numbers{};    ///< Process ids, in decimal.
};

/// How much of a path is a folder that it shares with another path; 0 if that is the root alone.
inline std::size_t shared_folder(std::string_view path, std::string_view other) noexcept {
  std::size_t end = 0;
  for (std::size_t i = 0; i < path.size() && i <= other.size(); ++i) {
    const bool part_ends = i == other.size() || other[i] == '/';
    if (path[i] == '/' && part_ends) end = i;
    if (i == other.size() || path[i] != other[i]) break;
  }
  return end;
}

/// Whether letters and digits look as mkdtemp(3) chooses them, and not as words with a number
/// behind them: "aB3xYz", but neither "server12" nor "EchoServer".
inline bool looks_random(std::string_view run) noexcept {
  constexpr std::size_t chosen = 6;
  if (run.size() < chosen) return false;
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!run.empty() && digit(run.back())) run.remove_suffix(1);
  if (std::all_of(run.begin(), run.end(), upper)) return false;
  while (!run.empty()) {
    std::size_t word = upper(run.front()) ? 1 : 0;
    while (word < run.size() && lower(run[word])) ++word;
    if (word < 2) return true;
    run.remove_prefix(word);
  }
  return false;
}

/// A name in a folder for temporary files, with '?' for what looks random: "app-??????.d".
inline std::string without_random_part(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  constexpr std::string_view of_python = "tmp";  // tempfile: and eight of a-z, 0-9 and '_'
  if (name.size() == of_python.size() + 8 && name.substr(0, of_python.size()) == of_python &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_", of_python.size()) ==
          std::string_view::npos)
    return std::string{of_python} + "????????";
  // mkdtemp(3) puts it at the end, mkstemps(3) in front of the extension.
  for (const std::size_t end : {name.size(), std::min(name.rfind('.'), name.size())}) {
    std::size_t begin = end;
    while (begin != 0 && alphanumeric(name[begin - 1])) --begin;
    if (!looks_random(name.substr(begin, end - begin))) continue;
    return std::string{name.substr(0, begin)} + std::string(end - begin, '?') +
           std::string{name.substr(end)};
  }
  return std::string{name};
}

/// A name with '*' for each of these numbers: "app-*.sock".
inline std::string without_numbers(std::string_view name, const std::vector<std::string>& numbers) {
  std::string text;
  while (!name.empty()) {
    const std::size_t begin = std::min(name.find_first_of("0123456789"), name.size());
    const std::size_t end = std::min(name.find_first_not_of("0123456789", begin), name.size());
    const std::string number{name.substr(begin, end - begin)};
    const bool chosen = std::find(numbers.begin(), numbers.end(), number) != numbers.end();
    text.append(name.substr(0, begin)).append(chosen ? "*" : number);
    name.remove_prefix(end);
  }
  return text;
}

/// What path= of a recorded rule says: the name, its parts that are others in the next run or in
/// another checkout as patterns. Those are the folder that the run is in or that is for temporary
/// files, what is random in the name below that, process ids, the directory of a lease, and an
/// abstract name that the kernel chose.
inline std::string recorded_path(const std::string& name, const recording_place& place = {}) {
  constexpr std::string_view autobound = "@?????";
  if (name.size() == autobound.size() && name.front() == '@' &&
      name.find_first_not_of("0123456789abcdef", 1) == std::string::npos)
    return std::string{autobound};
  if (name.empty() || name.front() != '/') return without_numbers(name, place.numbers);
  std::size_t replaced = 0;
  for (const std::string& folder : place.folders)
    replaced = std::max(replaced, shared_folder(name, folder));
  std::size_t temporary = std::string::npos;
  for (const std::string& folder : place.temporary) {
    const std::size_t shared = shared_folder(name, folder);
    if (shared == 0 || shared != folder.size()) continue;
    temporary = temporary == std::string::npos ? shared : std::max(temporary, shared);
    replaced = std::max(replaced, shared);
  }
  std::string pattern = replaced == 0 ? "" : "*";
  for (std::size_t at = replaced; at < name.size();) {  // each part with the '/' before it
    const std::size_t end = std::min(name.find('/', at + 1), name.size());
    const std::string_view part = std::string_view{name}.substr(at + 1, end - at - 1);
    pattern += '/';
    if (is_socket_directory_name(part)) {
      pattern.append(socket_directory_prefix).append(1, '*');
    } else if (at == temporary) {
      pattern += without_numbers(without_random_part(part), place.numbers);
    } else {
      pattern += without_numbers(part, place.numbers);
    }
    at = end;
  }
  return pattern;
}

/// The place of this run, which writes its rules to `file`.
inline recording_place place_of_recording(const std::string& file) {
  recording_place place;
  const auto add = [](std::vector<std::string>& folders, std::string folder) {
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    if (folder.size() > 1 && folder.front() == '/') folders.push_back(std::move(folder));
  };
  std::string here = absolute_path(".");
  here.resize(std::max<std::size_t>(here.size(), 2) - 2);  // without "/."
  add(place.folders, here);
  const std::string rules = absolute_path(file);
  add(place.folders, rules.substr(0, rules.rfind('/') + 1));
  const auto value = [](const char* variable) {
    const char* const text = environment(variable);
    return std::string{text == nullptr ? "" : text};
  };
  add(place.folders, value("HOME"));
  for (const char* const variable : {"XDG_RUNTIME_DIR", "TMPDIR"})
    add(place.temporary, value(variable));
  for (const char* const folder : {"/tmp", "/var/tmp", "/dev/shm"})
    place.temporary.emplace_back(folder);
  place.numbers.push_back(std::to_string(process_id()));
  return place;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
