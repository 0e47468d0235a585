// SPDX-License-Identifier: BSL-1.0
#include "lease.hpp"

#include <memory>
#include <system_error>

#include <tidewait/detail/text.hpp>
#include <tidewait/port_lease.hpp>

#include "become.hpp"
#include "command.hpp"
#include "wrapped_command.hpp"

namespace tidewait::command {
namespace {

struct lease_options {
  std::size_t count = 1;
  bool udp = false;
  bool both = false;
  bool block = false;
};

/// The command takes our place and inherits the locks: they are gone when it is, and what it
/// started. Its exit code needs no passing on.
int run(const lease_options& options, std::vector<std::string> command) {
  const protocol_set kind = options.both  ? protocol_set::tcp_and_udp
                            : options.udp ? protocol_set::udp
                                          : protocol_set::tcp;
  const std::vector<port_lease> leases =
      options.block ? lease_block(options.count, kind, {}) : lease_ports(options.count, kind, {});
  std::vector<std::uint16_t> ports;
  for (const port_lease& each : leases) {
    ports.push_back(each.number());
    for (const detail::native_handle lock : each.lock_descriptors()) hand_on(lock);
  }
  hand_over_ports(command, ports);
  tell_notes();
  const std::error_code error = become(command);
  say("tidewait lease: cannot run '" + detail::sanitised(command.front()) +
      "': " + error.message() + '\n');
  return exit_code_of(error);
}

}  // namespace

void add_lease(CLI::App& app, int& status, const std::vector<std::string>& command) {
  const auto options = std::make_shared<lease_options>();
  CLI::App* const lease =
      app.add_subcommand("lease", "Run a command with free ports that no other test gets");
  lease
      ->add_option(
          "count", options->count,
          "How many ports (1 if not given); the first is {port:0} in the arguments of the command "
          "and TIDEWAIT_PORT_0 in its environment")
      ->option_text("[N] -- COMMAND [ARG...]")
      ->check(CLI::Range(1, 65535));
  auto* const udp = lease->add_flag("--udp", options->udp, "UDP ports, not TCP ports");
  lease->add_flag("--both", options->both, "TCP and UDP on the same numbers")->excludes(udp);
  lease->add_flag("--block", options->block, "Consecutive numbers, lowest first");
  lease->footer(
      "tidewait becomes the command, so the exit code is the command's; 127 if it was not found, "
      "126\nif it could not be run. The ports stay leased while the command, or a process that it "
      "started,\nruns.\n\n"
      "Examples:\n"
      "  tidewait lease -- ./server --port {port:0}\n"
      "  tidewait lease 2 -- sh -c './server $TIDEWAIT_PORT_0 $TIDEWAIT_PORT_1 & ./smoke_test'\n"
      "  tidewait lease 3 --block -- ./cluster --first-port={port:0}\n");
  lease->callback([options, &status, &command] {
    if (command.empty()) {
      throw usage_error{"no command: write tidewait lease [N] [options] -- COMMAND"};
    }
    status = run(*options, command);
  });
}

}  // namespace tidewait::command
