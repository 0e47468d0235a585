// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/text.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/report.hpp>

#include "../support/golden.hpp"
#include "why_report_cases.hpp"

namespace {

const why_case cases[] = {
    {"free", bind_to(here), {}, {}, bind_outcome{}},
    {"free_on_every_address", bind_to("[::]:8080"), {}, {}, bind_outcome{}},
    {"same_endpoint", bind_to(here), {of_other(listener())}, {cause::listener_of_other}},
    {"same_endpoint_of_another_test",
     bind_to(here),
     {of_test(of_other(listener()), "net.Other.Test")},
     {cause::listener_of_other}},
    {"same_endpoint_left_by_a_test",
     bind_to(here),
     {of_test(of_other(listener()), "net.Other.Test", true)},
     {cause::listener_of_other}},
    {"several_listeners_of_one",
     bind_to(here),
     {of_other(listener(), 99, {3}), of_other(listener(), 99, {4}), of_other(listener(), 99, {5})},
     {cause::listener_of_other},
     helped_by_reuse_port},
    {"wildcard_there",
     bind_to(here),
     {of_other(listener("*:8080"))},
     {cause::listener_of_other, cause::wildcard_covers}},
    {"wildcard_wanted",
     bind_to("*:8080"),
     {of_other(listener())},
     {cause::listener_of_other, cause::wildcard_covers}},
    {"dual_stack_there",
     bind_to(here),
     {of_other(listener("[::]:8080"))},
     {cause::listener_of_other, cause::wildcard_covers}},
    {"dual_stack_wanted",
     bind_to("[::]:8080"),
     {of_other(listener("0.0.0.0:8080"))},
     {cause::listener_of_other, cause::wildcard_covers}},
    {"two_addresses", bind_to(here), {of_other(listener("127.0.0.2:8080"))}, {}, bind_outcome{}},
    {"two_addresses_and_a_conflict",
     bind_to(here),
     {of_other(listener("127.0.0.2:8080")), of_other(listener())},
     {cause::listener_of_other}},
    {"ipv6_only_there",
     bind_to(here),
     {[] {
       observed_socket entry = of_other(listener("[::]:8080"));
       entry.v6only = true;
       return entry;
     }()},
     {},
     bind_outcome{}},
    {"ipv6_only_wanted",
     bind_to("[::]:8080", protocol::tcp, ipv6_only::yes),
     {of_other(listener())},
     {},
     bind_outcome{}},
    {"ipv6_address_beside_ipv4",
     bind_to(here),
     {of_other(listener("[::1]:8080"))},
     {},
     bind_outcome{}},
    {"not_closed", bind_to(here), {mine(listener())}, {cause::listener_not_closed}},
    {"not_closed_many_descriptors",
     bind_to(here),
     {mine(listener(), {7, 9, 11, 12, 13, 14})},
     {cause::listener_not_closed}},
    {"closed_under_accept",
     bind_to(here),
     {kept(listener(), keeper_kind::thread, relation::self, "accept()")},
     {cause::closed_under_call}},
    {"closed_under_poll_of_other",
     bind_to(here),
     {kept(listener(), keeper_kind::thread, relation::other, "poll()")},
     {cause::closed_under_call}},
    {"held_by_io_uring",
     bind_to(here),
     {kept(listener(), keeper_kind::io_uring, relation::self)},
     {cause::held_by_io_uring}},
    {"in_flight",
     bind_to(here),
     {kept(listener(), keeper_kind::message, relation::other)},
     {cause::in_flight}},
    {"kernel_socket",
     bind_to("*:4789", protocol::udp),
     {kept(udp_socket("*:4789"), keeper_kind::kernel, relation::other, "vxlan0 (vxlan)")},
     {cause::kernel_socket}},
    {"unowned", bind_to(here), {listener()}, {cause::unowned}},
    {"unowned_of_root", bind_to(here), {of_uid(0, listener())}, {cause::unowned}},
    {"unowned_udp_of_root",
     bind_to(here, protocol::udp),
     {of_uid(0, udp_socket(here))},
     {cause::unowned}},
    {"unowned_in_a_pid_namespace",
     bind_to(here),
     {[] {
       observed_socket entry = listener();
       entry.owned = ownership::outside;
       return entry;
     }()},
     {cause::unowned},
     {in_use, in_use, in_use},
     seen_by(tidewait::owner_view::all, true)},
    {"in_a_thread_of_this_process",
     bind_to(here),
     {[] {
       observed_socket entry = mine(listener());
       entry.owners.front().thread = 4712;
       return entry;
     }()},
     {cause::listener_not_closed}},
    {"inherited",
     bind_to(here),
     {held(mine(listener()), relation::descendant, 4712, {7})},
     {cause::inherited_by_child}},
    {"child_listens",
     bind_to(here),
     {held(listener(), relation::descendant, 4712, {7})},
     {cause::child_listens}},
    {"orphan",
     bind_to(here),
     {held(listener(), relation::marked_orphan, 4713, {3})},
     {cause::orphan_listens}},
    {"bound",
     bind_to(here),
     {mine(socket(socket_state::bound, here))},
     {cause::bound_not_listening},
     helped_by_reuse_address},
    {"bound_by_other",
     bind_to(here),
     {of_other(socket(socket_state::bound, here))},
     {cause::bound_not_listening}},
    {"bound_by_nobody", bind_to(here), {socket(socket_state::bound, here)}, {cause::unowned}},
    {"time_wait",
     bind_to(here),
     {time_wait(peer, 59149ms)},
     {cause::time_wait},
     helped_by_reuse_address},
    {"time_wait_of_a_listener_without_reuse",
     bind_to(here),
     {time_wait(peer, 59149ms), time_wait("127.0.0.1:40002", 1500ms)},
     {cause::time_wait}},
    {"time_wait_behind_a_listener",
     bind_to(here),
     {time_wait(peer, 59149ms), mine(listener())},
     {cause::listener_not_closed, cause::time_wait}},
    {"connection_open",
     bind_to(here),
     {mine(connection(), {8})},
     {cause::connection_open},
     helped_by_reuse_address},
    {"connection_inherited",
     bind_to(here),
     {held(mine(connection(socket_state::close_wait), {8}), relation::descendant, 4712, {8})},
     {cause::connection_open},
     helped_by_reuse_address},
    {"connection_of_other", bind_to(here), {of_other(connection())}, {cause::connection_open}},
    {"connection_of_a_hidden_process",
     bind_to(here),
     {hidden(connection())},
     {cause::owner_hidden}},
    {"connection_closed_under_a_reader",
     bind_to(here),
     {kept(connection(), keeper_kind::thread, relation::self, "recv()")},
     {cause::closed_under_call}},
    {"connection_not_accepted",
     bind_to(here),
     {mine(listener()), of_kernel(connection()),
      of_kernel(connection(socket_state::syn_recv, "127.0.0.1:40002"))},
     {cause::listener_not_closed, cause::connection_open, cause::connection_open}},
    {"connection_closing",
     bind_to(here),
     {of_kernel(connection(socket_state::fin_wait2)),
      of_kernel(connection(socket_state::last_ack, "127.0.0.1:40002"))},
     {cause::connection_open, cause::connection_open}},
    {"many_connections",
     bind_to(here),
     many_connections(),
     {cause::listener_of_other, cause::connection_open, cause::connection_open}},
    {"foreign_process_on_the_leased_port",
     bind_to(here),
     {of_other(listener())},
     {cause::leased_port_taken},
     {in_use, in_use, in_use},
     leased()},
    {"shared_silently",
     bind_to(here),
     {of_other(listener()), mine(listener())},
     {cause::shared_silently, cause::listener_of_other, cause::listener_not_closed},
     helped_by_reuse_port},
    {"reuse_port_of_another_user",
     bind_to(here),
     {of_other(listener())},
     {cause::listener_of_other},
     {in_use, in_use, in_use},
     of_user(33)},
    {"outgoing_connection",
     bind_to("127.0.0.1:40001"),
     {of_other(socket(socket_state::established, "127.0.0.1:40001", "192.0.2.1:443"))},
     {cause::outgoing_connection},
     helped_by_reuse_address},
    {"served_on_an_ephemeral_port",
     bind_to("127.0.0.1:40001"),
     {of_other(listener("127.0.0.1:40001")),
      of_other(socket(socket_state::established, "127.0.0.1:40001", "127.0.0.1:50000"))},
     {cause::listener_of_other, cause::connection_open}},
    {"served_until_now_on_an_ephemeral_port",
     bind_to("127.0.0.1:40001"),
     {witnessed(mine(socket(socket_state::established, "127.0.0.1:40001", "127.0.0.1:50000")),
                true)},
     {cause::connection_open}},
    {"client_that_chose_an_ephemeral_port",
     bind_to("127.0.0.1:40001"),
     {witnessed(mine(socket(socket_state::established, "127.0.0.1:40001", "127.0.0.1:8080")),
                false)},
     {cause::outgoing_connection}},
    {"udp",
     bind_to(here, protocol::udp),
     {mine(udp_socket(here))},
     {cause::bound_not_listening},
     helped_by_reuse_address},
    {"udp_closed_under_a_reader",
     bind_to(here, protocol::udp),
     {kept(udp_socket(here), keeper_kind::thread, relation::self, "recvmsg()")},
     {cause::closed_under_call}},
};

void PrintTo(const why_case& each, std::ostream* to) { *to << each.name; }

class DiagnosisOf : public testing::TestWithParam<why_case> {};

TEST_P(DiagnosisOf, ReadsAsApproved) {
  const why_case& each = GetParam();
  const diagnosis why = diagnose(each.request, each.sockets, each.outcome, each.environment);
  std::vector<cause> causes;
  for (const tidewait::explanation& explained : why.explanations) causes.push_back(explained.what);
  EXPECT_EQ(causes, each.causes);

  tidewait::visibility seen;
  seen.tcp = tidewait::table_source::sock_diag;
  const std::string text = render(why, seen);
  selftest::expect_golden(std::string{"why_"} + each.name, text);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(tidewait::detail::columns(text.substr(at, end - at)), 100U)
        << text.substr(at, end - at);
    at = end + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, DiagnosisOf, testing::ValuesIn(cases),
                         [](const auto& each) { return std::string{each.param.name}; });
INSTANTIATE_TEST_SUITE_P(HolderEach, DiagnosisOf, testing::ValuesIn(holder_cases),
                         [](const auto& each) { return std::string{each.param.name}; });
INSTANTIATE_TEST_SUITE_P(ReportEach, DiagnosisOf, testing::ValuesIn(report_cases),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST(Diagnosis, TakesOnlyWhatIsOnThePort) {
  const diagnosis why =
      diagnose(bind_to(here),
               {listener("127.0.0.1:8081"), udp_socket(here), listener("127.0.0.2:8080")}, {});
  EXPECT_TRUE(why.free());
  EXPECT_THAT(why.conflicting, IsEmpty());
  EXPECT_THAT(why.unrelated, SizeIs(1));
}

TEST(Diagnosis, SortsWhatBlocksForGoodBeforeWhatPasses) {
  const diagnosis why =
      diagnose(bind_to(here),
               {time_wait(peer, 1s), connection(), socket(socket_state::bound, here), listener()},
               {in_use, in_use, in_use});
  std::vector<socket_state> states;
  for (const observed_socket& each : why.conflicting) states.push_back(each.state);
  EXPECT_THAT(states, ElementsAre(socket_state::listen, socket_state::bound,
                                  socket_state::established, socket_state::time_wait));
}

TEST(Diagnosis, SaysHowLongOnlyIfEverythingPassesByItself) {
  EXPECT_EQ(diagnose(bind_to(here), {time_wait(peer, 1s), time_wait("127.0.0.1:40002", 59s)},
                     helped_by_reuse_address)
                .next_bind,
            "fails for 59.0 s without SO_REUSEADDR; with it, it succeeds");
  EXPECT_EQ(
      diagnose(bind_to(here), {time_wait(peer, 1s), mine(connection())}, helped_by_reuse_address)
          .next_bind,
      "fails without SO_REUSEADDR; with it, it succeeds");
}

TEST(Diagnosis, DoesNotCallTwoAddressesShared) {
  const diagnosis why =
      diagnose(bind_to("*:8080"), {of_other(listener(), 98), of_other(listener("127.0.0.2:8080"))},
               {in_use, in_use, in_use});
  for (const tidewait::explanation& each : why.explanations) {
    EXPECT_NE(each.what, cause::shared_silently);
  }
}

}  // namespace
