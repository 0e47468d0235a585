// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/fork_handlers.hpp>
#include <tidewait/detail/linux/lease_cursor.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/detail/toleration_ledger.hpp>
#include <tidewait/ended_lease.hpp>
#include <tidewait/lease_note.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A watch that has begun and has not ended.
struct active_watch {
  std::uint64_t number = 0;
  const void* thread = nullptr;
  std::string test;
};

/// A name for the calling thread that no other thread has while it runs.
inline const void* this_thread() noexcept {
  static thread_local const char mark = 0;
  return &mark;
}

/// The one process-wide state. A child of fork() starts with a copy, in which the leases and
/// watches of its parent are not its own.
class registry {
 public:
  /// Never destroyed: leases and looks may come as late as the destructors of the user's globals.
  static registry& instance() {
    static registry* const only = [] {
      auto* const made = new registry;
      // A fork in another thread must not copy a mutex that is locked.
      at_fork([] { instance().lock(); }, [] { instance().unlock(); },
              [] {
                instance().forget_parent();
                instance().unlock();
              });
      return made;
    }();
    return *only;
  }

  /// Notes a lease that has begun.
  void begin(const lease_note& lease) {
    const std::lock_guard hold{mutex_};
    live_.push_back(lease);
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
    const auto found = std::find_if(live_.begin(), live_.end(),
                                    [&](const lease_note& each) { return same_port(each, lease); });
    if (found != live_.end()) live_.erase(found);
    if (clean) return;
    if (ended_.size() >= most_locks_kept) drop_oldest_locks();
    ended_.push_back({lease, std::move(locks), false});
  }

  /// The leases whose ports a look has to probe: the live ones, and those that ended on a port that
  /// was not free and have not been judged.
  std::vector<lease_note> leases_to_judge() const {
    const std::lock_guard hold{mutex_};
    std::vector<lease_note> all = live_;
    for (const ended_lease& each : ended_) {
      if (!each.judged) all.push_back(each.note);
    }
    return all;
  }

  /// A look has judged these: the clean ones lose their locks, the others are not judged again.
  void judged(const std::vector<lease_note>& clean, const std::vector<lease_note>& reported) {
    const auto among = [](const std::vector<lease_note>& list, const ended_lease& lease) {
      return std::any_of(list.begin(), list.end(),
                         [&](const lease_note& each) { return same_port(each, lease.note); });
    };
    const std::lock_guard hold{mutex_};
    for (ended_lease& each : ended_) each.judged = each.judged || among(reported, each);
    ended_.erase(std::remove_if(ended_.begin(), ended_.end(),
                                [&](const ended_lease& each) { return among(clean, each); }),
                 ended_.end());
  }

  /// Gives back ports of ended leases that have become clean; looks at the `most` least recent.
  void reclaim(std::size_t most) {
    const std::lock_guard hold{mutex_};
    for (std::size_t left = std::min(most, ended_.size()); left != 0; --left) {
      if (!port_is_clean(ended_.front().note)) ended_.push_back(std::move(ended_.front()));
      ended_.erase(ended_.begin());
    }
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
  static bool same_port(const lease_note& a, const lease_note& b) noexcept {
    return a.port == b.port && a.kind == b.kind && a.net_namespace == b.net_namespace;
  }

  void lock() {
    searching_.lock();
    mutex_.lock();
  }
  void unlock() {
    mutex_.unlock();
    searching_.unlock();
  }

  /// A lock costs a descriptor, which the test may need more: while its port is not free nobody
  /// leases it anyway.
  static constexpr std::size_t most_locks_kept = 256;
  void drop_oldest_locks() noexcept {
    for (ended_lease& each : ended_) {
      if (!each.locks[0] && !each.locks[1]) continue;
      each.locks = {};
      return;
    }
  }

  void print_audit() const {
    if (audited_by_ == ::getpid()) std::fputs(ledger_.render().c_str(), stderr);
  }

  void forget_parent() {
    live_.clear();
    watches_.clear();
    ended_.clear();  // closes the child's copies of the locks: the parent still has its own
    incidents_.clear();
    ledger_ = {};
  }

  std::mutex searching_;  // taken before mutex_
  lease_cursor cursor_;
  mutable std::mutex mutex_;
  std::vector<lease_note> live_;
  std::vector<ended_lease> ended_;
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
