// Conversion of your own structs, by naming their members once.
#pragma once

#include <interpool/convert.h>

#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace interpool {

namespace detail {

template <class T, class Member>
struct Field {
  std::string_view name;
  Member T::* member;
};

template <class... Members>
struct Fields {
  std::tuple<Members...> members;
  std::string_view python_class;

  /// The same, for objects of the Python class that `name` says, "module:Class", instead of dicts.
  [[nodiscard]] constexpr Fields as(std::string_view name) const {
    Fields copy = *this;
    copy.python_class = name;
    return copy;
  }
};

struct NoFields {};

[[noreturn]] INTERPOOL_API void fail_field(const Decoder& in, std::string_view name);

template <class T>
inline constexpr bool kMayBeAbsent = false;
template <class T>
inline constexpr bool kMayBeAbsent<std::optional<T>> = true;

}  // namespace detail

/// A member of a struct, under the name that it has in Python.
template <class T, class Member>
constexpr detail::Field<T, Member> field(std::string_view name, Member T::* member) {
  return {name, member};
}

/// The members of a struct that cross into Python; see kFields.
template <class... Members>
constexpr detail::Fields<Members...> fields(Members... members) {
  return {{members...}, {}};
}

/// How a struct converts, in one declaration beside it:
///
///     struct User {
///       std::int64_t id = 0;
///       std::string name;
///       std::optional<std::string> mail;
///     };
///     template <>
///     inline constexpr auto interpool::kFields<User> = interpool::fields(
///         interpool::field("id", &User::id), interpool::field("name", &User::name),
///         interpool::field("mail", &User::mail));
///
/// To Python it is a dict, or with `.as("module:Class")` behind the declaration an object of that class,
/// which is called with the members as keyword arguments: a dataclass, say, or a namedtuple. From Python it
/// is a dict or any object with these attributes; entries and attributes of other names do not matter, and
/// only a std::optional may be absent. The struct needs a default constructor. Members convert by their own
/// types, so structs nest.
template <class T>
inline constexpr detail::NoFields kFields{};

/// A struct with a declaration of its fields.
template <class T>
concept HasFields = !std::is_same_v<std::remove_cvref_t<decltype(kFields<T>)>, detail::NoFields>;

/// A dict or an object, by the struct's kFields.
template <HasFields T>
struct Converter<T> {
  static void encode(Encoder& out, const T& value) {
    constexpr auto& kDeclared = kFields<T>;
    constexpr std::size_t kCount = std::tuple_size_v<decltype(kDeclared.members)>;
    if constexpr (kDeclared.python_class.empty()) {
      out.begin_dict(kCount);
    } else {
      out.begin_object(kDeclared.python_class, kCount);
    }
    std::apply([&](const auto&... one) { (encode_one(out, value, one), ...); }, kDeclared.members);
    out.end();
  }
  static T decode(Decoder& in) {
    T value{};
    std::apply([&](const auto&... one) { (decode_one(in, value, one), ...); }, kFields<T>.members);
    return value;
  }

 private:
  template <class Member>
  static void encode_one(Encoder& out, const T& value, const detail::Field<T, Member>& one) {
    out.put_str(one.name);
    Converter<Member>::encode(out, value.*one.member);
  }
  template <class Member>
  static void decode_one(Decoder& in, T& value, const detail::Field<T, Member>& one) {
    const bool found =
        in.field(one.name, [&](Decoder& field) { value.*one.member = Converter<Member>::decode(field); });
    if (!found && !detail::kMayBeAbsent<Member>) detail::fail_field(in, one.name);
  }
};

}  // namespace interpool
