// SPDX-License-Identifier: BSL-1.0
#include "why.hpp"

#include <memory>
#include <optional>
#include <string>

#include <tidewait/detail/text.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/explain_unix_bind.hpp>
#include <tidewait/report.hpp>

#include "command.hpp"
#include "json.hpp"
#include "place.hpp"
#include "port_leases.hpp"
#include "port_zero.hpp"

namespace tidewait::command {
namespace {

struct why_options {
  std::string where;
  bool udp = false;
  bool as_json = false;
  std::string wait;
  painter paint;
};

std::string lease_text(const process& holder) {
  if (holder.pid == 0) return "  leased by: a process that cannot be seen\n";
  return "  leased by: pid " + std::to_string(holder.pid) + " (" + holder.name + ")\n";
}

/// Whether this is the name of a Unix socket: "/run/x.sock", "./x.sock", "@name".
bool is_unix_name(const std::string& text) {
  return text.substr(0, 1) == "@" || text.find('/') != std::string::npos;
}

/// A file name alone could be meant as a path.
void refuse_other_names(const std::string& text) {
  if (text.find(':') != std::string::npos ||
      text.find_first_not_of("0123456789") == std::string::npos)
    return;
  throw usage_error{'\'' + text + "' is not a port: write a number from 1 to 65535; or ./" + text +
                    " for the path of a Unix socket, @" + text + " for an abstract name"};
}

int run_unix(const why_options& options) {
  if (!options.wait.empty()) throw usage_error{"--wait: only a port is waited for"};
  if (options.udp) throw usage_error{"--udp: a Unix socket has no protocol; leave it out"};
  if (options.where == "@") throw usage_error{"write the abstract name behind the @: @name"};
  const auto [why, seen] = explain_unix_bind(parse_unix_name(options.where));
  if (options.as_json) {
    json answer{{"schema", 1}};
    answer.update(to_json(why));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    print(painted(render(why, seen), why.free(), options.paint));
    for (const gap& each : gaps(seen)) say("tidewait why: " + to_string(each) + '\n');
  }
  return why.free() ? exit_code::fine : exit_code::bad;
}

/// Port 0 is no port: what the kernel would choose from, and who uses it.
int explain_port_zero(const why_options& options, protocol which) {
  const ephemeral_use use = look_at_ephemeral_ports(which);
  if (options.as_json) {
    print(output{}.add_json(to_text(to_json(use), 2)).add("\n"));
  } else {
    print(painted(render(use), !use.outcome.plain, options.paint));
  }
  tell_notes();
  return use.outcome.plain ? exit_code::bad : exit_code::fine;
}

int run(const why_options& options) {
  if (is_unix_name(options.where)) return run_unix(options);
  refuse_other_names(options.where);
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  if (options.where == "0") return explain_port_zero(options, which);
  const place where = read_place(options.where);
  const auto [why, seen] = options.wait.empty()
                               ? explain(which, where)
                               : wait_until_free(which, where, read_time(options.wait));
  const port_leases leases = lease_of(which, where.local.port);
  if (options.as_json) {
    json answer{{"schema", 1}};
    answer.update(to_json(why, leases));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    output text = to_text(why, seen, options.paint);
    for (const auto& lease : leases) text.add(lease_text(lease.second));
    print(text);
    if (seen.blind() && !say("tidewait why: " + to_string(detail::merged(gaps(seen))) + '\n'))
      return exit_code::cannot_look;
  }
  tell_notes();
  return why.free() ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_why(CLI::App& app, int& status) {
  const auto options = std::make_shared<why_options>();
  CLI::App* const why =
      app.add_subcommand("why", "Explain why a bind fails, or say that it would succeed");
  why->add_option(
         "port", options->where,
         "The port to bind: on any address, IPv4 and IPv6, or on this one; or the path of a "
         "Unix socket (./x.sock), or its abstract name (@name)")
      ->type_name("[ADDR:]PORT|PATH|@NAME")
      ->required();
  why->add_flag("--udp", options->udp, "Ask about the UDP port, not the TCP port");
  why->add_flag("--wait{10s}", options->wait,
                "First wait until the bind would succeed, for at most 10s or the time given (=2s)");
  why->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*why);
  why->footer(
      "Examples:\n"
      "  tidewait why 8080                 who uses the port, on any address\n"
      "  tidewait why 127.0.0.1:8080       what blocks this bind\n"
      "  tidewait why '[::1]:5353' --udp\n"
      "  tidewait why --wait=2s 8080       the same, once it is free or two seconds have passed\n"
      "  tidewait why /run/user/1000/x.sock   who listens there, or that the file is stale\n"
      "  tidewait why 0                    who uses the ephemeral range\n"
      "  tidewait why 8080 && ./server     start the server only if the port is free\n");
  why->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
