// JSON as a backend of the archive: what each type is in it, what comes back, and what does not convert.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Limits = std::numeric_limits<double>;
using Micros = std::chrono::microseconds;

enum class Level : std::uint8_t { kLow = 1, kHigh = 200 };

struct Place {
  std::string name;
  std::optional<double> height;
  std::map<int, std::vector<std::string>> routes;
  bool operator==(const Place&) const = default;
};

}  // namespace
}  // namespace interpool::test

template <>
inline constexpr auto interpool::kFields<interpool::test::Place> =
    interpool::fields(interpool::field("name", &interpool::test::Place::name),
                      interpool::field("height", &interpool::test::Place::height),
                      interpool::field("routes", &interpool::test::Place::routes));

namespace interpool::test {
namespace {

/// It is this text, which is it.
template <class T>
void expect_both_ways(const T& value, std::string_view text) {
  EXPECT_EQ(to_json(value), text);
  EXPECT_EQ(from_json<T>(text), value) << text;
}

template <class T>
ConversionError error_of_text(std::string_view text) {
  return error_of<ConversionError>([&] { return from_json<T>(text); });
}
template <class T>
ConversionError error_of_value(const T& value) {
  return error_of<ConversionError>([&] { return to_json(value); });
}

TEST(Json, HasTheScalars) {
  expect_both_ways(nullptr, "null");
  expect_both_ways(true, "true");
  expect_both_ways(false, "false");
  expect_both_ways(std::numeric_limits<std::int64_t>::min(), "-9223372036854775808");
  expect_both_ways(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
  expect_both_ways("text"s, R"("text")");
  expect_both_ways(Level::kHigh, "200");
  expect_both_ways(std::optional<int>(), "null");
  expect_both_ways(std::optional<int>(3), "3");
  expect_both_ways(std::variant<std::monostate, int, std::string>("x"), R"("x")");
  expect_both_ways(std::filesystem::path("/a/\xC3\xA9"), "\"/a/\xC3\xA9\"");
}

TEST(Json, KeepsEveryDigitOfAnInt) {
  const std::string digits = "1" + std::string(4298, '7') + "3";
  const BigInt number = *BigInt::parse(digits);
  expect_both_ways(number, digits);
  expect_both_ways(*BigInt::parse("-" + digits), "-" + digits);
  expect_both_ways(Value(number), digits);
  expect_both_ways(*BigInt::parse("18446744073709551616"), "18446744073709551616");
  // More of them would take a time that grows with their square.
  EXPECT_EQ(error_of_text<std::vector<BigInt>>("[0, " + digits + "0]").path(), "[1]");
  EXPECT_EQ(error_of_value(std::vector{BigInt(0), *BigInt::parse(digits + "0")}).path(), "[1]");
  EXPECT_EQ(error_of_value(std::vector{*BigInt::parse(digits + digits)}).path(), "[0]");
  EXPECT_THROW((void)from_json<BigInt>(std::string(100'000, '9')), ConversionError);
}

TEST(Json, KeepsEveryBitOfAFloat) {
  expect_both_ways(0.1, "0.1");
  expect_both_ways(1.0, "1.0");
  expect_both_ways(-0.0, "-0.0");
  EXPECT_TRUE(std::signbit(from_json<double>("-0.0")));
  expect_both_ways(1e100, "1e+100");
  for (const double number :
       {Limits::max(), Limits::min(), Limits::denorm_min(), 2.0 / 3, 5e-324, 9007199254740993.0, 1e22}) {
    EXPECT_EQ(from_json<double>(to_json(number)), number);
    EXPECT_EQ(from_json<Value>(to_json(number)), Value(number)) << "an int, then";
  }
  // Not by way of a longer type, which would round twice.
  EXPECT_EQ(from_json<double>("9007199254740993.00000000000000000000000000001"), 9007199254740994.0);
  EXPECT_EQ(from_json<double>("1E2"), 100.0);
  EXPECT_EQ(from_json<double>("7"), 7.0);
  EXPECT_EQ(from_json<double>("1e-400"), 0.0);
  EXPECT_EQ(error_of_text<std::vector<double>>("[1, 1e400]").path(), "[1]");
  EXPECT_EQ(error_of_text<std::vector<double>>("[1, 1e99999]").path(), "[1]");
  EXPECT_EQ(error_of_text<double>("9007199254740993").reason(), "an int that is not exactly a double");
  EXPECT_EQ(error_of_text<int>("1.0").reason(), "an int wanted, a float found");
}

TEST(Json, HasNoNaNAndNoInfinity) {
  const std::map<std::string, std::vector<double>> rows{{"a", {1, Limits::quiet_NaN()}}};
  EXPECT_EQ(error_of_value(rows).path(), "a[1]");
  EXPECT_EQ(error_of_value(rows).reason(), "JSON has no nan");
  EXPECT_EQ(error_of_value(-Limits::infinity()).reason(), "JSON has no -inf");
  EXPECT_THROW((void)from_json<double>("NaN"), ConversionError);
  EXPECT_THROW((void)from_json<double>("Infinity"), ConversionError);
}

TEST(Json, HasTextInUtf8) {
  expect_both_ways("\0\x01\b\f\n\r\t\"\\/\x7f"s, R"("\u0000\u0001\b\f\n\r\t\"\\/)"
                                                 "\x7f\"");
  expect_both_ways("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"s, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  EXPECT_EQ(from_json<std::string>(R"("\u00e9\ud83d\ude00\/")"), "\xC3\xA9\xF0\x9F\x98\x80/");
  EXPECT_EQ(error_of_value(std::vector{"ok"s, "a\xFF"s}).message(),
            "[1]: this text is not UTF-8 at byte 1; use interpool::Bytes for data that is not text");
  EXPECT_EQ(error_of_value("a\xED\xA0\x80"s).reason(),
            "this text has a lone surrogate, which is no character, at byte 1; use interpool::Bytes for data "
            "that is not text");
  EXPECT_THROW((void)to_json(std::filesystem::path("\xFF")), ConversionError);
  EXPECT_THROW((void)from_json<std::string>("\"\xFF\""), ConversionError);
  EXPECT_THROW((void)from_json<std::string>(R"("\ud800")"), ConversionError);
  EXPECT_THROW((void)from_json<std::string>("\"a\nb\""), ConversionError);
}

TEST(Json, HasContainers) {
  expect_both_ways(std::vector<int>{}, "[]");
  expect_both_ways(std::vector<std::vector<int>>{{1, 2}, {}}, "[[1,2],[]]");
  expect_both_ways(std::list<bool>{true}, "[true]");
  expect_both_ways(std::array<int, 2>{1, 2}, "[1,2]");
  expect_both_ways(std::tuple<int, std::string, std::tuple<>>{1, "x", {}}, R"([1,"x",[]])");
  expect_both_ways(std::set<int>{3, 1}, "[1,3]");
  expect_both_ways(std::map<std::string, int>{{"", 1}, {"b", 2}}, R"({"":1,"b":2})");
  expect_both_ways(Place{"Rax", 8.5, {{-1, {"a"}}, {2, {}}}},
                   R"({"name":"Rax","height":8.5,"routes":{"-1":["a"],"2":[]}})");
  EXPECT_EQ(from_json<Place>(R"( {"routes" : {}, "more": [null], "name":"x"}
)"),
            (Place{"x", std::nullopt, {}}));
  EXPECT_EQ(error_of_text<std::vector<Place>>(R"([{"name":"x","routes":{"1":["a",2]}}])").path(),
            "[0].routes['1'][1]");
  EXPECT_TRUE(error_of_text<Place>("{}").reason().starts_with("this 'dict' has no 'name', a field of "));
  EXPECT_THROW(((void)from_json<std::array<int, 2>>("[1]")), ConversionError);
}

TEST(Json, IndentsIfAsked) {
  const Value value = Value::Dict{{"a", Value::List{1, Value::List{}, Value::Dict{}}}, {"b", nullptr}};
  EXPECT_EQ(to_json(value, {.indent = 2}), R"({
  "a": [
    1,
    [],
    {}
  ],
  "b": null
})");
  EXPECT_EQ(from_json<Value>(to_json(value, {.indent = 7})), value);
  EXPECT_EQ(from_json<Value>(to_json(value, {.indent = 100})), value);
  EXPECT_EQ(error_of<UsageError>([&] { return to_json(value, {.indent = 101}); }).message(),
            "JsonOptions::indent is 101, and must be at most 100");
}

TEST(Json, HasTextForKeys) {
  expect_both_ways(std::map<std::int8_t, int>{{-128, 1}, {5, 2}}, R"({"-128":1,"5":2})");
  expect_both_ways(std::map<bool, int>{{false, 1}, {true, 2}}, R"({"false":1,"true":2})");
  expect_both_ways(std::map<double, int>{{-0.5, 1}, {1e300, 2}}, R"({"-0.5":1,"1e+300":2})");
  expect_both_ways(std::map<BigInt, int>{{*BigInt::parse("99999999999999999999"), 1}},
                   R"({"99999999999999999999":1})");
  expect_both_ways(std::map<Level, int>{{Level::kLow, 1}}, R"({"1":1})");
  expect_both_ways(std::map<Bytes, int>{{Bytes{std::byte{1}}, 1}}, R"({"AQ==":1})");
  expect_both_ways(std::map<std::chrono::seconds, int>{{90s, 1}}, R"({"PT1M30S":1})");
  const Value number_and_text = Value::List{Value::Dict{{1, "int"}, {"1", "str"}}};
  EXPECT_EQ(error_of_value(number_and_text).message(), "[0]: two of its keys are '1' in JSON");
  EXPECT_EQ(error_of_value(Value(Value::Dict{{nullptr, 1}})).reason(),
            "a key is text in JSON, and None has none");
  EXPECT_EQ(error_of_value(Value(Value::Dict{{Value::Tuple{}, 1}})).reason(),
            "a key is text in JSON, and a container has none");
  for (const char* key :
       {" 1", "1 ", "+1", "01", "1.0", "x", "", "0x1", "[1]", "\\\"1\\\"", "1e2", "1,2", "null"}) {
    const std::string text = "{\"" + std::string(key) + "\":0}";
    EXPECT_THROW(((void)from_json<std::map<int, int>>(text)), ConversionError) << text;
  }
}

TEST(Json, HasBytesInBase64) {
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 37 + size);
    EXPECT_EQ(from_json<Bytes>(to_json(bytes)), bytes);
    EXPECT_EQ(from_json<Buffer>(to_json(Buffer::copy_of(bytes))), Buffer::copy_of(bytes));
  }
  const auto bytes_of = [](std::string_view text) {
    Bytes bytes(text.size());
    std::ranges::transform(text, bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    return bytes;
  };
  // RFC 4648, section 10.
  expect_both_ways(bytes_of(""), R"("")");
  expect_both_ways(bytes_of("f"), R"("Zg==")");
  expect_both_ways(bytes_of("fo"), R"("Zm8=")");
  expect_both_ways(bytes_of("foobar"), R"("Zm9vYmFy")");
  expect_both_ways(bytes_of("\xFB\xFF"), R"("+/8=")");
  for (const char* text :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\\n", "Zm-_", "=Zg="}) {
    EXPECT_EQ(error_of_text<std::vector<Bytes>>("[\"" + std::string(text) + "\"]").path(), "[0]") << text;
  }
  EXPECT_EQ(error_of_text<Bytes>("[]").reason(), "bytes wanted, a list found");
  const auto floats = Buffer::adopt(std::vector<float>{1, 2});
  EXPECT_EQ(error_of_value(std::vector{floats}).path(), "[0]");
}

TEST(Json, HasTimesAsIsoText) {
  using std::chrono::sys_days;
  using std::chrono::sys_time;
  expect_both_ways(0s, R"("PT0S")");
  expect_both_ways(Micros(-1), R"("-PT0.000001S")");
  expect_both_ways(Micros(93784500000), R"("P1DT2H3M4.5S")");
  expect_both_ways(Micros(-std::chrono::hours(24)), R"("-P1D")");
  expect_both_ways(std::chrono::hours(25), R"("P1DT1H")");
  expect_both_ways(std::chrono::days(999'999'999), R"("P999999999D")");
  EXPECT_EQ(from_json<std::chrono::seconds>(R"("PT36H90M")"), 135'000s + 0s);
  for (const char* text : {"",
                           "P",
                           "PT",
                           "1S",
                           "PT1",
                           "P1DT",
                           "PT1S1M",
                           "P1Y",
                           "P1M",
                           "P1W",
                           "PT1.5M",
                           "PT1S1S",
                           "PT1S1.5S",
                           "PT1.5S1.5S",
                           "PT1.5S1S",
                           "PT1.5H1.5S",
                           "PT1.S",
                           "PT.5S",
                           "PT0.0000001S",
                           "P1000000000D",
                           "+PT1S",
                           "PT-1S",
                           "pt1s",
                           "PT1S ",
                           "P1H",
                           "PT1D",
                           "PT1234567890123456S"}) {
    EXPECT_EQ(error_of_text<std::vector<Micros>>("[\"" + std::string(text) + "\"]").path(), "[0]") << text;
  }
  EXPECT_THROW((void)from_json<std::chrono::minutes>(R"("PT1S")"), ConversionError);

  const auto time = sys_days(std::chrono::year(2026) / 11 / 22) + 4h + 5min + 6s + 789ms;
  expect_both_ways(std::chrono::time_point_cast<Micros>(time), R"("2026-11-22T04:05:06.789Z")");
  expect_both_ways(sys_time<Micros>(Micros(-1)), R"("1969-12-31T23:59:59.999999Z")");
  EXPECT_EQ(from_json<sys_time<Micros>>(R"("2026-11-22T05:05:06.789000000+01:00")"), time);
  EXPECT_EQ(from_json<sys_time<Micros>>(R"("2026-11-21T22:35:06.789-05:30")"), time);
  for (const char* text :
       {"2026-11-22T04:05:06", "2026-11-22 04:05:06Z", "2026-11-22T04:05Z", "2026-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z", "2026-11-22T04:05:60Z", "2026-11-22T04:05:06.1234567Z",
        "2026-11-22T04:05:06+0100", "2026-11-22T04:05:06ZZ", "2026-11-22", "0000-01-01T00:00:00Z"}) {
    EXPECT_EQ(error_of_text<std::vector<sys_time<Micros>>>("[\"" + std::string(text) + "\"]").path(), "[0]")
        << text;
  }
  EXPECT_THROW((void)to_json(sys_time<std::chrono::seconds>(std::chrono::seconds(1'000'000'000'000))),
               ConversionError);

  expect_both_ways(sys_days(std::chrono::year(2024) / 2 / 29), R"("2024-02-29")");
  expect_both_ways(std::chrono::year(1) / 1 / 1, R"("0001-01-01")");
  expect_both_ways(std::chrono::year(9999) / 12 / 31, R"("9999-12-31")");
  EXPECT_THROW((void)to_json(sys_days(std::chrono::year(10000) / 1 / 1)), ConversionError);
  for (const char* text :
       {"2023-02-29", "2024-2-29", "2024-02-29T", "24-02-29", "2024/02/29", "2024-13-01"}) {
    EXPECT_THROW((void)from_json<sys_days>("\"" + std::string(text) + "\""), ConversionError) << text;
  }
  EXPECT_EQ(error_of_text<sys_days>("7").reason(), "a date wanted, an int found");
}

TEST(Json, LetsAVariantHaveWhatIsTextThere) {
  using Moment = std::chrono::sys_time<Micros>;
  expect_both_ways(std::variant<int, Bytes>(Bytes{std::byte{0}}), R"("AA==")");
  expect_both_ways(std::variant<int, Micros, Moment>(Moment(Micros(0))), R"("1970-01-01T00:00:00Z")");
  expect_both_ways(std::variant<int, std::set<int>>(std::set<int>{1}), "[1]");
  expect_both_ways(std::variant<int, double>(1.0), "1.0");
  // Text is first of all text.
  EXPECT_EQ((from_json<std::variant<Bytes, std::string>>(R"("AA==")")),
            (std::variant<Bytes, std::string>("AA==")));
}

TEST(Json, LetsAVariantOfKeysBeWhatTheTextIs) {
  using Number = std::variant<bool, int>;
  expect_both_ways(std::map<Number, int>{{true, 5}, {1, 6}, {0, 7}}, R"({"true":5,"0":7,"1":6})");
  expect_both_ways(std::map<std::variant<int, bool>, int>{{1, 6}, {true, 5}}, R"({"1":6,"true":5})");
  using Float = std::variant<double, int>;
  expect_both_ways(std::map<Float, int>{{1.0, 1}, {1.5, 2}, {1, 3}}, R"({"1.0":1,"1.5":2,"1":3})");
  EXPECT_EQ((from_json<std::map<std::variant<double, Bytes>, int>>(R"({"1":0})")),
            (std::map<std::variant<double, Bytes>, int>{{1.0, 0}}));
  using Nested = std::variant<Micros, Number>;
  expect_both_ways(std::map<Nested, int>{{Micros(1'000'000), 1}, {Number(true), 2}, {Number(7), 3}},
                   R"({"PT1S":1,"true":2,"7":3})");
  expect_both_ways(std::map<std::optional<Number>, int>{{Number(true), 2}}, R"({"true":2})");
  expect_both_ways(std::map<std::variant<int, BigInt>, int>{{*BigInt::parse("99999999999999999999"), 1}},
                   R"({"99999999999999999999":1})");
  EXPECT_THROW(((void)from_json<std::map<Number, int>>(R"({"x":1})")), ConversionError);
  EXPECT_THROW(((void)from_json<std::map<Number, int>>(R"({"1.5":1})")), ConversionError);
  // Text is first of all text, and nothing but a key's is a number.
  using Text = std::variant<bool, int, std::string>;
  expect_both_ways(std::map<Text, int>{{"5", 1}, {"true", 2}}, R"({"5":1,"true":2})");
  expect_both_ways(std::vector<Text>{"5", 5, "true", true}, R"(["5",5,"true",true])");
  EXPECT_THROW((void)from_json<Number>(R"("5")"), ConversionError);
  EXPECT_THROW((void)from_json<Number>(R"("true")"), ConversionError);
}

TEST(Json, HasNoFunctions) {
  EXPECT_EQ(error_of_value(Callback([] { return 1; }, "one")).reason(), "JSON has no functions");
}

TEST(Json, BoundsTheDepth) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  const Value value = from_json<Value>(nested(kMaxDepth));
  EXPECT_EQ(to_json(value), nested(kMaxDepth));
  EXPECT_THROW((void)to_json(Value(Value::List{value})), ConversionError);
  EXPECT_THROW((void)from_json<Value>(nested(kMaxDepth + 1)), ConversionError);
  EXPECT_THROW((void)from_json<Value>(std::string(1'000'000, '[')), ConversionError);
}

TEST(Json, DoesNotEndAtANul) {
  EXPECT_THROW((void)from_json<Value>("1\0"s), ConversionError);
  EXPECT_THROW((void)from_json<Value>("1\0 2"s), ConversionError);
  EXPECT_THROW((void)from_json<Value>("\"a\0\""s), ConversionError);
}

TEST(Json, SaysWhereTextIsNone) {
  const auto error = error_of_text<Value>("{\"a\": [1,\n  2 3]}");
  EXPECT_EQ(error.path(), "a[2]");
  EXPECT_EQ(error.reason(),
            "no JSON at line 2, column 5: syntax error while parsing array - unexpected number literal; "
            "expected ']'");
  EXPECT_EQ(error_of_text<Value>("").reason().substr(0, 29), "no JSON at line 1, column 1: ");
  EXPECT_EQ(error_of_text<Value>("1\0"s).reason(), "no JSON at line 1, column 2: a NUL");
  EXPECT_EQ(error_of_text<Value>("\"a\0\""s).reason(), "no JSON at line 1, column 3: a NUL");
  for (const char* text : {"[1,]", "{\"a\":1,}", "{a:1}", "'a'", "// x\n1", "1 2", "tru", "01", "1.", ".5",
                           "+1", "[", "{\"a\"", "\"", "\"\\x\"", "\xFF", "nan", "[1}"}) {
    EXPECT_THROW((void)from_json<Value>(text), ConversionError) << text;
  }
  // Bytes that are no text, and much of it, are no part of the message.
  for (const std::string begin : {"", "'; expected ", "; last read: '"}) {
    const std::string message =
        error_of_text<Value>("\"" + begin + std::string(10'000, 'x') + "\xFF").message();
    EXPECT_LT(message.size(), 400U) << begin;
    EXPECT_EQ(message.find('\xFF'), std::string::npos) << begin;
  }
  EXPECT_EQ(
      error_of_text<Value>("{\"a'; expected \xFF").reason(),
      "no JSON at line 1, column 16: syntax error while parsing object key - invalid string: ill-formed "
      "UTF-8 byte; last read: '\"a'; expected \\xff'; expected string literal");
}

TEST(Json, NamesNoKeyTwice) {
  const auto error = error_of_text<Value>(R"([{"a": 1, "b": 2, "a": 1}])");
  EXPECT_EQ(error.message(), "[0]: the key 'a' twice in one object");
  EXPECT_THROW(((void)from_json<std::map<std::string, int>>(R"({"a": 1, "\u0061": 2})")), ConversionError);
}

TEST(Json, EscapesWhatIsNoTextIfToldTo) {
  const std::map<std::string, std::string> texts{{"\xFFkey", "\xC3\xA9 \xC3 \xED\xA0\x80"}};
  EXPECT_THROW((void)to_json(texts), ConversionError);
  EXPECT_EQ(to_json(texts, {.escape_invalid_text = true}), R"({"\\xffkey":"é \\xc3 \\xed\\xa0\\x80"})");
}

TEST(Json, LogsALineEach) {
  EXPECT_EQ(to_json(LogRecord{.level = LogLevel::kWarn,
                              .logger = "app.db",
                              .message = "a\nb",
                              .worker = "main",
                              .task = "GET /"}),
            R"({"level":"warning","logger":"app.db","message":"a\nb","worker":"main","task":"GET /"})");
  EXPECT_EQ(to_json(OutputLine{.stream = OutputStream::kStderr, .text = "\"x\"", .worker = "pinned-0"}),
            R"({"stream":"stderr","text":"\"x\"","worker":"pinned-0","task":""})");
}

TEST(Json, IsWhatPythonReadsAndWrites) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Value value =
      Value::Dict{{"none", nullptr},
                  {"list", Value::List{true, -1, 0.1, 1e100, *BigInt::parse("123456789012345678901")}},
                  {"text", "\n\"\xF0\x9F\x98\x80\x7f\x01"}};
  EXPECT_EQ(pool.call<Value>("json:loads", to_json(value)).get(), value);
  EXPECT_EQ(from_json<Value>(pool.call<std::string>("json:dumps", value).get()), value);
}

}  // namespace
}  // namespace interpool::test
