#include "stop.h"

#include <csignal>
#include <string_view>

#include <pthread.h>
#include <unistd.h>

namespace indexer {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

/// The third signal: whoever sends it has waited long enough. The database is consistent at every instant, so
/// there is nothing to save; and exit() would run destructors under threads that are still at work.
[[noreturn]] void leave_now(int signal) {
  constexpr std::string_view kMessage = "leaving now\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(128 + signal);
}

}  // namespace

StopControl::StopControl() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { watch(); });
}

StopControl::~StopControl() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  // A signal is what the thread waits for, so a signal is what ends it.
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void StopControl::watch() {
  const sigset_t signals = stop_signals();
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return;
    }
    on_signal(signal);
  }
}

void StopControl::on_signal(int signal) {
  {
    const std::lock_guard lock(mutex_);
    if (decided_) return;
    if (first_signal_ == 0) first_signal_ = signal;
    if (++count_ > 2) leave_now(first_signal_);
    ++changes_;
  }
  changed_.notify_all();
}

Urgency StopControl::urgency() const {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return Urgency::kNone;
  return count_ == 1 ? Urgency::kDrain : Urgency::kCancel;
}

int StopControl::signal() const {
  const std::lock_guard lock(mutex_);
  return first_signal_;
}

bool StopControl::wait_for(std::chrono::milliseconds time, const std::function<bool()>& wake) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  // `wake` may take other locks, and ours, so it is not called under ours; and changes are counted, so that
  // none is missed between looking and sleeping.
  for (;;) {
    std::unique_lock lock(mutex_);
    const auto seen = changes_;
    lock.unlock();
    if (wake()) return true;
    lock.lock();
    if (!changed_.wait_until(lock, deadline, [&] { return changes_ != seen; })) {
      lock.unlock();
      return wake();
    }
  }
}

void StopControl::notify() {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
  }
  changed_.notify_all();
}

int StopControl::decide() {
  const std::lock_guard lock(mutex_);
  decided_ = true;
  return first_signal_;
}

}  // namespace indexer
