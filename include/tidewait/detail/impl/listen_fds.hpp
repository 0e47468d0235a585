// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/listen_fds.hpp>

#ifndef TIDEWAIT_NO_LISTEN_FDS
namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE char* const* listen_fds::enter_child() noexcept {
  if (!detail::place_listen_fds(descriptors_.data(), descriptors_.size())) return nullptr;
  if (pid_ != nullptr) detail::write_own_pid(pid_);
  return block_.data();
}

TIDEWAIT_INLINE void listen_fds::rebuild() {
  entries_ = environment();
  entries_.push_back("LISTEN_PID=0000000000");
  for (std::string& each : detail::variables_without_listen_fds())
    entries_.push_back(std::move(each));
  block_.clear();
  for (std::string& entry : entries_) block_.push_back(entry.data());
  block_.push_back(nullptr);
  pid_ = entries_[2].data() + std::string_view{"LISTEN_PID="}.size();
}

}  // namespace v0
}  // namespace tidewait
#endif
