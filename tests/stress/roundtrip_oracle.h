// What must become of a value, by the tables in docs/conversion.md, which this repeats without the archive.
#pragma once

#include "stress/roundtrip_datum.h"

#include <interpool/interpool.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace interpool::test {

enum class Route : std::uint8_t { kPython, kValue, kJson };

/// A ConversionError, at one of these paths. kAny in a path stands for any text.
struct Refused {
  std::vector<std::string> paths;
};
inline constexpr char kAny = '\x01';
/// The tables do not say: what was put in is against the rules.
struct Unspecified {};

[[noreturn]] inline void refuse(const std::string& path) { throw Refused{{path}}; }

inline bool matches(std::string_view pattern, std::string_view path) {
  if (pattern.empty()) return path.empty();
  if (pattern.front() == kAny) {
    for (std::size_t skipped = 0; skipped <= path.size(); ++skipped) {
      if (matches(pattern.substr(1), path.substr(skipped))) return true;
    }
    return false;
  }
  return !path.empty() && path.front() == pattern.front() && matches(pattern.substr(1), path.substr(1));
}

// ---- Text.
// -----------------------------------------------------------------------------------------------------------

/// Decodes and encodes anew: what is not the same then was no UTF-8.
inline bool is_text(const std::string& bytes, bool surrogates) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const std::size_t length = first < 0x80          ? 1
                               : (first >> 5U) == 6  ? 2
                               : (first >> 4U) == 14 ? 3
                               : (first >> 3U) == 30 ? 4
                                                     : 0;
    if (length == 0 || at + length > bytes.size()) return false;
    std::uint32_t code = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(bytes[at + i]);
      if ((next >> 6U) != 2) return false;
      code = (code << 6U) | (next & 0x3FU);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF) return false;
    if (code >= 0xD800 && code <= 0xDFFF && !surrogates) return false;
    at += length;
  }
  return true;
}

inline std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bits;
  for (const char c : bytes) {
    for (int bit = 7; bit >= 0; --bit) bits += ((static_cast<unsigned char>(c) >> bit) & 1) != 0 ? '1' : '0';
  }
  while (bits.size() % 6 != 0) bits += '0';
  std::string result;
  for (std::size_t i = 0; i < bits.size(); i += 6) {
    result += kDigits[std::strtoul(bits.substr(i, 6).c_str(), nullptr, 2)];
  }
  while (result.size() % 4 != 0) result += '=';
  return result;
}
/// The bytes of which this is the base64, if there are any: by its digits' values, and back.
inline std::optional<std::string> from_base64(const std::string& digits) {
  std::string bytes;
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < digits.size() && digits[i] != '='; ++i) {
    const char c = digits[i];
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '+' || c == '/')
      value = c == '+' ? 62 : 63;
    else
      return std::nullopt;
    group = (group << 6U) | value;
    if (i % 4 > 0) bytes += static_cast<char>(group >> (6 - 2 * (i % 4)));
  }
  if (base64(bytes) != digits) return std::nullopt;
  return bytes;
}

inline std::string day_text(std::int64_t days) {
  const std::time_t seconds = days * 86400;
  std::tm fields{};
  gmtime_r(&seconds, &fields);
  return fmt::format("{:04}-{:02}-{:02}", fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday);
}
inline std::string without_zeros(std::string digits) {
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return digits;
}
__extension__ typedef __int128 Micros128;  // NOLINT(modernize-use-using): takes no __extension__
inline Micros128 micros_of(const DayTime& time) {
  return (static_cast<Micros128>(time.days) * 86400 + time.seconds) * 1000000 + time.microseconds;
}
inline DayTime day_time_of(Micros128 micros) {
  DayTime time;
  constexpr Micros128 kDay = 86400000000;
  time.days = static_cast<std::int64_t>(micros / kDay);
  if (micros % kDay < 0) --time.days;
  const auto rest = static_cast<std::int64_t>(micros - time.days * kDay);
  time.seconds = static_cast<std::int32_t>(rest / 1000000);
  time.microseconds = static_cast<std::int32_t>(rest % 1000000);
  return time;
}
inline std::string duration_text(const DayTime& time) {
  Micros128 micros = micros_of(time);
  std::string result = micros < 0 ? "-P" : "P";
  if (micros < 0) micros = -micros;
  if (micros == 0) return "PT0S";
  const DayTime parts = day_time_of(micros);
  if (parts.days != 0) result += std::to_string(parts.days) + "D";
  std::string clock;
  if (parts.seconds / 3600 != 0) clock += std::to_string(parts.seconds / 3600) + "H";
  if (parts.seconds % 3600 / 60 != 0) clock += std::to_string(parts.seconds % 3600 / 60) + "M";
  if (parts.seconds % 60 != 0 || parts.microseconds != 0) {
    clock += without_zeros(fmt::format("{}.{:06}", parts.seconds % 60, parts.microseconds)) + "S";
  }
  return clock.empty() ? result : result + "T" + clock;
}
inline std::string time_text(const DayTime& time) {
  return day_text(time.days) +
         without_zeros(fmt::format("T{:02}:{:02}:{:02}.{:06}", time.seconds / 3600, time.seconds / 60 % 60,
                                   time.seconds % 60, time.microseconds)) +
         "Z";
}
inline std::string float_text(double value) {
  std::string digits = fmt::format("{}", value);
  if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
  return digits;
}
inline bool is_int_text(const std::string& text) {
  const std::size_t sign = text.starts_with('-') ? 1 : 0;
  return text.size() > sign && text.find_first_not_of("0123456789", sign) == std::string::npos &&
         (text[sign] != '0' || text.size() == sign + 1);
}
inline bool is_float_text(const std::string& text) {
  const std::size_t end = text.find_first_of(".eE");
  if (end == std::string::npos || !is_int_text(text.substr(0, end))) return false;
  std::string rest = text.substr(end);
  const auto digits = [&] {
    const std::size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
    rest.erase(0, count);
    return count > 0;
  };
  if (rest.starts_with('.')) {
    rest.erase(0, 1);
    if (!digits()) return false;
  }
  if (rest.empty()) return true;
  if (!rest.starts_with('e') && !rest.starts_with('E')) return false;
  rest.erase(0, 1);
  if (rest.starts_with('+') || rest.starts_with('-')) rest.erase(0, 1);
  return digits() && rest.empty();
}

// ---- Paths.
// ----------------------------------------------------------------------------------------------------------

inline std::string at_index(const std::string& path, std::size_t index) {
  return path + '[' + std::to_string(index) + ']';
}
inline std::string at_key(const std::string& path, const Datum& key) {
  switch (key.is) {
    case Is::kStr: {
      const std::string& name = key.text;
      const auto plain = [](char c) { return c >= ' ' && c <= '~'; };
      if (!std::ranges::all_of(name, plain)) return path + kAny;
      const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
      if (name.empty() || !std::ranges::all_of(name, word) ||
          std::isdigit(static_cast<unsigned char>(name[0])) != 0) {
        return path + "['" + name + "']";
      }
      return path.empty() ? name : path + "." + name;
    }
    case Is::kNone: return path + "[None]";
    case Is::kBool: return path + (key.truth ? "[True]" : "[False]");
    case Is::kInt:
      if (const auto small = key.number.to<std::int64_t>()) return path + "[" + std::to_string(*small) + "]";
      return path + kAny;
    default: return path + kAny;
  }
}

// ---- On the way.
// -----------------------------------------------------------------------------------------------------

inline bool is_number(const Datum& datum) {
  return datum.is == Is::kBool || datum.is == Is::kInt || datum.is == Is::kFloat;
}
inline BigInt whole(const Datum& datum) {
  return datum.is == Is::kBool ? BigInt(datum.truth ? 1 : 0) : datum.number;
}
inline std::string whole_text(double value) { return value == 0 ? "0" : fmt::format("{:.0f}", value); }
/// Nothing where no double is exactly that int: then it has other digits.
inline std::optional<double> exact(const BigInt& value) {
  const std::string digits = to_string(value);
  if (digits.size() > 320) return std::nullopt;
  const double result = std::strtod(digits.c_str(), nullptr);
  if (std::isinf(result) || whole_text(result) != digits) return std::nullopt;
  return result;
}
inline bool python_equal(const Datum& a, const Datum& b) {
  if (is_number(a) && is_number(b)) {
    if (a.is == Is::kFloat && b.is == Is::kFloat) return a.real == b.real;
    if (a.is == Is::kFloat) return python_equal(b, a);
    if (b.is == Is::kFloat) return exact(whole(a)) == std::optional(b.real);
    return whole(a) == whole(b);
  }
  if (a.is != b.is || a.text != b.text || a.items.size() != b.items.size()) return false;
  if (a.is >= Is::kDuration && a.is <= Is::kDate && micros_of(a.time) != micros_of(b.time)) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!python_equal(a.items[i], b.items[i])) return false;
  }
  return true;
}
inline bool hashable(const Datum& datum) {
  if (datum.is == Is::kTuple) return std::ranges::all_of(datum.items, hashable);
  return !is_container(datum);
}

inline Datum as_text(const Datum& datum, std::string chars) {
  return {.is = Is::kStr, .text = std::move(chars), .time = datum.time, .was = datum.is};
}

/// What a route makes of a value that goes in, at `path` and within `depth` containers.
inline Datum carried(const Datum& datum, Route route, const std::string& path, std::size_t depth,
                     bool key = false) {
  const bool json = route == Route::kJson;
  const bool is_day = datum.time.days >= -719162 && datum.time.days <= 2932896;  // the years 1 to 9999
  switch (datum.is) {
    case Is::kNone:
      if (json && key) refuse(path);
      return datum;
    case Is::kBool: return json && key ? as_text(datum, datum.truth ? "true" : "false") : datum;
    case Is::kInt: {
      if (!json) return datum;
      std::string digits = to_string(datum.number);
      if (digits.size() - (digits.starts_with('-') ? 1 : 0) > 4300) refuse(path);
      return key ? as_text(datum, std::move(digits)) : datum;
    }
    case Is::kFloat:
      if (json && !std::isfinite(datum.real)) refuse(path);
      return json && key ? as_text(datum, float_text(datum.real)) : datum;
    case Is::kStr:
      if (route != Route::kValue && !is_text(datum.text, /*surrogates=*/!json)) refuse(path);
      return datum;
    case Is::kBytes:
    case Is::kBuffer: return json ? as_text(datum, base64(datum.text)) : datum;
    case Is::kDuration:
      if (route == Route::kValue || std::abs(datum.time.days) > 999999999) refuse(path);
      return json ? as_text(datum, duration_text(datum.time)) : datum;
    case Is::kTime:
      if (route == Route::kValue || !is_day) refuse(path);
      return json ? as_text(datum, time_text(datum.time)) : datum;
    case Is::kDate:
      if (route == Route::kValue || !is_day) refuse(path);
      return json ? as_text(datum, day_text(datum.time.days)) : datum;
    default: break;
  }
  if ((json && key) || depth >= kMaxDepth) refuse(path);
  Datum result = container(datum.is, {});
  if (json && datum.is != Is::kDict) result.is = Is::kList;
  if (route == Route::kValue && datum.is == Is::kSet) result.is = Is::kList;
  if (datum.is == Is::kDict) {
    for (std::size_t i = 0; i < datum.items.size(); i += 2) {
      Datum name = carried(datum.items[i], route, path, depth + 1, true);
      const std::string inside = at_key(path, name);
      Datum mapped = carried(datum.items[i + 1], route, inside, depth + 1);
      if (route == Route::kPython) {
        if (!hashable(name)) refuse(inside);
        bool known = false;
        for (std::size_t k = 0; k < result.items.size() && !known; k += 2) {
          known = python_equal(result.items[k], name);
          if (known) result.items[k + 1] = mapped;
        }
        if (known) continue;
      }
      result.items.push_back(std::move(name));
      result.items.push_back(std::move(mapped));
    }
    if (json) {
      std::set<std::string> names;
      for (std::size_t i = 0; i < result.items.size(); i += 2) {
        if (!names.insert(result.items[i].text).second) refuse(path);
      }
    }
    return result;
  }
  for (std::size_t i = 0; i < datum.items.size(); ++i) {
    Datum item = carried(datum.items[i], route, at_index(path, i), depth + 1);
    if (route == Route::kPython && datum.is == Is::kSet) {
      if (!hashable(item)) refuse(at_index(path, i));
      if (std::ranges::any_of(result.items, [&](const Datum& other) { return python_equal(other, item); }))
        continue;
    }
    result.items.push_back(std::move(item));
  }
  return result;
}

// ---- As a type.
// ------------------------------------------------------------------------------------------------------

/// Where a value is: on its way out of a route.
struct Place {
  Route route;
  std::string path = {};
  bool key = false;
};

/// Want<T>::of: what a T holds of a value, or Refused. model: what a T holds. own: of its own kind, for
/// variants. make: a value that will often do.
template <class T>
struct Want;

inline Datum as_number(const Datum& datum, const Place& at) {
  if (at.route != Route::kJson || !at.key || datum.is != Is::kStr) return datum;
  if (datum.text == "true" || datum.text == "false") return truth(datum.text == "true");
  if (is_int_text(datum.text)) return number(*BigInt::parse(datum.text));
  if (is_float_text(datum.text)) {
    const double value = std::strtod(datum.text.c_str(), nullptr);
    if (std::isfinite(value)) return real(value);
  }
  return datum;
}
inline bool less(const Datum& a, const Datum& b) {
  switch (a.is) {
    case Is::kBool: return a.truth < b.truth;
    case Is::kInt: return a.number < b.number;
    case Is::kFloat: return a.real < b.real;
    case Is::kDuration: return micros_of(a.time) < micros_of(b.time);
    default: return a.text < b.text;
  }
}

/// Nearly always `good`.
inline Datum mostly(Dice& dice, Datum good) { return dice.percent(4) ? any_datum(dice, 2) : good; }
inline std::size_t any_count(Dice& dice) { return dice.below(4); }

template <>
struct Want<bool> {
  static bool own(Is is) { return is == Is::kBool; }
  static Datum of(const Datum& datum, const Place& at) {
    const Datum found = as_number(datum, at);
    if (found.is != Is::kBool) refuse(at.path);
    return found;
  }
  static Datum model(bool value) { return truth(value); }
  static Datum make(Dice& dice) { return mostly(dice, truth(dice.percent(50))); }
};

template <class T>
  requires(std::integral<T> || std::same_as<T, BigInt>)
struct Want<T> {
  static bool own(Is is) { return is == Is::kInt; }
  static Datum of(const Datum& datum, const Place& at) {
    const Datum found = as_number(datum, at);
    if (found.is != Is::kInt && found.is != Is::kBool) refuse(at.path);
    const BigInt value = whole(found);
    if constexpr (std::integral<T>) {
      if (value < BigInt(std::numeric_limits<T>::min()) || value > BigInt(std::numeric_limits<T>::max())) {
        refuse(at.path);
      }
    }
    return number(value);
  }
  static Datum model(const T& value) { return number(value); }
  static Datum make(Dice& dice) {
    if (dice.percent(60)) return number(static_cast<int>(dice.below(100)));
    return mostly(dice, number(any_number(dice)));
  }
};

template <std::floating_point T>
struct Want<T> {
  static bool own(Is is) { return is == Is::kFloat; }
  static Datum of(const Datum& datum, const Place& at) {
    const Datum found = as_number(datum, at);
    if (!is_number(found)) refuse(at.path);
    const auto value = found.is == Is::kFloat ? std::optional(found.real) : exact(whole(found));
    if (!value) refuse(at.path);
    const auto narrow = static_cast<T>(*value);
    if (std::isinf(narrow) && std::isfinite(*value)) refuse(at.path);
    return real(narrow);
  }
  static Datum model(T value) { return real(value); }
  static Datum make(Dice& dice) {
    return mostly(dice, dice.percent(70) ? real(any_real(dice)) : number(any_number(dice)));
  }
};

template <>
struct Want<std::string> {
  static bool own(Is is) { return is == Is::kStr; }
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is != Is::kStr) refuse(at.path);
    return text(datum.text);
  }
  static Datum model(const std::string& value) { return text(value); }
  static Datum make(Dice& dice) { return mostly(dice, text(any_text(dice))); }
};

template <>
struct Want<Bytes> {
  static bool own(Is is) { return is == Is::kBytes; }
  static Datum of(const Datum& datum, const Place& at, Is as = Is::kBytes) {
    if (at.route == Route::kJson && datum.is == Is::kStr) {
      const auto bytes = from_base64(datum.text);
      if (!bytes) refuse(at.path);
      return data(as, *bytes);
    }
    if (datum.is != Is::kBytes && datum.is != Is::kBuffer) refuse(at.path);
    return data(as, datum.text);
  }
  static Datum model(const Bytes& value) { return data(Is::kBytes, chars_of(value)); }
  static Datum make(Dice& dice) {
    return mostly(dice, data(dice.percent(70) ? Is::kBytes : Is::kBuffer, any_chars(dice)));
  }
};
template <>
struct Want<Buffer> : Want<Bytes> {
  static bool own(Is is) { return is == Is::kBuffer; }
  static Datum of(const Datum& datum, const Place& at) { return Want<Bytes>::of(datum, at, Is::kBuffer); }
  static Datum model(const Buffer& value) { return data(Is::kBuffer, chars_of(value.bytes())); }
};

template <class T>
struct Want<std::optional<T>> {
  static bool own(Is is) { return is == Is::kNone || Want<T>::own(is); }
  static Datum of(const Datum& datum, const Place& at) {
    return datum.is == Is::kNone ? datum : Want<T>::of(datum, at);
  }
  static Datum model(const std::optional<T>& value) { return value ? Want<T>::model(*value) : none(); }
  static Datum make(Dice& dice) { return dice.percent(20) ? none() : Want<T>::make(dice); }
};

template <>
struct Want<std::monostate> {
  static bool own(Is is) { return is == Is::kNone; }
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is != Is::kNone) refuse(at.path);
    return datum;
  }
  static Datum model(std::monostate /*value*/) { return none(); }
  static Datum make(Dice& dice) { return mostly(dice, none()); }
};

inline bool is_row(const Datum& datum) { return datum.is == Is::kList || datum.is == Is::kTuple; }

template <class Row, class T>
struct WantRow {
  static bool own(Is is) { return is == Is::kList; }
  static Datum of(const Datum& datum, const Place& at) {
    if (!is_row(datum)) refuse(at.path);
    Datum result = container(Is::kList, {});
    for (std::size_t i = 0; i < datum.items.size(); ++i) {
      result.items.push_back(Want<T>::of(datum.items[i], {at.route, at_index(at.path, i)}));
    }
    return result;
  }
  static Datum model(const Row& value) {
    Datum result = container(Is::kList, {});
    for (const auto& item : value) result.items.push_back(Want<T>::model(item));
    return result;
  }
  static Datum make(Dice& dice, std::size_t count) {
    Datum result = container(dice.percent(70) ? Is::kList : Is::kTuple, {});
    for (; count > 0; --count) result.items.push_back(Want<T>::make(dice));
    return mostly(dice, result);
  }
  static Datum make(Dice& dice) { return make(dice, any_count(dice)); }
};
template <class T>
struct Want<std::vector<T>> : WantRow<std::vector<T>, T> {};
template <class T>
struct Want<std::deque<T>> : WantRow<std::deque<T>, T> {};
template <class T, std::size_t N>
struct Want<std::array<T, N>> : WantRow<std::array<T, N>, T> {
  using Row = WantRow<std::array<T, N>, T>;
  static Datum of(const Datum& datum, const Place& at) {
    if (!is_row(datum) || datum.items.size() != N) refuse(at.path);
    return Row::of(datum, at);
  }
  static Datum make(Dice& dice) { return Row::make(dice, dice.percent(90) ? N : any_count(dice)); }
};

template <class... Ts>
struct Want<std::tuple<Ts...>> {
  static bool own(Is is) { return is == Is::kTuple; }
  static Datum of(const Datum& datum, const Place& at) {
    if (!is_row(datum) || datum.items.size() != sizeof...(Ts)) refuse(at.path);
    Datum result = container(Is::kTuple, {});
    std::size_t i = 0;
    const auto add = [&](auto of) {
      result.items.push_back(of(datum.items[i], {at.route, at_index(at.path, i)}));
      ++i;
    };
    (add([](const Datum& item, const Place& place) { return Want<Ts>::of(item, place); }), ...);
    return result;
  }
  static Datum model(const std::tuple<Ts...>& value) {
    return std::apply([](const Ts&... item) { return container(Is::kTuple, {Want<Ts>::model(item)...}); },
                      value);
  }
  static Datum make(Dice& dice) {
    Datum result = container(dice.percent(70) ? Is::kTuple : Is::kList, {Want<Ts>::make(dice)...});
    if (dice.percent(3)) result.items.pop_back();
    return mostly(dice, result);
  }
};

template <class T>
struct Want<std::set<T>> {
  static bool own(Is is) { return is == Is::kSet; }
  static Datum of(const Datum& datum, const Place& at) {
    const bool python = at.route == Route::kPython;
    if (datum.is != (python ? Is::kSet : Is::kList)) refuse(at.path);
    Datum result = container(Is::kSet, {});
    Refused refused;
    for (std::size_t i = 0; i < datum.items.size(); ++i) {
      const std::string path = python ? at_key(at.path, text("\n")) : at_index(at.path, i);
      try {
        Datum member = Want<T>::of(datum.items[i], {at.route, path});
        if (member.is == Is::kFloat && std::isnan(member.real)) refuse(path);
        const auto next = std::ranges::lower_bound(result.items, member, less);
        if (next == result.items.end() || less(member, *next)) {
          result.items.insert(next, std::move(member));
        } else if (python && shown(*next) != shown(member)) {
          throw Unspecified();  // one of them counts, 0.0 or -0.0
        }
      } catch (const Refused& one) {
        if (!python) throw;
        refused.paths.insert(refused.paths.end(), one.paths.begin(), one.paths.end());  // in any order
      }
    }
    if (!refused.paths.empty()) throw refused;
    return result;
  }
  static Datum model(const std::set<T>& value) {
    Datum result = container(Is::kSet, {});
    for (const T& member : value) result.items.push_back(Want<T>::model(member));
    return result;
  }
  static Datum make(Dice& dice) {
    Datum result = container(dice.percent(90) ? Is::kSet : Is::kList, {});
    for (std::size_t count = any_count(dice); count > 0; --count) {
      Datum member = Want<T>::make(dice);
      if (hashable(member) && member.is != Is::kBuffer) result.items.push_back(std::move(member));
    }
    return result;
  }
};

template <class K, class V>
struct Want<std::map<K, V>> {
  static bool own(Is is) { return is == Is::kDict; }
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is != Is::kDict) refuse(at.path);
    Datum keys = container(Is::kList, {});
    Datum result = container(Is::kDict, {});
    for (std::size_t i = 0; i < datum.items.size(); i += 2) {
      const std::string path = at_key(at.path, datum.items[i]);
      Datum key = Want<K>::of(datum.items[i], {at.route, path, true});
      if (key.is == Is::kFloat && std::isnan(key.real)) refuse(path);
      Datum mapped = Want<V>::of(datum.items[i + 1], {at.route, path});
      const auto next = std::ranges::lower_bound(keys.items, key, less);
      if (next != keys.items.end() && !less(key, *next)) continue;  // the first one counts
      const auto place = result.items.begin() + 2 * (next - keys.items.begin());
      result.items.insert(result.items.insert(place, std::move(mapped)), key);
      keys.items.insert(next, std::move(key));
    }
    return result;
  }
  static Datum model(const std::map<K, V>& value) {
    Datum result = container(Is::kDict, {});
    for (const auto& [key, mapped] : value) {
      result.items.push_back(Want<K>::model(key));
      result.items.push_back(Want<V>::model(mapped));
    }
    return result;
  }
  static Datum make(Dice& dice) {
    Datum result = container(Is::kDict, {});
    for (std::size_t count = any_count(dice); count > 0; --count) {
      Datum key = Want<K>::make(dice);
      if (!hashable(key) || key.is == Is::kBuffer) continue;
      result.items.push_back(std::move(key));
      result.items.push_back(Want<V>::make(dice));
    }
    return mostly(dice, result);
  }
};

template <class... Ts>
struct Want<std::variant<Ts...>> {
  static bool own(Is is) { return (Want<Ts>::own(is) || ...); }
  static Datum of(const Datum& datum, const Place& at) {
    for (const bool of_own_kind : {true, false}) {
      std::optional<Datum> found;
      const auto attempt = [&](bool own, auto of) {
        if (found || own != of_own_kind) return;
        try {
          found = of(datum, at);
        } catch (const Refused&) {
          // The next one, then.
        }
      };
      (attempt(Want<Ts>::own(datum.is),
               [](const Datum& one, const Place& place) { return Want<Ts>::of(one, place); }),
       ...);
      if (found) return *found;
    }
    refuse(at.path + kAny);  // or further inside, where only one is of that kind
  }
  static Datum model(const std::variant<Ts...>& value) {
    return std::visit([]<class T>(const T& held) { return Want<T>::model(held); }, value);
  }
  static Datum make(Dice& dice) {
    std::array<Datum (*)(Dice&), sizeof...(Ts)> makers{+[](Dice& one) { return Want<Ts>::make(one); }...};
    return makers[dice.below(makers.size())](dice);
  }
};

template <class T>
  requires std::is_enum_v<T>
struct Want<T> : Want<std::underlying_type_t<T>> {
  static Datum model(T value) { return number(static_cast<std::underlying_type_t<T>>(value)); }
};

/// Any of its kind; `is` is in Python what `was` is in JSON.
inline bool is_of(const Datum& datum, const Place& at, Is is) {
  return at.route == Route::kJson ? datum.is == Is::kStr && datum.was == is : datum.is == is;
}

template <class Rep, class Period>
struct Want<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static bool own(Is is) { return is == Is::kDuration; }
  static Datum of(const Datum& datum, const Place& at, Is is = Is::kDuration) {
    if (!is_of(datum, at, is)) refuse(at.path);
    const Micros128 micros = micros_of(datum.time);
    if constexpr (std::floating_point<Rep>) {
      static_assert(std::ratio_equal_v<Period, std::ratio<1>>);
      return real(static_cast<Rep>(static_cast<long double>(micros) / 1000000));
    } else {
      constexpr Micros128 kTick = Period::num * (1000000 / Period::den);
      static_assert(1000000 % Period::den == 0);
      if (micros % kTick != 0) refuse(at.path);
      const Micros128 ticks = micros / kTick;
      if (ticks < std::numeric_limits<Rep>::min() || ticks > std::numeric_limits<Rep>::max()) refuse(at.path);
      return time(is, datum.time);
    }
  }
  static Datum model(Duration value, Is is = Is::kDuration) {
    if constexpr (std::floating_point<Rep>) {
      return real(value.count());
    } else {
      return time(is,
                  day_time_of(static_cast<Micros128>(value.count()) * Period::num * (1000000 / Period::den)));
    }
  }
  static Datum make(Dice& dice, Is is = Is::kDuration) {
    Datum result = time(is, any_time(dice));
    if (dice.percent(50)) result.time.microseconds = 0;
    return mostly(dice, result);
  }
};
template <class Duration>
struct Want<std::chrono::sys_time<Duration>> {
  static bool own(Is is) { return is == Is::kTime; }
  static Datum of(const Datum& datum, const Place& at) { return Want<Duration>::of(datum, at, Is::kTime); }
  static Datum model(std::chrono::sys_time<Duration> value) {
    return Want<Duration>::model(value.time_since_epoch(), Is::kTime);
  }
  static Datum make(Dice& dice) { return Want<Duration>::make(dice, Is::kTime); }
};
template <>
struct Want<std::chrono::sys_days> {
  static bool own(Is is) { return is == Is::kDate; }
  static Datum of(const Datum& datum, const Place& at) {
    if (!is_of(datum, at, Is::kDate)) refuse(at.path);
    return date(datum.time.days);
  }
  static Datum model(std::chrono::sys_days value) { return date(value.time_since_epoch().count()); }
  static Datum make(Dice& dice) { return mostly(dice, date(any_time(dice).days)); }
};
template <>
struct Want<std::chrono::year_month_day> : Want<std::chrono::sys_days> {};

template <>
struct Want<std::filesystem::path> {
  static bool own(Is /*is*/) { return false; }
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is != Is::kStr && (datum.is != Is::kBytes || at.route == Route::kJson)) refuse(at.path);
    std::string native = datum.text;
    if (datum.is == Is::kStr) {
      if (!is_text(native, true)) throw Unspecified();
      for (std::size_t i = 0; i + 2 < native.size(); ++i) {
        if (native[i] != '\xED' || static_cast<unsigned char>(native[i + 1]) < 0xA0) continue;
        const unsigned code = 0xD000U | ((static_cast<unsigned char>(native[i + 1]) & 0x3FU) << 6U) |
                              (static_cast<unsigned char>(native[i + 2]) & 0x3FU);
        if (code < 0xDC80 || code > 0xDCFF) refuse(at.path);
        native.replace(i, 3, 1, static_cast<char>(code & 0xFFU));
      }
    }
    if (native.find('\0') != std::string::npos) refuse(at.path);
    return text(native);
  }
  static Datum model(const std::filesystem::path& value) { return text(value.native()); }
  static Datum make(Dice& dice) {
    return mostly(dice, dice.percent(70) ? text(any_text(dice)) : data(Is::kBytes, any_chars(dice)));
  }
};

template <>
struct Want<Value> {
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is == Is::kSet || (datum.is >= Is::kDuration && datum.is <= Is::kDate)) refuse(at.path);
    Datum result = datum;
    result.was = Is::kNone;
    for (std::size_t i = 0; i < datum.items.size(); ++i) {
      const std::string path =
          datum.is == Is::kDict ? at_key(at.path, datum.items[i - i % 2]) : at_index(at.path, i);
      result.items[i] = of(datum.items[i], {at.route, path});
    }
    return result;
  }
  static Datum model(const Value& value) {
    switch (value.kind()) {
      case Kind::kBool: return truth(value.as_bool());
      case Kind::kInt: return number(value.as_big_int());
      case Kind::kFloat: return real(value.as_float());
      case Kind::kStr: return text(value.as_str());
      case Kind::kBytes: return data(Is::kBytes, chars_of(value.as_bytes()));
      case Kind::kBuffer: return data(Is::kBuffer, chars_of(value.as_buffer().bytes()));
      case Kind::kList:
      case Kind::kTuple: {
        Datum result = container(value.kind() == Kind::kList ? Is::kList : Is::kTuple, {});
        for (const Value& item : value.as_list()) result.items.push_back(model(item));
        return result;
      }
      case Kind::kDict: {
        Datum result = container(Is::kDict, {});
        for (const auto& [key, mapped] : value.as_dict()) {
          result.items.push_back(model(key));
          result.items.push_back(model(mapped));
        }
        return result;
      }
      default: return none();
    }
  }
  static Datum make(Dice& dice) { return dice.percent(5) ? any_deep(dice) : any_datum(dice, 3); }
};

}  // namespace interpool::test
