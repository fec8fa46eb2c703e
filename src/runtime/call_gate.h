// CallGate: admission for a thread that calls by itself, one call at a time.
#pragma once

#include "base/asymmetric_fence.h"
#include "base/futex.h"
#include "base/mutex.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace interpool::detail {

/// Whether a call is under way and whether calls are still admitted. Each thread has one of its own, so that
/// threads which call all the time do not meet in one word; and they pay for no locked instruction, because
/// who closes the gate, once, pays for both sides.
///
/// Each call is accounted for in the gate: `account` is called once for a call that is admitted, before
/// anybody can give it up, and once when it has ended or is given up, before anybody can see that it is over.
class CallGate {
 public:
  /// The thread that calls. False once closed.
  template <class F>
  bool try_enter(F account) noexcept {
    call_.store(Call::kEntering, std::memory_order_relaxed);  // it publishes nothing
    // Either we see that it has been closed, or who closes it sees us on the way, and waits for a moment.
    fence_.light();
    if (closed_.load(std::memory_order_relaxed)) {
      call_.store(Call::kNone, std::memory_order_release);  // release: what the calls before did, as below
      announce();
      return false;
    }
    account();
    call_.store(Call::kInside, std::memory_order_release);  // release: the account, for who gives it up
    return true;
  }
  /// The same thread, after each call. False if the call was given up meanwhile: the account is not ours
  /// then.
  template <class F>
  bool leave(F account) noexcept INTERPOOL_EXCLUDES(mutex_) {
    call_.store(Call::kLeaving, std::memory_order_relaxed);  // it publishes nothing
    fence_.light();                                          // as above
    if (closed_.load(std::memory_order_relaxed)) return leave_closed(account);
    account();
    call_.store(Call::kNone,
                std::memory_order_release);  // release: what the call did is seen by who waits for its end
    // Who has closed it meanwhile has seen us leaving, and given nothing up; or sees us outside; or we see
    // that somebody may wait for us.
    fence_.light();
    if (closed_.load(std::memory_order_relaxed)) announce();
    return true;
  }

  // Others, from any thread.

  /// No call is admitted from now on. relaxed: the fence orders it; what was done before close() is nothing
  /// that a refused call would look at.
  void close() noexcept {
    closed_.store(true, std::memory_order_relaxed);
    fence_.heavy();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// Whether a call is under way that nobody has given up. acquire: pairs with leave() and give_up(), and
  /// their accounts.
  [[nodiscard]] bool busy() const noexcept {
    return call_.load(std::memory_order_acquire) != Call::kNone && !given_up_.load(std::memory_order_acquire);
  }
  /// After close(): gives the call under way up. False if there is none, or if somebody has done that.
  template <class F>
  bool give_up(F account) noexcept INTERPOOL_EXCLUDES(mutex_) {
    for (;;) {
      {
        const MutexLock lock(mutex_);
        const Call call = call_.load(std::memory_order_acquire);  // acquire: pairs with try_enter()
        if (call == Call::kNone || given_up_.load(std::memory_order_relaxed)) return false;
        if (call == Call::kInside) {
          account();
          given_up_.store(true, std::memory_order_release);  // release: the account
          break;
        }
      }
      // On its way in or out it will be neither in a few instructions, unless the system has stopped it
      // there.
      std::this_thread::yield();
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
  enum class Call : std::uint8_t { kNone, kEntering, kInside, kLeaving };

  template <class F>
  bool leave_closed(F account) noexcept INTERPOOL_EXCLUDES(mutex_) {
    bool given_up = false;
    {
      // Who gives it up either comes before us, and we see it, or after us, and sees us outside.
      const MutexLock lock(mutex_);
      given_up = given_up_.load(std::memory_order_relaxed);
      if (!given_up) account();
      call_.store(Call::kNone, std::memory_order_release);  // release: as in leave()
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
