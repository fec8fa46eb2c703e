// ContextVars that the host sets for one task.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include "python/thread_state.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRequest = "interpool_context:request";
using Seen = std::pair<std::string, Value>;
const Seen kNothing = {"no request", Value()};

CallOptions request(std::string id) { return {.context = {{kRequest, Value(std::move(id))}}}; }

enum class Where : std::uint8_t { kPinned, kPooled, kMain };

/// All of this holds on each lane. There is one worker for all tasks of a test, so that it would see what
/// another one has left behind.
class Contexts : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    EXPECT_EQ(seen(), kNothing) << "a task has left something behind";
    pool_.reset();
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
  SubinterpreterExecutor& pool() { return *pool_; }
  Submitter place() {
    switch (GetParam()) {
      case Where::kPinned: return pool_->pinned(0);
      case Where::kPooled: return *pool_;
      case Where::kMain: break;
    }
    return pool_->main();
  }
  Submitter with(std::string id) { return place().with(request(std::move(id))); }
  /// By a task without a context.
  Seen seen() { return get(place().call<Seen>("interpool_context:seen")); }

 private:
  std::unique_ptr<SubinterpreterExecutor> pool_ = std::make_unique<SubinterpreterExecutor>(
      runtime(), ExecutorOptions{.pinned_workers = 1, .pooled = {.threads = 1}});
};

TEST_P(Contexts, AreSetForTheTaskAndGoneAfterIt) {
  const auto both = place().with({.context = {{kRequest, "17"}, {"interpool_context:user", 42}}});
  EXPECT_EQ(get(both.call<Seen>("interpool_context:seen")), (Seen{"17", 42}));
  EXPECT_EQ(seen(), kNothing);
  EXPECT_EQ(get(with("18").call<Seen>("interpool_context:seen")), (Seen{"18", Value()}));
  EXPECT_EQ(get(both.call<Seen>("interpool_context:seen")), (Seen{"17", 42}));
}

TEST_P(Contexts, TakeWithThemWhatTheTaskSets) {
  EXPECT_EQ(get(with("17").call<std::string>("interpool_context:change", "mine")), "mine");
  EXPECT_EQ(seen(), kNothing);
  EXPECT_THROW(get(with("17").call<void>("interpool_context:fail")), PythonError);
  EXPECT_EQ(seen(), kNothing);
  EXPECT_THROW(get(with("17").call<void>("interpool_context:leave")), SystemExitError);
  EXPECT_EQ(seen(), kNothing);
  EXPECT_THROW(get(with("17").call<int>("interpool_context:change", "no number")), ConversionError);
  EXPECT_EQ(seen(), kNothing);
  EXPECT_THROW(get(with("17").submit([](Worker& worker) {
                 worker.call<void>("interpool_context:change", "mine");
                 throw std::runtime_error("C++");
               })),
               std::runtime_error);
}

TEST_P(Contexts, OfATaskBeginAsTheWorkersOwn) {
  get(place().submit([](Worker& worker) {
    worker.exec("import interpool_context\nback = interpool_context.user.set('the worker')");
  }));
  EXPECT_EQ(get(with("17").call<Seen>("interpool_context:seen")), (Seen{"17", "the worker"}));
  get(place().submit([](Worker& worker) { worker.exec("interpool_context.user.reset(back)"); }));
}

TEST_P(Contexts, HoldInCallablesCreationsObjectsFunctionsAndEachItemOfAMap) {
  EXPECT_EQ(
      get(with("17").submit([](Worker& worker) { return worker.call<Seen>("interpool_context:seen"); })),
      (Seen{"17", Value()}));
  EXPECT_EQ(get(with("17").submit([](Worker& worker) {
              worker.exec("import interpool_context");
              return worker.eval<std::string>("interpool_context.request.get()");
            })),
            "17");
  const Object session = with("18").create("interpool_context:Session");
  EXPECT_EQ(get(session.get<std::string>("made_for")), "18");
  EXPECT_EQ(get(session.call<std::string>("seen")), "no request");
  const Object in_request = session.with(request("19"));
  EXPECT_EQ(get(in_request.call<std::string>("seen")), "19");
  EXPECT_EQ(get(in_request.get<std::string>("now")), "19");
  const auto function = place().function<Seen()>("interpool_context:seen");
  EXPECT_EQ(get(function.with(request("20"))()), (Seen{"20", Value()}));
  EXPECT_EQ(get(function()), kNothing);
  EXPECT_EQ(get(with("21").map<Seen>("interpool_context:seen", std::vector<int>{1, 2, 3})),
            std::vector<Seen>(3, {"21", Value()}));
  auto tried =
      with("22").try_submit([](Worker& worker) { return worker.call<Seen>("interpool_context:seen"); });
  EXPECT_EQ(get(std::move(tried).value()), (Seen{"22", Value()}));
}

TEST_P(Contexts, AreThoseOfTheTaskInACallbackAndAfterIt) {
  // Without the GIL, which other tasks and interpreters have meanwhile.
  const Callback away([this] {
    return get(
        pool().main().with(request("elsewhere")).call<std::string>("interpool_context:change", "there"));
  });
  const Callback here([](Worker& worker) {
    const std::string before = worker.call<Seen>("interpool_context:seen").first;
    return before + "+" + worker.call<std::string>("interpool_context:change", "in the callback");
  });
  using Answer = std::tuple<std::string, std::string, std::string>;
  EXPECT_EQ(get(with("17").call<Answer>("interpool_context:call", here)),
            (Answer{"17", "17+in the callback", "in the callback"}));
  if (GetParam() != Where::kMain) {
    EXPECT_EQ(get(with("17").call<Answer>("interpool_context:call", away)), (Answer{"17", "there", "17"}));
  }
}

TEST_P(Contexts, ReachWhatAsyncioRuns) {
  EXPECT_EQ(get(with("17").call<std::string>("interpool_context:in_asyncio")), "17");
}

TEST_P(Contexts, LetGoOfWhatTheTaskHasSetBeforeItsFutureIsReady) {
  get(with("17").call<void>("interpool_context:keep_until_the_end"));
  EXPECT_EQ(get(place().call<std::vector<std::string>>("interpool_context:deaths")),
            std::vector<std::string>{"no request"})
      << "it is dead, and the context was left before it died";
  get(place().call<void>("interpool_context:forget_deaths"));
}

TEST_P(Contexts, NameAContextVarOfAModule) {
  for (const char* wrong : {"", "request", "interpool_context.request", ":request", "interpool_context:"}) {
    const auto error = error_of<UsageError>([&] { (void)place().with({.context = {{wrong, 1}}}); });
    EXPECT_NE(error.message().find("does not name a ContextVar"), std::string::npos) << error.message();
  }
  const auto fail = [&](const char* name) {
    return place().with({.name = "a task", .context = {{kRequest, "17"}, {name, 1}}}).submit([](Worker&) {
      ADD_FAILURE() << "it ran";
    });
  };
  EXPECT_EQ(error_of<PythonError>(fail("interpool_no_module:NAME")).type(), "ModuleNotFoundError");
  EXPECT_EQ(error_of<PythonError>(fail("interpool_context:missing")).type(), "AttributeError");
  const auto error = error_of<UsageError>(fail("interpool_context:plain"));
  EXPECT_NE(error.message().find("'interpool_context:plain' is a 'int', not a ContextVar"), std::string::npos)
      << error.message();
  EXPECT_EQ(error.task(), "a task");
  EXPECT_EQ(seen(), kNothing);
  const auto session = place().with({.context = {{"interpool_context:Owner.session", 5}}});
  EXPECT_EQ(get(session.submit([](Worker& worker) {
              return worker.eval<int>("__import__('interpool_context').Owner.session.get()");
            })),
            5);
}

TEST_P(Contexts, TakeAnyValueAndSayWhichOneDoesNotConvert) {
  const Value nested = Value::from(std::vector<std::vector<int>>{{1}, {2, 3}});
  const auto task = [&](const Value& value) {
    return place()
        .with({.context = {{"interpool_context:user", value}}})
        .call<Seen>("interpool_context:seen");
  };
  EXPECT_EQ(get(task(nested)), (Seen{"no request", nested}));
  const Value wrong = Value::Dict{{"names", Value::List{"fine", "\xff"}}};
  const auto error = error_of<ConversionError>(task(wrong));
  EXPECT_EQ(error.path(), "context['interpool_context:user'].names[1]");
  EXPECT_EQ(seen(), kNothing);
}

TEST_P(Contexts, SetInTheirOrder) {
  const auto twice = place().with({.context = {{kRequest, "first"}, {kRequest, "second"}}});
  EXPECT_EQ(get(twice.call<Seen>("interpool_context:seen")).first, "second");
}

/// A value that tells when it dies.
CallOptions with_mortal(Mortal& mortal) {
  static std::byte memory{};
  CallOptions options = {.context = {{kRequest, "17"}}};
  options.context.emplace_back("interpool_context:user",
                               Buffer::adopt(&memory, 1, [mortal](void*) mutable { mortal.forget(); }));
  mortal.forget();
  return options;
}

TEST_P(Contexts, DieWithTheTasksWork) {
  Mortal ran;
  auto done = place().with(with_mortal(ran)).call<void>("interpool_context:seen");
  EXPECT_TRUE(done.wait_for(kPatience));
  EXPECT_TRUE(ran.record()->died.is_set());

  Mortal not_set;
  CallOptions missing = with_mortal(not_set);
  missing.context.emplace_back("interpool_context:missing", 1);
  auto failed = place().with(std::exchange(missing, {})).call<void>("interpool_context:seen");
  EXPECT_TRUE(failed.wait_for(kPatience));
  EXPECT_TRUE(not_set.record()->died.is_set());

  BusyTask busy(place());
  Mortal cancelled;
  auto queued = place().with(with_mortal(cancelled)).call<void>("interpool_context:seen");
  EXPECT_FALSE(cancelled.record()->died.is_set());
  EXPECT_TRUE(queued.cancel());
  EXPECT_TRUE(cancelled.record()->died.is_set());

  Mortal late;
  CallOptions in_time = with_mortal(late);
  in_time.timeout = 1us;
  auto expired = place().with(std::exchange(in_time, {})).call<void>("interpool_context:seen");
  EXPECT_TRUE(expired.wait_for(kPatience));
  EXPECT_TRUE(late.record()->died.is_set());
  busy.release();
}

INSTANTIATE_TEST_SUITE_P(Lanes, Contexts, testing::Values(Where::kPinned, Where::kPooled, Where::kMain),
                         [](const auto& where) {
                           switch (where.param) {
                             case Where::kPinned: return "Pinned";
                             case Where::kPooled: return "Pooled";
                             case Where::kMain: return "Main";
                           }
                           return "";
                         });

/// Inside a call, where there are no options.
TEST(ContextsOfAWorker, HoldOnAnAttachedThreadAndNest) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  std::thread([&] {
    AttachedThread attached = pool.attach();
    attached.run([](Worker& worker) {
      const auto seen = [&] { return worker.call<Seen>("interpool_context:seen"); };
      const Seen inside = worker.in_context({{kRequest, "17"}}, [&] {
        const Seen inner = worker.in_context({{"interpool_context:user", 42}}, [&] {
          worker.call<void>("interpool_context:change", "mine");
          return seen();
        });
        EXPECT_EQ(inner, (Seen{"mine", 42}));
        return seen();
      });
      EXPECT_EQ(inside, (Seen{"17", Value()}));
      EXPECT_THROW(
          worker.in_context({{kRequest, "17"}}, [&] { worker.call<void>("interpool_context:leave"); }),
          SystemExitError);
      EXPECT_THROW(worker.in_context({{kRequest, "17"}}, [] { throw std::out_of_range("C++"); }),
                   std::out_of_range);
      EXPECT_EQ(seen(), kNothing);
    });
    EXPECT_EQ(attached.call<Seen>("interpool_context:seen"), kNothing);
  }).join();
}

TEST(ContextsOfAWorker, SayWhatCannotBeSet) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  get(pool.submit([](Worker& worker) {
    const auto fail = [&](const char* name, Value value) {
      worker.in_context({{name, std::move(value)}}, [] { ADD_FAILURE() << "it ran"; });
    };
    EXPECT_THROW(fail("request", 1), UsageError);
    EXPECT_THROW(fail("interpool_context:plain", 1), UsageError);
    EXPECT_THROW(fail("interpool_context:missing", 1), PythonError);
    EXPECT_THROW(fail(kRequest, "\xff"), ConversionError);
    EXPECT_EQ(worker.call<Seen>("interpool_context:seen"), kNothing);
    const python::GilRelease no_gil;
    EXPECT_THROW(fail(kRequest, 1), UsageError);
  }));
}

/// Each worker has its own, also where threads share an interpreter.
TEST(ContextsOfAWorker, AreNotSeenByOtherThreadsOfTheInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  Meeting both(2);
  const Callback meet([&] { both.arrive_and_wait(); });
  std::vector<Future<std::tuple<std::string, std::nullptr_t, std::string>>> futures;
  for (const char* id : {"17", "18"}) {
    futures.push_back(
        pool.with(request(id))
            .call<std::tuple<std::string, std::nullptr_t, std::string>>("interpool_context:call", meet));
  }
  const char* const ids[] = {"17", "18"};
  for (std::size_t i = 0; i < futures.size(); ++i) {
    EXPECT_EQ(get(futures[i]), std::make_tuple(ids[i], nullptr, ids[i]));
  }
}

}  // namespace
}  // namespace interpool::test
