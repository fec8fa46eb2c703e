// CallGate: admission for a thread that calls by itself, one call at a time.
#pragma once

#include "base/asymmetric_fence.h"
#include "base/futex.h"
#include "base/mutex.h"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace interpool::detail {

/// Whether a call is under way and whether calls are still admitted. Each thread has one of its own, so that
/// threads which call all the time do not meet in one word; and they pay for no locked instruction, because
/// who closes the gate, once, pays for both sides.
class CallGate {
 public:
  /// The thread that calls. False once closed.
  bool try_enter() noexcept {
    call_.store(Call::kEntering, std::memory_order_relaxed);  // it publishes nothing
    // Either we see that it has been closed, or who closes it sees us.
    fence_.light();
    const bool admitted = !closed_.load(std::memory_order_relaxed);
    call_.store(admitted ? Call::kInside : Call::kNone, std::memory_order_relaxed);
    if (!admitted) announce();
    return admitted;
  }
  /// The same thread, after each call. False if the call was given up meanwhile, and has been accounted for.
  bool leave() noexcept INTERPOOL_EXCLUDES(mutex_) {
    call_.store(Call::kNone,
                std::memory_order_release);  // release: what the call did is seen by who waits for its end
    // As above: if we do not see that it has been closed, who closes it sees us outside, and gives nothing
    // up.
    fence_.light();
    return !closed_.load(std::memory_order_relaxed) || leave_closed();
  }

  // Others, from any thread.

  /// No call is admitted from now on. relaxed: the fence orders it; what was done before close() is nothing
  /// that a refused call would look at.
  void close() noexcept {
    closed_.store(true, std::memory_order_relaxed);
    fence_.heavy();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// Whether a call is under way that nobody has given up. acquire: pairs with leave().
  [[nodiscard]] bool busy() const noexcept {
    return call_.load(std::memory_order_acquire) != Call::kNone && !given_up_.load(std::memory_order_relaxed);
  }
  /// After close(): gives the call under way up. False if there is none, if somebody has done that, or if it
  /// does not know yet whether it is admitted, which it will in a moment.
  bool give_up() noexcept INTERPOOL_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (!busy() || call_.load(std::memory_order_relaxed) == Call::kEntering) return false;
      given_up_.store(true, std::memory_order_relaxed);
    }
    announce();  // others may wait for it, too
    return true;
  }
  /// After close(): waits until no call is under way; false when the deadline came first.
  bool wait_until_idle(std::chrono::steady_clock::time_point deadline) const noexcept {
    for (;;) {
      // acquire: what happens from here on is announced by another number.
      const std::uint32_t seen = announced_.load(std::memory_order_acquire);
      if (!busy()) return true;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      futex_wait(announced_, seen, deadline);
    }
  }

 private:
  enum class Call : std::uint8_t { kNone, kEntering, kInside };

  bool leave_closed() noexcept INTERPOOL_EXCLUDES(mutex_) {
    bool given_up = false;
    {
      // Who gives it up either comes before us, and we see it, or after us, and sees us outside.
      const MutexLock lock(mutex_);
      given_up = given_up_.load(std::memory_order_relaxed);
    }
    announce();
    return !given_up;
  }
  void announce() noexcept {
    announced_.fetch_add(1, std::memory_order_release);  // release: pairs with wait_until_idle()
    futex_wake_all(&announced_);
  }

  const AsymmetricFence fence_;
  std::atomic<Call> call_ = Call::kNone;  // written by the thread that calls
  std::atomic<bool> closed_ = false;
  Mutex mutex_;
  std::atomic<bool> given_up_ = false;        // written under mutex_, read by busy() without
  std::atomic<std::uint32_t> announced_ = 0;  // changes when something has that who waits wants to know
};

}  // namespace interpool::detail
