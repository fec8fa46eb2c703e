// Object: a handle to something that lives in one interpreter.
#pragma once

#include <interpool/call_options.h>
#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/call.h>
#include <interpool/detail/task.h>
#include <interpool/future.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace interpool {

class Object;

namespace detail {

class ObjectCell;
struct ObjectAccess;

/// What is done with an attribute of an object.
enum class ObjectUse : std::uint8_t { kCall, kGet, kSet };

/// A task that uses an object.
INTERPOOL_API ExecutorCore* core_of(const ObjectCell& cell) noexcept;
INTERPOOL_API void submit(const ObjectCell& cell, const CallOptions& options, TaskRef<TaskBase> task);
/// "module:Class.attribute". Throws UsageError if no attribute can have that name.
INTERPOOL_API std::string use_name(const ObjectCell& cell, std::string_view attribute);
INTERPOOL_API Failure use_object(Worker& worker, const ObjectCell& cell, ObjectUse use,
                                 std::string_view attribute, const TaskBase& task, EncodeThunk encode,
                                 const void* args, DecodeThunk decode, void* storage) noexcept;
/// Makes an object by calling `function`; `object` is set unless it failed.
INTERPOOL_API Failure create_object(Worker& worker, const FunctionEntry& function, const TaskBase& task,
                                    EncodeThunk encode, const void* args,
                                    std::shared_ptr<const ObjectCell>& object) noexcept;

template <class R, class... Args>
class ObjectTask final : public TaskState<R> {
 public:
  template <class... Given>
  ObjectTask(std::shared_ptr<const ObjectCell> cell, ObjectUse use, std::string_view attribute,
             Given&&... given)
      : TaskState<R>(core_of(*cell)),
        use_(use),
        name_(use_name(*cell, attribute)),
        attribute_size_(attribute.size()),
        work_(std::move(cell), std::forward<Given>(given)...) {}
  // The handle and the arguments are destroyed by drop_work(), at a defined time, and not here.
  ~ObjectTask() override {}

  Failure run(Worker* worker) noexcept override {
    void* storage = this->storage();
    if constexpr (std::is_void_v<R>) new (storage) Unit();
    const std::string_view attribute = std::string_view(name_).substr(name_.size() - attribute_size_);
    return use_object(*worker, *work_.cell, use_, attribute, *this, encode_thunk<Args...>(), &work_.args,
                      decode_thunk<R>(), storage);
  }
  void drop_work() noexcept override { std::destroy_at(&work_); }

 private:
  struct Work {
    template <class... Given>
    explicit Work(std::shared_ptr<const ObjectCell> object, Given&&... given)
        : cell(std::move(object)), args(std::forward<Given>(given)...) {}
    std::shared_ptr<const ObjectCell> cell;
    std::tuple<Args...> args;
  };
  const std::string& default_name() const noexcept override { return name_; }

  const ObjectUse use_;
  const std::string name_;  // ends with the attribute's
  const std::size_t attribute_size_;
  static_assert(alignof(Work) <= kTaskAlignment,
                "interpool: an argument cannot be aligned to more than 64 bytes");
  union {
    Work work_;
  };
};

}  // namespace detail

/// A Python object that lives in one interpreter: a pinned worker's, a pooled one or the main one; made by
/// Submitter::create. What is called and read through it are tasks of that interpreter, in the order of their
/// submission on a pinned worker and on the main lane.
///
/// Copies are cheap and refer to the same object. Once the last one is gone, and the last task of it,
/// Python's reference is dropped on a worker of the interpreter, as soon as one is between two tasks.
///
/// An object ends with its interpreter, whatever handles there are: then its tasks fail with WorkerError, and
/// once the executor is closed ShutdownError is thrown. A handle keeps what it needs of both alive, but does
/// not keep the interpreter from ending.
///
/// Thread safety: use from any number of threads, as long as none of them assigns to it.
/// Blocking and errors of call(), get() and set() are those of Submitter::call.
class INTERPOOL_API Object {
 public:
  /// Calls a method with these arguments, converted on the worker.
  template <class R, class... Args>
  Future<R> call(std::string_view method, Args&&... args) const {
    detail::require_decodable<R>();
    (detail::require_encodable<detail::Stored<Args>>(), ...);
    return use<R, detail::Stored<Args>...>(detail::ObjectUse::kCall, method, std::forward<Args>(args)...);
  }
  /// Reads an attribute.
  template <class R>
  Future<R> get(std::string_view attribute) const {
    static_assert(!std::is_void_v<R>, "interpool: get<R>() reads an attribute as an R");
    detail::require_decodable<R>();
    return use<R>(detail::ObjectUse::kGet, attribute);
  }
  /// Writes an attribute.
  template <class T>
  Future<void> set(std::string_view attribute, T&& value) const {
    detail::require_encodable<detail::Stored<T>>();
    return use<void, detail::Stored<T>>(detail::ObjectUse::kSet, attribute, std::forward<T>(value));
  }

  /// The same object with these options on its tasks; see Submitter::with.
  [[nodiscard]] Object with(CallOptions options) const;
  /// CPython's id of the interpreter that it lives in.
  [[nodiscard]] std::int64_t interpreter_id() const;

 private:
  friend struct detail::ObjectAccess;
  explicit Object(std::shared_ptr<const detail::ObjectCell> cell) noexcept : cell_(std::move(cell)) {}
  /// Throws UsageError for one that was moved from.
  [[nodiscard]] const std::shared_ptr<const detail::ObjectCell>& cell() const;

  template <class R, class... Stored, class... Args>
  Future<R> use(detail::ObjectUse what, std::string_view attribute, Args&&... args) const {
    auto [future, task] = detail::make_task<R, detail::ObjectTask<R, Stored...>>(cell(), what, attribute,
                                                                                 std::forward<Args>(args)...);
    detail::submit(*cell(), options_, std::move(task));
    return std::move(future);
  }

  std::shared_ptr<const detail::ObjectCell> cell_;
  CallOptions options_;
};

namespace detail {

struct ObjectAccess {
  static Object make(std::shared_ptr<const ObjectCell> cell) noexcept { return Object(std::move(cell)); }
};

/// A task that makes an object.
template <class... Args>
class CreateTask final : public TaskState<Object> {
 public:
  template <class... Given>
  CreateTask(ExecutorCore* core, const FunctionEntry& function, Given&&... given)
      : TaskState<Object>(core), function_(function), args_(std::forward<Given>(given)...) {}
  // The arguments are destroyed by drop_work(), at a defined time, and not here.
  ~CreateTask() override {}

  Failure run(Worker* worker) noexcept override {
    std::shared_ptr<const ObjectCell> cell;
    Failure failure = create_object(*worker, function_, *this, encode_thunk<Args...>(), &args_, cell);
    if (!failure) new (this->storage()) Object(ObjectAccess::make(std::move(cell)));
    return failure;
  }
  void drop_work() noexcept override { std::destroy_at(&args_); }

 private:
  const std::string& default_name() const noexcept override { return function_.name; }

  const FunctionEntry& function_;  // the Runtime's, which keeps it for ever
  union {
    std::tuple<Args...> args_;
  };
};

}  // namespace detail

}  // namespace interpool
