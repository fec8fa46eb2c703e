// std::variant: which alternative a value becomes, in which time, and what is said when it becomes none.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace {

struct Circle {
  double radius = 0;
  bool operator==(const Circle&) const = default;
};
struct Square {
  double side = 0;
  bool operator==(const Square&) const = default;
};
using Shape = std::variant<Circle, Square>;

/// Each level may be read in two ways, the first of which turns out wrong only after its inside has been
/// read.
struct Level;
struct Late {
  std::vector<Level> inside;
  int missing = 0;
};
struct Right {
  std::vector<Level> inside;
};
struct Level {
  std::variant<Late, Right> either;
};

/// Has a Converter that does not say what it takes.
struct Anything {
  std::string type;
};
/// Has one that does.
struct Yes {};

}  // namespace

template <>
inline constexpr auto interpool::kFields<Circle> =
    interpool::fields(interpool::field("radius", &Circle::radius));
template <>
inline constexpr auto interpool::kFields<Square> = interpool::fields(interpool::field("side", &Square::side));
template <>
inline constexpr auto interpool::kFields<Level> =
    interpool::fields(interpool::field("either", &Level::either));
template <>
inline constexpr auto interpool::kFields<Late> =
    interpool::fields(interpool::field("inside", &Late::inside), interpool::field("missing", &Late::missing));
template <>
inline constexpr auto interpool::kFields<Right> =
    interpool::fields(interpool::field("inside", &Right::inside));
template <>
struct interpool::Converter<Anything> {
  static void encode(Encoder& out, const Anything& value) { out.put_str(value.type); }
  static Anything decode(Decoder& in) { return {in.type_name()}; }
};
template <>
struct interpool::Converter<Yes> {
  static constexpr Fit takes(Kind kind) { return kind == Kind::kBool ? Fit::kLikely : Fit::kNever; }
  static void encode(Encoder& out, Yes /*value*/) { out.put_bool(true); }
  static Yes decode(Decoder& in) {
    if (!in.get_bool()) in.fail("no is no yes");
    return {};
  }
};

namespace interpool::test {
namespace {

class ConversionOfVariants : public WithOneWorker {
 protected:
  /// Which alternative Python's `expression` becomes.
  template <class V>
  static std::size_t chosen(const std::string& expression) {
    return eval<V>(expression).index();
  }
};

TEST_F(ConversionOfVariants, GoInAsWhatTheyHold) {
  using V = std::variant<std::monostate, int, std::string, std::vector<int>>;
  EXPECT_EQ(repr(V()), "None");
  EXPECT_EQ(repr(V(5)), "5");
  EXPECT_EQ(repr(std::vector<V>{1, "a", std::vector<int>{2}}), "[1, 'a', [2]]");
  for (const V& value : {V(), V(5), V("x"), V(std::vector<int>{1})}) EXPECT_EQ(round_trip(value), value);
  EXPECT_EQ(Value::from(V("x")).to<V>(), V("x"));
}

TEST_F(ConversionOfVariants, TheKindOfAValueChooses) {
  using Numbers = std::variant<double, int, bool>;
  EXPECT_EQ(chosen<Numbers>("1"), 1U);
  EXPECT_EQ(chosen<Numbers>("1.0"), 0U);
  EXPECT_EQ(chosen<Numbers>("True"), 2U);
  EXPECT_EQ(chosen<Numbers>("2**40"), 0U) << "too large for an int, and exactly a double";
  using Texts = std::variant<std::filesystem::path, std::string, Bytes>;
  EXPECT_EQ(chosen<Texts>("'a'"), 1U);
  EXPECT_EQ(chosen<Texts>("b'a'"), 2U);
  EXPECT_EQ(chosen<Texts>("__import__('pathlib').Path('a')"), 0U);
  using Lists = std::variant<std::vector<int>, std::tuple<int, int>, std::set<int>, std::map<int, int>>;
  EXPECT_EQ(chosen<Lists>("[1, 2]"), 0U);
  EXPECT_EQ(chosen<Lists>("(1, 2)"), 1U);
  EXPECT_EQ(chosen<Lists>("(1, 2, 3)"), 0U);
  EXPECT_EQ(chosen<Lists>("{1, 2}"), 2U);
  EXPECT_EQ(chosen<Lists>("{1: 2}"), 3U);
  EXPECT_EQ(chosen<Lists>("range(3)"), 0U);
  using Integers = std::variant<std::int64_t, std::uint64_t, BigInt>;
  EXPECT_EQ(chosen<Integers>("2**63 - 1"), 0U);
  EXPECT_EQ(chosen<Integers>("2**63"), 1U);
  EXPECT_EQ(chosen<Integers>("2**64"), 2U);
  EXPECT_EQ((chosen<std::variant<Value, std::optional<int>>>("None")), 1U);
  EXPECT_EQ((chosen<std::variant<double, std::string>>("1")), 0U);
  EXPECT_EQ((chosen<std::variant<std::variant<int>, std::variant<std::string>>>("'a'")), 1U);
  exec("import datetime");
  using Times = std::variant<int, std::chrono::seconds, std::chrono::sys_days>;
  EXPECT_EQ(chosen<Times>("datetime.timedelta(1)"), 1U);
  EXPECT_EQ(chosen<Times>("datetime.date(2000, 1, 1)"), 2U);
}

TEST_F(ConversionOfVariants, ABufferMayBeBytes) {
  using Either = std::variant<int, Bytes>;
  const Bytes bytes{std::byte{1}, std::byte{2}};
  EXPECT_EQ(get(pool().call<Either>("interpool_probe:identity", Buffer::copy_of(bytes))), Either(bytes));
  EXPECT_EQ(Value(Buffer::copy_of(bytes)).to<Either>(), Either(bytes));
}

TEST_F(ConversionOfVariants, StructsAreTriedInTheirOrder) {
  EXPECT_EQ(eval<Shape>("{'radius': 1}"), Shape(Circle{1}));
  EXPECT_EQ(eval<Shape>("{'side': 2}"), Shape(Square{2}));
  EXPECT_EQ(eval<Shape>("{'side': 2, 'radius': 1}"), Shape(Circle{1}));
  EXPECT_EQ(eval<Shape>("__import__('types').SimpleNamespace(side=2)"), Shape(Square{2}));
  EXPECT_EQ(Value::from(Shape(Square{2})).to<Shape>(), Shape(Square{2}));
}

TEST_F(ConversionOfVariants, ConvertersMaySayWhatTheyTake) {
  EXPECT_EQ((chosen<std::variant<Anything, int>>("5")), 1U) << "what is likely comes first";
  EXPECT_EQ((chosen<std::variant<Anything, int>>("'x'")), 0U);
  EXPECT_EQ(std::get<Anything>(eval<std::variant<int, Anything>>("object()")).type, "object");
  EXPECT_EQ((chosen<std::variant<Yes, bool>>("True")), 0U);
  EXPECT_EQ((chosen<std::variant<Yes, bool>>("False")), 1U);
  EXPECT_EQ((decode_error<std::variant<Yes, std::string>>("False").reason()), "no is no yes");
}

TEST_F(ConversionOfVariants, AnErrorSaysWhatEachAlternativeSaid) {
  const auto none = decode_error<std::vector<std::variant<int, std::string>>>("[1, None]");
  EXPECT_EQ(none.path(), "[1]");
  EXPECT_EQ(none.reason(), "no alternative of the variant takes a 'NoneType'");

  const auto only = decode_error<std::variant<int, std::vector<int>>>("[1, 'x']");
  EXPECT_EQ(only.path(), "[1]") << "of the only one that lists are for";
  EXPECT_EQ(only.reason(), "an int wanted, a 'str' found");

  const auto each = decode_error<std::map<std::string, Shape>>("{'a': {'radius': 'x'}}");
  EXPECT_EQ(each.path(), "a");
  EXPECT_TRUE(each.reason().starts_with(
      "no alternative of the variant takes this 'dict': (0) a.radius: a float wanted, a 'str' found; "
      "(1) a: this 'dict' has no 'side', a field of "))
      << each.reason();

  const auto longest = decode_error<std::variant<Circle, Square>>("{'radius': type('x' * 10_000, (), {})()}");
  EXPECT_LT(longest.reason().size(), 2000U);
}

std::string levels(int depth) {
  std::string text = "{'either': {'inside': []}}";
  for (int i = 1; i < depth; ++i) text.insert(0, "{'either': {'inside': [").append("]}}");
  return text;
}

TEST_F(ConversionOfVariants, NestingTakesNoExponentialTime) {
  EXPECT_EQ(eval<Level>(levels(10)).either.index(), 1U);
  // By trial alone this would be 2^20 attempts.
  const auto error = decode_error<Level>(levels(20));
  EXPECT_NE(error.reason().find("too many attempts"), std::string::npos) << error.reason();
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(ConversionOfVariants, LargeDataIsNotTooManyAttempts) {
  using Item = std::variant<std::vector<int>, std::set<int>, Shape>;
  exec("items = [{'side': 1}, {1}, [2]] * 70_000");
  EXPECT_EQ((eval<std::variant<std::vector<Item>, std::string>>("items").index()), 0U);
}

TEST_F(ConversionOfVariants, NestingTooDeepIsNoMatterOfAlternatives) {
  exec("loop = {}\nloop['either'] = {'inside': [loop]}\n");
  EXPECT_NE(decode_error<Level>("loop").reason().find("contains itself"), std::string::npos);
}

TEST_F(ConversionOfVariants, AnInterruptIsNoMatterOfAlternatives) {
  exec(
      "class Interrupts:\n"
      "  def __index__(self): raise KeyboardInterrupt\n"
      "  def __len__(self): return 0\n"
      "  def __getitem__(self, i): raise IndexError\n"
      "class Raises(Interrupts):\n"
      "  def __index__(self): raise ValueError\n");
  using V = std::variant<int, std::vector<int>>;
  EXPECT_THROW(eval<V>("Interrupts()"), KeyboardInterruptError);
  EXPECT_THROW(eval<int>("Interrupts()"), KeyboardInterruptError);
  EXPECT_EQ(chosen<V>("Raises()"), 1U);
}

}  // namespace
}  // namespace interpool::test
