#include "runtime/task_queue.h"

#include "base/check.h"
#include "base/prefetch.h"
#include "runtime/timekeeper.h"
#include "runtime/worker_thread.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace interpool::detail {

namespace {

/// Asks for a task's cache lines, which are its submitter's, so that they arrive while the task before it
/// runs.
void prefetch(const TaskBase& task) noexcept {
  static_assert(sizeof(TaskBase) > kTaskAlignment && sizeof(TaskBase) <= 2 * kTaskAlignment);
  prefetch_to_write(&task);
  prefetch_to_write(reinterpret_cast<const std::byte*>(&task) + kTaskAlignment);
}

}  // namespace

TaskQueue::~TaskQueue() {
  // relaxed: whoever destroys it is alone with it.
  INTERPOOL_CHECK(taken_.load(std::memory_order_relaxed) == pushed_.load(std::memory_order_relaxed),
                  "a queue ends with tasks in it");
}

TaskQueue::Seat TaskQueue::add_seat(const WorkerThread& worker, Parker& parker, std::size_t group) {
  const MutexLock outbox_lock(outbox_mutex_);
  const MutexLock inbox_lock(inbox_mutex_);
  lane_ = worker.lane();
  held_.push_back(nullptr);
  if (group >= groups_.size()) groups_.resize(group + 1);
  ++groups_[group].seats;
  seats_.push_back({.worker = &worker, .parker = &parker, .group = group});
  set_posture(seats_.back(), Posture::kSeated);
  return seats_.size() - 1;
}

void TaskQueue::append(List& list, TaskBase& task) noexcept {
  task.previous_ = list.last;
  task.next_ = nullptr;
  (list.last == nullptr ? list.first : list.last->next_) = &task;
  list.last = &task;
}

void TaskQueue::unlink(TaskBase& task) noexcept {
  // Only the ends of a list say which list it is.
  List* const begins = outbox_.first == &task ? &outbox_ : inbox_.first == &task ? &inbox_ : nullptr;
  List* const ends = outbox_.last == &task ? &outbox_ : inbox_.last == &task ? &inbox_ : nullptr;
  TaskBase* const before = begins == nullptr ? task.previous_ : nullptr;
  (begins == nullptr ? before->next_ : begins->first) = task.next_;
  (ends == nullptr ? task.next_->previous_ : ends->last) = before;
  task.queued_ = false;
}

void TaskQueue::note_time(TaskBase& task) {
  const Clock::time_point now = Clock::now();
  task.timed_for_ = static_cast<std::uint8_t>(sampler_.weight());
  task.queued_at_ = now.time_since_epoch().count();
  sampler_.measured(now - std::exchange(last_timed_, now) < sampler_.weight() * kSlowTask);
}

TaskQueue::Push TaskQueue::push(TaskBase& task, std::size_t capacity, const Admission& admission,
                                Timekeeper& timekeeper, std::atomic<std::uint64_t>* accepted) {
  Parker* to_wake = nullptr;
  {
    const MutexLock lock(inbox_mutex_);
    const std::uint64_t pushed = pushed_.load(std::memory_order_relaxed);  // ours to write, under the mutex
    if (pushed - taken_seen_ >= capacity) {
      taken_seen_ = taken_.load(std::memory_order_relaxed);  // a number; the tasks come by the mutexes
      if (pushed - taken_seen_ >= capacity) return Push::kFull;
    }
    if (admission.closed()) return Push::kClosed;
    task.queue_ = this;
    if (sampler_.due()) note_time(task);
    // Under the mutex: whoever settles the task at its deadline has to take it out of the queue, and
    // waits here until it is in.
    if (task.details_ && task.details_->deadline != Clock::time_point::max()) timekeeper.add(task);
    append(inbox_, task);
    if (accepted != nullptr) accepted->fetch_add(1, std::memory_order_relaxed);  // a number
    task.queued_ = true;
    pushed_.store(pushed + 1, std::memory_order_relaxed);  // a number, too
    to_wake = summon();
  }
  if (to_wake != nullptr) to_wake->unpark();
  return Push::kDone;
}

void TaskQueue::count_taken() {
  // relaxed: submitters read it as a number. Only holders of the mutex write it.
  taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (room_waiters_ == nullptr) return;
  // relaxed: where a push is missed, the one who is woken for nothing wakes the next.
  wake_for_room(pushed_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_relaxed));
}

void TaskQueue::wake_for_room(std::uint64_t waiting) {
  // One task fewer is room for one submitter, the first for whom there is any: executors that share the
  // main lane differ in their capacities. It uses that room, or somebody has been faster. Only when its
  // executor closes it does neither, and then all are woken.
  for (RoomWaiter** at = &room_waiters_; *at != nullptr; at = &(*at)->next) {
    RoomWaiter* waiter = *at;
    if (waiting >= waiter->capacity) continue;
    *at = waiter->next;
    waiter->parker.unpark();  // under the mutex: the waiter lives until it has had it once more
    break;
  }
}

void TaskQueue::wait_for_room(std::size_t capacity, const Admission& admission, Clock::time_point deadline) {
  RoomWaiter waiter{.capacity = capacity};
  {
    const MutexLock outbox_lock(outbox_mutex_);
    if (admission.closed()) return;  // its wake_submitters() may have been before us
    {
      const MutexLock inbox_lock(inbox_mutex_);
      // relaxed: exact, under both mutexes.
      const std::uint64_t waiting =
          pushed_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_relaxed);
      if (waiting < capacity) return;
      wake_for_room(waiting);  // if we were woken for room that is none for us
    }
    RoomWaiter** end = &room_waiters_;
    while (*end != nullptr) end = &(*end)->next;
    *end = &waiter;
  }
  waiter.parker.park(deadline);
  const MutexLock lock(outbox_mutex_);
  for (RoomWaiter** at = &room_waiters_; *at != nullptr; at = &(*at)->next) {
    if (*at == &waiter) {
      *at = waiter.next;
      break;
    }
  }
}

void TaskQueue::wake_submitters() {
  const MutexLock lock(outbox_mutex_);
  while (RoomWaiter* waiter = room_waiters_) {
    room_waiters_ = waiter->next;
    waiter->parker.unpark();
  }
}

TaskBase* TaskQueue::take(Seat seat) {
  TaskBase* task = nullptr;
  TaskBase* previous = nullptr;
  TaskBase* following = nullptr;
  Parker* to_wake = nullptr;
  {
    const MutexLock outbox_lock(outbox_mutex_);
    if (outbox_.first == nullptr) {
      const MutexLock inbox_lock(inbox_mutex_);
      outbox_ = std::exchange(inbox_, {});
    }
    task = outbox_.first;
    previous = std::exchange(held_[seat], task);
    if (task != nullptr) {
      outbox_.first = task->next_;
      if (outbox_.first == nullptr) outbox_.last = nullptr;
      following = outbox_.first;
      task->queued_ = false;
      count_taken();
      // relaxed: whoever sits down looks into the queue first, under both mutexes, so a worker that is
      // missed here sees the tasks itself.
      if (wakeable_groups_.load(std::memory_order_relaxed) != 0 && maybe_work()) {
        const MutexLock inbox_lock(inbox_mutex_);
        to_wake = summon();
      }
    }
  }
  if (following != nullptr) prefetch(*following);
  if (to_wake != nullptr) to_wake->unpark();
  if (previous != nullptr) previous->release();
  return task;
}

void TaskQueue::put_down(Seat seat) {
  TaskBase* task = nullptr;
  {
    const MutexLock lock(outbox_mutex_);
    task = std::exchange(held_[seat], nullptr);
  }
  if (task != nullptr) task->release();
}

TaskRef<TaskBase> TaskQueue::taken_by(Seat seat) {
  const MutexLock lock(outbox_mutex_);
  return held_[seat] == nullptr ? TaskRef<TaskBase>() : TaskRef<TaskBase>::share(*held_[seat]);
}

void TaskQueue::search(Seat seat) {
  const MutexLock lock(inbox_mutex_);
  set_posture(seats_[seat], Posture::kSearching);
}

void TaskQueue::found(Seat seat) {
  const MutexLock lock(inbox_mutex_);
  set_posture(seats_[seat], Posture::kSummoned);
}

bool TaskQueue::sit_down(Seat seat) {
  const MutexLock outbox_lock(outbox_mutex_);
  const MutexLock inbox_lock(inbox_mutex_);
  if (outbox_.first != nullptr || inbox_.first != nullptr) return false;
  set_posture(seats_[seat], Posture::kSeated);
  return true;
}

void TaskQueue::stand_up(Seat seat) {
  const MutexLock lock(inbox_mutex_);
  if (seats_[seat].posture == Posture::kSeated) set_posture(seats_[seat], Posture::kAwake);
}

void TaskQueue::arrived(Seat seat, bool warm) {
  const MutexLock lock(inbox_mutex_);
  groups_[seats_[seat].group].warm = warm;
  if (seats_[seat].posture != Posture::kAwake) set_posture(seats_[seat], Posture::kAwake);
}

void TaskQueue::set_posture(SeatState& seat, Posture posture) {
  Group& group = groups_[seat.group];
  const bool was_wakeable = group.wakeable();
  const auto count = [&group](Posture counted) -> std::size_t* {
    if (counted == Posture::kAwake) return nullptr;
    return counted == Posture::kSeated ? &group.seated : &group.on_their_way;
  };
  if (std::size_t* old_count = count(seat.posture)) --*old_count;
  if (std::size_t* new_count = count(posture)) ++*new_count;
  if (seat.posture == Posture::kSearching) searching_ = nullptr;
  if (posture == Posture::kSearching) searching_ = &group;
  seat.posture = posture;
  const std::uint32_t change =
      static_cast<std::uint32_t>(group.wakeable()) - static_cast<std::uint32_t>(was_wakeable);
  // relaxed: a hint for take(); the truth is under the mutex.
  wakeable_groups_.store(wakeable_groups_.load(std::memory_order_relaxed) + change,
                         std::memory_order_relaxed);
}

Parker* TaskQueue::summon() {
  if (wakeable_groups_.load(std::memory_order_relaxed) == 0) return nullptr;  // exact, under the mutex
  if (searching_ != nullptr && searching_->seated + 1 == searching_->seats) return nullptr;
  // A free interpreter, and rather one that exists already.
  SeatState* best = nullptr;
  for (SeatState& seat : seats_) {
    const Group& group = groups_[seat.group];
    if (seat.posture != Posture::kSeated || !group.free()) continue;
    if (best == nullptr || (group.warm && !groups_[best->group].warm)) best = &seat;
  }
  if (best != nullptr) {
    set_posture(*best, Posture::kSummoned);
    return best->parker;
  }
  // All are busy. Which GIL becomes free first is unknown, so each group sends one.
  Parker* last = nullptr;
  for (SeatState& seat : seats_) {
    if (seat.posture != Posture::kSeated || !groups_[seat.group].wakeable()) continue;
    set_posture(seat, Posture::kSummoned);
    if (last != nullptr) last->unpark();
    last = seat.parker;
  }
  return last;
}

bool TaskQueue::remove(TaskBase& task) {
  const MutexLock outbox_lock(outbox_mutex_);
  const MutexLock inbox_lock(inbox_mutex_);
  if (!task.queued_) return false;
  unlink(task);
  count_taken();
  return true;
}

std::vector<TaskRef<TaskBase>> TaskQueue::tasks_of(const ExecutorCore& core) {
  const MutexLock outbox_lock(outbox_mutex_);
  const MutexLock inbox_lock(inbox_mutex_);
  std::vector<TaskRef<TaskBase>> tasks;
  for (const List* list : {&outbox_, &inbox_}) {
    for (TaskBase* task = list->first; task != nullptr; task = task->next_) {
      if (task->core() == &core) tasks.push_back(TaskRef<TaskBase>::share(*task));
    }
  }
  return tasks;
}

}  // namespace interpool::detail
