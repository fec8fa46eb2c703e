#include "runtime/timekeeper.h"

#include "runtime/executor_core.h"

#include <utility>

namespace interpool::detail {

namespace {

bool earlier(TaskBase* a, TaskBase* b) { return a->details()->deadline < b->details()->deadline; }

}  // namespace

void Timekeeper::add(TaskBase& task) {
  const MutexLock lock(mutex_);
  if (!thread_.joinable() && !stopping_) {
    thread_ = std::thread([keeper = shared_from_this()] { keeper->run(); });
  }
  heap_.push_back(nullptr);
  place(heap_.size() - 1, &task);
  sift_up(heap_.size() - 1);
  if (heap_.front() == &task) changed_.notify_one();
}

void Timekeeper::remove(TaskBase& task) noexcept {
  const MutexLock lock(mutex_);
  const std::size_t slot = task.details()->timer_slot;
  if (slot != TaskDetails::kNoSlot) erase(slot);
}

void Timekeeper::stop(Clock::time_point deadline) noexcept {
  std::thread thread;
  bool ended = false;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    thread = std::move(thread_);
    if (!thread.joinable()) return;
    const bool ourselves = thread.get_id() == std::this_thread::get_id();
    while (!ended_ && !ourselves && changed_.wait_until(mutex_, deadline)) {
    }
    ended = ended_;
  }
  if (ended) {
    thread.join();
  } else {
    thread.detach();
  }
}

void Timekeeper::run() {
  mutex_.lock();
  while (!stopping_) {
    if (heap_.empty()) {
      changed_.wait(mutex_);
      continue;
    }
    const Clock::time_point next = heap_.front()->details()->deadline;
    if (Clock::now() < next) {
      changed_.wait_until(mutex_, next);
      continue;
    }
    // The task is alive as long as it is in the heap: whoever claims or settles it comes here first.
    const auto expired = TaskRef<TaskBase>::share(*heap_.front());
    erase(0);
    mutex_.unlock();
    ExecutorCore::expire(*expired);  // may run destructors of the user's
    mutex_.lock();
  }
  ended_ = true;
  changed_.notify_all();
  mutex_.unlock();
}

void Timekeeper::place(std::size_t slot, TaskBase* task) {
  heap_[slot] = task;
  task->details()->timer_slot = slot;
}

void Timekeeper::sift_up(std::size_t slot) {
  TaskBase* task = heap_[slot];
  while (slot > 0 && earlier(task, heap_[(slot - 1) / 2])) {
    place(slot, heap_[(slot - 1) / 2]);
    slot = (slot - 1) / 2;
  }
  place(slot, task);
}

void Timekeeper::sift_down(std::size_t slot) {
  TaskBase* task = heap_[slot];
  for (std::size_t child = 2 * slot + 1; child < heap_.size(); child = 2 * slot + 1) {
    if (child + 1 < heap_.size() && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], task)) break;
    place(slot, heap_[child]);
    slot = child;
  }
  place(slot, task);
}

void Timekeeper::erase(std::size_t slot) {
  heap_[slot]->details()->timer_slot = TaskDetails::kNoSlot;
  TaskBase* last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size()) return;
  place(slot, last);
  sift_up(slot);
  sift_down(last->details()->timer_slot);
}

}  // namespace interpool::detail
