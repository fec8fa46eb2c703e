#include "runtime/membership.h"

#include "interpool/executor.h"
#include "runtime/worker_access.h"
#include "runtime/worker_hooks.h"

#include <utility>

namespace interpool::detail {

Failure Membership::enter() noexcept {
  if (Failure failure = group_->enter(state_)) return failure;
  if (started_ || hooks_ == nullptr) return nullptr;
  Worker worker = view();
  if (Failure failure = run_start_hooks(*hooks_, worker)) {
    state_.detach();
    return failure;
  }
  started_ = true;
  return nullptr;
}

bool Membership::leave(std::chrono::steady_clock::time_point deadline, Logger& log) noexcept {
  if (std::exchange(started_, false)) {
    state_.attach();
    Worker worker = view();
    run_stop_hooks(*hooks_, worker, log);
    state_.detach();
  }
  return group_->leave(state_, deadline);
}

Worker Membership::view() const noexcept { return WorkerAccess::make(lane_, index_, group_->handle()); }

}  // namespace interpool::detail
