// What the round trips carry: a description of a value, made at random, that knows nothing of the archive.
#pragma once

#include <interpool/interpool.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace interpool::test {

enum class Is : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kStr,
  kBytes,
  kBuffer,
  kDuration,
  kTime,
  kDate,
  kList,
  kTuple,
  kDict,
  kSet
};

struct Datum {
  Is is = Is::kNone;
  bool truth = false;
  BigInt number = {};
  double real = 0;
  std::string text = {};          // of a str, bytes or Buffer
  DayTime time = {};              // of a duration, a time or a date
  std::vector<Datum> items = {};  // of a dict: key, value, key, value, …
  Is was = Is::kNone;             // of a str: what became one in JSON
};

inline bool is_container(const Datum& datum) { return datum.is >= Is::kList; }

inline Datum none() { return {}; }
inline Datum truth(bool value) { return {.is = Is::kBool, .truth = value}; }
inline Datum number(BigInt value) { return {.is = Is::kInt, .number = std::move(value)}; }
inline Datum real(double value) { return {.is = Is::kFloat, .real = value}; }
inline Datum text(std::string value) { return {.is = Is::kStr, .text = std::move(value)}; }
inline Datum data(Is is, std::string value) { return {.is = is, .text = std::move(value)}; }
inline Datum time(Is is, const DayTime& value) { return {.is = is, .time = value}; }
inline Datum date(std::int64_t days) { return {.is = Is::kDate, .time = {.days = days}}; }
inline Datum container(Is is, std::vector<Datum> items) { return {.is = is, .items = std::move(items)}; }

inline Bytes bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
inline std::string chars_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Different texts for different values: of the kind, and of every bit of a float but the sign of a NaN.
inline void append_shown(std::string& out, const Datum& datum) {
  const auto quoted = [&](std::string_view chars) {
    out += '\'';
    for (const char c : chars) {
      if (c >= ' ' && c <= '~' && c != '\'' && c != '\\') {
        out += c;
      } else {
        char code[8];
        (void)std::snprintf(code, sizeof code, "\\x%02x",
                            static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += code;
      }
    }
    out += '\'';
  };
  const auto listed = [&](const char* open, const char* close) {
    out += open;
    for (const Datum& item : datum.items) {
      append_shown(out, item);
      out += ", ";
    }
    out += close;
  };
  const auto timed = [&](const char* name) {
    out += name;
    out += '(' + std::to_string(datum.time.days) + ", " + std::to_string(datum.time.seconds) + ", " +
           std::to_string(datum.time.microseconds) + ')';
  };
  switch (datum.is) {
    case Is::kNone: out += "None"; break;
    case Is::kBool: out += datum.truth ? "True" : "False"; break;
    case Is::kInt: out += to_string(datum.number); break;
    case Is::kFloat: {
      char digits[64];
      (void)std::snprintf(digits, sizeof digits, "float(%a)", std::isnan(datum.real) ? NAN : datum.real);
      out += digits;
      break;
    }
    case Is::kStr: quoted(datum.text); break;
    case Is::kBytes: out += 'b', quoted(datum.text); break;
    case Is::kBuffer: out += "Buffer", quoted(datum.text); break;
    case Is::kDuration: timed("duration"); break;
    case Is::kTime: timed("time"); break;
    case Is::kDate: timed("date"); break;
    case Is::kList: listed("[", "]"); break;
    case Is::kTuple: listed("(", ")"); break;
    case Is::kDict: listed("dict{", "}"); break;
    case Is::kSet: listed("set{", "}"); break;
  }
}
inline std::string shown(const Datum& datum) {
  std::string out;
  append_shown(out, datum);
  return out;
}

/// SplitMix64.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t end) noexcept { return static_cast<std::size_t>(next() % end); }
  bool percent(std::size_t chance) noexcept { return below(100) < chance; }

 private:
  std::uint64_t state_;
};

inline std::string any_chars(Dice& dice) {
  std::string chars(dice.below(9), '\0');
  for (char& c : chars) c = static_cast<char>(dice.next());
  return chars;
}

/// Mostly UTF-8.
inline std::string any_text(Dice& dice) {
  static const std::vector<std::string> kParts = {"a",
                                                  "key",
                                                  "_x9",
                                                  "1",
                                                  "-7",
                                                  "0",
                                                  "true",
                                                  "1.5",
                                                  "-0.0",
                                                  "AA==",
                                                  "Zm9v",
                                                  " ",
                                                  "'",
                                                  "\"",
                                                  "\\",
                                                  "/",
                                                  "\n",
                                                  "\x01",
                                                  std::string(1, '\0'),
                                                  "\x7f",
                                                  "\xC2\x80",
                                                  "\xC3\xA9",
                                                  "\xE2\x82\xAC",
                                                  "\xEF\xBF\xBD",
                                                  "\xEF\xBB\xBF",
                                                  "\xE2\x80\xA8",
                                                  "\xF0\x9F\x98\x80",
                                                  "\xF4\x8F\xBF\xBF"};
  static const std::vector<std::string> kOdd = {"\xED\xA0\x80",
                                                "\xED\xB2\x80",
                                                "\xED\xB3\xBF",
                                                "\xED\xBF\xBF",
                                                "\xED\xA0\xBD\xED\xB8\x80",  // surrogates
                                                "\xFF",
                                                "\xC3",
                                                "\xC0\x80",
                                                "\xE0\x80\x80",
                                                "\xF4\x90\x80\x80",
                                                "\xF0\x9F\x98",
                                                "\x80",
                                                "\xED\xA0"};
  std::string chars;
  const std::size_t parts = dice.below(5);
  for (std::size_t i = 0; i < parts; ++i) chars += kParts[dice.below(kParts.size())];
  if (dice.percent(8)) chars += kOdd[dice.below(kOdd.size())];
  if (dice.percent(1)) chars.append(300 + dice.below(1000), 'x');
  return chars;
}

inline BigInt any_number(Dice& dice) {
  const std::size_t way = dice.below(100);
  if (way < 40) return static_cast<std::int64_t>(dice.below(21)) - 10;
  if (way < 80) {  // at the edges of types
    Bytes bytes(dice.below(18) + 2);
    bytes[dice.below(bytes.size() - 1)] = static_cast<std::byte>(1U << dice.below(8));
    const std::size_t change = dice.below(3);
    if (change == 1) {  // one less
      for (std::byte& byte : bytes) {
        const bool borrowed = byte == std::byte{0};
        byte = static_cast<std::byte>(std::to_integer<unsigned>(byte) - 1U);
        if (!borrowed) break;
      }
    }
    if (change == 2) bytes[0] |= std::byte{1};
    if (dice.percent(50)) {
      for (std::byte& byte : bytes) byte = ~byte;
    }
    return BigInt::from_bytes(bytes);
  }
  if (way < 99) return static_cast<std::int64_t>(dice.next() >> dice.below(64));
  if (dice.percent(80))
    return BigInt::from_bytes(Bytes(1 + dice.below(200), static_cast<std::byte>(dice.next())));
  std::string digits(4295 + dice.below(10), '8');
  if (dice.percent(50)) digits.insert(0, "-");
  return *BigInt::parse(digits);
}

inline double any_real(Dice& dice) {
  static const double kEdges[] = {0.0,
                                  -0.0,
                                  1.0,
                                  -1.0,
                                  0.5,
                                  0.1,
                                  1e22,
                                  1e23,
                                  1e15,
                                  1e16,
                                  1e-5,
                                  9007199254740993.0,
                                  1.7976931348623157e308,
                                  5e-324,
                                  2.2250738585072014e-308,
                                  3.4028235677973366e38,
                                  3.4028234663852886e38,
                                  1e-46,
                                  std::numeric_limits<double>::infinity(),
                                  -std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::quiet_NaN(),
                                  255.0,
                                  256.0,
                                  -128.0};
  if (dice.percent(60)) return kEdges[dice.below(std::size(kEdges))];
  if (dice.percent(50)) return static_cast<double>(static_cast<std::int64_t>(dice.below(2000)) - 1000) / 8;
  return std::bit_cast<double>(dice.next());
}

inline DayTime any_time(Dice& dice) {
  DayTime value;
  const std::size_t way = dice.below(10);
  if (way < 5) value.days = static_cast<std::int64_t>(dice.below(40000)) - 20000;
  if (way == 5) value.days = static_cast<std::int64_t>(dice.below(5000000)) - 1500000;
  if (way == 6) value.days = static_cast<std::int64_t>(dice.below(2000000003)) - 1000000001;
  static constexpr std::int64_t kEdges[] = {-719163,    -719162,    2932896,     2932897,   999999999,
                                            1000000000, -999999999, -1000000000, 106751991, -106751992};
  if (way == 7) value.days = kEdges[dice.below(std::size(kEdges))];
  if (dice.percent(70)) value.seconds = static_cast<std::int32_t>(dice.below(86400));
  if (dice.percent(20)) value.seconds = static_cast<std::int32_t>(dice.below(24) * 3600);
  if (dice.percent(40)) value.microseconds = static_cast<std::int32_t>(dice.below(1000000));
  if (dice.percent(20)) value.microseconds = static_cast<std::int32_t>(dice.below(1000) * 1000);
  return value;
}

inline Datum any_scalar(Dice& dice) {
  switch (dice.below(11)) {
    case 0: return none();
    case 1: return truth(dice.percent(50));
    case 2:
    case 3: return number(any_number(dice));
    case 4: return real(any_real(dice));
    case 5:
    case 6: return text(any_text(dice));
    case 7: return data(Is::kBytes, any_chars(dice));
    case 8: return time(Is::kDuration, any_time(dice));
    case 9: return time(Is::kTime, any_time(dice));
    default: return date(any_time(dice).days);
  }
}

inline Datum any_datum(Dice& dice, std::size_t depth);

/// Mostly hashable; no Buffer, whose hash is its identity's.
inline Datum any_key(Dice& dice, std::size_t depth) {
  if (dice.percent(40)) return text(any_text(dice));
  if (dice.percent(90)) return any_scalar(dice);
  if (dice.percent(20) && depth > 0) return container(Is::kList, {});
  std::vector<Datum> items;
  for (std::size_t count = dice.below(3); count > 0; --count)
    items.push_back(any_key(dice, depth == 0 ? 0 : depth - 1));
  return container(Is::kTuple, std::move(items));
}

inline Datum any_datum(Dice& dice, std::size_t depth) {
  if (depth == 0 || dice.percent(55)) {
    return dice.percent(5) ? data(Is::kBuffer, any_chars(dice)) : any_scalar(dice);
  }
  static constexpr Is kContainers[] = {Is::kList, Is::kTuple, Is::kDict, Is::kSet};
  Datum datum = container(kContainers[dice.below(4)], {});
  for (std::size_t count = dice.below(5); count > 0; --count) {
    if (datum.is == Is::kDict) datum.items.push_back(any_key(dice, depth));
    datum.items.push_back(datum.is == Is::kSet ? any_key(dice, depth) : any_datum(dice, depth - 1));
  }
  return datum;
}

/// Within as many containers as may nest, or some more.
inline Datum any_deep(Dice& dice) {
  Datum datum = any_datum(dice, 1);
  for (std::size_t left = 96 + dice.below(7); left > 0; --left) {
    if (dice.percent(10)) {
      datum = container(Is::kDict, {text("k"), std::move(datum)});
    } else {
      datum = container(dice.percent(50) ? Is::kList : Is::kTuple, {std::move(datum)});
    }
  }
  return datum;
}

/// Simpler ones that may fail in the same way.
inline std::vector<Datum> simpler(const Datum& datum, int depth = 0) {
  std::vector<Datum> found;
  if (datum.is == Is::kNone || depth > 110) return found;
  found.push_back(none());
  const std::size_t step = datum.is == Is::kDict ? 2 : 1;
  for (const Datum& item : datum.items) found.push_back(item);
  for (std::size_t i = 0; i < datum.items.size(); i += step) {
    found.push_back(datum);
    const auto at = found.back().items.begin() + static_cast<std::ptrdiff_t>(i);
    found.back().items.erase(at, at + static_cast<std::ptrdiff_t>(step));
  }
  for (std::size_t i = 0; i < datum.items.size(); ++i) {
    for (Datum& item : simpler(datum.items[i], depth + 1)) {
      found.push_back(datum);
      found.back().items[i] = std::move(item);
    }
  }
  if (datum.is == Is::kInt && datum.number != BigInt(0)) found.push_back(number(0));
  if (datum.is == Is::kFloat && datum.real != 0) found.push_back(real(0));
  if (!datum.text.empty()) {
    found.push_back(datum);
    found.back().text.pop_back();
    found.push_back(datum);
    found.back().text.erase(0, 1);
  }
  return found;
}

}  // namespace interpool::test

/// Writes it piece by piece, as a Converter of a user's would.
template <>
struct interpool::Converter<interpool::test::Datum> {
  using Datum = interpool::test::Datum;
  using Is = interpool::test::Is;
  static void encode(Encoder& out, const Datum& datum) {
    const std::size_t size = datum.items.size();
    switch (datum.is) {
      case Is::kNone: return out.put_none();
      case Is::kBool: return out.put_bool(datum.truth);
      case Is::kInt:
        if (const auto small = datum.number.to<std::int64_t>()) return out.put_int(*small);
        if (const auto big = datum.number.to<std::uint64_t>()) return out.put_uint(*big);
        return out.put_big_int(datum.number.bytes());
      case Is::kFloat: return out.put_float(datum.real);
      case Is::kStr: return out.put_str(datum.text);
      case Is::kBytes: return out.put_bytes(interpool::test::bytes_of(datum.text));
      case Is::kBuffer: return out.put_buffer(Buffer::copy_of(interpool::test::bytes_of(datum.text)));
      case Is::kDuration: return out.put_duration(datum.time);
      case Is::kTime: return out.put_time(datum.time);
      case Is::kDate: return out.put_date(datum.time.days);
      case Is::kList: out.begin_list(size); break;
      case Is::kTuple: out.begin_tuple(size); break;
      case Is::kDict: out.begin_dict(size / 2); break;
      case Is::kSet: out.begin_set(size); break;
    }
    for (const Datum& item : datum.items) encode(out, item);
    out.end();
  }
};
