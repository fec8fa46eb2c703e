// Conversion of a program's own structs, and of the standard library's other types.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace {

struct Address {
  std::string street;
  std::optional<int> number;
  bool operator==(const Address&) const = default;
};

struct User {
  std::int64_t id = 0;
  std::string name;
  std::vector<Address> addresses;
  std::optional<std::string> mail;
  bool operator==(const User&) const = default;
};

struct Named {
  std::string name;
};
struct Dog : Named {
  bool barks = false;
};

/// Cannot come out of Python.
struct Constant {
  explicit Constant(int number) : value(number) {}
  const int value;
};

/// As small vectors of other libraries are.
template <class T>
class Row {
 public:
  using value_type = T;
  void push_back(T item) { items_.push_back(std::move(item)); }
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.end(); }
  bool operator==(const Row&) const = default;

 private:
  std::vector<T> items_;
};
/// One that is a sum in Python.
struct Summed : Row<int> {};
/// A text, which is no list of its characters.
struct Text : Row<char> {};
/// Does not own what it shows.
struct Shown : std::ranges::view_base {
  using value_type = int;
  void push_back(int /*item*/) {}
  [[nodiscard]] const int* begin() const { return nullptr; }
  [[nodiscard]] const int* end() const { return nullptr; }
};
/// In Python, one that may contain itself.
struct Branch {
  std::deque<Branch> children;
};

struct AllOptional {
  std::optional<int> a;
};

/// In Python, one that may contain itself.
struct Tree {
  std::vector<Tree> children;
};

enum class Colour : std::uint8_t { kRed = 1, kGreen = 2 };
enum class Level : int { kLow = -5, kHigh = 5 };
enum class Letter : char { kA = 'a' };
enum class Flag : bool { kOff, kOn };
enum Unfixed { kUnfixed };
/// Has a Converter for all enumerations like it.
enum class Spelled { kOne };
template <class T>
concept HasName = std::is_same_v<T, Spelled>;
enum class Wide : std::uint64_t { kMost = std::numeric_limits<std::uint64_t>::max() };

}  // namespace

template <HasName T>
inline constexpr bool interpool::kEnumAsNumber<T> = false;
template <std::derived_from<Summed> T>
inline constexpr bool interpool::kSequenceAsList<T> = false;
template <std::derived_from<Summed> T>
struct interpool::Converter<T> {
  static void encode(interpool::Encoder& out, const T& value) {
    std::int64_t sum = 0;
    for (const int item : value) sum += item;
    out.put_int(sum);
  }
};
template <HasName T>
struct interpool::Converter<T> {
  static void encode(interpool::Encoder& out, T /*value*/) { out.put_str("one"); }
};

template <>
inline constexpr auto interpool::kFields<Address> = interpool::fields(
    interpool::field("street", &Address::street), interpool::field("number", &Address::number));
template <>
inline constexpr auto interpool::kFields<User> =
    interpool::fields(interpool::field("id", &User::id), interpool::field("name", &User::name),
                      interpool::field("addresses", &User::addresses), interpool::field("mail", &User::mail));
template <>
inline constexpr auto interpool::kFields<Dog> =
    interpool::fields(interpool::field("name", &Dog::name), interpool::field("barks", &Dog::barks));
template <>
inline constexpr auto interpool::kFields<Constant> =
    interpool::fields(interpool::field("value", &Constant::value));
template <>
inline constexpr auto interpool::kFields<AllOptional> =
    interpool::fields(interpool::field("a", &AllOptional::a));
template <>
inline constexpr auto interpool::kFields<Branch> =
    interpool::fields(interpool::field("children", &Branch::children));
template <>
inline constexpr auto interpool::kFields<Tree> =
    interpool::fields(interpool::field("children", &Tree::children));

namespace interpool::test {
namespace {

class ConversionOfTypes : public WithOneWorker {};

const User& ada() {
  static const User user{7, "Ada", {{"Main St", 3}, {"Side St", std::nullopt}}, std::nullopt};
  return user;
}
constexpr const char* kAda =
    "{'id': 7, 'name': 'Ada', 'addresses': [{'street': 'Main St', 'number': 3}, "
    "{'street': 'Side St', 'number': None}], 'mail': None}";

TEST_F(ConversionOfTypes, AStructIsADict) {
  EXPECT_EQ(repr(ada()), kAda);
  EXPECT_EQ(round_trip(ada()), ada());
  EXPECT_EQ(eval<User>(kAda), ada());
  EXPECT_EQ(eval<std::vector<Address>>("[]"), std::vector<Address>{});
}

TEST_F(ConversionOfTypes, AStructComesFromAnyObjectWithItsAttributes) {
  exec(
      "import collections, dataclasses, types\n"
      "@dataclasses.dataclass\n"
      "class D:\n"
      "  street: str\n"
      "  number: int = 3\n"
      "N = collections.namedtuple('N', 'street number more')\n"
      "class Slots:\n"
      "  __slots__ = ('street', 'number')\n"
      "class Property:\n"
      "  @property\n"
      "  def street(self): return 'computed'\n"
      "class Broken:\n"
      "  @property\n"
      "  def street(self): raise RuntimeError('no street today')\n"
      "slots = Slots(); slots.street = 's'; slots.number = None\n");
  EXPECT_EQ(eval<Address>("D('Main St')"), (Address{"Main St", 3}));
  EXPECT_EQ(eval<Address>("N('Main St', 4, 'ignored')"), (Address{"Main St", 4}));
  EXPECT_EQ(eval<Address>("types.SimpleNamespace(street='a', number=1)"), (Address{"a", 1}));
  EXPECT_EQ(eval<Address>("slots"), (Address{"s", std::nullopt}));
  EXPECT_EQ(eval<Address>("Property()"), (Address{"computed", std::nullopt}));
  EXPECT_EQ(eval<std::vector<User>>("[types.SimpleNamespace(id=1, name='n', addresses=(D('x'),))]"),
            (std::vector<User>{{1, "n", {{"x", 3}}, std::nullopt}}));
  EXPECT_NE(decode_error<Address>("Broken()").reason().find("no street today"), std::string::npos);
}

TEST_F(ConversionOfTypes, OnlyAnOptionalFieldMayBeAbsent) {
  EXPECT_EQ(eval<Address>("{'street': 'a', 'other': object()}"), (Address{"a", std::nullopt}));
  const std::string missing_entry = decode_error<Address>("{'number': 1}").reason();
  EXPECT_TRUE(missing_entry.starts_with("this 'dict' has no 'street', a field of ")) << missing_entry;
  EXPECT_TRUE(missing_entry.ends_with("::Address")) << missing_entry;
  EXPECT_TRUE(decode_error<Address>("object()").reason().starts_with("this 'object' has no 'street', a"));
  EXPECT_EQ(decode_error<User>("{'id': 1, 'name': 'x', 'addresses': [{}]}").path(), "addresses[0]");
}

TEST_F(ConversionOfTypes, AFieldThatDoesNotConvertNamesItsPath) {
  const auto error =
      decode_error<std::map<std::string, User>>("{'a b': {'id': 1, 'name': 2, 'addresses': []}}");
  EXPECT_EQ(error.path(), "['a b'].name");
  EXPECT_EQ(error.reason(), "a str wanted, a 'int' found");
  EXPECT_EQ(decode_error<User>("{'id': 1, 'name': '', 'addresses': [{'street': '', 'number': 'x'}]}").path(),
            "addresses[0].number");
  User wrong = ada();
  wrong.addresses[1].street = "\xFF";
  EXPECT_EQ(encode_error(1, wrong).path(), "args[1].addresses[1].street");
}

TEST_F(ConversionOfTypes, AStructHasTheMembersOfItsBase) {
  Dog dog;
  dog.name = "Rex";
  dog.barks = true;
  EXPECT_EQ(repr(dog), "{'name': 'Rex', 'barks': True}");
  EXPECT_EQ(eval<Dog>("{'name': 'Rex', 'barks': True}").name, "Rex");
}

TEST_F(ConversionOfTypes, AStructThatCannotBeFilledGoesToPythonOnly) {
  EXPECT_EQ(repr(Constant(3)), "{'value': 3}");
  static_assert(Encodable<Constant> && !Decodable<Constant>);
}

TEST_F(ConversionOfTypes, WhatHasNoFieldsIsNoStruct) {
  for (const char* other :
       {"None", "5", "True", "2.5", "'a'", "b'a'", "[{'a': 1}]", "(1,)", "{1}", "range(2).start"}) {
    EXPECT_NE(decode_error<AllOptional>(other).reason().find("a dict or an object with fields wanted"),
              std::string::npos)
        << other;
  }
  EXPECT_EQ(eval<AllOptional>("{}").a, std::nullopt);
  EXPECT_EQ(eval<AllOptional>("__import__('types').SimpleNamespace(a=1)").a, 1);
  EXPECT_EQ(eval<AllOptional>("type('L', (list,), {'a': 2})()").a, 2);
}

TEST_F(ConversionOfTypes, AStructThatContainsItselfIsBounded) {
  exec(
      "class Node:\n"
      "  def __init__(self): self.children = []\n"
      "leaf = Node(); root = Node(); root.children = [leaf, leaf]\n"
      "cycle = Node(); cycle.children = [cycle]\n");
  EXPECT_EQ(eval<Tree>("root").children.size(), 2U);
  EXPECT_NE(decode_error<Tree>("cycle").reason().find("contains itself"), std::string::npos);
}

TEST_F(ConversionOfTypes, AValueHoldsAStructAsADict) {
  EXPECT_EQ(to_string(Value::from(ada())), kAda);
  EXPECT_EQ(Value::from(ada()).to<User>(), ada());
  const auto missing =
      error_of<ConversionError>([] { return Value::from(std::map<int, int>{{1, 2}}).to<Address>(); });
  EXPECT_TRUE(missing.reason().starts_with("this 'dict' has no 'street', a"));
  const auto other = error_of<ConversionError>([] { return Value(5).to<AllOptional>().a; });
  EXPECT_EQ(other.reason(), "a dict wanted, an int found");
}

TEST_F(ConversionOfTypes, EnumsAreTheirNumbers) {
  EXPECT_EQ(repr(Colour::kGreen), "2");
  EXPECT_EQ(round_trip(Colour::kGreen), Colour::kGreen);
  EXPECT_EQ(round_trip(Level::kLow), Level::kLow);
  EXPECT_EQ(round_trip(Letter::kA), Letter::kA);
  EXPECT_EQ(repr(Letter::kA), "97");
  EXPECT_EQ(round_trip(Wide::kMost), Wide::kMost);
  exec("import enum\nclass Colour(enum.IntEnum):\n  RED = 1\nclass Plain(enum.Enum):\n  RED = 1\n");
  EXPECT_EQ(eval<Colour>("Colour.RED"), Colour::kRed);
  EXPECT_THROW(eval<Colour>("Plain.RED"), ConversionError);
  EXPECT_EQ(decode_error<Colour>("256").reason(), "the int 256 does not fit into an unsigned 8-bit integer");
  EXPECT_THROW(eval<Colour>("-1"), ConversionError);
  EXPECT_EQ(decode_error<Flag>("2").reason(), "the int 2 does not fit into an unsigned 1-bit integer");
  EXPECT_EQ(round_trip(Flag::kOn), Flag::kOn);
  static_assert(!Encodable<std::byte>, "an array of them would be a list of ints");
  static_assert(!Encodable<Unfixed>, "not each number is a value");
  EXPECT_EQ(repr(Spelled::kOne), "'one'");
  EXPECT_EQ(decode_error<Letter>("128").reason(), "the int 128 does not fit into a signed 8-bit integer");
  EXPECT_EQ((eval<std::map<Colour, std::string>>("{1: 'red'}")),
            (std::map<Colour, std::string>{{Colour::kRed, "red"}}));
}

TEST_F(ConversionOfTypes, WhatOwnsARowOfItemsIsAList) {
  const std::deque<int> deque{1, 2, 3};
  EXPECT_EQ(repr(deque), "[1, 2, 3]");
  EXPECT_EQ(round_trip(deque), deque);
  EXPECT_EQ(eval<std::deque<int>>("(1, 2, 3)"), deque);
  const std::list<std::string> list{"a", "b"};
  EXPECT_EQ(round_trip(list), list);
  EXPECT_EQ(decode_error<std::list<std::string>>("['a', 1]").path(), "[1]");
  EXPECT_EQ(decode_error<std::deque<int>>("{1}").reason(), "a list or tuple wanted, a 'set' found");
  Row<std::optional<int>> row;
  row.push_back(1);
  row.push_back(std::nullopt);
  EXPECT_EQ(repr(row), "[1, None]");
  EXPECT_EQ(round_trip(row), row);
  Summed summed;
  summed.push_back(40);
  summed.push_back(2);
  EXPECT_EQ(repr(summed), "42");
  EXPECT_EQ(eval<Branch>("{'children': [{'children': []}, {'children': []}]}").children.size(), 2U);
  EXPECT_EQ(Value::from(deque), Value(Value::List{1, 2, 3}));
  EXPECT_EQ((eval<std::variant<int, std::deque<int>>>("[1, 2, 3]").index()), 1U);
  static_assert(!Encodable<Text> && !Encodable<Shown> && !Encodable<std::wstring> &&
                !Encodable<std::u8string>);
}

TEST_F(ConversionOfTypes, SetsAreSets) {
  const std::set<int> numbers{3, 1, 2};
  EXPECT_EQ(repr(numbers), "{1, 2, 3}");
  EXPECT_EQ(round_trip(numbers), numbers);
  EXPECT_EQ(repr(std::set<int>{}), "set()");
  const std::unordered_set<std::string> words{"a", "b"};
  EXPECT_EQ(round_trip(words), words);
  EXPECT_EQ(eval<std::set<int>>("frozenset([1, 2, 2, 3])"), numbers);
  EXPECT_EQ(get(pool().call<int>("builtins:len", std::vector{numbers, numbers})), 2);
  EXPECT_EQ(decode_error<std::set<int>>("[1, 2]").reason(), "a set wanted, a 'list' found");
  EXPECT_EQ(decode_error<std::vector<std::set<int>>>("[{1}, {'a'}]").path(), "[1]['a']");
  EXPECT_NE(encode_error(std::set<std::vector<int>>{{1}}).reason().find("unhashable"), std::string::npos);
  EXPECT_EQ(Value::from(numbers), (Value(Value::List{1, 2, 3})));
  EXPECT_EQ(Value::from(numbers).to<std::set<int>>(), numbers);
  EXPECT_THROW((void)Value(Value::Tuple{{1, 2}}).to<std::set<int>>(), ConversionError);
}

TEST_F(ConversionOfTypes, PathsAreTheFileSystems) {
  const std::filesystem::path path = "/tmp/caf\xC3\xA9";
  EXPECT_EQ(round_trip(path), path);
  EXPECT_EQ(repr(path), "'/tmp/caf\xC3\xA9'");
  EXPECT_EQ(eval<std::filesystem::path>("__import__('pathlib').Path('/a') / 'b'"), "/a/b");
  EXPECT_EQ(eval<std::filesystem::path>("b'/a/\\xff'"), "/a/\xFF");
  EXPECT_EQ(decode_error<std::filesystem::path>("3").reason(), "a path wanted, a 'int' found");
  EXPECT_EQ(Value::from(path).to<std::filesystem::path>(), path);
}

TEST_F(ConversionOfTypes, PathsThatAreNotUtf8GoThroughPythonUnharmed) {
  // os.fsencode gives the bytes of the name that Python sees: the oracle is Python's own decoder.
  const std::vector<std::string> names = {"\xFF",
                                          "a\x80z",
                                          "\xC3",
                                          "\xE2\x82",
                                          "\xED\xB2\x80",
                                          "\xC0\xAF",
                                          "\xF0\x9F\x90\x8D",
                                          "\xF5\x80\x80\x80",
                                          "\xE0\x80\x80",
                                          "\xF4\x90\x80\x80",
                                          "\xED\x9F\xBF\xEE\x80\x80",
                                          "\xE2\x28\xA1"};
  for (const std::string& name : names) {
    const std::filesystem::path path = "/" + name;
    EXPECT_EQ(round_trip(path), path);
    const Bytes seen = get(pool().call<Bytes>("os:fsencode", path));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(seen.data()), seen.size()), path.native());
    Bytes raw(name.size());
    for (std::size_t i = 0; i < name.size(); ++i) raw[i] = static_cast<std::byte>(name[i]);
    EXPECT_EQ(get(pool().call<std::string>("os:fsdecode", raw)), detail::text_of_path(name));
    EXPECT_EQ(eval<std::filesystem::path>("__import__('os').fsdecode(bytes(" +
                                          get(pool().call<std::string>("builtins:repr", raw)) + "))"),
              name);
  }
}

TEST_F(ConversionOfTypes, WhatIsNoPathSaysSo) {
  EXPECT_THROW(eval<std::filesystem::path>("'a\\ud800'"), ConversionError);
  EXPECT_EQ(decode_error<std::filesystem::path>("'a\\0b'").reason(), "no path has a NUL in it");
  EXPECT_EQ(decode_error<std::filesystem::path>("b'a\\0b'").reason(), "no path has a NUL in it");
  exec(
      "class Broken:\n"
      "  def __fspath__(self): raise TypeError('no path today')\n");
  EXPECT_NE(decode_error<std::filesystem::path>("Broken()").reason().find("no path today"),
            std::string::npos);
  for (const char* text : {"a\xED\xA0\x80", "\xED\xB2", "\xED\xB2x"}) {
    EXPECT_THROW((void)Value(text).to<std::filesystem::path>(), ConversionError);
  }
  EXPECT_THROW((void)Value(std::string("a\0b", 3)).to<std::filesystem::path>(), ConversionError);
}

TEST_F(ConversionOfTypes, ANanHasNoPlaceAmongOrderedKeys) {
  EXPECT_EQ(eval<std::set<double>>("{1.0, 2.0}"), (std::set<double>{1, 2}));
  EXPECT_NE(decode_error<std::set<double>>("{float('nan'), 1.0}").reason().find("NaN"), std::string::npos);
  EXPECT_NE((decode_error<std::map<double, int>>("{float('nan'): 1}")).reason().find("NaN"),
            std::string::npos);
  EXPECT_EQ(eval<std::unordered_set<double>>("{float('nan'), 1.0}").size(), 2U);
}

TEST_F(ConversionOfTypes, ContainersMayHaveAnOrderOfTheirOwn) {
  using Descending = std::set<int, std::greater<>>;
  EXPECT_EQ(round_trip(Descending{1, 3, 2}), (Descending{3, 2, 1}));
  using Mapped = std::map<std::string, int, std::less<>>;
  EXPECT_EQ(round_trip(Mapped{{"a", 1}}), (Mapped{{"a", 1}}));
}

}  // namespace
}  // namespace interpool::test
