// No kind of task leaves a Python object behind: over many of them, what the interpreter holds stays the
// same. A debug CPython counts references; others count the blocks of memory that Python has allocated, which
// finds less.
#include "support/busy.h"
#include "support/coroutine.h"
#include "support/native_modules.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

struct Fraction {
  int numerator = 0;
  int denominator = 1;
};

/// A Fraction of Python's.
struct Ratio : Fraction {
  bool operator<(const Ratio& other) const { return numerator < other.numerator; }
};

}  // namespace

template <>
inline constexpr auto interpool::kFields<Ratio> =
    interpool::fields("fractions:Fraction", interpool::field("numerator", &Ratio::numerator),
                      interpool::field("denominator", &Ratio::denominator));
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

Detached await_both(const Submitter& worker, Event& done) {
  EXPECT_EQ(co_await worker.call<int>("builtins:abs", -3), 3);
  try {
    (void)co_await worker.call<int>("builtins:int", "forty-two");
  } catch (const PythonError&) {
    done.set();
  }
}

class References : public testing::TestWithParam<TaskKind> {};

// What a task leaves behind shows after every round, and so does what it gives up too often. Python's caches
// grow, too, for some thousand imports or errors, but they level off; so one round without either is what is
// asked for.
TEST_P(References, StayTheSameOverManyTasks) {
  constexpr int kTasksPerRound = 250;
  constexpr int kRounds = 20;
  constexpr std::int64_t kOwnDoings = 50;  // of the interpreter, in a round
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
  const auto run_round = [&] {
    for (int i = 0; i < kTasksPerRound; ++i) GetParam().run(worker);
    return held();
  };
  std::vector<std::int64_t> counts = {run_round()};
  std::int64_t change = 0;
  do {
    counts.push_back(run_round());
    change = std::abs(counts.back() - counts.end()[-2]);
  } while (change >= kOwnDoings && counts.size() < kRounds);
  EXPECT_LT(change, kOwnDoings) << "held after each " << kTasksPerRound
                                << " tasks: " << testing::PrintToString(counts);
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
      {"BigInt",
       [](const Submitter& worker) {
         const BigInt big = *BigInt::parse("-340282366920938463463374607431768211456");
         EXPECT_EQ(worker.call<BigInt>("operator:pos", big).get(), big);
         EXPECT_EQ(worker.call<Value>("operator:pos", Value(big)).get(), Value(big));
         expect_code(worker.call<std::int64_t>("operator:pos", big), ErrorCode::kConversion);
         expect_code(worker.call<BigInt>("builtins:str", big), ErrorCode::kConversion);
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
      {"Class",
       [](const Submitter& worker) {
         const std::vector<Ratio> ratios = {{1, 2}, {3, 4}};
         EXPECT_EQ(worker.call<std::vector<Ratio>>("builtins:list", ratios).get()[1].denominator, 4);
         const std::vector<std::set<Ratio>> nested = {{{1, 2}}, {{1, 0}}};
         expect_code(worker.call<int>("builtins:len", nested), ErrorCode::kPython);
       }},
      {"Time",
       [](const Submitter& worker) {
         using Time = std::chrono::sys_time<std::chrono::microseconds>;
         const Time now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
         EXPECT_EQ(worker.call<Time>("copy:copy", now).get(), now);
         EXPECT_EQ(worker.call<std::chrono::microseconds>("copy:copy", 90us).get(), 90us);
         const std::chrono::sys_days day{std::chrono::days(20'000)};
         EXPECT_EQ(worker.call<std::chrono::sys_days>("copy:copy", day).get(), day);
         expect_code(worker.call<Time>("datetime:datetime.now"), ErrorCode::kConversion);
         expect_code(worker.call<std::chrono::hours>("copy:copy", 90us), ErrorCode::kConversion);
         expect_code(worker.call<std::chrono::hours>("copy:copy", 1), ErrorCode::kConversion);
         expect_code(worker.call<void>("copy:copy", 1ns), ErrorCode::kConversion);
       }},
      {"Variant",
       [](const Submitter& worker) {
         using Either = std::variant<int, std::vector<int>, Fraction, std::string>;
         EXPECT_EQ(worker.call<Either>("builtins:abs", Either(-5)).get().index(), 0U);
         EXPECT_EQ(worker.call<Either>("fractions:Fraction", "1/2").get().index(), 2U);
         expect_code(worker.call<Either>("builtins:object"), ErrorCode::kConversion);
         expect_code(worker.call<Either>("builtins:float"), ErrorCode::kConversion);
       }},
      {"Path",
       [](const Submitter& worker) {
         const std::filesystem::path path = "/a/\xFF";
         EXPECT_EQ(worker.call<std::filesystem::path>("pathlib:Path", path).get(), path);
         expect_code(worker.call<std::filesystem::path>("builtins:abs", 1), ErrorCode::kConversion);
       }},
      {"Buffer",
       [](const Submitter& worker) {
         const Buffer buffer = Buffer::allocate({.format = "d", .shape = {2, 3}});
         EXPECT_EQ(worker.call<Buffer>("interpool_buffers:same", buffer).get(), buffer);
         EXPECT_EQ(worker.call<Buffer>("builtins:memoryview", buffer).get(), buffer);
         EXPECT_EQ(worker.call<Buffer>("interpool_buffers:view", buffer, "view.cast('B')[::2]").get().size(),
                   24U);
         EXPECT_EQ(worker.call<Value>("interpool_buffers:same", Value(buffer)).get().kind(), Kind::kBuffer);
         EXPECT_TRUE(worker.call<bool>("interpool_buffers:identity_holds", buffer).get());
       }},
      {"BufferOfACopy",
       [](const Submitter& worker) {
         EXPECT_EQ(worker.call<Buffer>("builtins:bytearray", 5).get().size(), 5U);
         EXPECT_EQ(worker.call<Buffer>("interpool_buffers:Exporter", Bytes(3)).get().size(), 3U);
         EXPECT_EQ(
             worker.call<Buffer>("interpool_buffers:view", Buffer(), "type(buffer)(b'abc')").get().size(),
             3U);
       }},
      {"BufferThatDoesNotConvert",
       [](const Submitter& worker) {
         expect_code(worker.call<Buffer>("builtins:str", 1), ErrorCode::kConversion);
         expect_code(worker.call<Buffer>("interpool_buffers:Exporter", 1), ErrorCode::kConversion);
         const Buffer buffer = Buffer::copy_of(Bytes(3), {.read_only = true});
         expect_code(worker.call<Buffer>("interpool_buffers:view", buffer, "(view, view.release())[0]"),
                     ErrorCode::kConversion);
         expect_code(worker.call<void>("interpool_buffers:fill", buffer, 1), ErrorCode::kPython);
         expect_code(worker.call<void>("interpool_buffers:view", buffer, "type(buffer)(5)"),
                     ErrorCode::kPython);
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
      {"DefinedModule",
       [](const Submitter& worker) {
         runtime().define_module("defined", "limit = 1\n");
         runtime().define_module("with_function", "def fail():\n    raise ValueError('x')\n");
         runtime().define_module("failing", "raise ValueError('x')\n");
         // Several times each: Python's caches go on growing for some hundred imports.
         get(worker.submit([](Worker& python) {
           python.exec(
               "import sys\n"
               "for _ in range(10):\n"
               "    import defined\n"
               "    assert defined.limit == 1\n"
               "    del sys.modules['defined'], defined\n");
         }));
         expect_code(worker.call<int>("with_function:fail"), ErrorCode::kPython);
         expect_code(worker.call<int>("failing:x"), ErrorCode::kPython);
       }},
      {"NativeModule",
       [](const Submitter& worker) {
         runtime().add_native_module("native_counter", &PyInit_native_counter);
         get(worker.submit([](Worker& python) {
           python.exec(
               "import sys\n"
               "for _ in range(10):\n"
               "    import native_counter\n"
               "    assert native_counter.bump() == 1\n"
               "    del sys.modules['native_counter'], native_counter\n");
         }));
       }},
      {"Map",
       [](const Submitter& worker) {
         const std::vector<std::string> words = {"a", "bb"};
         EXPECT_EQ(worker.map<int>("builtins:len", words).get(), (std::vector<int>{1, 2}));
       }},
      {"MapThatCancelsTheRest",
       [](const Submitter& worker) {
         const std::vector<std::string> words = {"1", "forty-two", "3"};
         expect_code(worker.map<int>("builtins:int", words, {.on_error = Rest::kCancel}), ErrorCode::kPython);
       }},
      {"Groups",
       [](const Submitter& worker) {
         auto all =
             when_all(worker.call<int>("builtins:abs", -3), worker.call<int>("builtins:int", "x")).get();
         EXPECT_EQ(std::get<0>(all).value(), 3);
         std::vector<Future<std::string>> futures;
         for (int i = 0; i < 3; ++i) futures.push_back(worker.call<std::string>("builtins:str", i));
         EXPECT_EQ(when_any(std::move(futures), Rest::kCancel).get().result.value(), "0");
       }},
      {"Coroutine",
       [](const Submitter& worker) {
         Event done;
         await_both(worker, done);
         done.wait();
       }},
      {"Deadlock",
       [](const Submitter& worker) {
         auto outer = worker.submit([&](Worker&) { return worker.call<int>("builtins:abs", -3).get(); });
         expect_code(std::move(outer), ErrorCode::kDeadlock);
       }},
      {"ModuleInterpool",
       [](const Submitter& worker) {
         EXPECT_EQ(worker.call<std::string>("interpool:worker_id").get(), "pinned-0");
         EXPECT_EQ(worker.with({.name = "a task"}).call<std::string>("interpool:task_name").get(), "a task");
       }},
      {"Context",
       [](const Submitter& worker) {
         const auto with = [&](const char* name, Value value) {
           return worker.with({.context = {{"interpool_context:user", 42}, {name, std::move(value)}}});
         };
         const char* request = "interpool_context:request";
         EXPECT_EQ(with(request, "17").call<std::string>("interpool_context:change", "mine").get(), "mine");
         with(request, "17").call<void>("interpool_context:keep_until_the_end").get();
         worker.call<void>("interpool_context:forget_deaths").get();
         expect_code(with(request, "17").call<void>("interpool_context:fail"), ErrorCode::kPython);
         expect_code(with(request, "17").call<void>("interpool_context:leave"), ErrorCode::kPython);
         expect_code(with(request, "\xff").call<void>("interpool_context:seen"), ErrorCode::kConversion);
         expect_code(with("interpool_context:plain", 1).call<void>("interpool_context:seen"),
                     ErrorCode::kUsage);
         expect_code(with("interpool_context:missing", 1).call<void>("interpool_context:seen"),
                     ErrorCode::kPython);
         auto nested = worker.submit([](Worker& python) {
           return python.in_context({{"interpool_context:request", "17"}}, [&] {
             return python.call<std::string>("interpool_context:change", "mine");
           });
         });
         EXPECT_EQ(nested.get(), "mine");
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
      {"Callback",
       [](const Submitter& worker) {
         const Callback add([](int a, int b) { return a + b; }, "add");
         EXPECT_EQ(worker.call<int>("functools:reduce", add, std::vector<int>{1, 2, 3}).get(), 6);
         const std::function<std::string(std::string)> same = [](const std::string& text) { return text; };
         EXPECT_EQ(worker.call<std::string>("operator:call", same, "text").get(), "text");
         const Callback outer([](int left) { return Callback([left](int right) { return left + right; }); });
         worker.call<void>("operator:call", outer, 1).get();
         const Callback eval([](Worker& python) { return python.eval<int>("1 + 1"); });
         EXPECT_EQ(worker.call<int>("operator:call", eval).get(), 2);
         worker.call<void>("builtins:repr", add).get();
       }},
      {"CallbackError",
       [](const Submitter& worker) {
         const Callback fail([](int) { throw std::out_of_range("no such row"); });
         expect_code(worker.call<int>("operator:call", fail, 1), ErrorCode::kNative);
         expect_code(worker.call<int>("operator:call", fail, "one"), ErrorCode::kPython);
         expect_code(worker.call<int>("operator:call", fail), ErrorCode::kPython);
         const Callback raise([](Worker& python) { python.exec("{}['key']"); });
         expect_code(worker.call<int>("operator:call", raise), ErrorCode::kPython);
         const Callback not_text([] { return std::string("\xff"); });
         expect_code(worker.call<int>("operator:call", not_text), ErrorCode::kConversion);
         expect_code(worker.submit([](Worker& python) {
           python.call<void>("operator:call",
                             Callback([](Worker& inner) { inner.exec("raise SystemExit(3)"); }));
         }),
                     ErrorCode::kPython);
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
