// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <tidewait/detail/linux/call_stack.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

enum class socket_call : std::uint8_t { bind, listen };

/// What is written down at a bind(2) or listen(2). Fixed in size, so that it can be written in a
/// signal handler and read by another process.
struct raw_bind {
  std::int64_t nanoseconds = 0;  ///< CLOCK_REALTIME
  std::uint64_t cookie = 0;
  std::uint64_t net_cookie = 0;
  std::int32_t pid = 0;
  std::int32_t thread = 0;
  std::int32_t fd = -1;
  std::int32_t error = 0;     ///< errno; 0: the call succeeded.
  std::int32_t protocol = 0;  ///< SO_PROTOCOL
  socket_call call = socket_call::bind;
  bool reuse_address = false;
  bool reuse_port = false;
  bool v6only = false;
  std::uint16_t asked_size = 0;  ///< 0: no address was given, or it could not be read.
  std::uint16_t got_size = 0;
  alignas(8) std::array<unsigned char, 112> asked{};  ///< sockaddr_un is the largest, with 110.
  alignas(8) std::array<unsigned char, 112> got{};
  call_stack stack{};
};
static_assert(std::is_trivially_copyable_v<raw_bind> && sizeof(raw_bind) % 8 == 0);

/// The latest binds of this process and of the children that it only forked, in memory that they
/// share. Any thread writes at any moment, without a lock and without waiting; a reader sees a
/// record whole or not at all.
class bind_ring {
 public:
  static constexpr std::uint64_t slots = 4096;

  /// Null if the system gives no memory.
  static bind_ring* make() noexcept {
    void* const place = ::mmap(nullptr, sizeof(bind_ring), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    // Zero is the state that it begins with; a constructor would touch each page.
    return place == MAP_FAILED ? nullptr : static_cast<bind_ring*>(place);
  }

  /// The number of the record that comes next.
  std::uint64_t next() const noexcept { return next_.load(std::memory_order_acquire); }

  /// Has the memory of the next record fetched.
  void prepare() const noexcept {
    const slot& to = slots_[next_.load(std::memory_order_relaxed) % slots];
    for (std::size_t i = 0; i < sizeof to; i += 64)
      __builtin_prefetch(reinterpret_cast<const unsigned char*>(&to) + i, 1);
  }

  void write(const raw_bind& record) noexcept {
    const std::uint64_t number = next_.fetch_add(1, std::memory_order_acq_rel);
    slot& to = slots_[number % slots];
    std::uint64_t stamp = to.stamp.load(std::memory_order_relaxed);
    // Odd: a writer is at it, a whole round behind or killed there. The record is lost, and its
    // reader can tell by the stamp.
    if (stamp % 2 != 0) return;
    if (!to.stamp.compare_exchange_strong(stamp, 2 * number + 1, std::memory_order_acq_rel)) return;
    const auto store = [&](std::size_t from, std::size_t bytes) {
      for (const std::size_t end = from + bytes; from < end; from += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, reinterpret_cast<const unsigned char*>(&record) + from, sizeof word);
        to.words[from / sizeof word].store(word, std::memory_order_release);
      }
    };
    // What is not used of the last three stays as it was: a cold line of memory costs more than
    // what is written into it.
    store(0, offsetof(raw_bind, asked));
    store(offsetof(raw_bind, asked), record.asked_size);
    store(offsetof(raw_bind, got), record.got_size);
    store(offsetof(raw_bind, stack), (1 + record.stack.size) * sizeof(std::uint64_t));
    to.stamp.store(2 * number + 2, std::memory_order_release);
  }

  /// False if the record is not there: overwritten, lost, or not yet written.
  bool read(std::uint64_t number, raw_bind& record) const noexcept {
    const slot& from = slots_[number % slots];
    if (from.stamp.load(std::memory_order_acquire) != 2 * number + 2) return false;
    std::array<std::uint64_t, length> copy;
    for (std::size_t i = 0; i < length; ++i)
      copy[i] = from.words[i].load(std::memory_order_acquire);
    if (from.stamp.load(std::memory_order_relaxed) != 2 * number + 2) return false;
    std::memcpy(static_cast<void*>(&record), copy.data(), sizeof record);
    // A child that shares the memory may write anything into it.
    if (record.stack.size > record.stack.frames.size()) record.stack.size = 0;
    if (record.asked_size > record.asked.size()) record.asked_size = 0;
    if (record.got_size > record.got.size()) record.got_size = 0;
    return true;
  }

 private:
  static constexpr std::size_t length = sizeof(raw_bind) / 8;
  struct slot {
    std::atomic<std::uint64_t> stamp;  // 2n + 1: record n is being written; 2n + 2: it is whole
    std::array<std::atomic<std::uint64_t>, length> words;
  };

  bind_ring() = delete;

  std::atomic<std::uint64_t> next_;
  std::array<slot, slots> slots_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
