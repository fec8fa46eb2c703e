// The task behind Submitter::map: many calls, one future.
#pragma once

#include <interpool/detail/join.h>
#include <interpool/detail/task.h>
#include <interpool/rest.h>

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

/// Settles once all of its parts have: with their values, or with the first failure in their order. Or, with
/// Rest::kCancel, with the first failure in time, at once.
template <class R>
class MapTask final : public JoinTask<std::vector<R>> {
 public:
  /// Takes the tasks over unless it throws.
  explicit MapTask(UnsubmittedTasks<R>& tasks, Rest on_error = Rest::kRun)
      : JoinTask<std::vector<R>>(tasks.size()), on_error_(on_error) {
    parts_.reserve(tasks.size());
    tasks.hand_over([this](auto task) { parts_.emplace_back(std::move(task)); });
  }

  /// Hands each part to `submit`, which throws if it was not accepted; then so does this, and the
  /// parts before it are cancelled.
  template <class Submit>
  void start(Submit submit) {
    std::size_t next = 0;
    try {
      for (; next < parts_.size(); ++next) {
        if (failed_part_.load(std::memory_order_relaxed) != nullptr) break;  // a hint, to submit no more
        Part& part = parts_[next];
        auto task = TaskRef<TaskBase>::share(*part);
        part.attach(*this);
        submit(std::move(task));
      }
    } catch (...) {
      // First of all, so that the parts that settle now do not settle the map.
      const bool ours = this->begin_settling(TaskBase::kQueued);
      // The part that was refused, whose work is gone, settles here.
      this->part_done();
      this->release();
      drop_from(next + 1);
      cancel_parts();
      if (ours) this->settle_failure(current_failure({.task = this->name()}));
      throw;
    }
    drop_from(next);
    this->part_done();
    if (stage_.fetch_or(kStarted, std::memory_order_acq_rel) == kFailed) fail();  // as in part_settled()
  }

  Failure run(Worker* /*worker*/) noexcept override {
    try {
      std::vector<R> values;
      values.reserve(parts_.size());
      for (Part& part : parts_) {
        if (!part->has_value()) return part->failure();
        values.push_back(part->take_value());
      }
      new (this->storage()) std::vector<R>(std::move(values));
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }

 private:
  using Part = typename JoinTask<std::vector<R>>::template Part<R>;

  static constexpr unsigned kStarted = 1;
  static constexpr unsigned kFailed = 2;

  void cancel_parts() noexcept override {
    for (Part& part : parts_) part->cancel();
  }
  [[nodiscard]] bool needs_stuck(const WaitCheck& check) const noexcept override {
    if (on_error_ == Rest::kRun) return this->any_stuck(parts_, check);
    return this->all_stuck(parts_, check, [](const TaskBase& part) { return !part.has_value(); });
  }
  /// Those from `first` on will not be submitted.
  void drop_from(std::size_t first) noexcept {
    for (std::size_t i = first; i < parts_.size(); ++i) {
      parts_[i]->drop_unqueued();
      this->part_done();
    }
  }
  void part_settled(TaskBase& part) noexcept override {
    if (on_error_ == Rest::kCancel && !part.has_value() && this->begin_settling(TaskBase::kQueued)) {
      failed_part_.store(&part, std::memory_order_relaxed);  // published by stage_
      // Parts must not be cancelled while start() submits them: whoever comes second of us two does it.
      // acq_rel: that one reads what the other has done.
      if (stage_.fetch_or(kFailed, std::memory_order_acq_rel) == kStarted) fail();
    }
    this->part_done();
  }
  /// With the right to settle, and no part under way into a queue.
  void fail() noexcept {
    cancel_parts();
    this->settle_failure(failed_part_.load(std::memory_order_relaxed)->failure());
  }

  const Rest on_error_;
  std::vector<Part> parts_;
  std::atomic<unsigned> stage_ = 0;
  std::atomic<TaskBase*> failed_part_ = nullptr;  // one of ours: the first in time
};

}  // namespace interpool::detail
