// Very many values of every kind, at random, on their way through Python, a Value and JSON into many C++
// types, and from these on into others: each comes out as the tables in docs/conversion.md say, or is a
// ConversionError at the path that they say.
//
//   roundtrip_stress [--cases N] [--seed N]
//
// A case is one value for one type, on all three routes. What fails is made smaller, and printed.
#include "stress/roundtrip_oracle.h"

#include "support/runtime.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifndef INTERPOOL_STRESS_CASES
#define INTERPOOL_STRESS_CASES 100000
#endif

namespace interpool::test {
namespace {

enum class Level : std::uint8_t { kLow = 1, kHigh = 200 };

struct Record {
  std::int32_t ident = 0;
  std::string label;
  std::optional<double> score;
  std::vector<std::int16_t> counts;
};

}  // namespace

template <>
struct Want<Record> {
  static bool own(Is is) { return is == Is::kDict; }
  static Datum of(const Datum& datum, const Place& at) {
    if (datum.is != Is::kDict) refuse(at.path);
    Datum result = container(Is::kDict, {});
    const auto add = [&](const char* name, bool optional, auto of) {
      const std::string path = at.path.empty() ? name : at.path + "." + name;
      result.items.push_back(text(name));
      for (std::size_t i = 0; i < datum.items.size(); i += 2) {
        if (datum.items[i].is != Is::kStr || datum.items[i].text != name) continue;
        result.items.push_back(of(datum.items[i + 1], {at.route, path}));
        return;
      }
      if (!optional) refuse(at.path);
      result.items.push_back(none());
    };
    add("ident", false, Want<std::int32_t>::of);
    add("label", false, Want<std::string>::of);
    add("score", true, Want<std::optional<double>>::of);
    add("counts", false, Want<std::vector<std::int16_t>>::of);
    return result;
  }
  static Datum model(const Record& value) {
    return container(Is::kDict, {text("ident"), number(value.ident), text("label"), text(value.label),
                                 text("score"), Want<std::optional<double>>::model(value.score),
                                 text("counts"), Want<std::vector<std::int16_t>>::model(value.counts)});
  }
  static Datum make(Dice& dice) {
    Datum result = container(Is::kDict, {});
    const auto add = [&](const char* name, const Datum& value, std::size_t missing) {
      if (dice.percent(missing)) return;
      result.items.push_back(text(name));
      result.items.push_back(value);
    };
    add("counts", Want<std::vector<std::int16_t>>::make(dice), 2);
    add("ident", Want<std::int32_t>::make(dice), 2);
    add("more", any_datum(dice, 1), 90);
    add("score", Want<std::optional<double>>::make(dice), 40);
    add("label", Want<std::string>::make(dice), 2);
    add("ident", none(), 99);  // once more
    return mostly(dice, result);
  }
};

}  // namespace interpool::test

template <>
inline constexpr auto interpool::kFields<interpool::test::Record> =
    interpool::fields(interpool::field("ident", &interpool::test::Record::ident),
                      interpool::field("label", &interpool::test::Record::label),
                      interpool::field("score", &interpool::test::Record::score),
                      interpool::field("counts", &interpool::test::Record::counts));

namespace interpool::test {
namespace {

struct Tally {
  std::uint64_t conversions = 0;
  std::uint64_t values = 0;
  std::uint64_t refusals = 0;
};

/// What runs in the worker.
struct Bench {
  Worker& worker;
  Tally& tally;
};

template <class To, class From>
To sent(Worker& worker, Route route, const From& from) {
  switch (route) {
    case Route::kPython: return worker.call<To>("interpool_probe:identity", from);
    case Route::kValue: return Value::from(from).template to<To>();
    case Route::kJson: break;
  }
  return from_json<To>(to_json(from));
}

constexpr const char* kRouteNames[] = {"Python", "a Value", "JSON"};

/// Sends a value, which is described by a datum, and compares what comes out. `of` says what has to, and
/// `send` what does. Returns whether that is a value.
bool judge(Tally& tally, Route route, const Datum& datum, Datum (*of)(const Datum&, const Place&),
           detail::FunctionRef<Datum()> send, const char* hop) {
  std::string wanted;
  std::vector<std::string> paths;
  try {
    const Datum inside = carried(datum, route, route == Route::kPython ? "args[0]" : "", 0);
    wanted = shown(of(inside, {route}));
  } catch (const Refused& refused) {
    paths = refused.paths;
  } catch (const Unspecified&) {
    return false;
  }
  ++tally.conversions;
  std::string found;
  try {
    found = shown(send());
    if (paths.empty() && found == wanted) {
      ++tally.values;
      return true;
    }
  } catch (const ConversionError& error) {
    for (const std::string& path : paths) {
      if (!matches(path, error.path())) continue;
      ++tally.refusals;
      return false;
    }
    found = std::string("ConversionError: ") + error.what();
  } catch (const std::exception& error) {
    found = std::string("another exception: ") + error.what();
  }
  for (const std::string& path : paths) {
    wanted += "a ConversionError at '";
    for (const char c : path) wanted += c == kAny ? '*' : c;
    wanted += "' ";
  }
  RC_FAIL(fmt::format("through {}, {}\n  in:     {}\n  wanted: {}\n  found:  {}",
                      kRouteNames[static_cast<int>(route)], hop, shown(datum), wanted, found));
}

constexpr Route kRoutes[] = {Route::kPython, Route::kValue, Route::kJson};

template <class T>
void check_as(Bench& bench, const Datum& datum) {
  const auto of = [](const Datum& one, const Place& at) { return Want<T>::of(one, at); };
  for (const Route route : kRoutes) {
    std::optional<T> value;
    const auto send = [&] {
      value.emplace(sent<T>(bench.worker, route, datum));
      return Want<T>::model(*value);
    };
    if (!judge(bench.tally, route, datum, of, send, "into the type")) continue;
    // Rounded when it is written; surrogates where it is no UTF-8.
    if constexpr (std::is_same_v<T, std::chrono::duration<double>>) continue;
    const Datum model = Want<T>::model(*value);
    if (std::is_same_v<T, std::filesystem::path> && !is_text(model.text, false)) continue;
    for (const Route next : kRoutes) {
      const auto back = [&] { return Want<T>::model(sent<T>(bench.worker, next, *value)); };
      (void)judge(bench.tally, next, model, of, back, "from the type into itself");
      const auto on = [&] { return Want<Value>::model(sent<Value>(bench.worker, next, *value)); };
      (void)judge(bench.tally, next, model, Want<Value>::of, on, "from the type into a Value");
    }
  }
}

struct Target {
  const char* name;
  Datum (*make)(Dice& dice);
  void (*check)(Bench& bench, const Datum& datum);
};

template <class T>
constexpr Target target(const char* name) {
  return {name, [](Dice& dice) { return Want<T>::make(dice); }, &check_as<T>};
}
#define TARGET(...) target<__VA_ARGS__>(#__VA_ARGS__)

using std::chrono::microseconds;
using Inner = std::map<std::string, std::vector<std::int32_t>>;

const std::vector<Target>& targets() {
  static const std::vector<Target> kTargets = {
      TARGET(Value),
      TARGET(bool),
      TARGET(std::uint8_t),
      TARGET(std::int16_t),
      TARGET(std::int64_t),
      TARGET(std::uint64_t),
      TARGET(BigInt),
      TARGET(float),
      TARGET(double),
      TARGET(std::string),
      TARGET(Bytes),
      TARGET(Buffer),
      TARGET(Level),
      TARGET(Record),
      TARGET(microseconds),
      TARGET(std::chrono::duration<std::int16_t, std::ratio<3600>>),
      TARGET(std::chrono::duration<double>),
      TARGET(std::chrono::sys_time<microseconds>),
      TARGET(std::chrono::sys_time<std::chrono::milliseconds>),
      TARGET(std::chrono::sys_days),
      TARGET(std::filesystem::path),
      TARGET(std::optional<std::int32_t>),
      TARGET(std::vector<double>),
      TARGET(std::vector<Value>),
      TARGET(std::deque<std::string>),
      TARGET(std::array<std::uint8_t, 3>),
      TARGET(std::tuple<std::int32_t, std::string>),
      TARGET(std::tuple<double, std::tuple<bool>, std::vector<Bytes>>),
      TARGET(std::set<std::int32_t>),
      TARGET(std::set<float>),
      TARGET(std::set<std::string>),
      TARGET(std::map<std::string, std::int64_t>),
      TARGET(std::map<std::string, Value>),
      TARGET(std::map<std::int32_t, std::string>),
      TARGET(std::map<BigInt, std::optional<bool>>),
      TARGET(std::map<double, std::int8_t>),
      TARGET(std::map<Bytes, std::int32_t>),
      TARGET(std::map<microseconds, std::int32_t>),
      TARGET(std::vector<std::optional<Inner>>),
      TARGET(std::variant<std::monostate, std::int64_t, double, std::string>),
      TARGET(
          std::variant<double, std::int32_t, std::vector<std::int16_t>, std::map<std::string, std::string>>),
      TARGET(std::variant<bool, Bytes, std::chrono::sys_days, microseconds, std::set<std::int32_t>>),
      TARGET(std::vector<std::variant<Record, Inner, std::tuple<std::int32_t, std::int32_t>, std::uint8_t>>),
  };
  return kTargets;
}

struct Case {
  std::size_t target = 0;
  Datum datum;
};

void showValue(const Case& one, std::ostream& out) {
  out << shown(one.datum) << " as " << targets()[one.target].name;
}

rc::Seq<Case> simpler_cases(const Case& one) {
  std::vector<Case> found;
  for (Datum& datum : simpler(one.datum)) found.push_back({one.target, std::move(datum)});
  return rc::seq::fromContainer(std::move(found));
}

rc::Gen<Case> any_case() {
  return [](const rc::Random& random, int /*size*/) {
    rc::Random source = random;
    Dice dice(source.next());
    Case one{dice.below(targets().size()), {}};
    // Values that another type likes are wrong in other ways than any are.
    const std::size_t way = dice.below(10);
    one.datum = way < 7   ? targets()[one.target].make(dice)
                : way < 9 ? targets()[dice.below(targets().size())].make(dice)
                          : any_datum(dice, 3);
    return rc::shrinkable::shrinkRecur(std::move(one),
                                       [](const Case& shrunk) { return simpler_cases(shrunk); });
  };
}

std::uint64_t option(std::string_view name, std::uint64_t otherwise) {
  const std::vector<std::string> args = testing::internal::GetArgvs();
  for (std::size_t i = 1; i + 1 < args.size(); ++i) {
    if (args[i] == name) return std::strtoull(args[i + 1].c_str(), nullptr, 10);
  }
  return otherwise;
}

TEST(RoundTripStress, EachValueComesOutAsTheTablesSay) {
  const std::uint64_t cases = option("--cases", INTERPOOL_STRESS_CASES);
  const std::uint64_t seed = option("--seed", std::random_device{}());
  testing::Test::RecordProperty("cases", std::to_string(cases));
  std::printf("%llu cases, --seed %llu\n", static_cast<unsigned long long>(cases),
              static_cast<unsigned long long>(seed));
  // rapidcheck has no other way to be told.
  ASSERT_EQ(setenv("RC_PARAMS", fmt::format("max_success={} seed={}", cases, seed).c_str(), 1), 0);
  SubinterpreterExecutor pool(runtime(), {.name = "round trips", .pinned_workers = 1});
  Tally tally;
  // All in one task: a future for each of them would take most of the time.
  const bool passed = pool.submit([&tally](Worker& worker) {
                            return rc::check([&tally, &worker] {
                              const Case one = *any_case();
                              Bench bench{worker, tally};
                              targets()[one.target].check(bench, one.datum);
                            });
                          })
                          .get();
  std::printf("%llu conversions: %llu values, %llu refusals\n",
              static_cast<unsigned long long>(tally.conversions),
              static_cast<unsigned long long>(tally.values), static_cast<unsigned long long>(tally.refusals));
  EXPECT_TRUE(passed) << "see above for the case that is wrong";
  // The mix is what it is meant to be.
  EXPECT_GE(tally.values * 5, tally.conversions);
  EXPECT_GE(tally.refusals * 10, tally.conversions);
}

}  // namespace
}  // namespace interpool::test
