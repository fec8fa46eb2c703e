// Integers of any size: alone, and in Python, which is the oracle for what they are.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace interpool::test {
namespace {

BigInt big(const std::string& decimal) { return BigInt::parse(decimal).value(); }

Bytes bytes(std::initializer_list<int> values) {
  Bytes result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

Bytes bytes_of(const BigInt& value) { return {value.bytes().begin(), value.bytes().end()}; }

TEST(BigIntAlone, IsTheIntegerThatItWasMadeOf) {
  EXPECT_EQ(BigInt().to<int>(), 0);
  EXPECT_EQ(BigInt(-1).to<std::int8_t>(), -1);
  EXPECT_EQ(BigInt(255).to<std::uint8_t>(), 255);
  EXPECT_EQ(BigInt(256).to<std::uint8_t>(), std::nullopt);
  EXPECT_EQ(BigInt(128).to<std::int8_t>(), std::nullopt);
  EXPECT_EQ(BigInt(-128).to<std::int8_t>(), -128);
  EXPECT_EQ(BigInt(-129).to<std::int8_t>(), std::nullopt);
  EXPECT_EQ(BigInt(-1).to<std::uint64_t>(), std::nullopt);
  EXPECT_EQ(BigInt(std::numeric_limits<std::uint64_t>::max()).to<std::uint64_t>(),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(BigInt(std::numeric_limits<std::uint64_t>::max()).to<std::int64_t>(), std::nullopt);
  EXPECT_EQ(BigInt(std::numeric_limits<std::int64_t>::min()).to<std::int64_t>(),
            std::numeric_limits<std::int64_t>::min());
}

TEST(BigIntAlone, HasTheFewestBytes) {
  EXPECT_EQ(bytes_of(BigInt(0)), Bytes{});
  EXPECT_EQ(bytes_of(BigInt(127)), bytes({127}));
  EXPECT_EQ(bytes_of(BigInt(128)), bytes({128, 0}));
  EXPECT_EQ(bytes_of(BigInt(-1)), bytes({255}));
  EXPECT_EQ(bytes_of(BigInt(-128)), bytes({128}));
  EXPECT_EQ(bytes_of(BigInt(-129)), bytes({127, 255}));
  EXPECT_EQ(bytes_of(BigInt(-256)), bytes({0, 255}));
  EXPECT_EQ(BigInt::from_bytes(bytes({5, 0, 0, 0})), BigInt(5));
  EXPECT_EQ(BigInt::from_bytes(bytes({251, 255, 255})), BigInt(-5));
  EXPECT_EQ(BigInt::from_bytes(bytes({0, 0})), BigInt());
}

TEST(BigIntAlone, IsOrdered) {
  const std::vector<BigInt> ascending = {big("-100000000000000000000000"),
                                         big("-18446744073709551617"),
                                         big("-18446744073709551616"),
                                         -257,
                                         -256,
                                         -2,
                                         -1,
                                         0,
                                         1,
                                         127,
                                         128,
                                         255,
                                         256,
                                         big("18446744073709551615"),
                                         big("18446744073709551616"),
                                         big("100000000000000000000000")};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(ascending[i] <=> ascending[j], i <=> j)
          << to_string(ascending[i]) << ' ' << to_string(ascending[j]);
      EXPECT_EQ(ascending[i] == ascending[j], i == j);
    }
  }
}

TEST(BigIntAlone, ReadsDigitsOnly) {
  EXPECT_EQ(BigInt::parse("-0"), BigInt(0));
  EXPECT_EQ(BigInt::parse("+00042"), BigInt(42));
  EXPECT_EQ(to_string(big("1000000000000000000000000000")), "1000000000000000000000000000");
  for (const char* text : {"", "-", "+", "1 ", " 1", "1.0", "0x1", "1_000", "--1", "1e3"}) {
    EXPECT_EQ(BigInt::parse(text), std::nullopt) << text;
  }
}

TEST(BigIntAlone, IsADoubleWhereOneIsExactlyIt) {
  EXPECT_EQ(big("9007199254740992").to_double(), 9007199254740992.0);
  EXPECT_EQ(big("9007199254740993").to_double(), std::nullopt);
  EXPECT_EQ(big("-9007199254740993").to_double(), std::nullopt);
  EXPECT_EQ(big("-36893488147419103232").to_double(), -36893488147419103232.0);
  EXPECT_EQ(BigInt(-255).to_double(), -255.0);
  EXPECT_EQ(BigInt().to_double(), 0.0);
}

TEST(BigIntAlone, OneThatWasMovedFromIsZero) {
  BigInt from = big("100000000000000000000000");
  const BigInt to = std::move(from);
  EXPECT_EQ(from, BigInt(0));  // NOLINT(bugprone-use-after-move): documented
  EXPECT_EQ(to, big("100000000000000000000000"));
}

class BigIntInPython : public WithOneWorker {};

TEST_F(BigIntInPython, IsWhatPythonSaysItIs) {
  for (const char* expression :
       {"0",          "1",          "-1",      "127",      "128",       "-128",     "-129",
        "255",        "256",        "-256",    "2**31",    "2**63 - 1", "2**63",    "-2**63",
        "-2**63 - 1", "2**64 - 1",  "2**64",   "10**18",   "10**27",    "-10**27",  "2**127",
        "-2**127",    "2**128 - 1", "7**1000", "-7**1000", "2**4096",   "-2**4096", "True"}) {
    const std::string number = std::string("int(") + expression + ")";
    const auto value = eval<BigInt>(expression);
    EXPECT_EQ(to_string(value), eval<std::string>("str(" + number + ")"));
    EXPECT_EQ(big(eval<std::string>("str(" + number + ")")), value);
    EXPECT_EQ(
        bytes_of(value),
        eval<Bytes>("(lambda n: n.to_bytes(0 if n == 0 else ((n if n >= 0 else ~n).bit_length() // 8 + 1), "
                    "'little', signed=True))(" +
                    number + ")"));
    EXPECT_EQ(round_trip(value), value);
    EXPECT_EQ(repr(value), to_string(value));
  }
}

TEST_F(BigIntInPython, ADoubleIsExactlyItWherePythonSaysSo) {
  exec("import math");
  for (const char* expression :
       {"2**53", "2**53 + 1", "-2**53 - 1", "2**60", "2**64 + 2**12", "2**64 + 2**11", "-(2**64 + 2**12)",
        "-(2**64 + 2**11)", "2**1023", "-2**1023", "2**1024", "-2**1024", "2**1024 - 2**971",
        "2**1024 - 2**970", "-(2**1024 - 2**971)", "10**22", "10**23", "-10**22", "10**400"}) {
    const auto value = eval<BigInt>(expression);
    std::optional<double> expected;
    try {
      expected = eval<double>(expression);
    } catch (const ConversionError&) {
      expected.reset();
    }
    EXPECT_EQ(value.to_double(), expected) << expression;
  }
}

TEST_F(BigIntInPython, ManyMegabytesCross) {
  const auto value = eval<BigInt>("(1 << 30_000_000) + 1");
  EXPECT_EQ(value.bytes().size(), 3'750'001U);
  EXPECT_EQ(get(pool().call<int>("builtins:int.bit_length", value)), 30'000'001);
}

TEST_F(BigIntInPython, OnlyAnIntIsOne) {
  exec(
      "class Index:\n"
      "  def __index__(self): return 3**100\n"
      "class BadIndex:\n"
      "  def __index__(self): raise RuntimeError('no index today')\n");
  EXPECT_EQ(eval<BigInt>("Index()"), eval<BigInt>("3**100"));
  EXPECT_NE(decode_error<BigInt>("BadIndex()").reason().find("no index today"), std::string::npos);
  EXPECT_EQ(decode_error<BigInt>("1.0").reason(), "an int wanted, a 'float' found");
  EXPECT_EQ(decode_error<std::vector<BigInt>>("[2**70, '5']").path(), "[1]");
  EXPECT_EQ((eval<std::map<BigInt, int>>("{2**70: 1, -2**70: 2}").begin()->second), 2);
}

#ifdef __SIZEOF_INT128__
TEST_F(BigIntInPython, TheCompilersWideIntegersKeepTheirWholeRange) {
  using detail::Int128;
  using detail::Uint128;
  const Uint128 highest = ~Uint128{0};
  const auto lowest = static_cast<Int128>(Uint128{1} << 127);
  EXPECT_EQ(repr(highest), "340282366920938463463374607431768211455");
  EXPECT_EQ(repr(lowest), "-170141183460469231731687303715884105728");
  EXPECT_EQ(repr(Int128{-5}), "-5");
  EXPECT_TRUE(round_trip(highest) == highest);
  EXPECT_TRUE(round_trip(lowest) == lowest);
  EXPECT_TRUE(eval<Uint128>("2**127") == Uint128{1} << 127);
  EXPECT_EQ(decode_error<Int128>("2**127").reason(), "the int does not fit into a signed 128-bit integer");
  EXPECT_EQ(decode_error<Uint128>("-1").reason(), "the int does not fit into an unsigned 128-bit integer");
  EXPECT_THROW(eval<Uint128>("2**128"), ConversionError);
  EXPECT_THROW(eval<Int128>("-2**127 - 1"), ConversionError);
  EXPECT_TRUE(Value(highest).to<Uint128>() == highest);
  EXPECT_EQ(to_string(Value::from(lowest)), "-170141183460469231731687303715884105728");
  EXPECT_EQ(to_string(BigInt(lowest)), "-170141183460469231731687303715884105728");
}
#endif

}  // namespace
}  // namespace interpool::test
