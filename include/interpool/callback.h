// C++ callables as arguments: in Python each is a function that calls back.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/function_ref.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace interpool {

class Worker;

namespace detail {

/// One call of a callback from Python: its arguments, its result, and the GIL in between. Used under the GIL
/// of the interpreter that calls, on the thread that calls.
class CallbackCall {
 public:
  enum class Gil : std::uint8_t { kHeld, kReleased };

  /// An argument; valid until the next is asked for.
  virtual Decoder& argument(std::size_t index) = 0;
  /// Runs the callable, once, after all arguments have been read.
  virtual void run(Gil gil, FunctionRef<void()> body) = 0;
  /// Where the one result goes, after that.
  virtual Encoder& result() = 0;

 protected:
  ~CallbackCall() = default;
};

/// Calls `body` with the Worker of the task that the calling thread runs. Throws UsageError on a thread that
/// runs none, as those that Python code has started.
INTERPOOL_API void with_current_worker(FunctionRef<void(Worker&)> body);

/// A callable with a signature, for Python to call. Shared: the count is atomic, and whoever drops the last
/// reference, on whichever thread, destroys the callable.
class INTERPOOL_API NativeCallable {
 public:
  NativeCallable(const NativeCallable&) = delete;
  NativeCallable& operator=(const NativeCallable&) = delete;

  void add_ref() noexcept {
    refs_.fetch_add(1, std::memory_order_relaxed);  // a new reference is made from an existing one
  }
  /// True: that was the last reference, and the caller destroys it.
  [[nodiscard]] bool drop_ref() noexcept {
    // acq_rel: the last one out destroys what all the others have used.
    return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  /// Throws what the callable throws, and ConversionError for arguments and results that do not convert.
  virtual void call(CallbackCall& call) = 0;
  virtual ~NativeCallable();

  /// For messages; empty: it has no name.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// How many arguments it takes from Python.
  [[nodiscard]] std::size_t arity() const noexcept { return arity_; }

 protected:
  NativeCallable(std::string name, std::size_t arity) : name_(std::move(name)), arity_(arity) {}

 private:
  const std::string name_;
  const std::size_t arity_;
  std::atomic<std::uint32_t> refs_ = 1;
};

/// Destroys it without the GIL that the calling thread may hold: it is the host's code that runs then, and
/// may wait for somebody who needs that.
INTERPOOL_API void destroy(NativeCallable* callable) noexcept;

/// Owns one reference to a NativeCallable; empty only after a move.
class CallableRef {
 public:
  CallableRef() = default;
  /// Takes over a reference.
  explicit CallableRef(NativeCallable* callable) noexcept : callable_(callable) {}
  CallableRef(const CallableRef& other) noexcept : callable_(other.callable_) {
    if (callable_ != nullptr) callable_->add_ref();
  }
  CallableRef(CallableRef&& other) noexcept : callable_(std::exchange(other.callable_, nullptr)) {}
  CallableRef& operator=(CallableRef other) noexcept {
    std::swap(callable_, other.callable_);
    return *this;
  }
  ~CallableRef() {
    if (callable_ != nullptr && callable_->drop_ref()) destroy(callable_);
  }
  [[nodiscard]] NativeCallable* get() const noexcept { return callable_; }

 private:
  NativeCallable* callable_ = nullptr;
};

[[noreturn]] INTERPOOL_API void fail_empty_callback();
[[noreturn]] INTERPOOL_API void fail_moved_callback();

/// Fails to compile, with what to do, for a parameter that no callback can have.
template <class Parameter>
constexpr void require_parameter() {
  using T = std::remove_cvref_t<Parameter>;
  static_assert(!kIsView<T>,
                "interpool: a callback's parameter is read from a Python object that may die meanwhile: take "
                "std::string for text, interpool::Bytes or std::vector for data");
  static_assert(!std::is_lvalue_reference_v<Parameter> || std::is_const_v<std::remove_reference_t<Parameter>>,
                "interpool: a callback cannot change what Python has passed: take a parameter by value or by "
                "reference to const, and only the first one as interpool::Worker&");
  static_assert(kIsView<T> || Decodable<T>,
                "interpool: this parameter of a callback does not convert from Python: specialise "
                "interpool::Converter for it, or declare the members of a struct with interpool::kFields");
}

/// Fails to compile for what no callback can return.
template <class R>
constexpr void require_callback_result() {
  static_assert(std::is_void_v<R> || Encodable<Stored<R>>,
                "interpool: this result of a callback does not convert to Python: specialise "
                "interpool::Converter for it, or declare the members of a struct with interpool::kFields");
}

/// Keeps a callable F that is called as an R(Parameters...) with these arguments from Python.
template <class F, class R, bool kTakesWorker, class... Args>
class CallableOf final : public NativeCallable {
 public:
  template <class G>
  CallableOf(std::string name, G&& function)
      : NativeCallable(std::move(name), sizeof...(Args)), function_(std::forward<G>(function)) {
    (require_parameter<Args>(), ...);
    require_callback_result<R>();
  }

  void call(CallbackCall& call) override { call_with(call, std::index_sequence_for<Args...>()); }

 private:
  template <std::size_t... I>
  void call_with(CallbackCall& call, std::index_sequence<I...> /*indices*/) {
    // In braces: the arguments are read in their order.
    std::tuple<std::remove_cvref_t<Args>...> args{
        Converter<std::remove_cvref_t<Args>>::decode(call.argument(I))...};
    if constexpr (std::is_void_v<R>) {
      run(call, [&](auto&... worker) { function_(worker..., std::forward<Args>(std::get<I>(args))...); });
      call.result().put_none();
    } else {
      std::optional<Stored<R>> result;
      run(call, [&](auto&... worker) {
        result.emplace(function_(worker..., std::forward<Args>(std::get<I>(args))...));
      });
      Converter<Stored<R>>::encode(call.result(), *result);
    }
  }
  template <class Body>
  static void run(CallbackCall& call, Body body) {
    if constexpr (kTakesWorker) {
      call.run(CallbackCall::Gil::kHeld, [&] { with_current_worker([&](Worker& worker) { body(worker); }); });
    } else {
      call.run(CallbackCall::Gil::kReleased, [&] { body(); });
    }
  }

  F function_;
};

/// Takes a signature apart.
template <class Signature>
struct CallbackSignature;
template <class R, class... Args>
struct CallbackSignature<R(Args...)> {
  template <class F>
  static constexpr bool kFits = std::is_invocable_r_v<R, F&, Args...>;
  template <class F>
  using Callable = CallableOf<F, R, false, Args...>;
};
template <class R, class... Args>
struct CallbackSignature<R(Worker&, Args...)> {
  template <class F>
  static constexpr bool kFits = std::is_invocable_r_v<R, F&, Worker&, Args...>;
  template <class F>
  using Callable = CallableOf<F, R, true, Args...>;
};

/// The signature of a function, or of a callable that has just one.
template <class F>
struct SignatureOf {};
template <class F>
  requires requires { &F::operator(); }
struct SignatureOf<F> : SignatureOf<decltype(&F::operator())> {};
template <class R, class... Args>
struct SignatureOf<R (*)(Args...)> : std::type_identity<R(Args...)> {};
template <class R, class... Args>
struct SignatureOf<R (*)(Args...) noexcept> : std::type_identity<R(Args...)> {};
template <class F, class R, class... Args>
struct SignatureOf<R (F::*)(Args...)> : std::type_identity<R(Args...)> {};
template <class F, class R, class... Args>
struct SignatureOf<R (F::*)(Args...) const> : std::type_identity<R(Args...)> {};
template <class F, class R, class... Args>
struct SignatureOf<R (F::*)(Args...) noexcept> : std::type_identity<R(Args...)> {};
template <class F, class R, class... Args>
struct SignatureOf<R (F::*)(Args...) const noexcept> : std::type_identity<R(Args...)> {};

/// Whether it is a null pointer or an empty std::function or the like.
template <class F>
bool is_empty_callable(const F& function) {
  // A lambda without captures converts to a pointer, and so to a bool, but is never empty.
  if constexpr (std::is_pointer_v<F> ||
                (std::is_constructible_v<bool, const F&> && !std::is_convertible_v<const F&, bool>)) {
    return !static_cast<bool>(function);
  } else {
    return false;
  }
}

struct CallbackAccess;

}  // namespace detail

/// A C++ callable that Python can call: as an argument it becomes a function in the interpreter it goes to.
///
///     interpool::Callback progress([&bar](int done) { bar.show(done); }, "progress");
///     pool.call<void>("jobs:run", progress);
///
/// Python passes positional arguments, as many as the signature has; they convert as results of calls do, and
/// what does not convert is a TypeError. The result converts as arguments do. It is a handle: copies share
/// the callable, and so do all the Python functions made from it. A std::function as an argument does the
/// same with a copy of it; an empty one is None.
///
/// Threads: the callable runs on the thread that calls from Python: a worker's, or one that Python code has
/// started. It may run on several at once (in several interpreters, or in one, whose GIL it does not hold),
/// so it has to allow for that.
///
/// GIL: it is released while the callable runs, so that it may block, wait for other tasks and take locks,
/// and it sees no Python. One whose first parameter is a Worker& runs with the GIL held and can call into
/// Python; that is for the threads of workers, and a RuntimeError on others.
///
/// Exceptions that leave the callable are raised in Python: a PythonError as the builtin type that it stands
/// for, std::bad_alloc as MemoryError, all others as RuntimeError with their what(). One that Python code
/// does not catch leaves the task as the C++ exception that was thrown.
///
/// Life: the callable lives as long as any copy and any Python function made from it, which Python code may
/// keep. It is destroyed by whoever drops the last of them, on that thread, without a GIL that this thread
/// took for Python. Its destructor must not throw.
///
/// The end: a function that Python has kept raises RuntimeError, instead of running the callable, once the
/// executor whose task it was passed to has settled or given up its tasks and ends its interpreters. A call
/// that began before goes on: SubinterpreterExecutor::stop waits for it, within its timeout, and
/// ExecutorReport::callbacks_left counts those that were left.
template <class Signature>
class Callback {
  using Traits = detail::CallbackSignature<Signature>;

 public:
  /// Keeps `function`, moved or copied. `name` is what Python and messages call it. Throws UsageError for an
  /// empty std::function and a null pointer.
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> && Traits::template kFits<std::decay_t<F>>)
  explicit Callback(F&& function, std::string name = {}) {
    if (detail::is_empty_callable<std::decay_t<F>>(function)) detail::fail_empty_callback();
    callable_ = detail::CallableRef(
        new typename Traits::template Callable<std::decay_t<F>>(std::move(name), std::forward<F>(function)));
  }

 private:
  friend struct detail::CallbackAccess;
  detail::CallableRef callable_;
};

namespace detail {

struct CallbackAccess {
  template <class Signature>
  static NativeCallable* callable(const Callback<Signature>& callback) noexcept {
    return callback.callable_.get();
  }
};

}  // namespace detail

template <class F>
Callback(F, std::string = {}) -> Callback<typename detail::SignatureOf<F>::type>;

template <class Signature>
inline constexpr bool kArgumentOnly<Callback<Signature>> = true;
template <class Signature>
inline constexpr bool kArgumentOnly<std::function<Signature>> = true;

/// A function to Python; nothing comes back.
template <class Signature>
struct Converter<Callback<Signature>> {
  static void encode(Encoder& out, const Callback<Signature>& value) {
    detail::NativeCallable* callable = detail::CallbackAccess::callable(value);
    if (callable == nullptr) detail::fail_moved_callback();
    out.put_callable(*callable);
  }
};

/// A function to Python, made from a copy; None for an empty one. Nothing comes back.
template <class Signature>
struct Converter<std::function<Signature>> {
  static void encode(Encoder& out, const std::function<Signature>& value) {
    if (value) {
      Converter<Callback<Signature>>::encode(out, Callback<Signature>(value));
    } else {
      out.put_none();
    }
  }
};

}  // namespace interpool
