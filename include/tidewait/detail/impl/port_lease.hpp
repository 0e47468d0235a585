// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/lease_search.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/port_lease.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE port_lease::port_lease(detail::raw_lease lease) : lease_{std::move(lease)} {
  detail::shared_state::instance().leases.begin(lease_.note, lease_.locks);
  if (lease_.hold) note_hold();
}

TIDEWAIT_INLINE void port_lease::note_hold() {
  detail::shared_state& shared = detail::shared_state::instance();
  shared.leases.set_hold(lease_.note, lease_.hold.mark());
  shared.seen.mark_handled({detail::socket_cookie(lease_.hold)});
}

TIDEWAIT_INLINE void port_lease::release_hold() noexcept {
  // First of all: another thread's look may ask at any time whether it is lost.
  if (lease_.pid == detail::process_id())
    detail::shared_state::instance().leases.set_hold(lease_.note, {});
  lease_.hold.reset();
}

TIDEWAIT_INLINE void port_lease::end() noexcept {
  detail::raw_lease lease = std::exchange(lease_, {});
  // A forked child only closes its copies: the lease is its parent's.
  if (lease.pid == 0 || lease.pid != detail::process_id()) return;
  try {
    detail::shared_state& shared = detail::shared_state::instance();
    detail::renew_leases(shared);
    shared.leases.set_hold(lease.note, {});
    lease.hold.reset();
    detail::end_lease(shared, lease.note, std::move(lease.locks));
  } catch (...) {
    // Out of memory: the locks are gone, the live note stays and is judged at the next look.
  }
}

TIDEWAIT_INLINE void port_lease::hold() {
  if (held()) return;
  const std::string doing = "holding port " + std::to_string(lease_.note.port);
  if (lease_.note.kind != protocol_set::tcp) {
    throw lease_error{
        std::make_error_code(std::errc::operation_not_supported), doing,
        "only a lease for TCP alone can be held: a held UDP socket would swallow datagrams"};
  }
  if (lease_.note.net_namespace != detail::current_net_namespace()) {
    throw lease_error{errc::other_namespace, doing, "return to the first namespace (setns)"};
  }
  if (const auto error = detail::hold_port(lease_.note.port, lease_.hold)) {
    throw lease_error{error, doing, detail::no_hold_cause};
  }
  note_hold();
}

TIDEWAIT_INLINE std::vector<detail::native_handle> port_lease::lock_descriptors() const {
  detail::shared_state& shared = detail::shared_state::instance();
  detail::renew_leases(shared);
  std::vector<detail::native_handle> descriptors = shared.leases.renewed_locks(lease_.note);
  for (const detail::kept_fd* each : {&lease_.locks[0], &lease_.locks[1], &lease_.hold}) {
    if (*each && !each->lost()) descriptors.push_back(each->get());
  }
  return descriptors;
}

namespace detail {

struct lease_maker {
  static std::vector<port_lease> make(std::size_t count, lease_shape shape, protocol_set kind,
                                      const source_location& where) {
    std::vector<port_lease> leases;
    leases.reserve(count);
    shared_state& shared = shared_state::instance();
    std::string lines;
    for (raw_lease& each : search_leases(shared, count, shape, kind, where)) {
      if (!journal_path().empty()) lines += lease_lines(current_test(shared), each.note);
      leases.push_back(port_lease{std::move(each)});
    }
    if (!lines.empty()) note_journal(shared.told, shared.journal.add(std::move(lines)));
    return leases;
  }
};

}  // namespace detail

TIDEWAIT_INLINE std::vector<port_lease> lease_ports(std::size_t count, protocol_set kind,
                                                    source_location where) {
  return detail::lease_maker::make(count, detail::lease_shape::scattered, kind, where);
}

TIDEWAIT_INLINE std::vector<port_lease> lease_block(std::size_t count, protocol_set kind,
                                                    source_location where) {
  return detail::lease_maker::make(count, detail::lease_shape::contiguous, kind, where);
}

TIDEWAIT_INLINE port_lease lease_port(protocol_set kind, source_location where) {
  return std::move(lease_ports(1, kind, where).front());
}

}  // namespace v0
}  // namespace tidewait
