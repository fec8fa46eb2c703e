#include "runtime/fork_guard.h"

#include <pthread.h>

#include <atomic>
#include <memory>

namespace interpool {

namespace {

std::atomic<bool>& forked_flag() noexcept {
  static std::atomic<bool> forked = false;
  return forked;
}

}  // namespace

void watch_for_fork() {
  // relaxed, here and below: written by the child's only thread before it has others.
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forked_flag().store(true, std::memory_order_relaxed); });
  (void)registered;
}

bool in_forked_child() noexcept { return forked_flag().load(std::memory_order_relaxed); }

Failure forked_failure() {
  return std::make_shared<const RuntimeStateError>(
      "this process was forked from one that runs interpool, whose threads stayed behind: use the library in "
      "the parent only, or start a new program here (exec, posix_spawn)");
}

void require_not_forked() {
  if (in_forked_child()) forked_failure()->raise();
}

}  // namespace interpool
