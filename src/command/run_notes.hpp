// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

/// What is noted of a run that is under way: the process that it belongs to, and all that says
/// whether this machine, this pid namespace and this user may judge whether that process lives.
struct run_note {
  int pid = 0;  ///< Of the process that started the run, as /proc numbers it; 0: it is not known.
  std::uint64_t start = 0;  ///< When that was started, in clock ticks since boot.
  std::string boot;         ///< /proc/sys/kernel/random/boot_id.
  std::string machine;      ///< A hash of the node name (uname(2)).
  std::uint64_t pid_namespace = 0;
  std::uint32_t uid = 0;
};

/// Whether `name` is that of a mark: 16 hexadecimal digits, the letters small.
bool is_mark(std::string_view name) noexcept;

std::string to_text(const run_note& note);

/// Reads exactly what `to_text` writes, and nothing else.
std::optional<run_note> parse_run_note(std::string_view text);

/// The note of a run that the parent of this process begins now. Its pid is 0 where that parent is
/// not visible, or has ended and another process has adopted this one. Throws `std::system_error`
/// if /proc does not say what it needs.
run_note note_of_this_run();

/// The notes that a directory has.
struct run_list {
  std::vector<std::string> interrupted;  ///< The marks of runs that never came to their end.
  std::vector<std::string> over;         ///< Of runs before this boot: no process of them lives.
  std::vector<std::string> unjudged;     ///< "name: why": left alone.
};

/// A directory of notes, opened once: each file there is named by the mark of its run.
class run_notes {
 public:
  /// Throws `std::runtime_error` if the directory cannot be opened, or if others may write to it.
  explicit run_notes(const std::string& path);

  /// Reads the notes of all runs but that of `own_mark`. What is not named by a mark is left alone.
  run_list others(const std::string& own_mark) const;

  /// The note of that run; nothing if there is none. Throws `std::runtime_error` if a file of that
  /// name is no note of this user's.
  std::optional<run_note> find(const std::string& mark) const;

  /// Throws `std::runtime_error` if it cannot be written, or would replace what is no note.
  void write(const std::string& mark, const run_note& note) const;

  /// Removes a note, and nothing that is none.
  void remove(const std::string& mark) const;

 private:
  struct reading {
    std::optional<run_note> note;
    std::string flaw;  ///< Empty, without a note: there is no such file.
  };
  reading read(const std::string& mark) const;

  std::string path_;
  detail::unique_fd directory_;
};

}  // namespace tidewait::command
