// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/port_key.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What a launcher knows of a command that it has run: an argument of the look after its end.
struct ended_command {
  /// Why what the kernel keeps of a connection keeps none of the command's servers out; empty if it
  /// may.
  std::function<std::string(const observed_socket&)> why_harmless{};
  /// The ports of all of its binds; nothing if not each of them was witnessed.
  std::optional<std::vector<std::uint16_t>> ports{};

  /// Whether a socket that nobody is seen to hold may just as well be another program's. The look
  /// before the command has read no bound sockets.
  bool is_strange(const socket_entry& socket) const {
    return socket.state == socket_state::bound ||
           (ports && std::find(ports->begin(), ports->end(), socket.local.port) == ports->end());
  }
};

/// Which sockets and ports the looks of this process have seen, and what is known of them. A socket
/// is named by its `identity`.
class sightings {
 public:
  std::optional<ended_command> command{};  ///< In a launcher, where it has ended.

  /// These sockets were reported, or are known not to be this process tree's: no look judges them
  /// again.
  void mark_handled(const std::vector<std::uint64_t>& sockets) {
    const std::lock_guard hold{mutex_};
    handled_.insert(handled_.end(), sockets.begin(), sockets.end());
    std::sort(handled_.begin(), handled_.end());
    handled_.erase(std::unique(handled_.begin(), handled_.end()), handled_.end());
  }
  bool is_handled(std::uint64_t socket) const {
    const std::lock_guard hold{mutex_};
    return std::binary_search(handled_.begin(), handled_.end(), socket);
  }

  /// Whether nobody has asked this of the socket before.
  bool first_seen(std::uint64_t socket) {
    const std::lock_guard hold{mutex_};
    const auto place = std::lower_bound(seen_.begin(), seen_.end(), socket);
    if (place != seen_.end() && *place == socket) return false;
    seen_.insert(place, socket);
    return true;
  }

  /// This process tree has listened on the TCP port.
  void note_own_listener(std::uint16_t port) {
    const std::lock_guard hold{mutex_};
    if (std::find(own_ports_.begin(), own_ports_.end(), port) == own_ports_.end())
      own_ports_.push_back(port);
  }
  bool is_own_listener(std::uint16_t port) const {
    const std::lock_guard hold{mutex_};
    return std::find(own_ports_.begin(), own_ports_.end(), port) != own_ports_.end();
  }
  /// The TCP ports on which this process tree has listened.
  std::vector<std::uint16_t> own_ports() const {
    const std::lock_guard hold{mutex_};
    return own_ports_;
  }

  /// Whether this witnessed bind was not asked about before.
  bool first_journaled(std::chrono::system_clock::time_point time, std::uint64_t socket) {
    const std::lock_guard hold{mutex_};
    constexpr std::size_t most = 65536;  // of watches around one another only the latest matter
    if (journaled_.size() >= most) journaled_.erase(journaled_.begin());
    return journaled_.insert({time, socket}).second;
  }

  /// A test has bound this port (witnessed), as the last one so far.
  void note_bound_by(const port_key& port, const std::string& test) {
    const std::lock_guard hold{mutex_};
    bound_by_[{port.protocol, port.port}] = test;
  }
  /// The last test that bound the port; nothing if none was witnessed.
  std::optional<std::string> bound_by(const port_key& port) const {
    const std::lock_guard hold{mutex_};
    const auto found = bound_by_.find({port.protocol, port.port});
    return found == bound_by_.end() ? std::nullopt : std::optional{found->second};
  }

  std::mutex& mutex() const noexcept { return mutex_; }  ///< For a fork.

 private:
  mutable std::mutex mutex_{};
  std::vector<std::uint64_t> handled_{};  // sorted
  std::vector<std::uint64_t> seen_{};     // sorted
  std::vector<std::uint16_t> own_ports_{};
  std::map<std::pair<protocol, std::uint16_t>, std::string> bound_by_{};
  std::set<std::pair<std::chrono::system_clock::time_point, std::uint64_t>> journaled_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
