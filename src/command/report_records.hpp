// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tidewait/socket_entry.hpp>

namespace tidewait::command {

/// A text of a `text_pool`. 0 is the empty text.
using text_id = std::uint32_t;

/// Each text once. What goes in is foreign: what comes out is `sanitised()`.
class text_pool {
 public:
  /// Of more than this many bytes in all the rest becomes "?".
  static constexpr std::size_t most = std::size_t{64} << 20U;

  text_pool() {
    add({});
    rest_ = add("?");
  }
  text_pool(const text_pool&) = delete;
  text_pool& operator=(const text_pool&) = delete;

  text_id intern(std::string_view text);
  /// As it was read: of an address, which is ours, the whole.
  const std::string& raw(text_id id) const { return texts_[id].raw; }
  const std::string& operator[](text_id id) const { return texts_[id].shown; }
  bool full() const noexcept { return full_; }
  std::size_t size() const noexcept { return texts_.size(); }

 private:
  struct entry {
    std::string raw, shown;
  };
  text_id add(std::string_view text);

  std::deque<entry> texts_;
  std::unordered_map<std::string_view, text_id> ids_;
  std::size_t size_ = 0;
  text_id rest_ = 0;
  bool full_ = false;
};

/// What a line of the journal is about; docs/journal.md explains them.
enum class record_kind : std::uint8_t {
  test_begin,
  test_end,
  leased,
  bound,
  bind_failed,
  listening,
  left_behind
};

enum class record_protocol : std::uint8_t { tcp, udp, local };

/// "tcp", "udp", "unix".
std::string_view to_string(record_protocol protocol) noexcept;

/// What is so of a line, or not.
enum class record_flag : std::uint8_t {
  kernel_chose_port = 1,
  reuse_address = 2,
  reuse_port = 4,
  v6only = 8,
  listening = 16,
  leased = 32,
  reported = 64,  ///< Of what was left: the test has failed for it.
  failed = 128    ///< Of `test_end`: the test failed.
};

/// Of a stale socket file: nobody has its socket open.
inline constexpr socket_state no_state{};

/// One line of a journal. The texts are of the pool of its `journal_records`.
struct journal_record {
  record_kind kind = record_kind::test_begin;
  record_protocol protocol = record_protocol::tcp;
  socket_state state = socket_state::bound;
  std::uint8_t flags = 0;   ///< A set of `record_flag`.
  std::uint16_t port = 0;   ///< Of `test_begin` the first of the ephemeral range.
  std::uint16_t error = 0;  ///< errno of a bind; of `test_begin` the last of that range.
  int pid = 0;
  std::uint32_t count = 1;    ///< Calls; of `test_end` the milliseconds that the look waited.
  std::uint32_t machine = 0;  ///< Index in the model.
  text_id test = 0, ctest = 0, run = 0, host = 0, boot = 0, net = 0, address = 0, place = 0,
          stack = 0, held_by = 0, program = 0;
  text_id command = 0;  ///< Of `test_begin` the program that `tidewait run` starts.
  std::uint64_t cookie = 0;
  std::int64_t time = 0;    ///< Microseconds since 1970, to the millisecond.
  std::int64_t uptime = 0;  ///< Microseconds since the machine was started; 0: not known.

  bool has(record_flag flag) const noexcept {
    return (flags & static_cast<std::uint8_t>(flag)) != 0;
  }
  void set(record_flag flag, bool to) noexcept {
    const auto bit = static_cast<unsigned>(flag);
    flags = static_cast<std::uint8_t>(to ? flags | bit : flags & ~bit);
  }
};

/// What was read of one journal.
struct journal_source {
  std::string path;
  std::string error;  ///< Why it could not be read, or not to its end; empty if it could.
  std::size_t bytes = 0;
  std::size_t skipped = 0;  ///< Bytes at its front: it is longer than what is read.
  std::size_t lines = 0;    ///< That were understood.
  std::size_t torn = 0;     ///< Lines that begin as the journal's and are not whole.
  std::size_t foreign = 0;  ///< Lines that are not the journal's, or not text.
  std::size_t unknown = 0;  ///< Lines of this version whose event is not known.
  std::map<std::uint32_t, std::size_t> versions;  ///< Lines of other versions of the format.
};

/// The lines of some journals, in the order of the files.
struct journal_records {
  text_pool texts;
  std::deque<journal_record> records;
  std::vector<journal_source> sources;
};

/// Of a journal that is longer, in bytes, only the newest part is read.
inline constexpr std::size_t most_of_a_journal_report = std::size_t{1} << 30U;

/// Adds what a text in the format of the journal has. Never throws for what is in it.
void read_lines(std::string_view text, journal_records& into, journal_source& source);

/// Adds the lines of a file. It is not waited for where it is a pipe without a writer, and it is
/// not believed: what cannot be read is in the source.
void read_journal_file(const std::string& path, journal_records& into);

}  // namespace tidewait::command
