// SPDX-License-Identifier: BSL-1.0
#include "why.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <tidewait/detail/text.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>

#include "command.hpp"
#include "json.hpp"
#include "port_locks.hpp"

namespace tidewait::command {
namespace {

struct why_options {
  std::string where;
  bool udp = false;
  bool as_json = false;
  painter paint;
};

/// What the command line asks for: a port on any address, or on this one.
struct place {
  endpoint local;
  bool any_address = false;
};

place read_place(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return {{ip_address::any_v6(), read_port(text)}, true};
  const std::string address = text.substr(0, colon);
  const std::string port = std::to_string(read_port(std::string_view{text}.substr(colon + 1)));
  if (const auto local = parse_endpoint(text)) return {*local, false};
  if (parse_address(address)) {
    throw usage_error{"an IPv6 address stands in brackets: [" + address + "]:" + port};
  }
  throw usage_error{'\'' + address +
                    "' is no IP address, and names are not looked up: write 127.0.0.1:" + port +
                    " or [::1]:" + port + ", or " + port + " for any address"};
}

/// The report in colour: its first line says all, the labels lead through the rest.
output painted(const std::string& report, bool good, const painter& paint) {
  output text;
  if (!paint.paints()) return text.add(report);
  for (std::string_view rest = report; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto label = line.find(": ");
    if (line.data() == report.data()) {
      text.add(good ? colour::green : colour::red, line);
    } else if (line.substr(0, 2) == "  " && line.substr(2, 1) != " " &&
               label != std::string_view::npos) {
      text.add(colour::bold, line.substr(0, label + 1)).add(line.substr(label + 1));
    } else {
      text.add(line);
    }
    text.add("\n");
  }
  return text;
}

std::string lease_text(const process& holder) {
  if (holder.pid == 0) return "  leased by: a process that cannot be seen\n";
  return "  leased by: pid " + std::to_string(holder.pid) + " (" + holder.name + ")\n";
}

int run(const why_options& options) {
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  const place where = read_place(options.where);
  visibility seen;
  const diagnosis why = where.any_address ? explain_port(which, where.local.port, &seen)
                                          : explain_bind({which, where.local}, &seen);
  const port_leases leases = lease_of(which, where.local.port);
  if (options.as_json) {
    json answer{{"schema", 1}};
    answer.update(to_json(why, leases));
    answer["seen"] = to_json(seen);
    print(output{}.add_json(to_text(answer, 2)).add("\n"));
  } else {
    output text = painted(render(why, seen), why.free(), options.paint);
    for (const auto& lease : leases) text.add(lease_text(lease.second));
    print(text);
    if (seen.blind() && !say("tidewait why: " + detail::joined(gaps(seen), "; ") + '\n'))
      return exit_code::cannot_look;
  }
  tell_notes();
  return why.free() ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_why(CLI::App& app, int& status) {
  const auto options = std::make_shared<why_options>();
  CLI::App* const why = app.add_subcommand("why", "Say why a bind fails, or that it would succeed");
  why->add_option("port", options->where,
                  "The port to bind: on any address, IPv4 and IPv6, or on this one")
      ->type_name("[ADDR:]PORT")
      ->required();
  why->add_flag("--udp", options->udp, "Ask about the UDP port, not the TCP port");
  why->add_flag("--json", options->as_json, "Print JSON");
  options->paint.add_option(*why);
  why->footer(
      "Examples:\n"
      "  tidewait why 8080                 who is on the port, on whatever address\n"
      "  tidewait why 127.0.0.1:8080       what stands in the way of this bind\n"
      "  tidewait why '[::1]:5353' --udp\n"
      "  tidewait why 8080 && ./server     start it only if it can have the port\n");
  why->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
