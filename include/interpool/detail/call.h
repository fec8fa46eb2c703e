// From typed C++ arguments to one Python call: the templates are thunks of a line, the rest is out
// of line and the only part that knows Python.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/task.h>
#include <interpool/error.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace interpool {
class Worker;
}  // namespace interpool

namespace interpool::detail {

class InterpreterHandle;  // one interpreter, in src/python
struct WorkerAccess;

/// A function's name, registered once per Runtime; each interpreter looks it up once.
struct FunctionEntry {
  std::uint32_t id;
  std::string name;  // "module:qualified.name"
};

/// Writes the arguments of a call; `args` is the std::tuple that encode_thunk was made for.
struct EncodeThunk {
  std::size_t count;
  void (*encode)(Encoder& out, const void* args);
};
/// Reads the result into raw storage for it; null: the result is ignored.
using DecodeThunk = void (*)(Decoder& in, void* storage);

template <class... Args>
constexpr EncodeThunk encode_thunk() noexcept {
  return {sizeof...(Args), [](Encoder& out, const void* args) {
            std::apply(
                [&](const Args&... arg) { (Converter<std::remove_cvref_t<Args>>::encode(out, arg), ...); },
                *static_cast<const std::tuple<Args...>*>(args));
          }};
}

/// The arguments of a call that is made at once stay where they are, unless they have to become something
/// else.
template <class T>
using Borrowed =
    std::conditional_t<std::is_same_v<Stored<T>, std::remove_cvref_t<T>>, const Stored<T>&, Stored<T>>;

template <class R>
constexpr DecodeThunk decode_thunk() noexcept {
  if constexpr (std::is_void_v<R>) {
    return nullptr;
  } else {
    return [](Decoder& in, void* storage) { new (storage) R(Converter<R>::decode(in)); };
  }
}

/// Room for a value that a DecodeThunk constructs.
template <class R>
class Slot {
 public:
  void* storage() noexcept { return static_cast<void*>(storage_); }
  /// The value, which has been constructed; once.
  R take() {
    R* value = std::launder(reinterpret_cast<R*>(storage_));
    struct Destroy {
      R* value;
      ~Destroy() { std::destroy_at(value); }
    } destroy{value};
    return std::move(*value);
  }

 private:
  alignas(R) std::byte storage_[sizeof(R)];
};
template <>
class Slot<void> {
 public:
  void* storage() noexcept { return nullptr; }
  void take() noexcept {}
};

/// Makes a call at once: `call(encode, args, decode, storage)` does it, or throws.
template <class R, class Call, class... Args>
R call_through(Call call, Args&&... args) {
  require_decodable<R>();
  (require_encodable<Stored<Args>>(), ...);
  const std::tuple<Borrowed<Args>...> borrowed(std::forward<Args>(args)...);
  Slot<R> slot;
  call(encode_thunk<Borrowed<Args>...>(), static_cast<const void*>(&borrowed), decode_thunk<R>(),
       slot.storage());
  return slot.take();
}

// Each runs on the worker's thread with its GIL held. call() returns its failure; the others throw.
// `task` gives its name to errors.
INTERPOOL_API Failure call(Worker& worker, const FunctionEntry& function, const TaskBase& task,
                           EncodeThunk encode, const void* args, DecodeThunk decode, void* storage) noexcept;
INTERPOOL_API void call_now(Worker& worker, std::string_view function, EncodeThunk encode, const void* args,
                            DecodeThunk decode, void* storage);
INTERPOOL_API void eval(Worker& worker, std::string_view expression, DecodeThunk decode, void* storage);
INTERPOOL_API void exec(Worker& worker, std::string_view code);
INTERPOOL_API void import_module(Worker& worker, std::string_view name);

/// A task that calls a Python function.
template <class R, class... Args>
class PythonCallTask final : public TaskState<R> {
 public:
  template <class... Given>
  PythonCallTask(ExecutorCore* core, const FunctionEntry& function, Given&&... given)
      : TaskState<R>(core), function_(function), args_(std::forward<Given>(given)...) {}
  // The arguments are destroyed by drop_work(), at a defined time, and not here.
  ~PythonCallTask() override {}

  Failure run(Worker* worker) noexcept override {
    void* storage = this->storage();
    if constexpr (std::is_void_v<R>) new (storage) Unit();
    return call(*worker, function_, *this, encode_thunk<Args...>(), &args_, decode_thunk<R>(), storage);
  }
  void drop_work() noexcept override { std::destroy_at(&args_); }

 private:
  const std::string& default_name() const noexcept override { return function_.name; }

  const FunctionEntry& function_;  // the Runtime's, which keeps it for ever
  static_assert(alignof(std::tuple<Args...>) <= kTaskAlignment,
                "interpool: an argument cannot be aligned to more than 64 bytes: pass its data in a "
                "std::vector, or a type that holds it by a std::unique_ptr");
  union {
    std::tuple<Args...> args_;
  };
};

}  // namespace interpool::detail
