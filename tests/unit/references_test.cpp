// No kind of task leaves a Python object behind: over many of them, what the interpreter holds stays the
// same. A debug CPython counts references; others count the blocks of memory that Python has allocated, which
// finds less.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Fraction {
  int numerator = 0;
  int denominator = 1;
};

}  // namespace

template <>
inline constexpr auto interpool::kFields<Fraction> =
    interpool::fields(interpool::field("numerator", &Fraction::numerator),
                      interpool::field("denominator", &Fraction::denominator));

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

struct TaskKind {
  const char* name;
  /// Submits one task to the worker and waits until it has settled as it should.
  std::function<void(const Submitter&)> run;
};

template <class T>
void expect_code(Future<T> future, ErrorCode code) {
  const Failure failure = future.result().failure();
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code(), code);
}

/// One that is in the queue behind another when `settle` is called with its future.
template <class Settle>
void while_queued(const Submitter& worker, const CallOptions& options, Settle settle) {
  BusyTask busy(worker);
  settle(worker.with(options).call<std::string>("json:dumps", std::vector<std::string>{"a", "b"}));
  busy.release();
  busy.future().get();
}

class References : public testing::TestWithParam<TaskKind> {};

TEST_P(References, StayTheSameOverAThousandTasks) {
  constexpr int kRepetitions = 1000;
  constexpr std::int64_t kOwnDoings = 200;  // of the interpreter: caches that grow now and then
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Submitter worker = pool.pinned(0);
  const auto held = [&] {
    return worker
        .submit([](Worker& python) {
          python.exec(
              "import gc, sys\n"
              "gc.collect()\n"
              "count = getattr(sys, 'gettotalrefcount', sys.getallocatedblocks)\n");
          return python.eval<std::int64_t>("count()");
        })
        .get();
  };
  for (int i = 0; i < kRepetitions / 10; ++i) GetParam().run(worker);
  (void)held();
  const std::int64_t before = held();
  for (int i = 0; i < kRepetitions; ++i) GetParam().run(worker);
  const std::int64_t after = held();
  EXPECT_LT(after - before, kOwnDoings)
      << before << " before, " << after << " after " << kRepetitions << " tasks";
  EXPECT_GT(after - before, -kOwnDoings) << before << " before, " << after << " after: given up too often";
}

std::vector<TaskKind> kinds() {
  return {
      {"Value",
       [](const Submitter& worker) {
         const std::vector<std::string> words = {"one", "two"};
         EXPECT_EQ(worker.call<std::string>("json:dumps", words).get(), R"(["one", "two"])");
       }},
      {"NestedValue",
       [](const Submitter& worker) {
         const std::map<std::string, std::vector<std::optional<double>>> numbers = {
             {"a", {1.5, std::nullopt}}, {"b", {}}};
         using Numbers = std::map<std::string, std::vector<std::optional<double>>>;
         EXPECT_EQ((worker.call<Numbers>("copy:deepcopy", numbers).get()), numbers);
       }},
      {"DynamicValue",
       [](const Submitter& worker) {
         EXPECT_TRUE(worker.call<Value>("json:loads", R"({"a": [1, "two", null, 4.5, true]})").get().kind() ==
                     Kind::kDict);
       }},
      {"Set",
       [](const Submitter& worker) {
         using Numbers = std::set<int>;
         EXPECT_EQ((worker.call<Numbers>("builtins:frozenset", Numbers{1, 2}).get()), (Numbers{1, 2}));
         expect_code(worker.call<int>("builtins:len", std::set<std::vector<int>>{{1}}),
                     ErrorCode::kConversion);
       }},
      {"Struct",
       [](const Submitter& worker) {
         EXPECT_EQ(worker.call<Fraction>("copy:copy", Fraction{-1, 2}).get().numerator, -1);
         EXPECT_EQ(worker.call<Fraction>("fractions:Fraction", "1/2").get().denominator, 2);
         expect_code(worker.call<Fraction>("builtins:str", 1), ErrorCode::kConversion);
         expect_code(worker.call<Fraction>("builtins:dict"), ErrorCode::kConversion);
         expect_code(worker.call<Fraction>("builtins:object"), ErrorCode::kConversion);
       }},
      {"Path",
       [](const Submitter& worker) {
         const std::filesystem::path path = "/a/\xFF";
         EXPECT_EQ(worker.call<std::filesystem::path>("pathlib:Path", path).get(), path);
         expect_code(worker.call<std::filesystem::path>("builtins:abs", 1), ErrorCode::kConversion);
       }},
      {"NoResult",
       [](const Submitter& worker) { worker.call<void>("builtins:list", std::vector<int>{1, 2, 3}).get(); }},
      {"Callable",
       [](const Submitter& worker) {
         auto length = worker.submit([](Worker& python) {
           python.exec("text = 'some' + ' ' + 'text'");
           python.import_module("json");
           return python.call<int>("builtins:len", python.eval<std::string>("text"));
         });
         EXPECT_EQ(length.get(), 9);
       }},
      {"Object",
       [](const Submitter& worker) {
         const Object object = worker.create("interpool_probe:Tally", 1);
         EXPECT_EQ(object.call<int>("add", 2).get(), 3);
         EXPECT_EQ(object.get<int>("value").get(), 3);
         object.set("value", 4).get();
         expect_code(object.get<int>("missing"), ErrorCode::kPython);
         expect_code(object.call<int>("add", "\xff"), ErrorCode::kConversion);
         expect_code(worker.create_async("interpool_probe:Tally"), ErrorCode::kPython);
       }},
      {"Map",
       [](const Submitter& worker) {
         const std::vector<std::string> words = {"a", "bb"};
         EXPECT_EQ(worker.map<int>("builtins:len", words).get(), (std::vector<int>{1, 2}));
       }},
      {"ModuleInterpool",
       [](const Submitter& worker) {
         EXPECT_EQ(worker.call<std::string>("interpool:worker_id").get(), "pinned-0");
         EXPECT_EQ(worker.with({.name = "a task"}).call<std::string>("interpool:task_name").get(), "a task");
       }},
      {"Error",
       [](const Submitter& worker) {
         expect_code(worker.call<int>("builtins:int", "forty-two"), ErrorCode::kPython);
       }},
      {"ErrorWithCause",
       [](const Submitter& worker) {
         expect_code(worker.submit([](Worker& python) {
           python.exec(
               "try:\n    {}['key']\nexcept KeyError as error:\n    raise ValueError(object()) from error\n");
         }),
                     ErrorCode::kPython);
       }},
      {"SystemExit",
       [](const Submitter& worker) { expect_code(worker.call<void>("sys:exit", 3), ErrorCode::kPython); }},
      {"UnknownFunction",
       [](const Submitter& worker) { expect_code(worker.call<int>("json:nothing"), ErrorCode::kPython); }},
      {"ConversionErrorOfAResult",
       [](const Submitter& worker) {
         expect_code(worker.call<std::vector<int>>("json:loads", R"([1, 2, "three"])"),
                     ErrorCode::kConversion);
       }},
      {"ConversionErrorOfAnArgument",
       [](const Submitter& worker) {
         const std::vector<std::string> not_all_text = {"fine", "\xff"};
         expect_code(worker.call<int>("builtins:len", not_all_text), ErrorCode::kConversion);
       }},
      {"Cancelled",
       [](const Submitter& worker) {
         while_queued(worker, {}, [](Future<std::string> queued) {
           EXPECT_TRUE(queued.cancel());
           expect_code(std::move(queued), ErrorCode::kCancelled);
         });
       }},
      {"TimedOut",
       [](const Submitter& worker) {
         while_queued(worker, {.timeout = 1us}, [](Future<std::string> queued) {
           expect_code(std::move(queued), ErrorCode::kTimeout);
         });
       }},
  };
}

INSTANTIATE_TEST_SUITE_P(Tasks, References, testing::ValuesIn(kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace interpool::test
