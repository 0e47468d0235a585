// SPDX-License-Identifier: BSL-1.0
#include "wait.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/wait_until.hpp>

#include "command.hpp"
#include "json.hpp"
#include "place.hpp"

namespace tidewait::command {
namespace {

struct wait_options {
  std::string where;
  std::string timeout = "10s";
  bool free = false;
  bool listening = false;
  bool udp = false;
  bool as_json = false;
  painter paint;
};

/// "tidewait: 127.0.0.1:8080 is listening: pid 812 (server)"
std::string describe(const std::vector<observed_socket>& listeners) {
  std::string text;
  for (const observed_socket& each : listeners) {
    const bool udp = each.protocol == protocol::udp;
    text += "tidewait: " + to_string(each.local) + (udp ? " is bound (UDP)" : " is listening");
    for (const process& owner : each.owners) {
      text += (&owner == &each.owners.front() ? ": pid " : ", pid ") + std::to_string(owner.pid) +
              " (" + owner.name + ')';
    }
    text += '\n';
  }
  return text;
}

int run(const wait_options& options) {
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  const place where = read_place(options.where);
  const auto timeout = read_time(options.timeout);
  if (options.free == options.listening) {
    throw usage_error{options.free ? "give --free or --listening, not both"
                                   : "say what to wait for: --free or --listening"};
  }
  const auto start = std::chrono::steady_clock::now();
  std::vector<observed_socket> listeners;
  bind_explanation found;
  if (options.free) {
    found = wait_until_free(which, where, timeout);
  } else {
    listeners = wait_until_listening(bind_request{which, where.local}, timeout);
    // Whatever is on the port, on any address: a server may have bound another one.
    found = explain(which, {where.local, true});
  }
  const auto& [why, seen] = found;
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  const bool met = options.free ? why.free() : !listeners.empty();

  if (options.as_json) {
    const port_leases leases = lease_of(which, where.local.port);
    json answer{{"schema", 1},
                {"awaited", options.free ? "free" : "listening"},
                {"met", met},
                {"waited_ms", waited.count()}};
    answer["listeners"] = json::array();
    for (const observed_socket& each : listeners) {
      answer["listeners"].push_back(to_json(each, leases));
    }
    answer.update(to_json(why, leases));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    print(options.listening && met ? output{}.add(describe(listeners))
                                   : to_text(why, seen, options.paint));
    if (!met) {
      say("tidewait wait: " +
          (options.free ? "a bind to " + to_text(where) + " still fails"
                        : "nothing listens on " + to_text(where)) +
          " after " + detail::to_text(waited) + '\n');
    }
    if (seen.blind() && !say("tidewait wait: " + to_string(detail::merged(gaps(seen))) + '\n')) {
      return exit_code::cannot_look;
    }
  }
  tell_notes();
  return met ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_wait(CLI::App& app, int& status) {
  const auto options = std::make_shared<wait_options>();
  CLI::App* const wait =
      app.add_subcommand("wait", "Wait until a port is free, or until something listens on it");
  wait->add_option("port", options->where,
                   "The port: on any address, IPv4 and IPv6, or on this one")
      ->type_name("[ADDR:]PORT")
      ->required();
  wait->add_flag("--free", options->free, "Wait until a bind to it would succeed");
  wait->add_flag("--listening", options->listening,
                 "Wait until something listens; for UDP, until a socket without a peer is bound");
  wait->add_option("--timeout", options->timeout,
                   "How long to wait at most: 10s (the default), 500ms, up to 3600s")
      ->type_name("TIME");
  wait->add_flag("--udp", options->udp, "Wait for the UDP port, not the TCP port");
  wait->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*wait);
  wait->footer(
      "It reads the socket table and never connects. Exit code 1: the time is up, and the output\n"
      "says what uses the port.\n"
      "\n"
      "Examples:\n"
      "  tidewait wait 127.0.0.1:8080 --free --timeout 60s && ./server --port 8080\n"
      "  ./server --port 8080 & tidewait wait 8080 --listening && ./client\n");
  wait->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
