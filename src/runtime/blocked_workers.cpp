#include "runtime/blocked_workers.h"

#include "runtime/fork_guard.h"

#include <algorithm>

namespace interpool::detail {

bool WaitCheck::finds_stuck(const BlockedWorker& worker) noexcept {
  for (BlockedWorker* each = workers_; each != nullptr; each = each->next) each->stuck = true;
  for (bool changed = true; changed;) {
    // Mostly this is all there is to do.
    if (!worker.awaits->stuck(*this)) return false;
    changed = false;
    for (BlockedWorker* each = workers_; each != nullptr; each = each->next) {
      if (each == &worker || !each->stuck || each->awaits->stuck(*this)) continue;
      each->stuck = false;
      asked_ = nullptr;
      changed = true;
    }
  }
  return true;
}

bool WaitCheck::all_stuck(const TaskQueue* queue) const noexcept {
  if (asked_ == queue) return answer_;
  std::size_t stuck = 0;
  std::size_t workers = 0;
  for (const BlockedWorker* each = workers_; each != nullptr; each = each->next) {
    for (const BlockedWorker::Lane& lane : each->lanes) {
      if (lane.queue != queue || !each->stuck) continue;
      ++stuck;
      workers = lane.workers;
    }
  }
  asked_ = queue;
  answer_ = stuck != 0 && stuck == workers;
  return answer_;
}

bool WaitCheck::runs_stuck(const TaskBase& task) const noexcept {
  for (const BlockedWorker* each = workers_; each != nullptr; each = each->next) {
    if (each->runs == &task) return each->stuck;
  }
  return false;
}

BlockedWorkers& BlockedWorkers::all() noexcept {
  // Nothing of it has to be destroyed, so it is there for as long as any thread is.
  static constinit BlockedWorkers workers;
  return workers;
}

bool BlockedWorkers::add(BlockedWorker& worker) noexcept {
  const MutexLock lock(mutex_);
  worker.next = first_;
  first_ = &worker;
  looking_.store(true, std::memory_order_seq_cst);
  const bool stuck = WaitCheck(first_).finds_stuck(worker);
  looking_.store(false, std::memory_order_release);
  if (stuck) unlink(worker);
  return !stuck;
}

void BlockedWorkers::remove(BlockedWorker& worker) noexcept {
  const MutexLock lock(mutex_);
  unlink(worker);
}

void BlockedWorkers::unlink(BlockedWorker& worker) noexcept {
  BlockedWorker** at = &first_;
  while (*at != &worker) at = &(*at)->next;
  *at = worker.next;
}

void BlockedWorkers::let_lookers_finish() noexcept {
  // A forked child may have copied the mutex while another thread held it, and has no one who looks.
  if (!looking_.load(std::memory_order_seq_cst) || in_forked_child()) return;
  const MutexLock lock(mutex_);
}

}  // namespace interpool::detail
