// Value: owned native data of whatever kind Python returned.
#pragma once

#include <interpool/bigint.h>
#include <interpool/buffer.h>
#include <interpool/convert.h>
#include <interpool/detail/api.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace interpool {

/// Data whose kind is known only at run time: None, bool, int, float, str, bytes, list, tuple, dict,
/// Buffer.
///
/// A plain value that owns all it holds, but for the memory of a Buffer, which it shares, and has nothing of
/// Python in it: copy, move, compare and destroy it anywhere. Integers are of any size, and those of 64 bits
/// with a sign cost no memory of their own. A dict keeps Python's order, and its keys may be of any kind.
class INTERPOOL_API Value {
 public:
  /// The items of a list, in order.
  using List = std::vector<Value>;
  /// A list that Python sees as a tuple.
  struct Tuple {
    std::vector<Value> items;
    bool operator==(const Tuple&) const = default;
  };
  /// A key and its value.
  using Entry = std::pair<Value, Value>;
  /// The entries of a dict, in order. That keys are unique is up to whoever fills it.
  using Dict = std::vector<Entry>;

  /// None.
  Value() = default;
  Value(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  // Each makes a value of the kind that its type has in Python. Templates, as any pointer converts to bool,
  // and any number to double. Text is UTF-8, and a const char* not null.
  template <std::same_as<bool> T>
  Value(T value) : data_(value) {}  // NOLINT(google-explicit-constructor)
  template <std::floating_point T>
    requires(sizeof(T) <= sizeof(double))
  Value(T value) : data_(static_cast<double>(value)) {}    // NOLINT(google-explicit-constructor)
  Value(std::string value) : data_(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  Value(const char* value) : data_(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Value(Bytes value) : data_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Value(List value) : data_(std::move(value)) {}           // NOLINT(google-explicit-constructor)
  Value(Tuple value) : data_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Value(Dict value) : data_(std::move(value)) {}           // NOLINT(google-explicit-constructor)
  Value(Buffer value) : data_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  template <detail::Integer T>
    requires(std::is_signed_v<T> || sizeof(T) < sizeof(std::int64_t))
  Value(T value) : data_(static_cast<std::int64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  template <detail::AnyInteger T>
  Value(T value) : Value(BigInt(value)) {}  // NOLINT(google-explicit-constructor)
  Value(BigInt value);                      // NOLINT(google-explicit-constructor)

  /// Converts any T that has a Converter; throws ConversionError where one cannot.
  template <Encodable T>
  static Value from(const T& value) {
    return encode([&](Encoder& out) { Converter<T>::encode(out, value); });
  }
  /// Converts to any T that has a Converter; throws ConversionError where the data does not fit.
  template <Decodable T>
  [[nodiscard]] T to() const {
    std::optional<T> result;
    decode([&](Decoder& in) { result.emplace(Converter<T>::decode(in)); });
    return std::move(*result);
  }

  /// What it holds; never Kind::kOther.
  [[nodiscard]] Kind kind() const noexcept;
  /// Whether it is None, as a default-constructed one is.
  [[nodiscard]] bool is_none() const noexcept { return kind() == Kind::kNone; }

  // The data of a known kind. Each throws ConversionError when the value is of another kind; to<T>() converts
  // between kinds. The references are valid until the value changes or dies.
  /// Of a bool.
  [[nodiscard]] bool as_bool() const;
  /// Of an int; a bool is none. One that does not fit is a ConversionError, too.
  [[nodiscard]] std::int64_t as_int() const;
  /// What as_int() gives, but nothing where 64 bits do not hold it.
  [[nodiscard]] std::optional<std::int64_t> small_int() const;
  /// Of an int of any size.
  [[nodiscard]] BigInt as_big_int() const;
  /// Of a float; an int is none.
  [[nodiscard]] double as_float() const;
  /// The text of a str, in UTF-8.
  [[nodiscard]] const std::string& as_str() const;
  /// Of bytes.
  [[nodiscard]] const Bytes& as_bytes() const;
  /// The items of a list or a tuple.
  [[nodiscard]] const std::vector<Value>& as_list() const;
  /// The entries of a dict.
  [[nodiscard]] const Dict& as_dict() const;
  /// Of a Buffer; bytes are none.
  [[nodiscard]] const Buffer& as_buffer() const;

  /// The value of a str key of a dict; throws ConversionError when there is none.
  [[nodiscard]] const Value& operator[](std::string_view key) const;
  /// An item of a list or tuple; throws ConversionError when it has no such item.
  [[nodiscard]] const Value& at(std::size_t index) const;
  /// The number of items or entries, or the bytes of a str, bytes or Buffer; 0 for anything else.
  [[nodiscard]] std::size_t size() const noexcept;

  /// Equal kind and equal data (so 1 and 1.0 and True differ, unlike in Python; a Buffer's data is its
  /// contents).
  friend bool operator==(const Value& a, const Value& b) { return a.data_ == b.data_; }

 private:
  static Value encode(detail::FunctionRef<void(Encoder&)> write);
  void decode(detail::FunctionRef<void(Decoder&)> read) const;
  [[noreturn]] void fail_kind(Kind wanted) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes, List, Tuple, Dict, Buffer,
               BigInt>  // only what std::int64_t has no room for
      data_;
};

/// The value as Python would write it: `{'a': [1, 2.5, None]}`. Of a Buffer the shape and format only.
INTERPOOL_API std::string to_string(const Value& value);

/// Whatever has a native form; kOther is a ConversionError.
template <>
struct INTERPOOL_API Converter<Value> {
  static constexpr Fit takes(Kind kind) { return kind == Kind::kOther ? Fit::kNever : Fit::kPossible; }
  static void encode(Encoder& out, const Value& value);
  static Value decode(Decoder& in);
};

}  // namespace interpool
