// SPDX-License-Identifier: BSL-1.0
#include "report_records.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/journal.hpp>

#include "files.hpp"

namespace tidewait::command {

text_id text_pool::intern(std::string_view text) {
  const auto found = ids_.find(text);
  if (found != ids_.end()) return found->second;
  if (full_ || size_ + 2 * text.size() > most) {
    full_ = true;
    return rest_;
  }
  return add(text);
}

text_id text_pool::add(std::string_view text) {
  const auto id = static_cast<text_id>(texts_.size());
  texts_.push_back({std::string{text}, detail::sanitised(text)});
  size_ += 2 * text.size() + sizeof(entry);
  ids_.emplace(texts_.back().raw, id);
  return id;
}

std::string_view to_string(record_protocol protocol) noexcept {
  switch (protocol) {
    case record_protocol::tcp: return "tcp";
    case record_protocol::udp: return "udp";
    case record_protocol::local: break;
  }
  return "unix";
}

namespace {

/// The longest line that is read. Those of the journal have some hundred bytes.
constexpr std::size_t longest_line = 65536;

/// Takes one `"key":"value"` or `"key":123` off the inside of an object; false if there is none.
/// The value is as it is written: a string with its escapes.
bool take_field(std::string_view& text, std::string_view& key, std::string_view& value,
                bool& escaped) {
  if (text.empty() || text.front() != '"') return false;
  const auto end = text.find('"', 1);
  if (end == std::string_view::npos || end + 2 >= text.size() || text[end + 1] != ':') return false;
  key = text.substr(1, end - 1);
  text.remove_prefix(end + 2);
  escaped = false;
  if (text.front() == '"') {
    std::size_t at = text.find('"', 1);
    if (at == std::string_view::npos) return false;
    escaped = std::memchr(text.data() + 1, '\\', at - 1) != nullptr;
    if (escaped) {
      for (at = 1; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1U : 0U;
      if (at >= text.size()) return false;
    }
    value = text.substr(1, at - 1);
    text.remove_prefix(at + 1);
  } else {
    value = text.substr(0, text.find(','));
    if (value.find('"') != std::string_view::npos) return false;
    text.remove_prefix(value.size());
  }
  if (text.empty()) return true;
  if (text.front() != ',') return false;
  text.remove_prefix(1);
  return true;
}

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<record_kind> kind_of(std::string_view event) {
  static constexpr std::pair<std::string_view, record_kind> kinds[] = {
      {"test_begin", record_kind::test_begin},
      {"test_end", record_kind::test_end},
      {"bound", record_kind::bound},
      {"listening", record_kind::listening},
      {"shared", record_kind::listening},  // which pairs shared a port the binds tell
      {"left_behind", record_kind::left_behind},
      {"leased", record_kind::leased},
      {"bind_failed", record_kind::bind_failed}};
  for (const auto& [name, kind] : kinds) {
    if (name == event) return kind;
  }
  return std::nullopt;
}

enum class verdict : std::uint8_t { fine, torn, unknown };

/// Reads the fields of one line into a record.
class line_reader {
 public:
  explicit line_reader(text_pool& texts) : texts_{texts} {}

  verdict read(std::string_view line, journal_record& record) {
    record = {};
    asked_ = got_ = local_ = {};
    leased_at_ = path_ = {};
    counted_.reset();
    has_state_ = false;
    bool has_time = false;
    bool has_pid = false;
    bool has_event = false;
    if (line.size() < 2 || line.back() != '}') return verdict::torn;
    line = line.substr(1, line.size() - 2);
    while (!line.empty()) {
      std::string_view key;
      std::string_view value;
      bool escaped = false;
      if (!take_field(line, key, value, escaped)) return verdict::torn;
      if (key == "event") {
        const auto kind = kind_of(value);
        if (!kind) return verdict::unknown;
        record.kind = *kind;
        has_event = true;
      } else if (key == "time") {
        std::uint64_t ms = 0;
        // Until the year 9999: later ones are nobody's clock.
        if (!read_number(value, ms) || ms >= 253402300800000U) return verdict::torn;
        has_time = true;
        record.time = static_cast<std::int64_t>(ms) * 1000;
      } else if (key == "pid") {
        if (!read_number(value, record.pid) || record.pid < 0) return verdict::torn;
        has_pid = true;
      } else if (!read_field(key, value, escaped, record)) {
        return verdict::torn;
      }
    }
    if (!has_event || !has_time || !has_pid) return verdict::torn;
    const bool is_end = record.kind == record_kind::test_end;
    record.count = counted_.value_or(is_end ? 0 : 1);
    if (record.count == 0 && !is_end) return verdict::torn;
    return place_socket(record) ? verdict::fine : verdict::torn;
  }

 private:
  /// Lines that follow each other mostly have the same texts.
  text_id text(std::string_view value, bool escaped, text_id last) {
    if (escaped) {
      unescaped_.clear();
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) ++i;
        unescaped_ += value[i];
      }
      value = unescaped_;
    }
    return texts_.raw(last) == value ? last : texts_.intern(value);
  }

  struct text_field {
    std::string_view name;
    text_id journal_record::*member;
  };
  struct flag_field {
    std::string_view name;
    record_flag flag;
  };

  /// False if the value is not of its field's type. What is not known is passed over.
  bool read_field(std::string_view key, std::string_view value, bool escaped,
                  journal_record& record) {
    static constexpr text_field texts[] = {
        {"test", &journal_record::test},        {"ctest", &journal_record::ctest},
        {"run", &journal_record::run},          {"host", &journal_record::host},
        {"boot", &journal_record::boot},        {"namespace", &journal_record::net},
        {"command", &journal_record::command},  {"place", &journal_record::place},
        {"launched", &journal_record::command}, {"stack", &journal_record::stack},
        {"held_by", &journal_record::held_by},  {"program", &journal_record::program}};
    for (const text_field& each : texts) {
      if (each.name != key) continue;
      record.*each.member = last_.*each.member = text(value, escaped, last_.*each.member);
      return true;
    }
    if (key == "cookie") return read_number(value, record.cookie);
    if (key == "got") return got_ = value, true;
    if (key == "asked") return asked_ = value, true;
    if (key == "uptime") {
      return read_number(value, record.uptime) && record.uptime >= 0 &&
             record.uptime < std::numeric_limits<std::int64_t>::max() / 4;
    }
    if (key == "error") {
      const bool read = read_number(value, record.error);
      record.error = own_errno(record.error);
      return read;
    }
    if (key == "count" || key == "waited") return read_number(value, counted_.emplace());
    if (key == "local") return local_ = value, true;
    if (key == "port") return read_number(value, record.port);
    if (key == "ephemeral") {
      const auto dash = value.find('-');
      return dash != std::string_view::npos && read_number(value.substr(0, dash), record.port) &&
             read_number(value.substr(dash + 1), record.error);
    }
    if (key == "path") return path_ = value, escaped_path_ = escaped, true;
    if (key == "leased_at") return leased_at_ = value, true;
    if (key == "outcome") {
      record.set(record_flag::failed, value == "failed");
    } else if (key == "state") {
      const auto state = parse_socket_state(value);
      if (!state) return false;
      record.state = *state;
      has_state_ = true;
    } else if (key == "protocol") {
      if (value != "tcp" && value != "udp" && value != "unix") return false;
      record.protocol = value == "tcp"   ? record_protocol::tcp
                        : value == "udp" ? record_protocol::udp
                                         : record_protocol::local;
    } else {
      read_flag(key, value, record);
    }
    return true;
  }

  static void read_flag(std::string_view key, std::string_view value, journal_record& record) {
    static constexpr flag_field flags[] = {{"kernel_chose_port", record_flag::kernel_chose_port},
                                           {"reuse_address", record_flag::reuse_address},
                                           {"reuse_port", record_flag::reuse_port},
                                           {"v6only", record_flag::v6only},
                                           {"listening", record_flag::listening},
                                           {"reported", record_flag::reported}};
    for (const flag_field& each : flags) {
      if (each.name == key) record.set(each.flag, value == "1");
    }
  }

  bool place_socket(journal_record& record) {
    if (record.kind == record_kind::test_begin || record.kind == record_kind::test_end)
      return record.test != 0 || record.ctest != 0;
    if (record.kind == record_kind::leased) return record.port != 0;
    if (record.protocol == record_protocol::local) {
      if (!has_state_) record.state = no_state;
      record.address = text(path_, escaped_path_, 0);
      return true;
    }
    if (!leased_at_.empty() && record.place == 0) record.place = text(leased_at_, true, 0);
    record.set(record_flag::leased, !leased_at_.empty());
    const std::string_view where = !local_.empty() ? local_ : !got_.empty() ? got_ : asked_;
    if (where.empty()) return record.kind == record_kind::bind_failed;
    if (where == last_where_) {
      record.address = last_address_;
      record.port = last_port_;
      return true;
    }
    const auto parsed = parse_endpoint(where);
    if (!parsed) return false;
    record.address = last_address_ = texts_.intern(to_string(parsed->address));
    record.port = last_port_ = parsed->port;
    last_where_ = where;
    return true;
  }

  text_pool& texts_;
  journal_record last_;
  std::string unescaped_;
  std::string_view asked_, got_, local_, leased_at_, path_;
  bool escaped_path_ = false;
  bool has_state_ = false;
  std::optional<std::uint32_t> counted_;
  std::string last_where_;
  text_id last_address_ = 0;
  std::uint16_t last_port_ = 0;
};

/// "{"journal":7," as another version of the format begins: 7; 0 if it is none.
std::uint32_t version_of(std::string_view line) {
  constexpr std::string_view start = R"({"journal":)";
  if (line.substr(0, start.size()) != start) return 0;
  line.remove_prefix(start.size());
  std::uint32_t version = 0;
  return read_number(line.substr(0, line.find_first_not_of("0123456789")), version) ? version : 0;
}

void read_line(std::string_view line, line_reader& reader, journal_records& into,
               journal_source& source) {
  if (line.empty()) return;
  if (line.size() > longest_line) {
    ++source.foreign;
    return;
  }
  const std::string_view start = detail::journal_line_start;
  journal_record record;
  verdict found = verdict::torn;
  if (line.substr(0, start.size()) == start) {
    found = reader.read(line, record);
  } else if (const std::uint32_t version = version_of(line); version > 1) {
    constexpr std::size_t most_versions = 8;
    if (source.versions.size() < most_versions || source.versions.count(version) != 0) {
      ++source.versions[version];
      return;
    }
  }
  if (found == verdict::torn) {
    // A line that a full disk has torn does not take the one behind it along.
    const auto next = line.rfind(start);
    const bool is_ours = next != std::string_view::npos;
    ++(is_ours ? source.torn : source.foreign);
    if (!is_ours || next == 0) return;
    found = reader.read(line.substr(next), record);
  }
  if (found == verdict::unknown) ++source.unknown;
  if (found != verdict::fine) return;
  ++source.lines;
  into.records.push_back(record);
}

}  // namespace

void read_lines(std::string_view text, journal_records& into, journal_source& source) {
  line_reader reader{into.texts};
  source.bytes += text.size();
  while (!text.empty()) read_line(detail::take_line(text), reader, into, source);
}

void read_journal_file(const std::string& path, journal_records& into) {
  journal_source& source = into.sources.emplace_back();
  source.path = path;
  file_reader file{path, most_of_a_journal_report};
  source.skipped = static_cast<std::size_t>(file.skipped());
  line_reader reader{into.texts};
  std::string part(std::size_t{1} << 20U, '\0');
  std::string line;                 // its front, where a part ends in the middle of it
  bool drop = source.skipped != 0;  // until the next line begins
  for (std::string_view rest = file.next(part); !rest.empty(); rest = file.next(part)) {
    source.bytes += rest.size();
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const std::string_view piece = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (end == std::string_view::npos || !line.empty()) {
        if (line.size() <= longest_line) line += piece;
        if (end == std::string_view::npos) continue;
        if (!drop) read_line(line, reader, into, source);
        line.clear();
      } else if (!drop) {
        read_line(piece, reader, into, source);
      }
      drop = false;
    }
  }
  source.error = file.error();
  if (!line.empty() && !drop) read_line(line, reader, into, source);
}

}  // namespace tidewait::command
