// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>

#include <tidewait/detail/os_calls.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Sleeps in growing steps, 1 to 20 ms, until a point in time.
class backoff {
 public:
  explicit backoff(milliseconds time) : begin_{steady_clock::now()}, end_{begin_ + time} {}
  bool over() const { return steady_clock::now() >= end_; }
  milliseconds used() const {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin_);
  }
  void pause() {
    sleep_for(step_);
    step_ = std::min(step_ * 2, milliseconds{20});
  }

 private:
  steady_clock::time_point begin_;
  steady_clock::time_point end_;
  milliseconds step_{1};
};

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
