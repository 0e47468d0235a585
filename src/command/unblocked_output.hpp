// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string_view>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

/// An open output to which nothing is written that would wait for its reader. It stays as it is for
/// all who share it: O_NONBLOCK would hold for them as well.
class unblocked_output {
 public:
  unblocked_output() = default;
  explicit unblocked_output(int stream);

  /// What there is room for, as write(2); EAGAIN: there is none.
  ssize_t write(std::string_view text) const noexcept;
  bool has_room() const noexcept;
  /// The descriptor to poll for room; -1: there is no output.
  int fd() const noexcept { return reopened_ ? reopened_.get() : stream_; }

 private:
  enum class kind : unsigned char { file, socket, other };

  int stream_ = -1;
  kind kind_ = kind::other;
  detail::unique_fd reopened_;  // the same pipe or terminal, if it can be opened again
};

/// Waits until there is room, or returns false: what is left is not to be written.
using room_waiter = std::function<bool(const unblocked_output&)>;

/// From now on `write_to_stream` has this wait for room, in place of write(2), which could only be
/// ended by a signal. None: write(2) waits.
void wait_for_room_by(room_waiter waiter);

}  // namespace tidewait::command
