// Conversion of your own structs, by naming their members once.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace interpool {

namespace detail {

template <class Owner, class Member>
struct Field {
  std::string_view name;
  Member Owner::* member;
};

/// The declaration of a struct that is an instance of a class in Python.
template <class... Declared>
struct ClassFields {
  std::string_view type;  // "module:Class"
  std::tuple<Declared...> members;
};

struct NoFields {};

template <class... Declared>
constexpr const std::tuple<Declared...>& members_of(const std::tuple<Declared...>& fields) noexcept {
  return fields;  // NOLINT(bugprone-return-const-ref-from-parameter): of a constant, kFields
}
template <class... Declared>
constexpr const std::tuple<Declared...>& members_of(const ClassFields<Declared...>& fields) noexcept {
  return fields.members;
}

consteval bool is_dotted_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string_view::npos && name.find(':') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

/// `type`: of the struct that has that field.
[[noreturn]] INTERPOOL_API void fail_field(const Decoder& in, std::string_view name, std::string_view type);

/// The name of T, for messages, as the compiler has it.
template <class T>
constexpr std::string_view type_name() {
  // "… [with T = app::User; std::string_view = …]" (GCC), "… [T = app::User]" (Clang).
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::size_t from = text.find("T = ") + 4;
  return text.substr(from, std::min(text.find(';', from), text.rfind(']')) - from);
}

template <class T>
inline constexpr bool kMayBeAbsent = false;
template <class T>
inline constexpr bool kMayBeAbsent<std::optional<T>> = true;

}  // namespace detail

/// A member of a struct or of its base, under the name that it has in Python.
template <class Owner, class Member>
consteval detail::Field<Owner, Member> field(std::string_view name, Member Owner::* member) {
  static_assert(!detail::kIsView<std::remove_const_t<Member>>,
                "interpool: a struct owns its fields, which are converted later: use std::string for text, "
                "interpool::Bytes or std::vector for data");
  return {name, member};
}

/// The members of a struct that cross into Python; see kFields. Two of one name do not compile.
template <class... Owners, class... Members>
  requires(sizeof...(Members) > 0)
consteval std::tuple<detail::Field<Owners, Members>...> fields(detail::Field<Owners, Members>... members) {
  const std::string_view names[] = {members.name...};
  for (std::size_t i = 0; i < sizeof...(Members); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (names[i] == names[j]) throw "two fields have the same name";
    }
  }
  return {members...};
}

/// The same of a struct that is an instance of a class in Python; see kFields. The class is "module:Class",
/// and another form of it does not compile.
template <class... Owners, class... Members>
  requires(sizeof...(Members) > 0)
consteval detail::ClassFields<detail::Field<Owners, Members>...> fields(
    std::string_view type, detail::Field<Owners, Members>... members) {
  const std::size_t colon = type.find(':');
  if (colon == std::string_view::npos || !detail::is_dotted_name(type.substr(0, colon)) ||
      !detail::is_dotted_name(type.substr(colon + 1))) {
    throw "a class is named as module:Class";
  }
  return {type, fields(members...)};
}

/// How a struct converts, in one declaration: after the struct, before its first conversion, outside of any
/// namespace.
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
/// To Python it is a dict; or an instance of a class that the declaration names first, as in
/// `interpool::fields("app.users:User", interpool::field(…), …)`, made by calling it with the fields as
/// keyword arguments: a dataclass, a namedtuple, whatever takes these. The class is looked up once per
/// interpreter, as functions are. What it raises is the call's PythonError, with a note that says for which
/// value. In a Value such a struct is a dict, too.
///
/// From Python it is a dict or any other object with these attributes: a dataclass,
/// say, or a namedtuple. Entries and attributes of other names do not matter, and only a std::optional may be
/// absent. Coming from Python takes a default constructor. Members convert by their own types, so structs
/// nest.
template <class T>
inline constexpr detail::NoFields kFields{};

/// A struct with a declaration of its fields.
template <class T>
concept HasFields = !std::is_same_v<std::remove_cvref_t<decltype(kFields<T>)>, detail::NoFields>;

/// A dict or an instance of a class to Python; a dict or an object from it, by the struct's kFields.
template <HasFields T>
struct Converter<T> {
  static constexpr Fit takes(Kind kind) {
    return kind == Kind::kNone || kind == Kind::kBool ? Fit::kNever
                                                      : detail::fit_of(kind, Kind::kDict, {kind});
  }
  static void encode(Encoder& out, const T& value) {
    const auto& members = detail::members_of(kFields<T>);
    constexpr std::size_t kSize = std::tuple_size_v<std::remove_cvref_t<decltype(members)>>;
    if constexpr (requires { kFields<T>.type; }) {
      out.begin_object(kFields<T>.type, kSize);
    } else {
      out.begin_dict(kSize);
    }
    std::apply([&](const auto&... one) { (encode_one(out, value, one), ...); }, members);
    out.end();
  }
  static T decode(Decoder& in)
    requires std::default_initializable<T>
  {
    T value{};
    std::apply([&](const auto&... one) { (decode_one(in, value, one), ...); },
               detail::members_of(kFields<T>));
    return value;
  }

 private:
  template <class Owner, class Member>
  static void encode_one(Encoder& out, const T& value, const detail::Field<Owner, Member>& one) {
    out.put_str(one.name);
    Converter<std::remove_const_t<Member>>::encode(out, value.*one.member);
  }
  template <class Owner, class Member>
  static void decode_one(Decoder& in, T& value, const detail::Field<Owner, Member>& one) {
    const bool found =
        in.field(one.name, [&](Decoder& field) { value.*one.member = Converter<Member>::decode(field); });
    if (!found && !detail::kMayBeAbsent<Member>) {
      detail::fail_field(in, one.name, detail::type_name<T>());
    }
  }
};

}  // namespace interpool
