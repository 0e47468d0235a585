// SPDX-License-Identifier: BSL-1.0
#include "why.hpp"

#include <memory>
#include <string>

#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>

#include "command.hpp"

namespace tidewait::command {
namespace {

struct why_options {
  std::string where;
  bool udp = false;
};

/// What is wrong with the text of an endpoint to bind, and what to write; empty if nothing is.
std::string endpoint_flaw(const std::string& text) {
  const auto where = parse_endpoint(text);
  if (where && where->port != 0) return {};
  return '\'' + text +
         "' is no port to bind; write PORT (1 to 65535), 127.0.0.1:PORT or [::1]:PORT";
}

int run(const why_options& options) {
  const protocol which = options.udp ? protocol::udp : protocol::tcp;
  const endpoint where = *parse_endpoint(options.where);
  const bool any_address = options.where.find(':') == std::string::npos;
  coverage seen;
  const diagnosis why =
      any_address ? explain_port(which, where.port, &seen) : explain_bind({which, where}, &seen);
  print(render(why, seen));
  return why.free() ? exit_code::fine : exit_code::bad;
}

}  // namespace

void add_why(CLI::App& app, int& status) {
  const auto options = std::make_shared<why_options>();
  CLI::App* const why = app.add_subcommand("why", "Say why a bind fails, or that it would succeed");
  why->add_option("endpoint", options->where, "The port to bind, on any address or on this one")
      ->type_name("[ADDR:]PORT")
      ->required()
      ->check(endpoint_flaw);
  why->add_flag("--udp", options->udp, "Ask about the UDP port");
  why->callback([options, &status] { status = run(*options); });
}

}  // namespace tidewait::command
