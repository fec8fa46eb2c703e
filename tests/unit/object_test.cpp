// Handles to objects that live in one interpreter.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

enum class Where : std::uint8_t { kPinned, kPooled, kMain };

/// All of this holds wherever the object lives.
class Objects : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    pool_.reset();
    wait_for_interpreters(0);
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
  SubinterpreterExecutor& pool() { return *pool_; }
  Submitter place() {
    switch (GetParam()) {
      case Where::kPinned: return pool_->pinned(1);
      case Where::kPooled: return *pool_;
      case Where::kMain: break;
    }
    return pool_->main();
  }
  void end_pool() { pool_.reset(); }

  /// A Tally of interpool_probe.
  Object counter(int start) { return place().create("interpool_probe:Tally", start); }
  /// How many Tallies there are in the interpreter of this one.
  static int alive(const Object& any) { return get(any.call<int>("alive")); }

 private:
  std::unique_ptr<SubinterpreterExecutor> pool_ = std::make_unique<SubinterpreterExecutor>(
      runtime(), ExecutorOptions{.pinned_workers = 2, .pooled = {.threads = 3, .interpreters = 2}});
};

TEST_P(Objects, KeepTheirStateBetweenCalls) {
  const Object counter = this->counter(40);
  EXPECT_EQ(get(counter.call<int>("add", 1)), 41);
  EXPECT_EQ(get(counter.call<int>("add", 1)), 42);
  EXPECT_EQ(get(counter.get<int>("value")), 42);
  get(counter.set("value", 7));
  EXPECT_EQ(get(counter.call<int>("add", 1)), 8);
  get(counter.set("label", std::string("text")));
  EXPECT_EQ(get(counter.get<std::string>("label")), "text");
  get(counter.call<void>("add", 2));
  EXPECT_EQ(get(counter.get<int>("value")), 10);
  EXPECT_EQ(counter.interpreter_id() == 0, GetParam() == Where::kMain);
}

TEST_P(Objects, ComeFromWhateverReturnsOne) {
  const Object list = place().create("builtins:list", std::vector<int>{3, 1, 2});
  get(list.call<void>("sort"));
  EXPECT_EQ(get(list.call<int>("pop")), 3);
  EXPECT_EQ(get(list.call<int>("__len__")), 2);
}

TEST_P(Objects, ErrorsNameWhatWasDone) {
  EXPECT_EQ(error_of<PythonError>([&] { return place().create("interpool_probe:Tally"); }).type(),
            "TypeError");
  const Object counter = this->counter(0);
  const auto missing = error_of<PythonError>(counter.get<int>("missing"));
  EXPECT_EQ(missing.type(), "AttributeError");
  EXPECT_EQ(missing.task(), "interpool_probe:Tally.missing");
  EXPECT_EQ(missing.interpreter(), counter.interpreter_id());
  EXPECT_EQ(error_of<PythonError>(counter.call<int>("add", "text")).type(), "TypeError");
  EXPECT_EQ(error_of<PythonError>(counter.set("alive_count", 1)).type(), "AttributeError") << "read-only";
  EXPECT_EQ(error_of<ConversionError>(counter.get<std::string>("value")).task(),
            "interpool_probe:Tally.value");
  EXPECT_EQ(error_of<ConversionError>(counter.call<int>("add", "\xff")).path(), "args[0]");
  for (const std::string& name : {std::string(), std::string("a.b"), std::string("a\0b", 3)}) {
    EXPECT_THROW((void)counter.get<int>(name), UsageError);
  }
  EXPECT_EQ(get(counter.call<int>("add", 1)), 1) << "after all of that";
}

TEST_P(Objects, AreDroppedInTheirInterpreterOnceTheLastHandleIsGone) {
  const Object witness = counter(0);
  const auto lives_with_it = [&](const Object& other) {
    return other.interpreter_id() == witness.interpreter_id();
  };
  std::optional<Object> other = counter(0);
  while (!lives_with_it(*other)) other = counter(0);  // pooled interpreters take turns
  wait_until([&] { return alive(witness) == 2; });
  std::optional<Object> copy = other;
  other.reset();
  EXPECT_EQ(get(copy->call<int>("add", 5)), 5);
  EXPECT_EQ(alive(witness), 2);
  copy.reset();
  wait_until([&] { return alive(witness) == 1; });
}

TEST_P(Objects, AreDroppedWhileNobodySubmitsAnything) {
  // The object's end says so by itself: no task of ours is needed to have it dropped.
  std::optional<Object> object = place().create("interpool_probe:EndNoted");
  const std::string path = get(object->get<std::string>("path"));
  object.reset();
  wait_until([&] { return std::ifstream(path).good(); });
  std::remove(path.c_str());
}

TEST_P(Objects, ATaskOnItsWayKeepsItsObject) {
  Object counter = this->counter(1);
  // Its interpreter is busy until there is no handle any more; of the pooled ones both are.
  std::vector<std::unique_ptr<BusyTask>> busy;
  const std::size_t interpreters = GetParam() == Where::kPooled ? 2 : 1;
  while (busy.size() < interpreters) busy.push_back(std::make_unique<BusyTask>(place()));
  Future<int> sum = counter.call<int>("add", 2);
  {
    const Object gone = std::move(counter);
  }
  // NOLINTNEXTLINE(bugprone-use-after-move): defined
  EXPECT_THROW((void)counter.get<int>("value"), UsageError) << "moved from";
  for (auto& task : busy) task->release();
  EXPECT_EQ(get(sum), 3);
}

TEST_P(Objects, OptionsAreForTheTasks) {
  const Object counter = this->counter(1);
  const Object named = counter.with({.name = "count"});
  EXPECT_EQ(error_of<PythonError>(named.get<int>("missing")).task(), "count");
  EXPECT_EQ(get(named.call<int>("add", 1)), 2);
  EXPECT_THROW(
      (void)counter.with({.timeout = std::chrono::seconds(1), .deadline = std::chrono::steady_clock::now()}),
      UsageError);
  EXPECT_EQ(
      error_of<TimeoutError>(counter.with({.deadline = std::chrono::steady_clock::now()}).call<int>("add", 1))
          .code(),
      ErrorCode::kTimeout);
}

TEST_P(Objects, AnEndedExecutorIsAnErrorAndHandlesMayOutliveIt) {
  const Object counter = this->counter(1);
  Future<int> last = counter.call<int>("add", 1);
  EXPECT_EQ(get(last), 2);
  end_pool();
  EXPECT_THROW((void)counter.call<int>("add", 1), ShutdownError);
  EXPECT_THROW((void)counter.get<int>("value"), ShutdownError);
}

TEST_P(Objects, ADroppedFutureDropsItsObject) {
  const Object witness = counter(0);
  for (int i = 0; i < 4; ++i) (void)place().create_async("interpool_probe:Tally", i);
  wait_until([&] { return pool().in_flight() == 0; });
  wait_until([&] { return alive(witness) == 1; });
}

TEST_P(Objects, ManyThreadsUseAndDropThemAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 30;
  const Object shared = counter(0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kRounds; ++n) {
        const Object own = counter(n);
        Future<int> sum = own.call<int>("add", 1);
        get(shared.call<void>("add", 1));
        EXPECT_EQ(get(sum), n + 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  wait_until([&] { return alive(shared) == 1; });
}

std::string name_of(const testing::TestParamInfo<Where>& where) {
  switch (where.param) {
    case Where::kPinned: return "Pinned";
    case Where::kPooled: return "Pooled";
    case Where::kMain: break;
  }
  return "Main";
}

INSTANTIATE_TEST_SUITE_P(Lanes, Objects, testing::Values(Where::kPinned, Where::kPooled, Where::kMain),
                         name_of);

TEST(PooledObjects, TakeTheInterpretersInTurn) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 4, .interpreters = 2}});
  const Object a = pool.create("builtins:list");
  const Object b = pool.create("builtins:list");
  const Object c = pool.create("builtins:list");
  EXPECT_NE(a.interpreter_id(), b.interpreter_id());
  EXPECT_EQ(a.interpreter_id(), c.interpreter_id());
}

TEST(PooledObjects, AWorkerThatWaitsForItsOwnIsTold) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  EXPECT_THROW(get(pool.submit([&](Worker&) { (void)pool.create("builtins:list"); })), DeadlockError);
}

}  // namespace
}  // namespace interpool::test
