// Result<T>: a value, or the Error that stands in its place.
#pragma once

#include <interpool/error.h>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace interpool {

/// A value or a failure, without an exception. `Result<void>` says only whether it worked.
///
/// A plain value: no locks, no Python; use it from one thread at a time.
template <class T>
class [[nodiscard]] Result {
  using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  static_assert(!std::is_same_v<T, Failure>,
                "interpool: a Failure is no value, but what a Result has instead");

  // nullptr is a value of many types, and no failure.
  template <class U>
  static constexpr bool kIsValue =
      !std::is_void_v<T> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
      std::is_convertible_v<U&&, Stored> &&
      (std::is_same_v<std::remove_cvref_t<U>, T> || std::is_null_pointer_v<std::remove_cvref_t<U>> ||
       !std::is_convertible_v<U&&, Failure>);

 public:
  using value_type = T;

  /// A success, of a Result<void>.
  Result()
    requires std::is_void_v<T>
      : state_(std::in_place_index<0>) {}
  /// A result with a value: of whatever a T can be made of implicitly, but of no pointer to an Error
  /// unless that is a T.
  template <class U = Stored>
    requires(kIsValue<U>)
  Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT(google-explicit-constructor)
  /// A failed result, of any pointer to an Error. It must not be null.
  template <class U>
    requires(!kIsValue<U> && std::is_convertible_v<U &&, Failure> &&
             !std::is_null_pointer_v<std::remove_cvref_t<U>>)
  Result(U&& failure)
      : state_(std::in_place_index<1>, std::forward<U>(failure)) {}  // NOLINT(google-explicit-constructor)

  /// Whether there is a value, and no error.
  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; throws the error, as its own type, when there is none.
  decltype(auto) value() & {
    raise_if_failed();
    if constexpr (!std::is_void_v<T>) return static_cast<T&>(std::get<0>(state_));
  }
  decltype(auto) value() const& {
    raise_if_failed();
    if constexpr (!std::is_void_v<T>) return static_cast<const T&>(std::get<0>(state_));
  }
  T value() && {
    raise_if_failed();
    if constexpr (!std::is_void_v<T>) return std::move(std::get<0>(state_));
  }

  /// The value of a Result that has one; undefined otherwise.
  auto& operator*() noexcept { return *std::get_if<0>(&state_); }
  const auto& operator*() const noexcept { return *std::get_if<0>(&state_); }
  auto* operator->() noexcept { return std::get_if<0>(&state_); }
  const auto* operator->() const noexcept { return std::get_if<0>(&state_); }

  /// The error of a Result that has no value; undefined otherwise.
  [[nodiscard]] const Error& error() const noexcept { return **std::get_if<1>(&state_); }
  /// The failure, or null when there is a value.
  [[nodiscard]] Failure failure() const noexcept {
    const Failure* failure = std::get_if<1>(&state_);
    return failure == nullptr ? nullptr : *failure;
  }

 private:
  void raise_if_failed() const {
    if (const Failure* failure = std::get_if<1>(&state_)) (*failure)->raise();
  }

  std::variant<Stored, Failure> state_;
};

}  // namespace interpool
