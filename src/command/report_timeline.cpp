// SPDX-License-Identifier: BSL-1.0
#include "report_timeline.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

#include "xml.hpp"

namespace tidewait::command {
namespace {

constexpr std::uint32_t most_tracks = 4;

/// The first of `ends` that is over by `begin`; nothing: none is.
std::size_t first_free(const std::vector<report_time>& ends, report_time begin) {
  const auto found =
      std::find_if(ends.begin(), ends.end(), [&](report_time end) { return end <= begin; });
  return static_cast<std::size_t>(found - ends.begin());
}

void place_processes(const journal_report& report, timeline& layout) {
  const report_model& model = report.model;
  // A process has a lane if there is a test or a socket to draw: a launcher has none.
  std::vector<char> has_lane(model.processes.size());
  for (const test_run& each : model.tests)
    if (!each.container) has_lane[each.process] = 1;
  for (const port_span& each : model.spans) has_lane[model.tests[each.test].process] = 1;
  for (const failed_bind_seen& each : model.failures) has_lane[model.tests[each.test].process] = 1;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < has_lane.size(); ++i) {
    if (has_lane[i] != 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple{model.processes[a].machine, model.processes[a].first} <
           std::tuple{model.processes[b].machine, model.processes[b].first};
  });
  layout.lane_of.resize(model.processes.size());
  std::vector<report_time> ends;
  std::size_t machine = std::numeric_limits<std::size_t>::max();
  std::size_t first_lane = 0;
  for (const std::size_t each : order) {
    const report_process& process = model.processes[each];
    if (process.machine != machine) {
      machine = process.machine;
      first_lane = layout.lanes.size();
      ends.clear();
    }
    const std::size_t lane = first_free(ends, process.first);
    if (lane == ends.size()) {
      ends.push_back(0);
      const std::string& host = report.records.texts[model.machines[machine].host];
      const bool many = model.machines.size() > 1;
      layout.lanes.push_back(many && lane == 0 && !host.empty() ? detail::clipped(host, 9)
                                                                : std::to_string(lane + 1));
    }
    ends[lane] = process.last;
    layout.lane_of[each] = static_cast<std::uint32_t>(first_lane + lane);
  }
}

void place_marks(const journal_report& report, timeline& layout) {
  const report_model& model = report.model;
  for (std::size_t i = 0; i < model.spans.size(); ++i) {
    const port_span& span = model.spans[i];
    layout.marks.push_back({span.test, i, false, layout.lane_of[model.tests[span.test].process], 0,
                            span.begin, span.end});
  }
  for (std::size_t i = 0; i < model.failures.size(); ++i) {
    const failed_bind_seen& each = model.failures[i];
    layout.marks.push_back({each.test, i, true, layout.lane_of[model.tests[each.test].process], 0,
                            each.time, each.time});
  }
  std::stable_sort(
      layout.marks.begin(), layout.marks.end(),
      [](const timeline_mark& a, const timeline_mark& b) { return a.begin < b.begin; });
  layout.tracks.resize(layout.lanes.size());
  std::vector<std::vector<report_time>> ends(layout.lanes.size());
  for (timeline_mark& each : layout.marks) {
    auto& of_lane = ends[each.lane];
    std::size_t track = first_free(of_lane, each.begin);
    if (track == most_tracks) {  // all are taken: where it is over first
      track = static_cast<std::size_t>(std::min_element(of_lane.begin(), of_lane.end()) -
                                       of_lane.begin());
    } else if (track == of_lane.size()) {
      of_lane.push_back(0);
    }
    of_lane[track] = std::max(of_lane[track], each.end);
    each.track = static_cast<std::uint32_t>(track);
    layout.tracks[each.lane] = std::max(layout.tracks[each.lane], each.track + 1);
  }
}

/// How much of a port's colour says what it is.
std::string colour_of(const journal_report& report, const port_span& span) {
  if (span.origin == port_origin::chosen || span.origin == port_origin::unknown) return "chosen";
  if (span.origin == port_origin::leased) return "leased";
  for (std::size_t i = 0; i < report.summary.groups.size(); ++i) {
    if (report.summary.groups[i].port == span.port) return 'p' + std::to_string(i % 8);
  }
  return 'p' + std::to_string(span.port % 8);
}

/// "1a,,3;" : numbers to the base 36, 0 as nothing.
void add_packed(std::string& to, std::initializer_list<std::int64_t> numbers) {
  bool first = true;
  for (const std::int64_t each : numbers) {
    if (!first) to += ',';
    first = false;
    auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, each));
    char digits[16];
    std::size_t count = 0;
    for (; value != 0; value /= 36)
      digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % 36];
    while (count != 0) to += digits[--count];
  }
  while (!to.empty() && to.back() == ',') to.pop_back();
  to += ';';
}

/// Texts, each once, by number.
class numbered_texts {
 public:
  std::int64_t operator()(const std::string& text) {
    const auto [found, is_new] = numbers_.emplace(text, texts_.size());
    if (is_new) texts_.push_back(text);
    return static_cast<std::int64_t>(found->second);
  }
  const std::vector<std::string>& all() const { return texts_; }

 private:
  std::map<std::string, std::size_t> numbers_;
  std::vector<std::string> texts_;
};

enum mark_flag : unsigned {
  udp = 1,
  unix_socket = 2,
  failed = 4,
  left = 8,
  reuse_address = 16,
  reuse_port = 32,
  listening = 64,
  wildcard = 128,
  shared = 256,
  bind_seen = 512,
  code_left_out = 1024
};

/// Lets texts into the page until they take more than their share of it. One that is there already
/// costs nothing.
class text_share {
 public:
  explicit text_share(std::size_t bytes) : left_{bytes} {}
  bool lets_in(text_id id, const std::string& text) {
    if (id == 0 || in_.count(id) != 0) return true;
    if (text.size() > left_) return false;
    left_ -= text.size();
    in_.insert(id);
    return true;
  }

 private:
  std::size_t left_;
  std::set<text_id> in_;
};

}  // namespace

timeline lay_out(const journal_report& report) {
  timeline layout;
  const report_model& model = report.model;
  if (!model.machines.empty()) {
    layout.begin = std::numeric_limits<report_time>::max();
    for (const report_machine& each : model.machines) {
      layout.begin = std::min(layout.begin, each.first);
      layout.end = std::max(layout.end, each.last);
    }
  }
  place_processes(report, layout);
  place_marks(report, layout);
  for (std::size_t i = 0; i < model.tests.size(); ++i) layout.runs.push_back(i);
  std::stable_sort(layout.runs.begin(), layout.runs.end(), [&](std::size_t a, std::size_t b) {
    return model.tests[a].begin < model.tests[b].begin;
  });
  return layout;
}

std::string draw(const journal_report& report, const timeline& layout) {
  constexpr std::size_t most_drawn = 500;
  constexpr std::int64_t width = 1200, gutter = 64, top = 10, bar = 15, track = 8;
  const report_time whole = std::max<report_time>(1, layout.end - layout.begin);
  const auto x = [&](report_time time) {
    return std::to_string(gutter + (time - layout.begin) * (width - gutter - 8) / whole);
  };
  const auto length = [&](report_time time) {
    return std::to_string(std::max<std::int64_t>(2, time * (width - gutter - 8) / whole));
  };
  std::vector<std::int64_t> tops;
  std::int64_t height = top;
  std::string text;
  for (std::size_t i = 0; i < layout.lanes.size(); ++i) {
    tops.push_back(height);
    const std::int64_t tall = bar + layout.tracks[i] * track + 6;
    constexpr std::size_t most_lanes = 200;
    if (i < most_lanes) {
      text += "<rect class=lane x=64 y=" + std::to_string(height) +
              " width=1136 height=" + std::to_string(tall) +
              "></rect><text x=8 y=" + std::to_string(height + 12) + '>' +
              xml_escaped(layout.lanes[i]) + "</text>";
    }
    height += tall + 6;
  }
  std::map<std::string, std::string> paths;  // one for each look
  const auto bar_of = [&](const std::string& look, report_time begin, report_time end,
                          std::int64_t y, std::int64_t tall) {
    const std::string wide = length(end - begin);
    paths[look] += 'M' + x(begin) + ' ' + std::to_string(y) + 'h' + wide + 'v' +
                   std::to_string(tall) + "h-" + wide + 'z';
  };
  std::size_t drawn = 0;
  for (const std::size_t run : layout.runs) {
    const test_run& test = report.model.tests[run];
    if (test.container || ++drawn > most_drawn) continue;
    bar_of("test", test.begin, test.end, tops[layout.lane_of[test.process]] + 2, bar - 3);
  }
  drawn = 0;
  for (const timeline_mark& each : layout.marks) {
    if (++drawn > most_drawn) break;
    const std::int64_t y = tops[each.lane] + bar + each.track * track + 1;
    if (each.is_failure) {
      paths["fail"] += 'M' + x(each.begin) + ' ' + std::to_string(y) + "l7 7m0-7l-7 7";
      continue;
    }
    const port_span& span = report.model.spans[each.span];
    bar_of(colour_of(report, span), span.begin, span.end, y, track - 2);
  }
  for (const auto& [look, path] : paths)
    text += "<path class=\"" + look + "\" d=\"" + path + "\"></path>";
  return "<svg id=chart viewBox=\"0 0 1200 " + std::to_string(height) + "\" height=\"" +
         std::to_string(height) +
         "\" tabindex=0 role=application aria-label=\"Timeline of tests and ports. Arrow keys go "
         "from socket to socket, plus and minus zoom.\" aria-describedby=detail><defs><pattern "
         "id=hatch width=6 height=6 patternUnits=userSpaceOnUse patternTransform=rotate(45)><path "
         "d=\"M0 0V6\" stroke=var(--warn) stroke-width=3></path></pattern></defs><g "
         "class=content>" +
         text + "</g></svg>";
}

std::string pack(const journal_report& report, const timeline& layout,
                 const std::vector<std::uint32_t>& row_of) {
  const report_model& model = report.model;
  const auto& texts = report.records.texts;
  // Tenths of a millisecond are as much as a short run needs.
  constexpr report_time short_run = 5000000;
  const report_time unit = layout.end - layout.begin < short_run ? 10 : 1;
  const auto in_units = [unit](report_time time) { return time * unit / 1000; };
  std::string tests;
  std::vector<std::int64_t> number_of(model.tests.size());
  report_time last = 0;
  std::int64_t count = 0;
  for (const std::size_t run : layout.runs) {
    const test_run& test = model.tests[run];
    number_of[run] = count++;
    const report_time begin = in_units(test.begin - layout.begin);
    add_packed(tests, {begin - last, in_units(test.end - layout.begin) - begin,
                       layout.lane_of[test.process],
                       (test.container ? 1 : 0) + (test.failed ? 2 : 0), row_of[test.name]});
    last = begin;
  }
  using kind = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                          unsigned, unsigned>;
  numbered_texts strings;
  strings("");
  constexpr std::size_t least = 64000;
  constexpr std::size_t of_a_test = 60;
  text_share places{std::max(least, of_a_test * layout.runs.size())};
  text_share stacks{std::max(least, of_a_test * layout.runs.size())};
  const auto let_in = [&](text_share& share, text_id id, unsigned& flags) {
    const bool in = share.lets_in(id, texts[id]);
    if (!in) flags |= code_left_out;
    return strings(in ? texts[id] : std::string{});
  };
  std::map<kind, std::int64_t> kinds;
  std::string kind_list;
  std::string spans;
  last = 0;
  for (const timeline_mark& each : layout.marks) {
    const port_span* const span = each.is_failure ? nullptr : &model.spans[each.span];
    const journal_record& of =
        report.records.records[each.is_failure ? model.failures[each.span].record : span->record];
    unsigned flags = 0;
    if (of.protocol == record_protocol::udp) flags = udp;
    if (of.protocol == record_protocol::local) flags = unix_socket;
    std::string other;
    std::string state;
    const auto address = parse_address(texts.raw(of.address));
    if (address && address->is_wildcard()) flags |= wildcard;
    if (each.is_failure) {
      flags |= failed | bind_seen;
      if (of.has(record_flag::reuse_address)) flags |= reuse_address;
      if (of.has(record_flag::reuse_port)) flags |= reuse_port;
      state = errno_name(of.error);
      other = holder_of(model.failures[each.span], report.records, model);
    } else {
      if (span->left) state = to_string(span->left_state);
      flags |= (span->left ? left : 0U) | (span->reuse_address ? reuse_address : 0U) |
               (span->reuse_port ? reuse_port : 0U) | (span->listening ? listening : 0U) |
               (span->bind_seen ? bind_seen : 0U) |
               (report.summary.shared_spans.count(each.span) != 0 ? shared : 0U);
    }
    const auto origin = each.is_failure ? port_origin::fixed : model.spans[each.span].origin;
    const std::int64_t place = let_in(places, of.place, flags);
    const std::int64_t stack = let_in(stacks, of.stack, flags);
    const kind what{
        place,
        stack,
        strings(of.protocol == record_protocol::local ? texts[of.address] : texts.raw(of.address)),
        strings(other),
        strings(state),
        static_cast<unsigned>(origin),
        flags};
    const auto [found, is_new] = kinds.emplace(what, static_cast<std::int64_t>(kinds.size()));
    if (is_new) {
      std::apply(
          [&](auto... number) { add_packed(kind_list, {static_cast<std::int64_t>(number)...}); },
          what);
    }
    const report_time begin = in_units(each.begin - layout.begin);
    const bool with_test = each.end == model.tests[each.run].end;
    const report_time length = in_units(each.end - layout.begin) - begin;
    const report_time wait = each.is_failure || span->time_wait == 0
                                 ? 0
                                 : in_units(span->time_wait - layout.begin) - begin + 1;
    add_packed(spans, {begin - last, number_of[each.run], of.port,
                       found->second * most_tracks + each.track, with_test ? 0 : length + 1, wait});
    last = begin;
  }
  nlohmann::json ports = nlohmann::json::array();
  for (const port_group& each : report.summary.groups) ports.push_back(each.port);
  const nlohmann::json all = {
      {"unit", unit},           {"length", in_units(layout.end - layout.begin)},
      {"lanes", layout.lanes},  {"tests", tests},
      {"spans", spans},         {"kinds", kind_list},
      {"texts", strings.all()}, {"ports", std::move(ports)}};
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace tidewait::command
