// Conversion between C++ and Python objects, in both directions.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

/// What Converter<Point> below writes: a dict.
struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

/// A list in a list in a list, `depth` of them.
struct Nested {
  std::size_t depth = 0;
};

/// Converts in neither direction, by throwing something of its own.
struct Stubborn {};
struct StubbornRefusal {
  int reason = 0;
};

/// What a faulty Converter writes.
enum class Fault {
  kNothing,
  kTwoValues,
  kTooFewItems,
  kTooManyItems,
  kOpenContainer,
  kStrayEnd,
  kListAfterValue
};
struct Faulty {
  Fault fault = Fault::kNothing;
};

}  // namespace

template <>
struct interpool::Converter<Point> {
  static void encode(Encoder& out, const Point& point) {
    out.begin_dict(2);
    out.put_str("x");
    out.put_float(point.x);
    out.put_str("y");
    out.put_float(point.y);
    out.end();
  }
  static Point decode(Decoder& in) {
    auto values = Converter<std::map<std::string, double>>::decode(in);
    if (!values.contains("x") || !values.contains("y")) in.fail("a point has x and y");
    return {values["x"], values["y"]};
  }
};

template <>
struct interpool::Converter<Nested> {
  static void encode(Encoder& out, const Nested& nested) {
    for (std::size_t i = 0; i < nested.depth; ++i) out.begin_list(i + 1 < nested.depth ? 1 : 0);
    for (std::size_t i = 0; i < nested.depth; ++i) out.end();
  }
  static Nested decode(Decoder& in) {
    Nested nested{1};
    in.items([&](Decoder& item) { nested.depth = 1 + decode(item).depth; });
    return nested;
  }
};

template <>
struct interpool::Converter<Stubborn> {
  static void encode(Encoder& /*out*/, const Stubborn& /*value*/) { throw StubbornRefusal{1}; }
  static Stubborn decode(Decoder& /*in*/) { throw StubbornRefusal{2}; }
};

template <>
struct interpool::Converter<Faulty> {
  static void encode(Encoder& out, const Faulty& value) {
    switch (value.fault) {
      case Fault::kNothing: return;
      case Fault::kTwoValues: out.put_int(1); return out.put_int(2);
      case Fault::kTooFewItems:
        out.begin_list(2);
        out.put_int(1);
        return out.end();
      case Fault::kTooManyItems:
        out.begin_tuple(1);
        out.put_int(1);
        out.put_int(2);
        return out.end();
      case Fault::kOpenContainer: out.begin_dict(1); return out.put_str("key");
      case Fault::kStrayEnd: return out.end();
      case Fault::kListAfterValue:
        out.put_none();
        out.begin_list(0);
        return out.end();
    }
  }
};

namespace interpool::test {
namespace {

class Conversion : public WithOneWorker {
 protected:
  template <class T>
  static void expect_exact_range() {
    using Limits = std::numeric_limits<T>;
    EXPECT_EQ(round_trip(Limits::min()), Limits::min());
    EXPECT_EQ(round_trip(Limits::max()), Limits::max());
    EXPECT_EQ(repr(Limits::min()), std::to_string(Limits::min()));
    EXPECT_EQ(repr(Limits::max()), std::to_string(Limits::max()));
    const std::string bits = std::to_string(Limits::digits);
    EXPECT_EQ(eval<T>("2**" + bits + " - 1"), Limits::max());
    EXPECT_THROW(eval<T>("2**" + bits), ConversionError);
    EXPECT_THROW(eval<T>(Limits::is_signed ? "-2**" + bits + " - 1" : "-1"), ConversionError);
    EXPECT_THROW(eval<T>("10**5000"), ConversionError);
    EXPECT_THROW(eval<T>("-10**5000"), ConversionError);
  }
};

TEST_F(Conversion, IntegersKeepTheirWholeRangeAndAreNeverTruncated) {
  expect_exact_range<std::int8_t>();
  expect_exact_range<std::uint8_t>();
  expect_exact_range<std::int16_t>();
  expect_exact_range<std::uint16_t>();
  expect_exact_range<std::int32_t>();
  expect_exact_range<std::uint32_t>();
  expect_exact_range<std::int64_t>();
  expect_exact_range<std::uint64_t>();
  expect_exact_range<long long>();
  expect_exact_range<unsigned long long>();
}

TEST_F(Conversion, AnIntegerOutOfRangeSaysWhatDoesNotFit) {
  EXPECT_EQ(decode_error<std::int8_t>("200").reason(),
            "the int 200 does not fit into a signed 8-bit integer");
  EXPECT_EQ(decode_error<std::uint16_t>("65536").reason(),
            "the int 65536 does not fit into an unsigned 16-bit integer");
}

TEST_F(Conversion, AnIntegerIsWantedWhereOneIsWanted) {
  EXPECT_THROW(eval<int>("1.0"), ConversionError);
  EXPECT_THROW(eval<int>("'1'"), ConversionError);
  EXPECT_THROW(eval<int>("None"), ConversionError);
  EXPECT_THROW(eval<unsigned>("1.0"), ConversionError);
}

TEST_F(Conversion, BoolIsNotInt) {
  EXPECT_TRUE(eval<bool>("True"));
  EXPECT_FALSE(eval<bool>("False"));
  EXPECT_THROW(eval<bool>("1"), ConversionError);
  EXPECT_THROW(eval<bool>("None"), ConversionError);
  EXPECT_THROW(eval<bool>("[]"), ConversionError);
  EXPECT_EQ(repr(true), "True");
  EXPECT_EQ(repr(1), "1");
  EXPECT_EQ(eval<Value>("True"), Value(true));
  EXPECT_EQ(eval<Value>("1"), Value(1));
  EXPECT_EQ(eval<int>("True"), 1) << "a Python bool is a Python int";
}

TEST_F(Conversion, DoublesAreExact) {
  EXPECT_EQ(round_trip(0.1), 0.1);
  EXPECT_EQ(round_trip(std::numeric_limits<double>::denorm_min()), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(round_trip(std::numeric_limits<double>::max()), std::numeric_limits<double>::max());
  EXPECT_EQ(round_trip(-std::numeric_limits<double>::infinity()), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_TRUE(std::signbit(round_trip(-0.0)));
  EXPECT_EQ(round_trip(0.1F), 0.1F);
  EXPECT_EQ(repr(2.0), "2.0");
}

TEST_F(Conversion, AnIntBecomesADoubleWhenADoubleHoldsIt) {
  EXPECT_EQ(eval<double>("2**53"), 9007199254740992.0);
  EXPECT_EQ(eval<double>("2**53 - 1"), 9007199254740991.0);
  EXPECT_EQ(eval<double>("-2**53"), -9007199254740992.0);
  EXPECT_EQ(eval<double>("2**60"), 1152921504606846976.0);
  EXPECT_EQ(eval<double>("2**1000"), std::ldexp(1.0, 1000));
  EXPECT_EQ(eval<double>("-1"), -1.0);
  EXPECT_THROW(eval<double>("2**53 + 1"), ConversionError);
  EXPECT_THROW(eval<double>("-2**53 - 1"), ConversionError);
  EXPECT_THROW(eval<double>("10**400"), ConversionError);
  EXPECT_THROW(eval<double>("'1.0'"), ConversionError);
  EXPECT_THROW(eval<double>("1j"), ConversionError);
}

TEST_F(Conversion, WhetherAnIntIsExactlyADoubleIsNotUpToItsClass) {
  exec(
      "class Weird(int):\n"
      "  def __eq__(self, other): return True\n"
      "  __hash__ = None\n"
      "  def __float__(self): return 1.5\n");
  EXPECT_THROW(eval<double>("Weird(2**53 + 1)"), ConversionError);
  EXPECT_THROW(eval<double>("Weird(2**2000)"), ConversionError);
  EXPECT_EQ(eval<double>("Weird(2**60)"), 1152921504606846976.0);
}

TEST_F(Conversion, AFloatThatIsTooLargeForItsTypeIsAConversionError) {
  EXPECT_EQ(decode_error<float>("1e300").reason(), "the float 1e+300 does not fit into a 32-bit float");
  EXPECT_EQ(decode_error<std::vector<float>>("[0.0, -1e39]").path(), "[1]");
  EXPECT_THROW((void)Value(1e300).to<float>(), ConversionError);
  EXPECT_EQ(eval<float>("float('inf')"), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(eval<float>("float('nan')")));
  EXPECT_EQ(eval<float>("3.4028234663852886e38"), std::numeric_limits<float>::max());
  EXPECT_EQ(eval<float>("1e-300"), 0.0F) << "rounded";
  EXPECT_EQ(eval<long double>("1e300"), static_cast<long double>(1e300));
  EXPECT_EQ(repr(1.5L), "1.5");
  EXPECT_EQ(get(pool().call<double>("builtins:abs", 2.5F)), 2.5);
  constexpr bool kWider = std::numeric_limits<long double>::max_exponent > 1024;
  if constexpr (kWider) {
    EXPECT_THROW(repr(std::numeric_limits<long double>::max()), ConversionError);
  }
}

TEST_F(Conversion, WhatRoundsItselfMayBeRounded) {
  // As float() does it in Python.
  EXPECT_EQ(eval<double>("__import__('decimal').Decimal(2**60 + 1)"), 1152921504606846976.0);
  EXPECT_EQ(eval<double>("__import__('fractions').Fraction(1, 3)"), 1.0 / 3);
}

TEST_F(Conversion, NumberLikeObjectsConvertAsPythonLetsThem) {
  exec(
      "class Index:\n"
      "  def __init__(self, n): self.n = n\n"
      "  def __index__(self): return self.n\n"
      "class Float:\n"
      "  def __float__(self): return 2.5\n"
      "class BadIndex:\n"
      "  def __index__(self): raise RuntimeError('no index today')\n"
      "class BadFloat:\n"
      "  def __float__(self): raise RuntimeError('no float today')\n");
  EXPECT_EQ(eval<int>("Index(41)"), 41);
  EXPECT_EQ(eval<std::uint64_t>("Index(2**64 - 1)"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_THROW(eval<int>("Index(2**40)"), ConversionError);
  EXPECT_EQ(eval<double>("Float()"), 2.5);
  EXPECT_THROW(eval<int>("Float()"), ConversionError);
  EXPECT_NE(decode_error<int>("BadIndex()").reason().find("no index today"), std::string::npos);
  EXPECT_NE(decode_error<double>("BadFloat()").reason().find("no float today"), std::string::npos);
  EXPECT_EQ(eval<int>("1"), 1) << "the failures left nothing behind";
}

TEST_F(Conversion, TextKeepsEveryCharacter) {
  const std::string text = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x8D";
  EXPECT_EQ(round_trip(text), text);
  EXPECT_EQ(repr(text), "'" + text + "'");
  EXPECT_EQ(eval<std::string>("'\\u20ac'"), "\xE2\x82\xAC");
  EXPECT_EQ(get(pool().call<int>("builtins:len", text)), 8);
  EXPECT_EQ(round_trip(std::string()), "");
}

TEST_F(Conversion, NulsArePartOfText) {
  const std::string text("a\0b\0", 4);
  EXPECT_EQ(round_trip(text), text);
  EXPECT_EQ(get(pool().call<int>("builtins:len", text)), 4);
  EXPECT_EQ(eval<std::string>("'\\0'"), std::string(1, '\0'));
}

TEST_F(Conversion, LoneSurrogatesGoOutAndBackIn) {
  const auto lone = eval<std::string>("'a\\ud800b'");
  EXPECT_EQ(lone,
            "a\xED\xA0\x80"
            "b");
  EXPECT_EQ(get(pool().call<std::string>("builtins:ascii", lone)), "'a\\ud800b'");
  EXPECT_EQ(round_trip(lone), lone);
}

TEST_F(Conversion, AnArgumentThatIsNotUtf8NamesItsPath) {
  const auto direct = encode_error("fine", std::string("ab\xFF"
                                                       "c"));
  EXPECT_EQ(direct.path(), "args[1]");
  EXPECT_NE(direct.reason().find("not UTF-8 at byte 2"), std::string::npos) << direct.reason();

  const std::map<std::string, std::vector<std::string>> nested{{"names", {"ok", "\xC3"}}};
  EXPECT_EQ(encode_error(1, 2, nested).path(), "args[2].names[1]");
  const std::map<std::string, std::string> spaced{{"a b", "\xC3"}};
  EXPECT_EQ(encode_error(spaced).path(), "args[0]['a b']");
  const std::map<int, std::string> numbered{{7, "\xC3"}};
  EXPECT_EQ(encode_error(numbered).path(), "args[0][7]");
  const std::pair<int, std::string> pair{1, "\xC3"};
  EXPECT_EQ(encode_error(std::vector{pair}).path(), "args[0][0][1]");
}

TEST_F(Conversion, BytesAndStrDoNotMix) {
  const Bytes bytes{std::byte{0}, std::byte{255}, std::byte{'a'}};
  EXPECT_EQ(round_trip(bytes), bytes);
  EXPECT_EQ(repr(bytes), "b'\\x00\\xffa'");
  EXPECT_EQ(repr(Bytes{}), "b''");
  EXPECT_EQ(eval<Bytes>("b''"), Bytes{});
  EXPECT_EQ(eval<Bytes>("bytearray(b'\\x00\\xffa')"), bytes);
  EXPECT_EQ(eval<Bytes>("memoryview(b'..\\x00\\xffa')[2:]"), bytes);
  EXPECT_THROW(eval<Bytes>("'text'"), ConversionError);
  EXPECT_THROW(eval<Bytes>("[1, 2]"), ConversionError);
  EXPECT_THROW(eval<std::string>("b'bytes'"), ConversionError);
  EXPECT_THROW(eval<std::vector<int>>("b'bytes'"), ConversionError);
  EXPECT_THROW(eval<std::vector<std::string>>("'text'"), ConversionError);
}

TEST_F(Conversion, LargeBytesAndTextArrive) {
  const std::string text(3'000'000, 'x');
  EXPECT_EQ(round_trip(text), text);
  const Bytes bytes(3'000'000, std::byte{7});
  EXPECT_EQ(round_trip(bytes), bytes);
}

TEST_F(Conversion, OptionalIsNoneOrTheValue) {
  EXPECT_EQ(round_trip(std::optional<int>()), std::nullopt);
  EXPECT_EQ(round_trip(std::optional<int>(3)), 3);
  EXPECT_EQ(repr(std::optional<std::string>()), "None");
  EXPECT_EQ(eval<std::vector<std::optional<int>>>("[1, None]"),
            (std::vector<std::optional<int>>{1, std::nullopt}));
  EXPECT_THROW(eval<std::optional<int>>("'x'"), ConversionError);
}

TEST_F(Conversion, ListsTuplesAndOtherSequences) {
  const std::vector<int> numbers{1, 2, 3};
  EXPECT_EQ(round_trip(numbers), numbers);
  EXPECT_EQ(repr(numbers), "[1, 2, 3]");
  EXPECT_EQ(eval<std::vector<int>>("(1, 2, 3)"), numbers);
  EXPECT_EQ(eval<std::vector<int>>("range(1, 4)"), numbers);
  EXPECT_EQ(eval<std::vector<int>>("__import__('array').array('i', [1, 2, 3])"), numbers);
  EXPECT_EQ(eval<std::vector<int>>("__import__('collections').deque([1, 2, 3])"), numbers);
  EXPECT_EQ(eval<std::vector<int>>("[]"), std::vector<int>{});
  EXPECT_THROW(eval<std::vector<int>>("{1, 2, 3}"), ConversionError);
  EXPECT_THROW(eval<std::vector<int>>("{1: 2}"), ConversionError);
  EXPECT_THROW(eval<std::vector<int>>("iter([1])"), ConversionError);
  EXPECT_THROW(eval<std::vector<int>>("3"), ConversionError);
  EXPECT_EQ(round_trip(std::vector<bool>{true, false}), (std::vector<bool>{true, false}));
}

TEST_F(Conversion, ArraysHaveTheirLength) {
  EXPECT_EQ(round_trip(std::array<int, 3>{1, 2, 3}), (std::array<int, 3>{1, 2, 3}));
  EXPECT_EQ((eval<std::array<int, 0>>("[]")), (std::array<int, 0>{}));
  EXPECT_EQ((decode_error<std::array<int, 3>>("[1, 2]").reason()),
            "a tuple, pair or array of 3 wanted, a 'list' of 2 found");
  EXPECT_THROW((eval<std::array<int, 1>>("[1, 2]")), ConversionError);
}

TEST_F(Conversion, TuplesAndPairsHaveTheirLengthAndTypes) {
  using Triple = std::tuple<int, std::string, std::optional<double>>;
  EXPECT_EQ(round_trip(Triple{1, "a", 2.5}), (Triple{1, "a", 2.5}));
  EXPECT_EQ(repr(Triple{1, "a", std::nullopt}), "(1, 'a', None)");
  EXPECT_EQ(eval<Triple>("[1, 'a', None]"), (Triple{1, "a", std::nullopt}));
  EXPECT_EQ(decode_error<Triple>("(1, 'a')").reason(),
            "a tuple, pair or array of 3 wanted, a 'tuple' of 2 found");
  EXPECT_EQ(decode_error<Triple>("(1, 'a', 2.5, 4)").reason(),
            "a tuple, pair or array of 3 wanted, a 'tuple' of 4 found");
  EXPECT_EQ(decode_error<Triple>("(1, 2, None)").path(), "[1]");
  EXPECT_EQ(repr(std::tuple<>{}), "()");
  EXPECT_EQ(eval<std::tuple<>>("()"), std::tuple<>{});
  EXPECT_EQ(round_trip(std::pair<int, bool>{1, true}), (std::pair<int, bool>{1, true}));
  EXPECT_EQ((decode_error<std::pair<int, int>>("(1, 2, 3)").reason()),
            "a tuple, pair or array of 2 wanted, a 'tuple' of 3 found");
}

TEST_F(Conversion, MapsHaveKeysOfAnyType) {
  const std::map<std::string, int> by_name{{"a", 1}, {"b", 2}};
  EXPECT_EQ(round_trip(by_name), by_name);
  EXPECT_EQ(repr(by_name), "{'a': 1, 'b': 2}");
  const std::unordered_map<int, std::string> by_number{{1, "a"}, {-2, "b"}};
  EXPECT_EQ(round_trip(by_number), by_number);
  const std::map<std::pair<int, int>, bool> by_place{{{1, 2}, true}};
  EXPECT_EQ(round_trip(by_place), by_place);
  EXPECT_EQ((eval<std::map<std::optional<int>, int>>("{None: 1, 2: 3}")),
            (std::map<std::optional<int>, int>{{std::nullopt, 1}, {2, 3}}));
  EXPECT_THROW((eval<std::map<std::string, int>>("{1: 1}")), ConversionError);
  EXPECT_THROW((eval<std::map<std::string, int>>("[('a', 1)]")), ConversionError);
}

TEST_F(Conversion, AnUnhashableKeyIsAConversionError) {
  const std::map<std::vector<int>, int> value{{{1, 2}, 3}};
  const auto error = encode_error(value);
  EXPECT_EQ(error.path().substr(0, 7), "args[0]");
  EXPECT_NE(error.reason().find("unhashable"), std::string::npos) << error.reason();
}

TEST_F(Conversion, SubclassesConvertAsWhatTheyAre) {
  exec(
      "import collections, enum\n"
      "class D(dict): pass\n"
      "class L(list): pass\n"
      "class S(str): pass\n"
      "class Color(enum.IntEnum):\n  RED = 3\n"
      "P = collections.namedtuple('P', 'x y')\n");
  using Map = std::map<std::string, int>;
  EXPECT_EQ(eval<Map>("D(a=1)"), (Map{{"a", 1}}));
  EXPECT_EQ(eval<Map>("collections.OrderedDict(a=1)"), (Map{{"a", 1}}));
  EXPECT_EQ(eval<Map>("collections.Counter('a')"), (Map{{"a", 1}}));
  EXPECT_EQ(eval<std::vector<int>>("L([1])"), std::vector<int>{1});
  EXPECT_EQ(eval<std::string>("S('a')"), "a");
  EXPECT_EQ(eval<int>("Color.RED"), 3);
  EXPECT_EQ((eval<std::pair<int, int>>("P(1, 2)")), (std::pair<int, int>{1, 2}));
  EXPECT_EQ(eval<Value>("D(a=1)"), Value(Value::Dict{{"a", 1}}));
}

TEST_F(Conversion, NestedDataArrivesWhole) {
  using Inner = std::map<std::string, std::vector<std::optional<std::tuple<int, std::string>>>>;
  const std::vector<Inner> value{{{"a", {std::tuple<int, std::string>{1, "x"}, std::nullopt}}, {"b", {}}},
                                 {}};
  EXPECT_EQ(round_trip(value), value);
  EXPECT_EQ(repr(value), "[{'a': [(1, 'x'), None], 'b': []}, {}]");
}

TEST_F(Conversion, AnErrorNamesThePathToWhatDoesNotConvert) {
  using Users = std::vector<std::map<std::string, std::map<std::string, int>>>;
  const auto error = decode_error<Users>("[{}, {}, {}, {'user': {'id': 'x'}}]");
  EXPECT_EQ(error.path(), "[3].user.id");
  EXPECT_EQ(error.message(), "[3].user.id: " + error.reason());
  EXPECT_EQ(error.code(), ErrorCode::kConversion);
  EXPECT_EQ((decode_error<std::map<std::string, int>>("{'a b': None}").path()), "['a b']");
  EXPECT_EQ((decode_error<std::map<std::string, int>>("{'1a': None}").path()), "['1a']");
  EXPECT_EQ((decode_error<std::map<std::string, int>>("{'': None}").path()), "['']");
  EXPECT_EQ((decode_error<std::map<int, int>>("{12: None}").path()), "[12]");
  EXPECT_EQ((decode_error<std::map<std::pair<int, int>, int>>("{(1, 2): None}").path()), "[(1, 2)]");
  EXPECT_EQ(decode_error<int>("None").path(), "");
  EXPECT_EQ(decode_error<std::vector<Value>>("[1, __import__('datetime').datetime(2020, 1, 1)]").path(),
            "[1]");
}

TEST_F(Conversion, WhatHasNoNativeFormSaysItsType) {
  const auto error = decode_error<Value>("{'when': [__import__('datetime').datetime(2020, 1, 1)]}");
  EXPECT_EQ(error.path(), "when[0]");
  EXPECT_EQ(error.reason(), "a 'datetime' does not convert to a Value");
  EXPECT_THROW(eval<Value>("object()"), ConversionError);
  EXPECT_THROW(eval<Value>("len"), ConversionError);
  EXPECT_THROW(eval<Value>("{1, 2}"), ConversionError);
}

TEST_F(Conversion, AConversionErrorKnowsItsTaskAndInterpreter) {
  const auto error =
      error_of<ConversionError>(pool().with({.name = "convert me"}).call<int>("builtins:str", 1));
  EXPECT_EQ(error.task(), "convert me");
  EXPECT_GT(error.interpreter(), 0);
  const auto unnamed = error_of<ConversionError>(pool().call<int>("builtins:len", "\xFF"));
  EXPECT_EQ(unnamed.task(), "builtins:len");
}

std::string nested_list(std::size_t depth) {
  return "[" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "]";
}

TEST_F(Conversion, DepthIsBoundedOnTheWayOut) {
  exec(
      "def nested(depth):\n"
      "  value = []\n"
      "  for _ in range(depth - 1): value = [value]\n"
      "  return value\n"
      "def nested_dict(depth):\n"
      "  value = {}\n"
      "  for _ in range(depth - 1): value = {'k': value}\n"
      "  return value\n");
  EXPECT_EQ(eval<Nested>("nested(" + std::to_string(kMaxDepth) + ")").depth, kMaxDepth);
  EXPECT_NO_THROW(eval<Value>("nested_dict(" + std::to_string(kMaxDepth) + ")"));
  const std::string too_deep = std::to_string(kMaxDepth + 1);
  EXPECT_NE(decode_error<Nested>("nested(" + too_deep + ")").reason().find("nested deeper than 100"),
            std::string::npos);
  EXPECT_THROW(eval<Value>("nested(" + too_deep + ")"), ConversionError);
  EXPECT_THROW(eval<Value>("nested_dict(" + too_deep + ")"), ConversionError);
  EXPECT_THROW(eval<Value>("nested(100_000)"), ConversionError);
}

TEST_F(Conversion, DepthIsBoundedOnTheWayIn) {
  EXPECT_EQ(repr(Nested{kMaxDepth}), nested_list(kMaxDepth));
  const auto error = encode_error(Nested{kMaxDepth + 1});
  EXPECT_NE(error.reason().find("nested deeper than 100"), std::string::npos);
  Value deep;
  for (std::size_t i = 0; i <= kMaxDepth; ++i) deep = Value(Value::List{std::move(deep)});
  EXPECT_THROW(repr(deep), ConversionError);
}

TEST_F(Conversion, WhatContainsItselfIsAConversionError) {
  exec("loop = []\nloop.append(loop)\nring = {}\nring['ring'] = ring\n");
  EXPECT_THROW(eval<Value>("loop"), ConversionError);
  EXPECT_THROW(eval<Nested>("loop"), ConversionError);
  EXPECT_THROW(eval<Value>("ring"), ConversionError);
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(Conversion, DataThatChangesWhileItIsReadIsSafe) {
  exec(
      "class Clears:\n"
      "  def __index__(self): changing.clear(); return 1\n"
      "class Grows:\n"
      "  def __index__(self): changing.extend([1] * 1000); return 1\n"
      "class Drops:\n"
      "  def __index__(self):\n"
      "    for k in list(entries): del entries[k]\n"
      "    return 1\n");
  exec("changing = [Clears(), 2, 3]");
  EXPECT_THROW(eval<std::vector<int>>("changing"), ConversionError);
  exec("changing = [Clears(), 2]");
  EXPECT_THROW((eval<std::tuple<int, int>>("changing")), ConversionError);
  exec("changing = [Grows(), 2, 3]");
  EXPECT_EQ(eval<std::vector<int>>("changing").size(), 3U);
  exec("entries = {'a': Drops(), 'b': 2}");
  EXPECT_EQ((eval<std::map<std::string, int>>("entries").size()), 2U);
}

TEST_F(Conversion, SequencesThatLieAreConversionErrors) {
  exec(
      "class Liar:\n"
      "  def __init__(self, size): self.size = size\n"
      "  def __len__(self): return self.size\n"
      "  def __getitem__(self, i):\n"
      "    if i > 3: raise IndexError('no more')\n"
      "    return i\n"
      "class Raiser:\n"
      "  def __len__(self): raise RuntimeError('no length')\n"
      "  def __getitem__(self, i): return i\n");
  EXPECT_EQ(eval<std::vector<int>>("Liar(2)"), (std::vector<int>{0, 1}));
  EXPECT_NE(decode_error<std::vector<int>>("Liar(9)").reason().find("no more"), std::string::npos);
  EXPECT_THROW(eval<std::vector<int>>("Raiser()"), ConversionError);
  // A length is a claim: memory for it must not be taken before the items are there.
  EXPECT_THROW(eval<std::vector<std::int64_t>>("Liar(2**62)"), ConversionError);
}

TEST_F(Conversion, UserTypesConvertBothWays) {
  EXPECT_EQ(round_trip(Point{1, -2}), (Point{1, -2}));
  EXPECT_EQ(repr(std::vector<Point>{{1, 2}}), "[{'x': 1.0, 'y': 2.0}]");
  EXPECT_EQ(eval<Point>("{'y': 2, 'x': 1}"), (Point{1, 2}));
  const auto error = decode_error<std::vector<Point>>("[{'x': 1, 'y': 2}, {'x': 1}]");
  EXPECT_EQ(error.path(), "[1]");
  EXPECT_EQ(error.reason(), "a point has x and y");
  EXPECT_EQ(decode_error<std::vector<Point>>("[{'x': 'no', 'y': 2}]").path(), "[0].x");
}

TEST_F(Conversion, WhatAConverterThrowsIsTheTasksError) {
  EXPECT_THROW(get(pool().call<void>("builtins:print", Stubborn{})), StubbornRefusal);
  EXPECT_THROW(get(pool().call<Stubborn>("builtins:abs", 1)), StubbornRefusal);
  const auto failed = result(pool().with({.name = "stubborn"}).call<Stubborn>("builtins:abs", 1));
  EXPECT_EQ(failed.error().code(), ErrorCode::kNative);
  EXPECT_EQ(failed.error().task(), "stubborn");
}

TEST_F(Conversion, AFaultyConverterIsAConversionErrorAndHarmsNothing) {
  for (const Fault fault : {Fault::kNothing, Fault::kTwoValues, Fault::kTooFewItems, Fault::kTooManyItems,
                            Fault::kOpenContainer, Fault::kStrayEnd}) {
    EXPECT_EQ(encode_error(1, Faulty{fault}).path().substr(0, 4), "args") << static_cast<int>(fault);
  }
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(Conversion, AFaultyConverterIsTheSameErrorInAValue) {
  for (const Fault fault : {Fault::kNothing, Fault::kTwoValues, Fault::kTooFewItems, Fault::kTooManyItems,
                            Fault::kOpenContainer, Fault::kStrayEnd, Fault::kListAfterValue}) {
    const Faulty faulty{fault};
    const auto in_value = error_of<ConversionError>([&] { return Value::from(faulty); });
    EXPECT_EQ(in_value.reason(), encode_error(faulty).reason()) << static_cast<int>(fault);
  }
}

TEST_F(Conversion, ViewsAndLiteralsAreStoredAsText) {
  std::string text = "gone";
  auto held = [&] {
    const std::string short_lived = "short-lived text that does not fit into the object";
    return pool().call<std::string>("builtins:str", std::string_view(short_lived));
  }();
  EXPECT_EQ(get(held), "short-lived text that does not fit into the object");
  char buffer[] = "array";
  auto array = pool().call<std::string>("builtins:str", buffer);
  buffer[0] = 'X';
  EXPECT_EQ(get(array), "array");
  const char* pointer = text.c_str();
  EXPECT_EQ(get(pool().call<std::string>("builtins:str", pointer)), "gone");
}

TEST_F(Conversion, NullptrIsNone) {
  EXPECT_EQ(repr(nullptr), "None");
  EXPECT_EQ(get(pool().submit([](Worker& w) { return w.call<std::string>("builtins:repr", nullptr); })),
            "None");
  EXPECT_EQ(Value::from(nullptr), Value());
  EXPECT_EQ(eval<std::nullptr_t>("None"), nullptr);
  EXPECT_EQ(decode_error<std::nullptr_t>("0").reason(), "None wanted, a 'int' found");
  EXPECT_EQ(repr(std::tuple(1, nullptr)), "(1, None)");
}

TEST_F(Conversion, ManyArguments) {
  EXPECT_EQ(get(pool().call<std::string>("builtins:print", 1, 2, 3).then([](Result<std::string> r) {
              return std::string(r ? "?" : "None is no str");
            })),
            "None is no str");
  EXPECT_EQ(get(pool().call<int>("builtins:max", 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 11, 10)), 12);
  EXPECT_EQ(get(pool().call<std::vector<int>>("builtins:list")), std::vector<int>{});
}

TEST_F(Conversion, VoidIgnoresWhateverComes) {
  EXPECT_NO_THROW(get(pool().call<void>("builtins:object")));
  EXPECT_NO_THROW(eval<void>("object()"));
}

}  // namespace
}  // namespace interpool::test
