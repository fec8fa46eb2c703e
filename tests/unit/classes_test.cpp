// Structs that are instances of a Python class in Python.
#include "support/pool.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

struct Item {
  std::string name;
  int count = 1;
  bool operator==(const Item&) const = default;
};
struct Order {
  std::int64_t id = 0;
  std::vector<Item> items;
  std::optional<std::string> note;
  bool operator==(const Order&) const = default;
};
struct Point {
  double x = 0, y = 0;
  bool operator==(const Point&) const = default;
};
struct Till {
  double x = 0, y = 0;
  bool operator==(const Till&) const = default;
};
/// See interpool_classes.py: each looks at what it can find while it is made.
template <int kind>
struct Numbered {
  int number = 0;
  auto operator<=>(const Numbered&) const = default;
};
using Curious = Numbered<0>;
using Greedy = Numbered<1>;
using Leaver = Numbered<2>;
using Finder = Numbered<7>;
using OfNoModule = Numbered<3>;
using OfNoClass = Numbered<4>;
using Missing = Numbered<5>;
/// Has a field that the class does not take.
using Unfit = Numbered<6>;
using Watcher = Numbered<8>;
/// Its Converter has the name of its class for as long as it writes it only.
struct Hasty {};
struct Chain {
  std::vector<Chain> items;
};

}  // namespace

template <>
inline constexpr auto interpool::kFields<Item> = interpool::fields(
    "interpool_classes:Item", interpool::field("name", &Item::name), interpool::field("count", &Item::count));
template <>
inline constexpr auto interpool::kFields<Order> =
    interpool::fields("interpool_classes:Order", interpool::field("id", &Order::id),
                      interpool::field("items", &Order::items), interpool::field("note", &Order::note));
template <>
inline constexpr auto interpool::kFields<Point> = interpool::fields(
    "interpool_classes:Point", interpool::field("x", &Point::x), interpool::field("y", &Point::y));
template <>
inline constexpr auto interpool::kFields<Till> = interpool::fields(
    "interpool_classes:Shop.Till", interpool::field("x", &Till::x), interpool::field("y", &Till::y));
template <>
inline constexpr auto interpool::kFields<Curious> =
    interpool::fields("interpool_classes:Curious", interpool::field("number", &Curious::number));
template <>
inline constexpr auto interpool::kFields<Greedy> =
    interpool::fields("interpool_classes:Greedy", interpool::field("number", &Greedy::number));
template <>
inline constexpr auto interpool::kFields<Finder> =
    interpool::fields("interpool_classes:Finder", interpool::field("number", &Finder::number));
template <>
inline constexpr auto interpool::kFields<Watcher> =
    interpool::fields("interpool_classes:Watcher", interpool::field("number", &Watcher::number));
template <>
struct interpool::Converter<Hasty> {
  static void encode(Encoder& out, Hasty /*value*/) {
    std::string name = "interpool_classes:Curious";
    out.begin_object(name, 1);
    name.assign(name.size(), 'x');
    out.put_str("number");
    out.put_int(-1);
    out.end();
  }
};
template <>
inline constexpr auto interpool::kFields<Leaver> =
    interpool::fields("interpool_classes:Leaver", interpool::field("number", &Leaver::number));
template <>
inline constexpr auto interpool::kFields<OfNoModule> =
    interpool::fields("interpool_no_module:Class", interpool::field("number", &OfNoModule::number));
template <>
inline constexpr auto interpool::kFields<OfNoClass> =
    interpool::fields("interpool_classes:no_class", interpool::field("number", &OfNoClass::number));
template <>
inline constexpr auto interpool::kFields<Missing> =
    interpool::fields("interpool_classes:missing", interpool::field("number", &Missing::number));
template <>
inline constexpr auto interpool::kFields<Unfit> =
    interpool::fields("interpool_classes:Item", interpool::field("number", &Unfit::number));
template <>
inline constexpr auto interpool::kFields<Chain> =
    interpool::fields("types:SimpleNamespace", interpool::field("items", &Chain::items));

namespace interpool::test {
namespace {

class Classes : public WithOneWorker {
 protected:
  /// What makes one of these fail.
  template <class E, class T>
  static E error(const T& value) {
    return error_of<E>(pool().with({.name = "a task"}).call<std::string>("interpool_classes:show", 1, value));
  }
};

const Order& order() {
  static const Order order{7, {{"ink", 2}, {"paper", 1}}, std::nullopt};
  return order;
}
constexpr const char* kOrder =
    "Order(id=7, items=[Item(name='ink', count=2), Item(name='paper', count=1)], note=None)";

TEST_F(Classes, MakeInstancesOutOfStructs) {
  EXPECT_EQ(repr(order()), kOrder);
  EXPECT_EQ(repr(Point{1, 2}), "Point(x=1.0, y=2.0)");
  EXPECT_EQ(get(pool().call<std::string>("interpool_classes:type_of", Till{1, 2})),
            "interpool_classes:Shop.Till");
  EXPECT_EQ(repr(std::map<std::string, Item>{{"a", {"ink", 2}}}), "{'a': Item(name='ink', count=2)}");
  EXPECT_EQ(repr(std::make_tuple(1, Point{1, 2}, std::optional<Item>())), "(1, Point(x=1.0, y=2.0), None)");
}

TEST_F(Classes, ComeBackAsTheStructs) {
  EXPECT_EQ(round_trip(order()), order());
  EXPECT_EQ(round_trip(Point{1, 2}), (Point{1, 2}));
  EXPECT_EQ(round_trip(Till{1, 2}), (Till{1, 2}));
  EXPECT_EQ(eval<Item>("{'name': 'ink', 'count': 2}"), (Item{"ink", 2}));
}

TEST_F(Classes, AreDictsInAValue) {
  EXPECT_EQ(to_string(Value::from(Point{1, 2})), "{'x': 1.0, 'y': 2.0}");
  EXPECT_EQ(Value::from(order()).to<Order>(), order());
}

TEST_F(Classes, AreMadeForObjectsAndByCallbacksToo) {
  EXPECT_EQ(get(pool().create("builtins:list", std::vector<Item>{{"ink", 2}}).call<Item>("pop")),
            (Item{"ink", 2}));
  const Callback make([](int count) { return Item{"ink", count}; });
  EXPECT_EQ(get(pool().call<std::vector<Item>>("builtins:list", std::vector<Item>{{"ink", 1}})),
            (std::vector<Item>{{"ink", 1}}));
  EXPECT_EQ(get(pool().call<Item>("operator:call", make, 3)), (Item{"ink", 3}));
  get(pool().submit([](Worker& worker) {
    EXPECT_EQ(worker.call<std::string>("builtins:repr", Item{"ink", 2}), "Item(name='ink', count=2)");
  }));
}

TEST_F(Classes, MaySeeNothingHalfMade) {
  const std::vector<Curious> row{{1}, {2}, {3}};
  EXPECT_EQ(repr(row), "[Curious(1), Curious(2), Curious(3)]");
  const std::vector<std::tuple<int, Curious, std::vector<Curious>>> nested{{1, {2}, {{3}, {4}}},
                                                                           {5, {6}, {}}};
  EXPECT_EQ(repr(nested), "[(1, Curious(2), [Curious(3), Curious(4)]), (5, Curious(6), [])]");
  EXPECT_EQ(repr(std::map<std::string, std::vector<Curious>>{{"a", {{1}, {2}}}, {"b", {{3}}}}),
            "{'a': [Curious(1), Curious(2)], 'b': [Curious(3)]}");
  EXPECT_EQ(repr(std::vector<std::set<Curious>>{{{1}}, {{2}}}), "[{Curious(1)}, {Curious(2)}]");
  EXPECT_EQ(repr(std::map<Curious, std::tuple<Curious, int>>{{{1}, {{2}, 3}}}),
            "{Curious(1): (Curious(2), 3)}");
  EXPECT_EQ(repr(std::make_tuple(std::make_tuple(std::vector<int>{}, Curious{1}), Curious{2})),
            "(([], Curious(1)), Curious(2))");
}

TEST_F(Classes, MaySeeNothingHalfMadeBesideOneThatFails) {
  const std::vector<std::tuple<int, std::vector<Curious>, int>> nested{{1, {{2}, {-3}, {4}}, 5}};
  for (int i = 0; i < 3; ++i) {
    const auto failed = error<PythonError>(nested);
    EXPECT_EQ(failed.python_message(), "-3 is below zero");
    ASSERT_EQ(failed.notes().size(), 1U);
    EXPECT_EQ(failed.notes()[0],
              "args[1][0][1][1]: an instance of 'interpool_classes:Curious' was to be made here");
  }
  EXPECT_EQ(repr(std::vector<Curious>{{1}}), "[Curious(1)]");
}

TEST_F(Classes, AreNotFoundInWhatIsHalfMade) {
  EXPECT_EQ(get(pool().call<int>("interpool_classes:found", std::vector<Finder>{{1}, {2}, {3}})), 0);
  const auto pair = std::make_tuple(Finder{1}, std::vector<Finder>{{2}}, Finder{3});
  EXPECT_EQ(get(pool().call<int>("interpool_classes:found", pair)), 1) << "the full list";
}

TEST_F(Classes, AreNotFoundInWhatIsTooDeep) {
  Chain chain;
  for (std::size_t i = 0; i < kMaxDepth; ++i) {
    Chain outer;
    outer.items.push_back(std::move(chain));
    chain = std::move(outer);
  }
  // The path of the error is its repr().
  const auto failed = error<ConversionError>(std::map<Watcher, Chain>{{{7}, chain}});
  EXPECT_EQ(failed.path().substr(0, 40), "args[1]['7, 0 half made'].items[0].items");
  EXPECT_NE(failed.reason().find("nested deeper"), std::string::npos) << failed.reason();
}

TEST_F(Classes, CannotTakeAwayWhatIsHalfMade) {
  EXPECT_EQ(repr(std::vector<Greedy>{{1}, {2}, {3}}), "[Greedy(1), Greedy(2), Greedy(3)]");
}

TEST_F(Classes, AndListsAreTheGarbageCollectorsOnceTheyAreFull) {
  using Lists = std::vector<std::tuple<std::vector<int>, std::vector<std::vector<Point>>>>;
  EXPECT_TRUE(get(pool().call<bool>("interpool_classes:tracked", Lists{{{1, 2}, {{{1, 2}}}}, {{}, {}}})));
  EXPECT_EQ(repr(std::tuple<>()), "()");
}

TEST_F(Classes, RaiseTheTasksErrorWithANote) {
  const auto note = [](const PythonError& failed) {
    return failed.notes().empty() ? std::string("none") : failed.notes()[0];
  };
  const auto unfit = error<PythonError>(std::map<std::string, Unfit>{{"a b", {1}}});
  EXPECT_EQ(unfit.type(), "TypeError");
  EXPECT_NE(unfit.python_message().find("unexpected keyword argument 'number'"), std::string::npos);
  EXPECT_EQ(note(unfit), "args[1]['a b']: an instance of 'interpool_classes:Item' was to be made here");
  EXPECT_EQ(unfit.task(), "a task");
  EXPECT_GT(unfit.interpreter(), 0);
  EXPECT_EQ(error<PythonError>(OfNoModule{}).type(), "ModuleNotFoundError");
  EXPECT_EQ(error<PythonError>(Missing{}).type(), "AttributeError");
  EXPECT_EQ(note(error<PythonError>(Missing{})),
            "args[1]: an instance of 'interpool_classes:missing' was to be made here");
  EXPECT_EQ(note(error<PythonError>(Hasty{})),
            "args[1]: an instance of 'interpool_classes:Curious' was to be made here");
  EXPECT_NE(error<PythonError>(OfNoClass{}).python_message().find("not callable"), std::string::npos);
  EXPECT_EQ(error<SystemExitError>(Leaver{3}).exit_code(), 3);
  EXPECT_THROW(error<KeyboardInterruptError>(std::set<Curious>{{13}}).raise(), KeyboardInterruptError);
  const auto value = error<ConversionError>(std::vector<Order>{{1, {{"\xff", 1}}, std::nullopt}});
  EXPECT_EQ(value.path(), "args[1][0].items[0].name");
}

TEST_F(Classes, RaiseInPythonFromACallbacksResult) {
  const Callback fail([] { return std::vector<Curious>{{1}, {-2}}; });
  const auto failed = error_of<PythonError>(pool().call<void>("operator:call", fail));
  EXPECT_EQ(failed.python_message(), "-2 is below zero");
  exec(
      "def caught(function):\n"
      "  try: function()\n"
      "  except ValueError as error: return str(error)\n");
  EXPECT_EQ(get(pool().call<std::string>("__main__:caught", fail)), "-2 is below zero");
}

TEST_F(Classes, KeepWhatACallbackThrewWhileOneWasMade) {
  exec(
      "import interpool_classes\n"
      "class Asking:\n"
      "  def __init__(self, number): ask(number)\n"
      "def set_up(function):\n"
      "  global ask\n"
      "  ask, interpool_classes.missing = function, Asking\n");
  get(pool().call<void>("__main__:set_up", Callback([](int number) {
                          if (number > 0) throw std::out_of_range("no such row");
                        })));
  get(pool().call<void>("interpool_classes:show", Missing{0}));
  EXPECT_THROW(get(pool().call<void>("interpool_classes:show", Missing{1})), std::out_of_range);
  exec("del interpool_classes.missing");
}

TEST_F(Classes, NestAsDeepAsContainersDo) {
  const auto chain = [](std::size_t depth) {
    Chain made;
    for (std::size_t i = 1; i < depth; ++i) {
      Chain outer;
      outer.items.push_back(std::move(made));
      made = std::move(outer);
    }
    return made;
  };
  EXPECT_NO_THROW(get(pool().call<void>("interpool_classes:type_of", chain(kMaxDepth / 2))));
  EXPECT_NE(encode_error(chain(kMaxDepth / 2 + 1)).reason().find("nested deeper"), std::string::npos);
}

}  // namespace
}  // namespace interpool::test
