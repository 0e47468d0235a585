// SPDX-License-Identifier: BSL-1.0
#include "free.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>

#include "command.hpp"
#include "json.hpp"
#include "place.hpp"
#include "port_holders.hpp"
#include "streams.hpp"

namespace tidewait::command {
namespace {

struct free_options {
  std::string where;
  std::string grace = "2s";
  bool udp = false;
  bool yes = false;
  bool as_json = false;
  painter paint;
};

/// One line for each, with who started it: that may start it again.
std::string describe(const std::vector<port_holder>& all) {
  std::string text;
  for (const port_holder& each : all) {
    const std::string parent_name = each.parent == 0 ? "" : detail::process_name(each.parent);
    text += "  " + holder_title(each.who) + "  " + each.sockets;
    if (!parent_name.empty()) {
      text += "  started by pid " + std::to_string(each.parent) + " (" + parent_name + ')';
    }
    if (!each.who.command.empty())
      text += "  " + detail::clipped(detail::without_directory(each.who.command), 100);
    text += '\n';
    if (!each.why_not.empty()) text += "    not ended: " + each.why_not + '\n';
  }
  return text;
}

/// Asks on the terminal; anything but a yes is a no.
bool agrees(std::size_t count) {
  say(count == 1 ? "End it? [y/N] " : "End them? [y/N] ");
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

json processes_to_json(const ended_holders& done, const std::vector<port_holder>& found) {
  json list = json::array();
  const auto add = [&](const std::vector<process>& all, const char* how) {
    for (const process& each : all) {
      list.push_back({{"pid", each.pid},
                      {"name", each.name},
                      {"command", each.command},
                      {"result", how},
                      {"why_not", nullptr}});
    }
  };
  add(done.ended, "ended");
  add(done.killed, "killed");
  add(done.released, "released");
  add(done.refused, "refused");
  if (!list.empty()) return list;
  for (const port_holder& each : found) {
    list.push_back({{"pid", each.who.pid},
                    {"name", each.who.name},
                    {"command", each.who.command},
                    {"result", "untouched"},
                    {"why_not", each.why_not.empty() ? json(nullptr) : json(each.why_not)}});
  }
  return list;
}

int run(const free_options& options) {
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  const place where = read_place(options.where);
  const auto grace = read_time(options.grace);
  auto [why, seen] = explain(which, where);
  port_holders found;
  ended_holders done;
  bool agreed = false;
  if (!why.free()) {
    found = find_holders(which, where);
    const bool any_spared =
        std::any_of(found.all.begin(), found.all.end(),
                    [](const port_holder& each) { return !each.why_not.empty(); });
    const std::size_t count = found.all.size();
    const bool may = count != 0 && !any_spared && !found.unread;
    if (count != 0) {
      say("tidewait free: " + detail::counted(count, "process") +
          (count == 1 ? " holds " : " hold ") + to_text(where) + '\n' + describe(found.all));
    }
    if (may && !options.yes && !(is_terminal(standard_input) && is_terminal(standard_error))) {
      throw usage_error{
          "there is no terminal to ask on: give --yes to end the processes without a question"};
    }
    agreed = may && (options.yes || agrees(count));
    if (agreed) {
      done = end_holders(which, where, std::move(found.all), grace);
      found.all.clear();
      say(describe(done, grace));
      // What ends gives its sockets back a moment after it is gone from /proc.
      bind_explanation now = wait_until_free(which, where, std::chrono::seconds{1});
      why = std::move(now.why);
      seen = now.seen;
    } else if (any_spared) {
      say("tidewait free: nothing was ended: that would not free the port\n");
    } else if (found.unread) {
      say("tidewait free: nothing was ended: a process that may hold the port could not be read: " +
          found.unread.message() + "; try again\n");
    } else if (count == 0 && found.hidden) {
      say("tidewait free: nothing was ended: which process holds the port is not visible here\n");
    } else if (count == 0) {
      say("tidewait free: no visible process holds the port: there is nothing to end\n");
    }
  }
  if (options.as_json) {
    const port_leases leases = lease_of(which, where.local.port);
    json answer{{"schema", 1}, {"processes", processes_to_json(done, found.all)}};
    answer.update(to_json(why, leases));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    print(to_text(why, seen, options.paint));
    if (agreed && !why.free() && !find_holders(which, where).all.empty()) {
      say("tidewait free: the port was taken again: stop what starts the server again\n" +
          describe(find_holders(which, where).all));
    }
  }
  if (seen.blind()) {
    say("tidewait free: " + to_string(detail::merged(gaps(seen))) + '\n');
    if (!why.free()) return exit_code::cannot_look;
  }
  tell_notes();
  return why.free() ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_free(CLI::App& app, int& status) {
  const auto options = std::make_shared<free_options>();
  CLI::App* const sub = app.add_subcommand("free", "End the processes that hold a port");
  sub->add_option("port", options->where,
                  "The port to free: on any address, IPv4 and IPv6, or on this one")
      ->type_name("[ADDR:]PORT")
      ->required();
  sub->add_flag("-y,--yes", options->yes, "Do not ask first; needed if there is no terminal");
  const free_help help = help_on_free();
  if (help.grace != nullptr)
    sub->add_option("--grace", options->grace, help.grace)->type_name("TIME");
  sub->add_flag("--udp", options->udp, "Free the UDP port, not the TCP port");
  sub->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*sub);
  sub->footer(help.footer);
  sub->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
