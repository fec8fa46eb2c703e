// One call in every interpreter of an executor: the templates behind SubinterpreterExecutor::broadcast.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/detail/call.h>
#include <interpool/detail/task.h>
#include <interpool/error.h>
#include <interpool/result.h>
#include <interpool/worker.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace interpool {

/// What one interpreter answered to a broadcast.
template <class R>
struct BroadcastAnswer {
  Lane lane;                 ///< Whose interpreter it is.
  std::int64_t interpreter;  ///< CPython's id of it.
  R value;                   ///< What the call returned there.
};
/// The same of a call without a result.
template <>
struct BroadcastAnswer<void> {
  Lane lane;                 ///< Whose interpreter it is.
  std::int64_t interpreter;  ///< CPython's id of it.
};

namespace detail {

class Broadcast;

/// A failure, or a value that its asker knows the type of.
struct BroadcastOutcome {
  Failure failure;
  std::shared_ptr<void> value;
};
/// Makes the call in an interpreter, under its GIL.
using BroadcastCall = std::function<BroadcastOutcome(InterpreterHandle& interpreter)>;

INTERPOOL_API Failure call_in(InterpreterHandle& interpreter, const FunctionEntry& function,
                              EncodeThunk encode, const void* args, DecodeThunk decode,
                              void* storage) noexcept;
/// What the broadcast came to in the worker's interpreter.
INTERPOOL_API BroadcastOutcome take_outcome(Broadcast& broadcast, Worker& worker);
INTERPOOL_API const std::string& name_of(const Broadcast& broadcast) noexcept;

/// What the asker wants of each interpreter: a T, or as a Result<T> whatever came of it.
template <class R>
struct BroadcastAsk {
  using Value = R;
  static constexpr bool kEachForItself = false;
};
template <class T>
struct BroadcastAsk<Result<T>> {
  using Value = T;
  static constexpr bool kEachForItself = true;
};

template <class T, class... Stored>
BroadcastCall broadcast_call(const FunctionEntry& function,
                             std::shared_ptr<const std::tuple<Stored...>> args) {
  return [&function, args = std::move(args)](InterpreterHandle& interpreter) {
    BroadcastOutcome outcome;
    Slot<T> slot;
    outcome.failure = call_in(interpreter, function, encode_thunk<Stored...>(), args.get(), decode_thunk<T>(),
                              slot.storage());
    if constexpr (!std::is_void_v<T>) {
      if (!outcome.failure) outcome.value = std::make_shared<T>(slot.take());
    }
    return outcome;
  };
}

/// The part of a broadcast's future that one interpreter answers.
template <class R>
class BroadcastPart final : public TaskState<BroadcastAnswer<R>> {
 public:
  BroadcastPart(ExecutorCore* core, std::shared_ptr<Broadcast> broadcast)
      : TaskState<BroadcastAnswer<R>>(core), name_(name_of(*broadcast)), broadcast_(std::move(broadcast)) {}

  Failure run(Worker* worker) noexcept override {
    using Ask = BroadcastAsk<R>;
    using Answer = typename Ask::Value;
    try {
      BroadcastOutcome outcome = take_outcome(*broadcast_, *worker);
      if (outcome.failure && !Ask::kEachForItself) return outcome.failure;
      void* storage = this->storage();
      const Lane lane = worker->lane();
      const std::int64_t interpreter = worker->interpreter_id();
      if constexpr (std::is_void_v<R>) {
        new (storage) BroadcastAnswer<R>{lane, interpreter};
      } else if (outcome.failure) {
        if constexpr (Ask::kEachForItself)
          new (storage) BroadcastAnswer<R>{lane, interpreter, R(std::move(outcome.failure))};
      } else if constexpr (std::is_void_v<Answer>) {
        new (storage) BroadcastAnswer<R>{lane, interpreter, R()};
      } else {
        new (storage)
            BroadcastAnswer<R>{lane, interpreter, R(std::move(*static_cast<Answer*>(outcome.value.get())))};
      }
      return nullptr;
    } catch (...) {
      return current_failure({.task = this->name()});
    }
  }
  void drop_work() noexcept override { broadcast_.reset(); }

 private:
  const std::string& default_name() const noexcept override { return name_; }

  const std::string name_;
  std::shared_ptr<Broadcast> broadcast_;
};

}  // namespace detail

}  // namespace interpool
