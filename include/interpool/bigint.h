// BigInt: an integer of any size, as Python's are.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>

#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace interpool {

/// An integer without bounds, to be carried and compared: it has no arithmetic.
///
/// A plain value that owns all it holds: copy, move, compare and destroy it anywhere. One that was moved from
/// is 0.
class INTERPOOL_API BigInt {
 public:
  /// 0.
  BigInt() = default;
  /// The same number.
  template <detail::AnyInteger T>
  BigInt(T value)  // NOLINT(google-explicit-constructor)
      : BigInt(from_bytes(detail::bytes_of(value))) {}

  /// The number that these bytes are in two's complement, the lowest byte first: any length, 0 for none.
  static BigInt from_bytes(std::span<const std::byte> twos_complement);
  /// The number that a decimal text says, nothing if it is none: digits, and a sign before them if there is
  /// one. The time that it takes grows with the square of the length.
  static std::optional<BigInt> parse(std::string_view decimal);

  /// Its two's complement, the lowest byte first, in the fewest bytes: none for 0. Valid until it changes or
  /// dies.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  /// Whether it is less than 0.
  [[nodiscard]] bool is_negative() const noexcept { return detail::is_negative(bytes_); }
  /// The same number as a T; nothing if that has no room for it.
  template <detail::AnyInteger T>
  [[nodiscard]] std::optional<T> to() const noexcept {
    return detail::integer_of<T>(bytes_);
  }
  /// The same number as a double; nothing if none is exactly this number.
  [[nodiscard]] std::optional<double> to_double() const noexcept;

  friend bool operator==(const BigInt&, const BigInt&) = default;
  friend INTERPOOL_API std::strong_ordering operator<=>(const BigInt& a, const BigInt& b) noexcept;

 private:
  Bytes bytes_;
};

/// In decimal. The time that it takes grows with the square of the length.
INTERPOOL_API std::string to_string(const BigInt& value);

/// An int, both ways.
template <>
struct Converter<BigInt> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of_int(kind); }
  static void encode(Encoder& out, const BigInt& value) { out.put_big_int(value.bytes()); }
  static BigInt decode(Decoder& in) { return BigInt::from_bytes(in.get_big_int()); }
};

}  // namespace interpool
