// Tasks that wait for other tasks: behind Submitter::map, when_all and when_any.
#pragma once

#include <interpool/detail/task.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>

namespace interpool::detail {

/// A task that waits in no queue, but for others, its parts; whoever settles the part that decides it runs it
/// there. Each part that has been attached holds a reference to it until that part has settled.
template <class R>
class JoinTask : public TaskState<R> {
 public:
  /// Called when it is cancelled as a whole, while the parts still belong to it.
  void drop_work() noexcept override { cancel_parts(); }

 protected:
  /// Moved only until it is attached.
  template <class T>
  class Part final : private Continuation {
   public:
    explicit Part(TaskRef<TaskState<T>> task) noexcept : task_(std::move(task)) {}

    /// Once. The part may settle inside the call.
    void attach(JoinTask& join) noexcept {
      join_ = &join;
      join.add_ref();
      task_->set_continuation(*this);
    }
    TaskState<T>& operator*() const noexcept { return *task_; }
    TaskState<T>* operator->() const noexcept { return task_.get(); }

   private:
    void upstream_settled() noexcept override {
      JoinTask& join = *join_;
      join.part_settled(*task_);
      join.release();
    }

    JoinTask* join_ = nullptr;
    TaskRef<TaskState<T>> task_;
  };

  explicit JoinTask(std::size_t parts) noexcept : TaskState<R>(nullptr), open_(parts + 1) {}

  virtual void cancel_parts() noexcept = 0;

  // For needs_stuck(). Who waits for a join holds it, and it holds its parts.
  /// Whether one of these tasks is stuck: so is who waits for all.
  template <class Parts>
  static bool any_stuck(const Parts& parts, const WaitCheck& check) noexcept {
    return std::ranges::any_of(parts, [&](const auto& part) { return part->stuck(check); });
  }
  /// Whether those are that have not settled, of which there are some: so is who waits for any of them. Not
  /// if one has settled that `decides`: whoever settled it is about to settle the join.
  template <class Parts, class Decides>
  static bool all_stuck(const Parts& parts, const WaitCheck& check, Decides decides) noexcept {
    bool waits = false;
    for (const auto& part : parts) {
      if (part->settled()) {
        if (decides(*part)) return false;
        continue;
      }
      if (!part->stuck(check)) return false;
      waits = true;
    }
    return waits;
  }
  /// On the thread that has settled the part.
  virtual void part_settled(TaskBase& /*part*/) noexcept { part_done(); }

  /// One part has settled, or never will; once more than there are parts, for who attaches them: the last
  /// one runs the task.
  void part_done() noexcept {
    // acq_rel: the last one reads what all the others have settled.
    if (open_.fetch_sub(1, std::memory_order_acq_rel) == 1 && this->claim())
      this->settle_run(this->run(nullptr));
  }

 private:
  std::atomic<std::size_t> open_;  // parts that have not settled, and one for who attaches them
};

}  // namespace interpool::detail
