// The task behind Submitter::map: many calls, one future.
#pragma once

#include <interpool/detail/task.h>

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace interpool::detail {

/// Tasks that have not been submitted. Those that never are give up their arguments with it.
template <class R>
class UnsubmittedTasks {
 public:
  UnsubmittedTasks() = default;
  ~UnsubmittedTasks() {
    for (const auto& task : tasks_) {
      if (task) task->drop_unqueued();
    }
  }
  UnsubmittedTasks(const UnsubmittedTasks&) = delete;
  UnsubmittedTasks& operator=(const UnsubmittedTasks&) = delete;

  void reserve(std::size_t size) { tasks_.reserve(size); }
  [[nodiscard]] std::size_t size() const noexcept { return tasks_.size(); }
  template <class Make>
  void add(Make make) {
    tasks_.emplace_back();  // first, so that no task is made that has no place
    tasks_.back().reset(make());
  }
  /// Calls `take` for each task, which is then its own.
  template <class Take>
  void hand_over(Take take) noexcept {
    for (auto& task : tasks_) take(std::move(task));
    tasks_.clear();
  }

 private:
  std::vector<TaskRef<TaskState<R>>> tasks_;
};

/// Settles once all of its parts have: with their values, or with the first failure in their order.
/// It never waits in a queue itself; the part that settles last runs it.
template <class R>
class MapTask final : public TaskState<std::vector<R>> {
 public:
  /// Takes the tasks over unless it throws.
  explicit MapTask(UnsubmittedTasks<R>& tasks) : TaskState<std::vector<R>>(nullptr), open_(tasks.size() + 1) {
    parts_.reserve(tasks.size());
    tasks.hand_over([this](auto task) { parts_.emplace_back(*this, std::move(task)); });
  }

  /// Hands each part to `submit`, which throws if it was not accepted; then so does this, and the
  /// parts before it are cancelled.
  template <class Submit>
  void start(Submit submit) {
    std::size_t next = 0;
    try {
      for (; next < parts_.size(); ++next) {
        Part& part = parts_[next];
        this->add_ref();  // for the part, until it has settled
        auto task = TaskRef<TaskBase>::share(*part.task);
        part.task->set_continuation(part);
        submit(std::move(task));
        this->depends_on(*part.task);  // all go the same way
      }
    } catch (...) {
      // First of all, so that the parts that settle now do not run the map.
      this->begin_settling(TaskBase::kQueued);
      // The part that was refused, whose work is gone, and those never offered, settle here.
      part_done();
      this->release();
      for (std::size_t i = next + 1; i < parts_.size(); ++i) {
        parts_[i].task->drop_unqueued();
        part_done();
      }
      cancel_parts();
      this->settle_failure(current_failure({.task = this->name()}));
      throw;
    }
    part_done();
  }

  Failure run(Worker* /*worker*/) noexcept override {
    try {
      std::vector<R> values;
      values.reserve(parts_.size());
      for (Part& part : parts_) {
        if (!part.task->has_value()) return part.task->failure();
        values.push_back(part.task->take_value());
      }
      new (this->storage()) std::vector<R>(std::move(values));
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }
  /// Called when the map as a whole is cancelled, and after run(), when it finds nothing to cancel.
  void drop_work() noexcept override { cancel_parts(); }

 private:
  struct Part final : Continuation {
    Part(MapTask& map, TaskRef<TaskState<R>> state) noexcept : parent(map), task(std::move(state)) {}
    void upstream_settled() noexcept override {
      MapTask& map = parent;
      map.part_done();
      map.release();
    }
    MapTask& parent;
    TaskRef<TaskState<R>> task;
  };

  void cancel_parts() noexcept {
    for (Part& part : parts_) part.task->cancel();
  }
  void part_done() noexcept {
    // acq_rel: the last one reads what all the others have settled.
    if (open_.fetch_sub(1, std::memory_order_acq_rel) != 1 || !this->claim()) return;
    Failure failure = run(nullptr);
    drop_work();
    this->settle_run(std::move(failure));
  }

  std::vector<Part> parts_;
  std::atomic<std::size_t> open_;  // parts that have not settled, and one for start()
};

}  // namespace interpool::detail
