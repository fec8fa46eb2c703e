// Conversion between C++ and Python values: one archive, one customisation point.
//
// `Converter<T>` says how a T is written to an Encoder and read from a Decoder. The archives have
// backends inside the library (Python objects, Value, JSON), so a Converter never sees Python and this
// header needs no Python.h.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/detail/function_ref.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace interpool {

class Buffer;
namespace detail {
class NativeCallable;
}  // namespace detail

/// Python's bytes, owned.
using Bytes = std::vector<std::byte>;

/// How deep containers may nest in either direction; what is deeper, or refers to itself, is a
/// ConversionError.
inline constexpr std::size_t kMaxDepth = 100;

/// What a value is, in Python's terms. `kOther` is everything that has no native form.
enum class Kind : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kStr,
  kBytes,
  kList,
  kTuple,
  kDict,
  kBuffer,
  kOther
};

/// The name of a kind as Python users know it: "None", "int", "dict", …
INTERPOOL_API const char* to_string(Kind kind) noexcept;

/// How a type likes values of a kind.
enum class Fit : std::uint8_t { kNever, kPossible, kLikely };

namespace detail {

/// What the variants inside one whole value share. Reading a value by trial may read the same data again and
/// again, in time that grows exponentially with the depth, unless it is bounded.
struct Attempts {
  std::size_t started = 0;  ///< alternatives that were tried
  std::size_t wasted = 0;   ///< of them, those inside another one that did not fit in the end
  bool final = false;       ///< the whole value is no good, whatever else is tried
};

}  // namespace detail

/// A length of time as datetime.timedelta has it, or the time that long after 1970-01-01 00:00 UTC. Of a
/// negative one only the days are negative.
struct DayTime {
  std::int64_t days = 0;
  std::int32_t seconds = 0;       ///< 0 to 86399
  std::int32_t microseconds = 0;  ///< 0 to 999999
};

/// Writes one value, piece by piece. Each container takes exactly the announced number of values
/// (a dict: that many keys, each followed by its value) and is closed by end().
///
/// Used on one thread, inside the call that handed it out. What cannot be written (text that is not
/// UTF-8, a depth beyond kMaxDepth, an unhashable key) throws ConversionError with its path.
class INTERPOOL_API Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// None.
  virtual void put_none() = 0;
  /// True or False.
  virtual void put_bool(bool value) = 0;
  /// An int.
  virtual void put_int(std::int64_t value) = 0;
  /// An int.
  virtual void put_uint(std::uint64_t value) = 0;
  /// An int of any size: its two's complement, the lowest byte first, of any length; 0 for none.
  virtual void put_big_int(std::span<const std::byte> twos_complement) = 0;
  /// A float; infinities and NaN, too.
  virtual void put_float(double value) = 0;
  /// Text in UTF-8; NULs are part of it. Surrogates that came out of a Python str go back in.
  virtual void put_str(std::string_view utf8) = 0;
  /// bytes, copied.
  virtual void put_bytes(std::span<const std::byte> bytes) = 0;
  /// An `interpool.Buffer`: the same memory, not copied.
  virtual void put_buffer(const Buffer& buffer) = 0;
  /// A datetime.timedelta. A Value holds none, nor the other two: there, these are a ConversionError.
  virtual void put_duration(const DayTime& duration) = 0;
  /// A datetime.datetime, aware, in UTC.
  virtual void put_time(const DayTime& since_epoch) = 0;
  /// A datetime.date.
  virtual void put_date(std::int64_t days_since_epoch) = 0;
  /// Opens a list of `size` items.
  virtual void begin_list(std::size_t size) = 0;
  /// Opens a tuple of `size` items.
  virtual void begin_tuple(std::size_t size) = 0;
  /// Opens a dict of `size` entries: key, value, key, value, …
  virtual void begin_dict(std::size_t size) = 0;
  /// Opens a set of `size` members. A Value has a list in its place.
  virtual void begin_set(std::size_t size) = 0;
  /// Opens an instance of "module:Class" with `size` fields: name, value, name, value, … Its end() calls the
  /// class with these as keyword arguments. What that raises, as what looking the class up raises, leaves
  /// begin_object() and end() as the PythonError that it is, with a note that has the path. Backends that
  /// have no classes, as a Value has none, open a dict.
  virtual void begin_object(std::string_view type, std::size_t size);
  /// A function that calls back; see callback.h. Not in a Value: there it is a ConversionError.
  virtual void put_callable(detail::NativeCallable& callable) = 0;
  /// Closes the container that was opened last; throws ConversionError if it is not full.
  virtual void end() = 0;
  /// Where the next value goes: `args[0].names[1]`; empty for the whole.
  [[nodiscard]] virtual std::string path() const = 0;
  /// Throws a ConversionError that names that path.
  [[noreturn]] void fail(std::string reason) const;

 protected:
  ~Encoder();
};

/// Reads one value. A Decoder stands for that value; items() and entries() hand out Decoders for
/// what is inside it.
///
/// Used on one thread, inside the call that handed it out. Each get_… throws ConversionError, with
/// the path to this value, when the value is of another kind or does not fit.
class INTERPOOL_API Decoder {
 public:
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// What it is. An object whose type derives from a builtin one is of that one's kind; bytearray and
  /// memoryview are kBytes, whatever memory they show.
  [[nodiscard]] virtual Kind kind() const = 0;
  /// The name of the value's type, for messages: "datetime".
  [[nodiscard]] virtual std::string type_name() const = 0;
  /// Of a bool only: what is merely true or false in Python's eyes does not count.
  virtual bool get_bool() = 0;
  /// Of an int, a bool (0 or 1) or an object with `__index__`, if 64 bits with a sign hold it.
  virtual std::int64_t get_int() = 0;
  /// The same without a sign; a negative number does not fit.
  virtual std::uint64_t get_uint() = 0;
  /// What get_int() gives, but nothing where 64 bits do not hold it.
  virtual std::optional<std::int64_t> small_int() = 0;
  /// The same of any size: its two's complement, the lowest byte first, in the fewest bytes; none for 0.
  virtual Bytes get_big_int() = 0;
  /// Accepts an int when a double holds it exactly. What has a `__float__` (Decimal, Fraction, numpy's
  /// scalars) gives what float() makes of it in Python, which may be rounded.
  virtual double get_float() = 0;
  /// UTF-8; lone surrogates are kept as their three-byte form, which put_str takes back.
  virtual std::string get_str() = 0;
  /// A copy of bytes, or of what else shows its memory in one piece (bytearray, memoryview, array).
  virtual Bytes get_bytes() = 0;
  /// Of an `interpool.Buffer`, or a memoryview of one, the same memory; of whatever else has the buffer
  /// protocol a copy, in C order, with its format and shape.
  virtual Buffer get_buffer() = 0;
  /// Of a datetime.timedelta.
  virtual DayTime get_duration() = 0;
  /// Of an aware datetime.datetime, whatever its zone: a naive one does not say which time it is.
  virtual DayTime get_time() = 0;
  /// The days since 1970-01-01 of a datetime.date; a datetime is none.
  virtual std::int32_t get_date() = 0;
  /// The number of items of a list or tuple, or of entries of a dict.
  virtual std::size_t size() = 0;
  /// Calls `visit` for each item of a list, tuple or other sequence (but not str or bytes), in order.
  virtual void items(detail::FunctionRef<void(Decoder& item)> visit) = 0;
  /// Calls `visit` for each entry of a dict, in its order.
  virtual void entries(detail::FunctionRef<void(Decoder& key, Decoder& value)> visit) = 0;
  /// Calls `visit` for each member of a set or frozenset, in any order. A Value's list will do.
  virtual void members(detail::FunctionRef<void(Decoder& member)> visit) = 0;
  /// Calls `visit` for the entry of a dict with that str as its key, or for the attribute of that name of any
  /// other object (a dataclass, a namedtuple), but not of Python's own None, numbers, texts and containers.
  /// False if there is none.
  virtual bool field(std::string_view name, detail::FunctionRef<void(Decoder& value)> visit) = 0;
  /// A str, bytes, or what has an `__fspath__` (pathlib.Path): a path as the file system has it, in UTF-8
  /// with the bytes that are none as they were. No path has a NUL.
  virtual std::string get_path() = 0;
  /// Where in the whole value this one is: `[3].user.id`; empty when it is the whole.
  [[nodiscard]] virtual std::string path() const = 0;
  /// Throws a ConversionError that names this value's path.
  [[noreturn]] void fail(std::string reason) const;
  /// For std::variant.
  virtual detail::Attempts& attempts() noexcept = 0;
  /// For std::variant: what a str may stand for besides text. kOther in JSON, where bytes and times are text;
  /// of a key there, the kind of the bool or number that its text is. Else kStr: nothing.
  [[nodiscard]] virtual Kind str_stands_for() const { return Kind::kStr; }

 protected:
  ~Decoder();
};

/// How a T converts. Specialise it for your own types:
///
///     template <> struct interpool::Converter<Point> {
///       static void encode(Encoder& out, const Point& p) {
///         out.begin_tuple(2); out.put_float(p.x); out.put_float(p.y); out.end();
///       }
///       static Point decode(Decoder& in) {
///         auto [x, y] = Converter<std::tuple<double, double>>::decode(in); return {x, y};
///       }
///     };
///
/// Both functions run on a worker, under its GIL, and what they throw becomes the task's error; or in the
/// call that converts to a Value, or to JSON and back. In a std::variant, a type whose Converter has a
/// `static constexpr Fit takes(Kind kind)` is tried for these kinds only, and before others for those that
/// are likely; one without is tried for any.
template <class T>
struct Converter;

/// A type that can be an argument.
template <class T>
concept Encodable = requires(Encoder& out, const T& value) { Converter<T>::encode(out, value); };

/// A type that can be a result.
template <class T>
concept Decodable = requires(Decoder& in) {
  { Converter<T>::decode(in) } -> std::convertible_to<T>;
};

/// Types that go into Python and have no way back.
template <class T>
inline constexpr bool kArgumentOnly = false;

namespace detail {

/// A view, or a container of views.
template <class T>
inline constexpr bool kIsView = std::is_pointer_v<T>;
template <class C, class Traits>
inline constexpr bool kIsView<std::basic_string_view<C, Traits>> = true;
template <class T, std::size_t N>
inline constexpr bool kIsView<std::span<T, N>> = true;
template <class T, class... Rest>
inline constexpr bool kIsView<std::vector<T, Rest...>> = kIsView<T>;
template <class T, std::size_t N>
inline constexpr bool kIsView<std::array<T, N>> = kIsView<T>;
template <class T>
inline constexpr bool kIsView<std::optional<T>> = kIsView<T>;
template <class... Ts>
inline constexpr bool kIsView<std::tuple<Ts...>> = (kIsView<Ts> || ...);
template <class T, class U>
inline constexpr bool kIsView<std::pair<T, U>> = kIsView<T> || kIsView<U>;
template <class... Ts>
inline constexpr bool kIsView<std::variant<Ts...>> = (kIsView<Ts> || ...);
template <class K, class... Rest>
inline constexpr bool kIsView<std::set<K, Rest...>> = kIsView<K>;
template <class K, class... Rest>
inline constexpr bool kIsView<std::unordered_set<K, Rest...>> = kIsView<K>;
template <class K, class T, class... Rest>
inline constexpr bool kIsView<std::map<K, T, Rest...>> = kIsView<K> || kIsView<T>;
template <class K, class T, class... Rest>
inline constexpr bool kIsView<std::unordered_map<K, T, Rest...>> = kIsView<K> || kIsView<T>;

/// How an argument of type T is kept until its task runs: owned. Text given as a literal or a view
/// is copied.
template <class T>
struct StoredArgument {
  using type = std::remove_cvref_t<T>;
};
template <class T>
  requires std::is_convertible_v<T, std::string_view> && (!std::is_class_v<std::remove_cvref_t<T>>) &&
           (!std::is_null_pointer_v<std::remove_cvref_t<T>>)
struct StoredArgument<T> {
  using type = std::string;
};
template <class T>
  requires std::is_same_v<std::remove_cvref_t<T>, std::string_view>
struct StoredArgument<T> {
  using type = std::string;
};
template <class T>
using Stored = typename StoredArgument<T>::type;

/// Fails to compile, with what to do, for a type that cannot cross into Python.
template <class T>
constexpr void require_encodable() {
  static_assert(!kIsView<T>,
                "interpool: a view or pointer does not own what it shows, and the task runs later: use "
                "std::string for text, interpool::Bytes or std::vector for data");
  static_assert(
      kIsView<T> || Encodable<T>,
      "interpool: this argument type does not convert to Python: specialise interpool::Converter for it, or "
      "declare the members of a struct with interpool::kFields");
}

/// Fails to compile, with what to do, for a type that cannot come out of Python.
template <class T>
constexpr void require_decodable() {
  static_assert(
      !std::is_reference_v<T> && !kIsView<T>,
      "interpool: a result is owned by its future: use std::string, interpool::Bytes or std::vector "
      "instead of a reference, pointer or view");
  static_assert(!kArgumentOnly<T>,
                "interpool: a callable goes into Python only: to call a Python function from C++, name it in "
                "Submitter::function or Worker::call");
  static_assert(
      std::is_void_v<T> || std::is_reference_v<T> || kIsView<T> || kArgumentOnly<T> || Decodable<T>,
      "interpool: this result type does not convert from Python: specialise interpool::Converter for it, or "
      "declare the members of a struct with interpool::kFields");
}

/// `text`: the number, where it is short.
[[noreturn]] INTERPOOL_API void fail_range(const Decoder& in, std::string_view text, bool is_signed,
                                           unsigned bits);
[[noreturn]] INTERPOOL_API void fail_range(const Decoder& in, double value, unsigned bits);
/// On the way in, where a double is what Python has.
[[noreturn]] INTERPOOL_API void fail_range(const Encoder& out, long double value);
[[noreturn]] INTERPOOL_API void fail_none(const Decoder& in);
[[noreturn]] INTERPOOL_API void fail_size(const Decoder& in, std::size_t wanted, std::size_t found);
/// A path as Python's os functions see it: what is not UTF-8 in it becomes lone surrogates
/// ("surrogateescape").
INTERPOOL_API std::string text_of_path(std::string_view native);
/// The way back; nothing for text with other surrogates in it, which no path has.
INTERPOOL_API std::optional<std::string> path_of_text(std::string_view text);
/// A key that is neither less than others nor equal.
[[noreturn]] INTERPOOL_API void fail_nan(const Decoder& key);

/// How T likes values of that kind.
template <class T>
constexpr Fit fit(Kind kind) {
  if constexpr (requires { Converter<T>::takes(kind); }) {
    return Converter<T>::takes(kind);
  } else {
    return Fit::kPossible;
  }
}
constexpr Fit fit_of(Kind kind, Kind likely, std::initializer_list<Kind> possible = {}) {
  if (kind == likely) return Fit::kLikely;
  return std::ranges::find(possible, kind) != possible.end() ? Fit::kPossible : Fit::kNever;
}
constexpr Fit fit_of_int(Kind kind) { return fit_of(kind, Kind::kInt, {Kind::kBool, Kind::kOther}); }

/// The same for a str that stands for something else as well. `text_first`: it is rather text than a bool or
/// number, since another alternative is likely to be text.
template <class T>
constexpr Fit fit_of_str(Kind stands_for, bool text_first) {
  const Fit as_text = fit<T>(Kind::kStr);
  const Fit as_other = fit<T>(stands_for);
  if (as_text == Fit::kLikely) return Fit::kLikely;
  if (as_other == Fit::kLikely && stands_for != Kind::kOther && !text_first) return Fit::kLikely;
  const Fit best = std::max({as_text, as_other, fit<T>(Kind::kBytes), fit<T>(Kind::kOther)});
  return best == Fit::kNever ? Fit::kNever : Fit::kPossible;
}

/// Reads `in` as one of the alternatives that fit: the likely ones first, each in its order. Throws what the
/// only one that fits throws, or what each of them said.
INTERPOOL_API void decode_alternative(Decoder& in, std::span<const Fit> fits,
                                      FunctionRef<void(std::size_t index)> decode);

/// How much of a size that Python claims is worth reserving: a sequence may claim what it likes.
constexpr std::size_t believable_size(std::size_t claimed) { return claimed < 4096 ? claimed : 4096; }

/// Without __int128, which only some dialects call integral; see WideInteger.
template <class T>
concept Integer = std::integral<T> && sizeof(T) <= sizeof(std::int64_t) && !std::same_as<T, bool> &&
                  !std::same_as<T, char> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                  !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

template <class T>
struct UnsignedOf {
  using type = std::make_unsigned_t<T>;
};
/// The compiler's integers of 128 bits, where it has them.
template <class T>
inline constexpr bool kIsWideInteger = false;
#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 Int128;            // NOLINT(modernize-use-using): takes no __extension__
__extension__ typedef unsigned __int128 Uint128;  // NOLINT(modernize-use-using)
template <>
inline constexpr bool kIsWideInteger<Int128> = true;
template <>
inline constexpr bool kIsWideInteger<Uint128> = true;
template <>
struct UnsignedOf<Int128> {
  using type = Uint128;
};
template <>
struct UnsignedOf<Uint128> {
  using type = Uint128;
};
#endif
template <class T>
concept WideInteger = kIsWideInteger<T>;
template <class T>
concept AnyInteger = Integer<T> || WideInteger<T>;
template <class T>
inline constexpr bool kIsSigned = static_cast<T>(-1) < static_cast<T>(0);

// Two's complement, the lowest byte first.

constexpr bool is_negative(std::span<const std::byte> bytes) noexcept {
  return !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
}

/// The same number without the bytes at its end that its sign tells already.
constexpr std::span<const std::byte> minimal(std::span<const std::byte> bytes) noexcept {
  const bool negative = is_negative(bytes);
  while (!bytes.empty() && bytes.back() == (negative ? std::byte{0xFF} : std::byte{0}) &&
         is_negative(bytes.first(bytes.size() - 1)) == negative) {
    bytes = bytes.first(bytes.size() - 1);
  }
  return bytes;
}

/// With one byte more, for the sign of an unsigned one.
template <AnyInteger T>
constexpr std::array<std::byte, sizeof(T) + 1> bytes_of(T value) noexcept {
  std::array<std::byte, sizeof(T) + 1> bytes{};
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
  if (kIsSigned<T> && value < 0) bytes[sizeof(T)] = std::byte{0xFF};
  return bytes;
}

/// Nothing where T has no room for it. `bytes` are minimal.
template <AnyInteger T>
constexpr std::optional<T> integer_of(std::span<const std::byte> bytes) noexcept {
  using Unsigned = typename UnsignedOf<T>::type;
  const bool negative = is_negative(bytes);
  if (negative && !kIsSigned<T>) return std::nullopt;
  if (!kIsSigned<T> && bytes.size() == sizeof(T) + 1 && bytes.back() == std::byte{0}) {
    bytes = bytes.first(sizeof(T));
  }
  if (bytes.size() > sizeof(T)) return std::nullopt;
  auto value = static_cast<Unsigned>(negative ? -1 : 0);
  for (std::size_t i = bytes.size(); i-- > 0;) {
    // In two steps: a shift by all of a type's bits is undefined.
    value = static_cast<Unsigned>((value << 4) << 4);
    value = static_cast<Unsigned>(value | static_cast<Unsigned>(std::to_integer<unsigned>(bytes[i])));
  }
  return static_cast<T>(value);
}

}  // namespace detail

/// None.
template <>
struct Converter<std::nullptr_t> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kNone); }
  static void encode(Encoder& out, std::nullptr_t /*none*/) { out.put_none(); }
  static std::nullptr_t decode(Decoder& in) {
    if (in.kind() != Kind::kNone) detail::fail_none(in);
    return nullptr;
  }
};

/// None, in a variant that may hold nothing.
template <>
struct Converter<std::monostate> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kNone); }
  static void encode(Encoder& out, std::monostate /*none*/) { out.put_none(); }
  static std::monostate decode(Decoder& in) {
    if (in.kind() != Kind::kNone) detail::fail_none(in);
    return {};
  }
};

/// A bool, both ways; an int is none.
template <>
struct Converter<bool> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kBool); }
  static void encode(Encoder& out, bool value) { out.put_bool(value); }
  static bool decode(Decoder& in) { return in.get_bool(); }
};

/// Integers are never truncated: what does not fit is a ConversionError.
template <detail::Integer T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of_int(kind); }
  static void encode(Encoder& out, T value) {
    if constexpr (std::is_signed_v<T>) {
      out.put_int(value);
    } else {
      out.put_uint(value);
    }
  }
  static T decode(Decoder& in) {
    if constexpr (std::is_signed_v<T>) {
      const std::int64_t value = in.get_int();
      if (!std::in_range<T>(value)) detail::fail_range(in, std::to_string(value), true, 8 * sizeof(T));
      return static_cast<T>(value);
    } else {
      const std::uint64_t value = in.get_uint();
      if (!std::in_range<T>(value)) detail::fail_range(in, std::to_string(value), false, 8 * sizeof(T));
      return static_cast<T>(value);
    }
  }
};

/// The same of 128 bits, where the compiler has them.
template <detail::WideInteger T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of_int(kind); }
  static void encode(Encoder& out, T value) { out.put_big_int(detail::bytes_of(value)); }
  static T decode(Decoder& in) {
    const std::optional<T> value = detail::integer_of<T>(in.get_big_int());
    if (!value) detail::fail_range(in, {}, detail::kIsSigned<T>, 8 * sizeof(T));
    return *value;
  }
};

/// Rounded where T and Python's float, a double, differ; but a number that becomes infinite by that is a
/// ConversionError.
template <std::floating_point T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kFloat, {Kind::kInt, Kind::kBool, Kind::kOther});
  }
  static void encode(Encoder& out, T value) {
    const auto number = static_cast<double>(value);
    if (std::isinf(number) && !std::isinf(value)) detail::fail_range(out, value);
    out.put_float(number);
  }
  static T decode(Decoder& in) {
    const double number = in.get_float();
    const auto value = static_cast<T>(number);
    if (std::isinf(value) && !std::isinf(number)) detail::fail_range(in, number, 8 * sizeof(T));
    return value;
  }
};

/// A str, in UTF-8; bytes are none.
template <>
struct Converter<std::string> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kStr); }
  static void encode(Encoder& out, const std::string& value) { out.put_str(value); }
  static std::string decode(Decoder& in) { return in.get_str(); }
};

/// bytes, not a list of ints.
template <>
struct Converter<Bytes> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kBytes, {Kind::kBuffer, Kind::kOther});
  }
  static void encode(Encoder& out, const Bytes& value) { out.put_bytes(value); }
  static Bytes decode(Decoder& in) { return in.get_bytes(); }
};

/// None for an empty one.
template <class T>
struct Converter<std::optional<T>> {
  static constexpr Fit takes(Kind kind) { return kind == Kind::kNone ? Fit::kLikely : detail::fit<T>(kind); }
  static void encode(Encoder& out, const std::optional<T>& value) {
    if (value) {
      Converter<T>::encode(out, *value);
    } else {
      out.put_none();
    }
  }
  static std::optional<T> decode(Decoder& in) {
    if (in.kind() == Kind::kNone) return std::nullopt;
    return Converter<T>::decode(in);
  }
};

/// A list to Python; a list, tuple or other sequence from it.
template <class T>
struct Converter<std::vector<T>> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kList, {Kind::kTuple, Kind::kBytes, Kind::kOther});
  }
  static void encode(Encoder& out, const std::vector<T>& value) {
    out.begin_list(value.size());
    for (const auto& item : value) Converter<T>::encode(out, item);
    out.end();
  }
  static std::vector<T> decode(Decoder& in) {
    std::vector<T> value;
    value.reserve(detail::believable_size(in.size()));
    in.items([&](Decoder& item) { value.push_back(Converter<T>::decode(item)); });
    return value;
  }
};

/// A list to Python; a sequence of exactly N items from it.
template <class T, std::size_t N>
struct Converter<std::array<T, N>> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kList, {Kind::kTuple, Kind::kBytes, Kind::kOther});
  }
  static void encode(Encoder& out, const std::array<T, N>& value) {
    out.begin_list(N);
    for (const auto& item : value) Converter<T>::encode(out, item);
    out.end();
  }
  static std::array<T, N> decode(Decoder& in) {
    std::array<T, N> value{};
    if (in.size() != N) detail::fail_size(in, N, in.size());
    std::size_t next = 0;
    in.items([&](Decoder& item) {
      if (next < N) value[next++] = Converter<T>::decode(item);
    });
    if (next < N) detail::fail_size(in, N, next);  // it changed under way
    return value;
  }
};

/// A tuple to Python; a sequence of exactly that length from it.
template <class... Ts>
struct Converter<std::tuple<Ts...>> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kTuple, {Kind::kList, Kind::kBytes, Kind::kOther});
  }
  static void encode(Encoder& out, const std::tuple<Ts...>& value) {
    out.begin_tuple(sizeof...(Ts));
    std::apply([&](const Ts&... item) { (Converter<Ts>::encode(out, item), ...); }, value);
    out.end();
  }
  static std::tuple<Ts...> decode(Decoder& in) {
    if (in.size() != sizeof...(Ts)) detail::fail_size(in, sizeof...(Ts), in.size());
    std::tuple<std::optional<Ts>...> slots;
    std::size_t next = 0;
    in.items([&](Decoder& item) { decode_at(item, slots, next++, std::index_sequence_for<Ts...>{}); });
    // A sequence whose length changed under way has left slots empty.
    if (next < sizeof...(Ts)) detail::fail_size(in, sizeof...(Ts), next);
    return std::apply([](auto&... slot) { return std::tuple<Ts...>(std::move(*slot)...); }, slots);
  }

 private:
  template <std::size_t... I>
  static void decode_at(Decoder& item, std::tuple<std::optional<Ts>...>& slots, std::size_t at,
                        std::index_sequence<I...> /*indices*/) {
    (void)((I == at ? (std::get<I>(slots).emplace(Converter<Ts>::decode(item)), true) : false) || ...);
  }
};

/// A tuple of two to Python; a sequence of two from it.
template <class A, class B>
struct Converter<std::pair<A, B>> {
  static constexpr Fit takes(Kind kind) { return Converter<std::tuple<A, B>>::takes(kind); }
  static void encode(Encoder& out, const std::pair<A, B>& value) {
    out.begin_tuple(2);
    Converter<A>::encode(out, value.first);
    Converter<B>::encode(out, value.second);
    out.end();
  }
  static std::pair<A, B> decode(Decoder& in) {
    auto value = Converter<std::tuple<A, B>>::decode(in);
    return {std::move(std::get<0>(value)), std::move(std::get<1>(value))};
  }
};

namespace detail {

/// An ordered container cannot hold a key that is neither less than another nor greater nor equal.
template <class Container>
void check_key(const Decoder& in, const typename Container::key_type& key) {
  if constexpr (std::floating_point<typename Container::key_type> &&
                requires { typename Container::key_compare; }) {
    if (std::isnan(key)) fail_nan(in);
  }
}

template <class Map>
struct MapConverter {
  static constexpr Fit takes(Kind kind) { return fit_of(kind, Kind::kDict); }
  using Key = typename Map::key_type;
  using Mapped = typename Map::mapped_type;
  static void encode(Encoder& out, const Map& value) {
    out.begin_dict(value.size());
    for (const auto& [key, mapped] : value) {
      Converter<Key>::encode(out, key);
      Converter<Mapped>::encode(out, mapped);
    }
    out.end();
  }
  static Map decode(Decoder& in) {
    Map value;
    in.entries([&](Decoder& key, Decoder& mapped) {
      Key decoded = Converter<Key>::decode(key);
      check_key<Map>(key, decoded);
      value.emplace(std::move(decoded), Converter<Mapped>::decode(mapped));
    });
    return value;
  }
};

}  // namespace detail

/// A dict. Of entries whose keys become equal in C++ the first counts.
template <class K, class V, class... Policies>
struct Converter<std::map<K, V, Policies...>> : detail::MapConverter<std::map<K, V, Policies...>> {};
/// The same, without the order.
template <class K, class V, class... Policies>
struct Converter<std::unordered_map<K, V, Policies...>>
    : detail::MapConverter<std::unordered_map<K, V, Policies...>> {};

namespace detail {

template <class Set>
struct SetConverter {
  static constexpr Fit takes(Kind kind) { return fit_of(kind, Kind::kOther, {Kind::kList}); }
  using Member = typename Set::key_type;
  static void encode(Encoder& out, const Set& value) {
    out.begin_set(value.size());
    for (const Member& member : value) Converter<Member>::encode(out, member);
    out.end();
  }
  static Set decode(Decoder& in) {
    Set value;
    in.members([&](Decoder& member) {
      Member decoded = Converter<Member>::decode(member);
      check_key<Set>(member, decoded);
      value.insert(std::move(decoded));
    });
    return value;
  }
};

}  // namespace detail

/// A set to Python; a set or frozenset from it. Of members that become equal in C++ one counts.
template <class T, class... Policies>
struct Converter<std::set<T, Policies...>> : detail::SetConverter<std::set<T, Policies...>> {};
/// The same, without the order.
template <class T, class... Policies>
struct Converter<std::unordered_set<T, Policies...>>
    : detail::SetConverter<std::unordered_set<T, Policies...>> {};

/// Whether an enumeration converts as its number. Specialise it as false where a Converter of yours is for
/// many enumerations, by their names, say.
template <class T>
inline constexpr bool kEnumAsNumber = true;
/// An array of them would be a list of ints, where bytes are meant.
template <>
inline constexpr bool kEnumAsNumber<std::byte> = false;

namespace detail {

/// Of one whose type is not written down not each number is a value.
template <class T>
concept NumberedEnum =
    std::is_enum_v<T> && kEnumAsNumber<T> && sizeof(T) <= sizeof(std::int64_t) && requires { T{0}; };

}  // namespace detail

/// The number of an enumerator. Any number that the enumeration's type holds comes back, whether an
/// enumerator has it or not; so the enumeration needs a type that is written down, as `enum class` has.
template <detail::NumberedEnum T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of_int(kind); }
  static void encode(Encoder& out, T value) {
    if constexpr (kSigned) {
      out.put_int(static_cast<std::int64_t>(value));
    } else {
      out.put_uint(static_cast<std::uint64_t>(value));
    }
  }
  static T decode(Decoder& in) {
    if constexpr (kSigned) {
      return checked(in, in.get_int());
    } else {
      return checked(in, in.get_uint());
    }
  }

 private:
  using Underlying = std::underlying_type_t<T>;
  static constexpr bool kSigned = std::is_signed_v<Underlying>;
  template <class Number>
  static T checked(Decoder& in, Number value) {
    using Limits = std::numeric_limits<Underlying>;
    if (value < static_cast<Number>(Limits::min()) || value > static_cast<Number>(Limits::max())) {
      detail::fail_range(in, std::to_string(value), kSigned, Limits::digits + (kSigned ? 1 : 0));
    }
    return static_cast<T>(value);
  }
};

/// A str to Python, from which os.fsencode() makes the path again, also where it is not UTF-8. From it a str,
/// bytes or a pathlib.Path.
template <>
struct Converter<std::filesystem::path> {
  static constexpr Fit takes(Kind kind) {
    return detail::fit_of(kind, Kind::kOther, {Kind::kStr, Kind::kBytes});
  }
  static void encode(Encoder& out, const std::filesystem::path& value) {
    out.put_str(detail::text_of_path(value.native()));
  }
  static std::filesystem::path decode(Decoder& in) { return in.get_path(); }
};

/// Whether a container that owns its items converts as a list. Specialise it as false where a Converter of
/// yours is for many types that look like one.
template <class T>
inline constexpr bool kSequenceAsList = true;

namespace detail {

/// Text of whatever type is none: its characters do not convert by themselves.
template <class T>
inline constexpr bool kIsCharacter =
    std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;

/// What owns a row of items and grows at its end: std::deque, std::list, and the like of other libraries.
template <class T>
concept OwnedSequence =
    kSequenceAsList<T> && std::ranges::forward_range<const T> && !std::ranges::view<T> &&
    std::default_initializable<T> && requires(T& sequence, typename T::value_type&& item) {
      requires std::same_as<std::remove_cvref_t<std::ranges::range_reference_t<const T>>,
                            typename T::value_type>;
      requires !kIsCharacter<typename T::value_type>;
      sequence.push_back(std::move(item));
    };

}  // namespace detail

/// A list to Python; a list, tuple or other sequence from it.
template <detail::OwnedSequence T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) {
    return Converter<std::vector<typename T::value_type>>::takes(kind);
  }
  static void encode(Encoder& out, const T& value) {
    out.begin_list(static_cast<std::size_t>(std::ranges::distance(value)));
    for (const auto& item : value) Converter<typename T::value_type>::encode(out, item);
    out.end();
  }
  static T decode(Decoder& in) {
    T value{};
    in.items([&](Decoder& item) { value.push_back(Converter<typename T::value_type>::decode(item)); });
    return value;
  }
};

/// To Python, what it holds. From Python, the first alternative to which values of that kind are likely, and
/// that takes it; then the first to which they are possible: so 1 is an int in a variant of double and int,
/// and a double in one of double and std::string. Alternatives of one kind, as structs are, are tried in
/// their order, and a bound is kept on what is read in vain.
template <class... Ts>
struct Converter<std::variant<Ts...>> {
  static constexpr Fit takes(Kind kind) { return std::max({detail::fit<Ts>(kind)...}); }
  static void encode(Encoder& out, const std::variant<Ts...>& value) {
    if (value.valueless_by_exception()) out.fail("a variant that has lost its value to an exception");
    std::visit([&]<class T>(const T& held) { Converter<T>::encode(out, held); }, value);
  }
  static std::variant<Ts...> decode(Decoder& in) {
    const Kind kind = in.kind();
    const Kind stands_for = kind == Kind::kStr ? in.str_stands_for() : kind;
    const bool text_first = takes(Kind::kStr) == Fit::kLikely;
    const Fit fits[] = {
        (stands_for == kind ? detail::fit<Ts>(kind) : detail::fit_of_str<Ts>(stands_for, text_first))...};
    std::optional<std::variant<Ts...>> value;
    detail::decode_alternative(
        in, fits, [&](std::size_t index) { decode_at(in, index, value, std::index_sequence_for<Ts...>{}); });
    return std::move(*value);
  }

 private:
  template <std::size_t... I>
  static void decode_at(Decoder& in, std::size_t index, std::optional<std::variant<Ts...>>& value,
                        std::index_sequence<I...> /*indices*/) {
    (void)((I == index ? (value.emplace(std::in_place_index<I>, Converter<Ts>::decode(in)), true) : false) ||
           ...);
  }
};

}  // namespace interpool
