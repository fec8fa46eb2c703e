// when_all and when_any: one future for several.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/detail/join.h>
#include <interpool/future.h>
#include <interpool/rest.h>
#include <interpool/result.h>

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool {

/// Of the futures given to when_any(), the one that settled first.
template <class T>
struct First {
  std::size_t index = 0;  ///< Its place among them.
  Result<T> result;       ///< What it settled with, be it an error.
};

namespace detail {

/// Throws UsageError: when_any() of nothing.
[[noreturn]] INTERPOOL_API void fail_nothing_to_wait_for();

/// Settles once all of its parts, which are of different types, have.
template <class... Ts>
class WhenAllTask final : public JoinTask<std::tuple<Result<Ts>...>> {
  using Base = JoinTask<std::tuple<Result<Ts>...>>;

 public:
  explicit WhenAllTask(TaskRef<TaskState<Ts>>... tasks) noexcept
      : Base(sizeof...(Ts)), parts_(typename Base::template Part<Ts>(std::move(tasks))...) {}

  void start() noexcept {
    std::apply([this](auto&... parts) { (parts.attach(*this), ...); }, parts_);
    this->part_done();
  }
  Failure run(Worker* /*worker*/) noexcept override {
    try {
      std::apply(
          [this](auto&... parts) { new (this->storage()) std::tuple<Result<Ts>...>(take_result(*parts)...); },
          parts_);
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }

 private:
  void cancel_parts() noexcept override {
    std::apply([](auto&... parts) { (parts->cancel(), ...); }, parts_);
  }
  [[nodiscard]] bool needs_stuck(const WaitCheck& check) const noexcept override {
    return std::apply([&](const auto&... parts) { return (parts->stuck(check) || ...); }, parts_);
  }

  std::tuple<typename Base::template Part<Ts>...> parts_;
};

/// Parts of one type, as many as there are.
template <class R, class T>
class WhenTask : public JoinTask<R> {
 public:
  explicit WhenTask(std::vector<Future<T>>& futures) : JoinTask<R>(futures.size()) {
    parts_.reserve(futures.size());
    for (Future<T>& future : futures) parts_.emplace_back(FutureAccess<T>::take(future));
  }

  void start() noexcept {
    for (Part& part : parts_) part.attach(*this);
    this->part_done();
  }

 protected:
  using Part = typename JoinTask<R>::template Part<T>;

  void cancel_parts() noexcept override {
    for (Part& part : parts_) part->cancel();
  }

  std::vector<Part> parts_;  // NOLINT(*-non-private-member-variables-in-classes): of the two below
};

/// Settles once all have.
template <class T>
class WhenAllOfTask final : public WhenTask<std::vector<Result<T>>, T> {
 public:
  explicit WhenAllOfTask(std::vector<Future<T>>& futures) : WhenTask<std::vector<Result<T>>, T>(futures) {
    results_.reserve(this->parts_.size());  // here, so that it cannot fail later
  }

  Failure run(Worker* /*worker*/) noexcept override {
    try {
      for (auto& part : this->parts_) results_.push_back(take_result(*part));
      new (this->storage()) std::vector<Result<T>>(std::move(results_));
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }

 private:
  [[nodiscard]] bool needs_stuck(const WaitCheck& check) const noexcept override {
    return this->any_stuck(this->parts_, check);
  }

  std::vector<Result<T>> results_;
};

/// Settles once one has.
template <class T>
class WhenAnyTask final : public WhenTask<First<T>, T> {
 public:
  WhenAnyTask(std::vector<Future<T>>& futures, Rest rest) : WhenTask<First<T>, T>(futures), rest_(rest) {}

  Failure run(Worker* /*worker*/) noexcept override {
    try {
      const auto first = std::ranges::find_if(this->parts_, [this](auto& part) { return &*part == first_; });
      new (this->storage()) First<T>{.index = static_cast<std::size_t>(first - this->parts_.begin()),
                                     .result = take_result(**first)};
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }

 private:
  void part_settled(TaskBase& part) noexcept override {
    if (!this->claim()) return;
    first_ = &part;  // by the one that has claimed it, for run()
    Failure failure = run(nullptr);
    if (rest_ == Rest::kCancel) this->cancel_parts();
    this->settle_run(std::move(failure));
  }

  [[nodiscard]] bool needs_stuck(const WaitCheck& check) const noexcept override {
    return this->all_stuck(this->parts_, check, [](const TaskBase& /*the first*/) { return true; });
  }

  const Rest rest_;
  const TaskBase* first_ = nullptr;
};

template <class R, class Task>
Future<R> start_join(Task* task) noexcept {
  auto future = FutureAccess<R>::make(TaskRef<TaskState<R>>(task));
  task->start();
  return future;
}

}  // namespace detail

/// One future for several: their Results, in their order, once all have settled. It does not fail because
/// they do. Takes their place.
///
/// Never blocks; of no futures at all, the result is there at once. Cancelling the future cancels those that
/// have not started, and settles it; dropping it drops their results. Their values are moved on the thread
/// that settled the last of them, which may hold its interpreter's GIL. Throws UsageError if one of them is
/// not valid; all that were given are dropped then, and their tasks go on.
template <class... Ts>
Future<std::tuple<Result<Ts>...>> when_all(Future<Ts>... futures) {
  auto* task = new detail::WhenAllTask<Ts...>(detail::FutureAccess<Ts>::take(futures)...);
  return detail::start_join<std::tuple<Result<Ts>...>>(task);
}
/// The same for as many as there are, of one type.
template <class T>
Future<std::vector<Result<T>>> when_all(std::vector<Future<T>> futures) {
  return detail::start_join<std::vector<Result<T>>>(new detail::WhenAllOfTask<T>(futures));
}

/// One future for several: the first of them that settles, be it with an error. `rest` says what becomes of
/// the others; their results are dropped. Takes their place.
///
/// Never blocks; where several are ready already, the first in order wins. Cancelling the future cancels
/// those that have not started, and settles it. What is said of when_all() about values and about futures
/// that are not valid holds here, too; no futures at all are a UsageError.
template <class T>
Future<First<T>> when_any(std::vector<Future<T>> futures, Rest rest = Rest::kRun) {
  if (futures.empty()) detail::fail_nothing_to_wait_for();
  return detail::start_join<First<T>>(new detail::WhenAnyTask<T>(futures, rest));
}

}  // namespace interpool
