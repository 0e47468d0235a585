// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/fork_handlers.hpp>
#include <tidewait/detail/linux/lease_cursor.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/process_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/detail/toleration_ledger.hpp>
#include <tidewait/lease_book.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A watch that has begun and has not ended.
struct active_watch {
  std::uint64_t number = 0;
  const void* thread = nullptr;
  std::string test;
};

/// A name for the calling thread that no other thread has while it runs, the same in each copy of
/// tidewait (see `meeting_point`).
inline const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(::pthread_self());
}

/// The one process-wide state. A child of fork() starts with a copy, in which the leases and
/// watches of its parent are not its own.
class registry {
 public:
  /// Never destroyed: leases and looks may come as late as the destructors of the user's globals.
  static registry& instance() {
    static registry* const only = [] {
      registry* const found = &find_process_state<registry>();
      // A fork in another thread must not copy a mutex that is locked. Each copy of tidewait has
      // handlers of its own, since those of a library go when it is unloaded.
      at_fork([] { instance().before_fork(); }, [] { instance().after_fork(false); },
              [] { instance().after_fork(true); });
      return found;
    }();
    return *only;
  }
  static constexpr const char* name = "tidewait-registry";
  meeting_point* met = nullptr;  ///< With other copies of tidewait in this process.

  /// Notes a lease that has begun.
  void begin(const lease_note& lease, const port_locks& locks) {
    const std::lock_guard hold{mutex_};
    leases_.begin(lease, locks);
  }
  void set_hold(const lease_note& lease, const descriptor_mark& mark) {
    const std::lock_guard hold{mutex_};
    leases_.set_hold(lease, mark);
  }

  /// Notes a lease that has ended; `locks` are kept while its port is not clean.
  void end(const lease_note& lease, port_locks locks) {
    const bool clean = port_is_clean(lease);
    if (!clean && lease.net_namespace != current_net_namespace()) {
      const std::string port = std::to_string(lease.port);
      note("ended_elsewhere " + port,
           "the lease of port " + port +
               " ended in another network namespace than its own: the port was not looked at");
    }
    const std::lock_guard hold{mutex_};
    leases_.end(lease, std::move(locks), clean);
  }

  /// As the functions of `lease_book`.
  std::vector<lease_note> leases_to_judge() const {
    const std::lock_guard hold{mutex_};
    return leases_.to_judge();
  }
  void judged(const std::vector<lease_note>& clean, const std::vector<lease_note>& reported) {
    const std::lock_guard hold{mutex_};
    leases_.judged(clean, reported);
  }
  void reclaim(std::size_t most) {
    const std::lock_guard hold{mutex_};
    leases_.reclaim(most);
  }
  std::vector<int> renewed_locks(const lease_note& lease) const {
    const std::lock_guard hold{mutex_};
    return leases_.renewed_locks(lease);
  }

  /// Takes the locks again that the program under test has closed. The next look says so, and fails
  /// for a lock that somebody else has taken.
  void renew_leases() {
    const std::lock_guard hold{mutex_};
    const lost_descriptors lost = leases_.renew();
    for (const lease_note& each : lost.locks_renewed) notes_.push_back(lock_renewed(each));
    for (const lease_note& each : lost.holds) notes_.push_back(hold_lost(each));
    for (const lease_note& each : lost.locks_gone) incidents_.push_back(lock_gone(each));
  }

  /// Adds the cookies of sockets that were reported, or are known not to be this process tree's.
  void settle_cookies(const std::vector<std::uint64_t>& cookies) {
    const std::lock_guard hold{mutex_};
    settled_.insert(settled_.end(), cookies.begin(), cookies.end());
    std::sort(settled_.begin(), settled_.end());
    settled_.erase(std::unique(settled_.begin(), settled_.end()), settled_.end());
  }

  /// A watch over a test has begun on the calling thread; returns its number.
  std::uint64_t begin_watch(std::string_view test) {
    const std::lock_guard hold{mutex_};
    watches_.push_back({++last_watch_, this_thread(), sanitised(test)});  // as the journal has it
    return last_watch_;
  }

  void end_watch(std::uint64_t number) {
    const std::lock_guard hold{mutex_};
    watches_.erase(std::remove_if(watches_.begin(), watches_.end(),
                                  [&](const auto& each) { return each.number == number; }),
                   watches_.end());
  }

  /// Whether a watch is active on another thread: then what this process holds may be that one's.
  bool watched_elsewhere() const {
    const std::lock_guard hold{mutex_};
    return std::any_of(watches_.begin(), watches_.end(),
                       [](const auto& each) { return each.thread != this_thread(); });
  }

  /// The test of the calling thread's innermost watch; empty if there is none.
  std::string watched_test() const {
    const std::lock_guard hold{mutex_};
    const auto innermost =
        std::find_if(watches_.rbegin(), watches_.rend(),
                     [](const active_watch& each) { return each.thread == this_thread(); });
    return innermost == watches_.rend() ? std::string{} : innermost->test;
  }

  /// Whether a watch of this name is active, on whatever thread.
  bool is_watched(const std::string& test) const {
    const std::lock_guard hold{mutex_};
    return std::any_of(watches_.begin(), watches_.end(),
                       [&](const active_watch& each) { return each.test == test; });
  }

  /// Runs a search for ports to lease; one at a time.
  template <typename Work>
  auto search(Work&& work) {
    const std::lock_guard hold{searching_};
    return work(cursor_);
  }

  /// From now on the process lists at its end, on stderr, what these and other rules let pass.
  void audit(const policy& rules) {
    const std::lock_guard hold{mutex_};
    ledger_.know(rules);
    if (std::exchange(audited_by_, ::getpid()) == 0) {
      std::atexit([] { instance().print_audit(); });
    }
  }
  void let_pass(const policy_rule& rule, std::string what) {
    const std::lock_guard hold{mutex_};
    if (audited_by_ != 0) ledger_.add(rule, std::move(what));
  }

  /// Notes what the user should be told, once for each `topic`; the next look hands it out.
  void note(std::string topic, std::string text) {
    if (!first_time(std::move(topic))) return;
    const std::lock_guard hold{mutex_};
    notes_.push_back(std::move(text));
  }

  /// Whether `topic` comes up for the first time in this program.
  bool first_time(std::string topic) {
    const std::lock_guard hold{mutex_};
    if (std::find(noted_.begin(), noted_.end(), topic) != noted_.end()) return false;
    noted_.push_back(std::move(topic));
    return true;
  }

  /// The notes that nobody has been handed yet.
  std::vector<std::string> take_notes() {
    const std::lock_guard hold{mutex_};
    return std::exchange(notes_, {});
  }

  /// Hands in what went wrong beside the sockets, such as a server that had to be killed: the next
  /// look reports it, and is not clean. False if no watch is there to look: the text is not kept.
  bool add_incident(std::string text) {
    const std::lock_guard hold{mutex_};
    if (watches_.empty()) return false;
    incidents_.push_back(std::move(text));
    return true;
  }

  /// The incidents that no look has reported yet.
  std::vector<std::string> take_incidents() {
    const std::lock_guard hold{mutex_};
    return std::exchange(incidents_, {});
  }

  /// Whether this socket has not been asked for before; from now on it has.
  bool classify(std::uint64_t cookie) {
    const std::lock_guard hold{mutex_};
    const auto place = std::lower_bound(classified_.begin(), classified_.end(), cookie);
    if (place != classified_.end() && *place == cookie) return false;
    classified_.insert(place, cookie);
    return true;
  }

  /// This process tree has listened on the TCP port.
  void note_own_listener(std::uint16_t port) {
    const std::lock_guard hold{mutex_};
    if (std::find(own_ports_.begin(), own_ports_.end(), port) == own_ports_.end())
      own_ports_.push_back(port);
  }

  /// The TCP ports on which this process tree has listened.
  std::vector<std::uint16_t> own_ports() const {
    const std::lock_guard hold{mutex_};
    return own_ports_;
  }
  bool is_own_listener(std::uint16_t port) const {
    const std::lock_guard hold{mutex_};
    return std::find(own_ports_.begin(), own_ports_.end(), port) != own_ports_.end();
  }

  bool is_settled(std::uint64_t cookie) const {
    const std::lock_guard hold{mutex_};
    return std::binary_search(settled_.begin(), settled_.end(), cookie);
  }

 private:
  void before_fork() {
    if (forking_ == this_thread()) {
      ++fork_handlers_;
      return;
    }
    searching_.lock();
    mutex_.lock();
    forking_ = this_thread();
    fork_handlers_ = 1;
  }
  void after_fork(bool in_child) {
    if (--fork_handlers_ != 0) return;
    forking_ = nullptr;
    if (in_child) forget_parent();
    mutex_.unlock();
    searching_.unlock();
  }

  void print_audit() const {
    if (audited_by_ == ::getpid()) std::fputs(ledger_.render().c_str(), stderr);
  }

  void forget_parent() {
    leases_.forget();
    watches_.clear();
    incidents_.clear();
    ledger_ = {};
  }

  std::atomic<const void*> forking_{nullptr};  // the thread that has locked both for a fork
  int fork_handlers_ = 0;
  std::mutex searching_;  // taken before mutex_
  lease_cursor cursor_;
  mutable std::mutex mutex_;
  lease_book leases_;
  std::vector<std::uint64_t> settled_;
  std::vector<std::uint64_t> classified_;
  std::vector<std::uint16_t> own_ports_;
  std::vector<active_watch> watches_;
  std::uint64_t last_watch_ = 0;
  std::vector<std::string> noted_;
  std::vector<std::string> notes_;
  std::vector<std::string> incidents_;
  toleration_ledger ledger_;
  int audited_by_ = 0;  // pid: a forked child that calls exit(3) has nothing to list
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
