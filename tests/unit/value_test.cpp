// Value: native data without Python, its conversions and its text.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using List = Value::List;
using Tuple = Value::Tuple;
using Dict = Value::Dict;

Value sample() {
  return Dict{{"none", nullptr},
              {"bool", true},
              {"int", std::numeric_limits<std::int64_t>::min()},
              {"float", -0.1},
              {"str", "text"},
              {"bytes", Bytes{std::byte{0}, std::byte{200}}},
              {"list", List{1, List{}, "x"}},
              {"tuple", Tuple{{2, Tuple{}}}},
              {3, Dict{{nullptr, false}}},
              {Tuple{{1, 2}}, 2.5}};
}

TEST(ValueAlone, HasTheKindItWasMadeFrom) {
  EXPECT_TRUE(Value().is_none());
  EXPECT_EQ(Value(nullptr).kind(), Kind::kNone);
  EXPECT_EQ(Value(true).kind(), Kind::kBool);
  EXPECT_EQ(Value(1).kind(), Kind::kInt);
  EXPECT_EQ(Value(std::uint32_t{1}).kind(), Kind::kInt);
  EXPECT_EQ(Value(1.0).kind(), Kind::kFloat);
  EXPECT_EQ(Value("x").kind(), Kind::kStr);
  EXPECT_EQ(Value(Bytes{}).kind(), Kind::kBytes);
  EXPECT_EQ(Value(List{}).kind(), Kind::kList);
  EXPECT_EQ(Value(Tuple{}).kind(), Kind::kTuple);
  EXPECT_EQ(Value(Dict{}).kind(), Kind::kDict);
  EXPECT_STREQ(to_string(Kind::kNone), "None");
  EXPECT_STREQ(to_string(Kind::kDict), "dict");
}

TEST(ValueAlone, GivesItsDataAndNothingElse) {
  const Value value = sample();
  EXPECT_EQ(value["bool"].as_bool(), true);
  EXPECT_EQ(value["int"].as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value["float"].as_float(), -0.1);
  EXPECT_EQ(value["str"].as_str(), "text");
  EXPECT_EQ(value["bytes"].as_bytes().size(), 2U);
  EXPECT_EQ(value["list"].as_list().size(), 3U);
  EXPECT_EQ(value["tuple"].as_list().size(), 2U);
  EXPECT_EQ(value.as_dict().size(), 10U);
  EXPECT_EQ(value["list"].at(2).as_str(), "x");
  EXPECT_EQ(value["tuple"].at(0), Value(2));

  EXPECT_THROW((void)value.as_bool(), ConversionError);
  EXPECT_THROW((void)Value(true).as_int(), ConversionError);
  EXPECT_THROW((void)Value(1).as_bool(), ConversionError);
  EXPECT_THROW((void)Value(1).as_float(), ConversionError);
  EXPECT_THROW((void)Value("x").as_bytes(), ConversionError);
  EXPECT_THROW((void)Value("x").as_list(), ConversionError);
  EXPECT_THROW((void)Value(List{}).as_dict(), ConversionError);
  EXPECT_THROW((void)Value().as_str(), ConversionError);
  EXPECT_THROW((void)value["missing"], ConversionError);
  EXPECT_THROW((void)Value(List{})["x"], ConversionError);
  EXPECT_THROW((void)value["list"].at(3), ConversionError);
  const auto error = error_of<ConversionError>([] { return Value("x").as_int(); });
  EXPECT_EQ(error.reason(), "an int wanted, a str found");
}

TEST(ValueAlone, SizeIsThatOfWhatItHolds) {
  EXPECT_EQ(Value(List{1, 2}).size(), 2U);
  EXPECT_EQ(Value(Tuple{{1}}).size(), 1U);
  EXPECT_EQ(Value(Dict{{1, 2}}).size(), 1U);
  EXPECT_EQ(Value("abc").size(), 3U);
  EXPECT_EQ(Value(Bytes(4)).size(), 4U);
  EXPECT_EQ(Value(5).size(), 0U);
  EXPECT_EQ(Value().size(), 0U);
}

TEST(ValueAlone, IsMadeOfWhatItHoldsOnly) {
  // No pointer is a bool, and no number becomes another by the way.
  EXPECT_FALSE((std::is_constructible_v<Value, int*>));
  EXPECT_FALSE((std::is_constructible_v<Value, const char8_t*>));
  EXPECT_FALSE((std::is_constructible_v<Value, void (*)()>));
  EXPECT_FALSE((std::is_constructible_v<Value, char>));
  EXPECT_FALSE((std::is_constructible_v<Value, long double>));
  EXPECT_TRUE((std::is_convertible_v<float, Value>));
  EXPECT_TRUE((std::is_convertible_v<const char*, Value>));
  EXPECT_TRUE((std::is_convertible_v<std::nullptr_t, Value>));
  EXPECT_EQ(Value(1.5F), Value(1.5));
  const bool truth = true;
  EXPECT_EQ(Value(truth).kind(), Kind::kBool);
}

TEST(ValueAlone, HoldsIntegersOfAnySize) {
  const BigInt big = *BigInt::parse("-170141183460469231731687303715884105729");
  EXPECT_EQ(Value(big).kind(), Kind::kInt);
  EXPECT_EQ(Value(big).as_big_int(), big);
  EXPECT_EQ(Value(big).to<BigInt>(), big);
  EXPECT_EQ(to_string(Value(big)), "-170141183460469231731687303715884105729");
  EXPECT_NE(error_of<ConversionError>([&] { return Value(big).as_int(); }).reason().find("as_big_int()"),
            std::string::npos);
  EXPECT_EQ(Value(big).small_int(), std::nullopt);
  EXPECT_EQ(Value(5).as_big_int(), BigInt(5));
  EXPECT_THROW((void)Value("5").as_big_int(), ConversionError);
  EXPECT_THROW((void)Value("5").small_int(), ConversionError);
  EXPECT_EQ(Value(true).to<BigInt>(), BigInt(1));

  // What 64 bits hold is the same value however it came.
  EXPECT_EQ(Value(BigInt(std::numeric_limits<std::int64_t>::min())),
            Value(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(Value(BigInt(7)).as_int(), 7);
  EXPECT_EQ(Value(std::uint64_t{7}).as_int(), 7);
  const Value above = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(above.to<std::uint64_t>(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(Value::from(std::numeric_limits<std::uint64_t>::max()), above);

  EXPECT_EQ(Value(*BigInt::parse("36893488147419103232")).to<double>(), 36893488147419103232.0);
  EXPECT_EQ(error_of<ConversionError>([] {
              return Value(*BigInt::parse("36893488147419103233")).to<double>();
            }).reason(),
            "an int that is not exactly a double");
}

TEST(ValueAlone, EqualMeansEqualKindAndData) {
  EXPECT_EQ(sample(), sample());
  EXPECT_NE(Value(1), Value(1.0));
  EXPECT_NE(Value(1), Value(true));
  EXPECT_NE(Value(List{1}), Value(Tuple{{1}}));
  EXPECT_NE(Value("a"), Value(Bytes{std::byte{'a'}}));
  EXPECT_NE(Value(), Value(0));
  EXPECT_NE(Value(Dict{{1, 2}, {3, 4}}), Value(Dict{{3, 4}, {1, 2}})) << "the order is part of a dict";
}

TEST(ValueAlone, IsACopyOfItsOwn) {
  Value a = sample();
  const Value b = a;
  a = Value(1);
  EXPECT_EQ(b, sample());
  Value c = b;
  const Value d = std::move(c);
  EXPECT_EQ(d, b);
}

TEST(ValueAlone, ConvertsFromAndToOtherTypes) {
  using Map = std::map<std::string, std::vector<std::optional<int>>>;
  const Map map{{"a", {1, std::nullopt}}, {"b", {}}};
  const Value value = Value::from(map);
  EXPECT_EQ(value, Value(Dict{{"a", List{1, nullptr}}, {"b", List{}}}));
  EXPECT_EQ(value.to<Map>(), map);
  EXPECT_EQ(Value::from(std::tuple(1, true)), Value(Tuple{{1, true}}));
  EXPECT_EQ(Value::from(std::string("x")), Value("x"));
  EXPECT_EQ(Value::from(sample()), sample());
  EXPECT_EQ(sample().to<Value>(), sample());
  EXPECT_EQ((Value(List{1, "a"}).to<std::pair<int, std::string>>()), (std::pair<int, std::string>(1, "a")));
}

TEST(ValueAlone, ConversionsThatDoNotFitAreErrorsWithAPath) {
  EXPECT_THROW((void)Value(300).to<std::uint8_t>(), ConversionError);
  EXPECT_THROW((void)Value(-1).to<std::uint64_t>(), ConversionError);
  EXPECT_THROW((void)Value(1).to<bool>(), ConversionError);
  EXPECT_THROW((void)Value(1.0).to<int>(), ConversionError);
  EXPECT_THROW((void)Value().to<std::string>(), ConversionError);
  EXPECT_THROW((void)Value("x").to<std::vector<std::string>>(), ConversionError);
  EXPECT_THROW((void)Value(List{1, 2}).to<std::tuple<int>>(), ConversionError);
  EXPECT_THROW((void)Value(std::numeric_limits<std::uint64_t>::max()).to<std::int64_t>(), ConversionError);
  EXPECT_EQ(Value::from(std::uint64_t{1} << 62), Value(std::int64_t{1} << 62));

  using Users = std::vector<std::map<std::string, std::map<std::string, int>>>;
  const Value users = List{Dict{}, Dict{{"user", Dict{{"first name", "x"}}}}};
  EXPECT_EQ(error_of<ConversionError>([&] { return users.to<Users>(); }).path(), "[1].user['first name']");
  const Value numbered = Dict{{7, "x"}};
  EXPECT_EQ(error_of<ConversionError>([&] { return numbered.to<std::map<int, int>>(); }).path(), "[7]");
}

TEST(ValueAlone, DepthIsBounded) {
  Value deep = List{};
  for (std::size_t i = 1; i < kMaxDepth; ++i) deep = List{std::move(deep)};
  EXPECT_EQ(deep.to<Value>(), deep);
  EXPECT_EQ(Value::from(deep), deep);
  const Value too_deep = List{deep};
  EXPECT_THROW((void)Value::from(too_deep), ConversionError);
  EXPECT_THROW((void)too_deep.to<Value>(), ConversionError);
}

TEST(ValueAlone, ReadsAsPythonWouldWriteIt) {
  EXPECT_EQ(to_string(Value()), "None");
  EXPECT_EQ(to_string(Value(true)), "True");
  EXPECT_EQ(to_string(Value(-5)), "-5");
  EXPECT_EQ(to_string(Value(2.0)), "2.0");
  EXPECT_EQ(to_string(Value("x")), "'x'");
  EXPECT_EQ(to_string(Value(List{})), "[]");
  EXPECT_EQ(to_string(Value(Tuple{})), "()");
  EXPECT_EQ(to_string(Value(Tuple{{1}})), "(1,)");
  EXPECT_EQ(to_string(Value(Tuple{{1, 2}})), "(1, 2)");
  EXPECT_EQ(to_string(Value(Dict{})), "{}");
  EXPECT_EQ(to_string(Value(Dict{{"a", List{1, 2.5, nullptr}}})), "{'a': [1, 2.5, None]}");
}

class ValueInPython : public WithOneWorker {};

TEST_F(ValueInPython, SurvivesTheRoundTrip) {
  EXPECT_EQ(round_trip(sample()), sample());
  EXPECT_EQ(eval<Value>("(1, [2.0, {'k': b'v'}], None, True, 'x')"),
            Value(Tuple{{1, List{2.0, Dict{{"k", Bytes{std::byte{'v'}}}}}, nullptr, true, "x"}}));
}

TEST_F(ValueInPython, AnIntOfAnySizeComesAndGoes) {
  EXPECT_EQ(eval<Value>("2**63 - 1"), Value(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(eval<Value>("2**64 - 1"), Value(std::numeric_limits<std::uint64_t>::max()));
  for (const char* number : {"2**63", "-2**63 - 1", "2**64", "-10**100", "[3**200, {-7**99: 5}]"}) {
    const Value value = eval<Value>(number);
    EXPECT_EQ(round_trip(value), value) << number;
    EXPECT_EQ(to_string(value), eval<std::string>("repr(" + std::string(number) + ")"));
    EXPECT_EQ(to_string(value), repr(value));
  }
  EXPECT_EQ(error_of<ConversionError>([] { return eval<Value>("[2**63]").to<std::vector<int>>(); }).path(),
            "[0]");
}

TEST_F(ValueInPython, BothBackendsAgreeOnWhatConverts) {
  // What Converter<T> makes of a Python object and of the same data as a Value is the same.
  EXPECT_EQ(eval<int>("True"), Value(true).to<int>());
  EXPECT_EQ(eval<double>("2**53"), Value(std::int64_t{1} << 53).to<double>());
  EXPECT_EQ(eval<double>("2**60"), Value(std::int64_t{1} << 60).to<double>());
  EXPECT_THROW(eval<double>("2**53 + 1"), ConversionError);
  EXPECT_THROW((void)Value((std::int64_t{1} << 53) + 1).to<double>(), ConversionError);
  bool python_takes_bool = true;
  bool value_takes_bool = true;
  try {
    (void)eval<double>("True");
  } catch (const ConversionError&) {
    python_takes_bool = false;
  }
  try {
    (void)Value(true).to<double>();
  } catch (const ConversionError&) {
    value_takes_bool = false;
  }
  EXPECT_EQ(python_takes_bool, value_takes_bool);
}

TEST_F(ValueInPython, TextIsWhatReprWrites) {
  for (const Value& value :
       {Value("it's"), Value("say \"hi\""), Value("both ' and \""),
        Value("tab\t nl\n cr\r nul\x01 back\\slash"), Value("caf\xC3\xA9"),
        Value(Bytes{std::byte{'a'}, std::byte{0}, std::byte{255}, std::byte{'\''}}), Value(0.1), Value(1e16),
        Value(1e15), Value(123456789012345680.0), Value(1e-5), Value(1e-4), Value(-0.0), Value(5e-324),
        Value(1e22), Value(std::numeric_limits<double>::infinity()),
        Value(std::numeric_limits<double>::quiet_NaN()), sample()}) {
    EXPECT_EQ(to_string(value), repr(value));
  }
}

}  // namespace
}  // namespace interpool::test
