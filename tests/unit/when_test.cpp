// One future for several: when_all, when_any, and what a failing item means for a map.
#include "support/busy.h"
#include "support/executors.h"
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

class Groups : public WithOneWorker {
 protected:
  /// Calls of abs() for -0, -1, -2, …
  static std::vector<Future<int>> calls(int count) {
    std::vector<Future<int>> futures;
    for (int i = 0; i < count; ++i) futures.push_back(pool().call<int>("builtins:abs", -i));
    return futures;
  }
};

/// A future that its Work's executor settles.
Future<int> left_to(ManualExecutor& executor, Future<int> future) {
  return future.then(executor, [](Result<int> r) { return r.value(); });
}

TEST_F(Groups, OfDifferentTypesComeTogether) {
  auto all = when_all(pool().call<int>("builtins:abs", -3), pool().call<std::string>("builtins:str", 4),
                      pool().call<void>("builtins:abs", 1), pool().call<int>("interpool_probe:fail", "mine"),
                      pool().submit([] { return std::make_unique<int>(5); }));
  auto [number, text, nothing, failed, pointer] = get(all);
  EXPECT_EQ(number.value(), 3);
  EXPECT_EQ(text.value(), "4");
  EXPECT_TRUE(nothing.has_value());
  EXPECT_EQ(failed.error().message(), "ValueError: mine");
  EXPECT_EQ(*pointer.value(), 5);
}

TEST_F(Groups, OfOneTypeKeepTheirOrder) {
  ManualExecutor manual;
  auto futures = calls(3);
  futures.front() = left_to(manual, std::move(futures.front()));
  futures.push_back(pool().call<int>("interpool_probe:fail", "mine"));
  auto all = when_all(std::move(futures));
  get(pool().call<int>("builtins:abs", 1));
  EXPECT_FALSE(all.ready()) << "all but the first have settled";
  manual.run_one();
  const auto results = get(all);
  ASSERT_EQ(results.size(), 4U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].value(), i);
  EXPECT_EQ(results[3].error().code(), ErrorCode::kPython);
}

TEST_F(Groups, OfNothingAreReadyOrWrong) {
  EXPECT_TRUE(when_all(std::vector<Future<int>>()).ready());
  EXPECT_TRUE(when_all().ready());
  EXPECT_THROW((void)when_any(std::vector<Future<int>>()), UsageError);
}

TEST_F(Groups, OfWhatIsReadyAreReady) {
  auto futures = calls(3);
  for (const auto& future : futures) future.wait();
  auto all = when_all(std::move(futures));
  EXPECT_TRUE(all.ready());
  EXPECT_EQ(all.get()[2].value(), 2);
  auto more = calls(3);
  for (const auto& future : more) future.wait();
  auto any = when_any(std::move(more), Rest::kCancel);
  EXPECT_TRUE(any.ready());
  EXPECT_EQ(any.get().index, 0U) << "the first in order";
}

TEST_F(Groups, NeedFuturesThatHaveATask) {
  auto futures = calls(2);
  futures.emplace_back();
  EXPECT_THROW((void)when_all(std::move(futures)), UsageError);
  EXPECT_THROW((void)when_all(pool().call<int>("builtins:abs", 1), Future<int>()), UsageError);
  std::vector<Future<int>> one(1);
  EXPECT_THROW((void)when_any(std::move(one)), UsageError);
}

TEST_F(Groups, AreCancelledWithTheirQueuedParts) {
  BusyTask busy(pool());
  const TaskCounts before = pool().counts();
  auto all = when_all(calls(3));
  EXPECT_TRUE(all.cancel());
  EXPECT_THROW(get(all), CancelledError);
  EXPECT_EQ(pool().counts().cancelled - before.cancelled, 3U);
  auto mixed = when_all(pool().call<int>("builtins:abs", 1), pool().call<void>("builtins:abs", 1));
  EXPECT_TRUE(mixed.cancel());
  EXPECT_EQ(pool().counts().cancelled - before.cancelled, 5U);
  auto any = when_any(calls(2));
  EXPECT_TRUE(any.cancel());
  EXPECT_EQ(pool().counts().cancelled - before.cancelled, 7U);
}

TEST_F(Groups, CanBeDropped) {
  BusyTask busy(pool());
  Event ran;
  {
    auto all = when_all(pool().submit([&] { ran.set(); }), pool().call<int>("builtins:abs", 1));
    auto any = when_any(calls(2));
  }
  busy.release();
  ran.wait();
}

TEST_F(Groups, TheFirstIsTheOneThatSettlesFirst) {
  ManualExecutor manual;
  std::vector<Future<int>> futures;
  futures.push_back(left_to(manual, pool().call<int>("builtins:abs", -1)));
  futures.push_back(pool().call<int>("builtins:abs", -2));
  auto any = when_any(std::move(futures));
  const First<int> first = get(any);
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(first.result.value(), 2);
  manual.run_one();  // nobody wants it any more, and it runs

  std::vector<Future<int>> failing;
  failing.push_back(left_to(manual, pool().call<int>("builtins:abs", -1)));
  failing.push_back(pool().call<int>("interpool_probe:fail", "mine"));
  EXPECT_EQ(get(when_any(std::move(failing))).result.error().message(), "ValueError: mine");
  manual.run_one();
}

TEST_F(Groups, TheRestGoesOnOrIsCancelled) {
  ManualExecutor manual;
  std::atomic<int> ran = 0;
  const auto race = [&](Rest rest) {
    std::vector<Future<int>> futures;
    for (int i = 0; i < 3; ++i) {
      futures.push_back(pool().call<int>("builtins:abs", -i).then(manual, [&ran](Result<int> r) {
        ++ran;
        return r.value();
      }));
    }
    auto any = when_any(std::move(futures), rest);
    for (int i = 0; i < 3; ++i) manual.run_one();
    EXPECT_EQ(get(any).index, 0U);
  };
  race(Rest::kRun);
  EXPECT_EQ(ran.exchange(0), 3);
  race(Rest::kCancel);
  EXPECT_EQ(ran.exchange(0), 1);
}

TEST_F(Groups, OfGroupsAndContinuations) {
  auto nested = when_all(when_all(calls(2)), when_any(calls(1)))
                    .then([](Result<std::tuple<Result<std::vector<Result<int>>>, Result<First<int>>>> r) {
                      auto& [all, first] = r.value();
                      return all.value()[1].value() + first.value().result.value();
                    });
  EXPECT_EQ(get(nested), 1);
}

TEST_F(Groups, SettleOnceWhoeverComesLast) {
  SubinterpreterExecutor wide(runtime(), {.pooled = {.threads = 4}});
  for (int round = 0; round < 200; ++round) {
    std::vector<Future<int>> all;
    std::vector<Future<int>> any;
    for (int i = 0; i < 8; ++i) {
      all.push_back(wide.call<int>("builtins:abs", -i));
      any.push_back(wide.call<int>("builtins:abs", -i));
    }
    auto first = when_any(std::move(any), round % 2 == 0 ? Rest::kRun : Rest::kCancel);
    int sum = 0;
    for (auto& result : get(when_all(std::move(all)))) sum += result.value();
    EXPECT_EQ(sum, 28);
    const First<int> winner = get(first);
    EXPECT_EQ(winner.result.value(), static_cast<int>(winner.index));
  }
}

TEST_F(Groups, AMapRunsOnAfterAnError) {
  const TaskCounts before = pool().counts();
  auto map = pool().map<int>("builtins:int", std::vector<std::string>{"1", "x", "3", "y"});
  EXPECT_EQ(error_of<PythonError>(std::move(map)).python_message(),
            "invalid literal for int() with base 10: 'x'");
  EXPECT_EQ(pool().counts().settled() - before.settled(), 4U);
  EXPECT_EQ(pool().counts().cancelled, before.cancelled);
}

TEST_F(Groups, AMapThatCancelsTheRestEndsWithItsFirstError) {
  SubinterpreterExecutor two(runtime(), {.pinned_workers = 1, .pooled = {.threads = 1}});
  BusyTask busy(two);
  auto map =
      two.map<int>("builtins:int", std::vector<std::string>{"1", "x", "3", "y"}, {.on_error = Rest::kCancel});
  busy.release();
  EXPECT_EQ(error_of<PythonError>(std::move(map)).python_message(),
            "invalid literal for int() with base 10: 'x'");
  EXPECT_EQ(two.counts().cancelled, 2U) << "when the error is there, the rest has been cancelled";
  EXPECT_EQ(
      get(two.map<int>("builtins:int", std::vector<std::string>{"1", "2"}, {.on_error = Rest::kCancel})),
      (std::vector<int>{1, 2}));
}

TEST_F(Groups, AMapThatCancelsTheRestSubmitsNoMoreOfIt) {
  // Room for one: while the map waits for room, what it has submitted fails.
  SubinterpreterExecutor small(runtime(), {.pooled = {.threads = 1}, .queue_capacity = 1});
  const std::vector<std::string> items(1000, "x");
  auto map = small.map<int>("builtins:int", items, {.on_error = Rest::kCancel});
  EXPECT_THROW(get(map), PythonError);
  wait_until([&] { return small.in_flight() == 0; });
  EXPECT_LE(small.counts().accepted, 3U)
      << "the third has room once the second runs, which is after the first";
}

TEST_F(Groups, AMapThatCancelsTheRestIsRefusedAsAWhole) {
  SubinterpreterExecutor small(
      runtime(), {.pooled = {.threads = 1}, .queue_capacity = 1, .when_full = WhenFull::kReject});
  BusyTask busy(small);
  const std::vector<std::string> items(3, "x");
  EXPECT_THROW((void)small.map<int>("builtins:int", items, {.on_error = Rest::kCancel}), QueueFullError);
  EXPECT_EQ(small.counts().cancelled, 1U);
}

TEST_F(Groups, AMapFailsOnceWhoeverIsFirst) {
  SubinterpreterExecutor wide(runtime(), {.pooled = {.threads = 4}});
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> items(8, "1");
    items[static_cast<std::size_t>(round % 8)] = "x";
    items[static_cast<std::size_t>(round % 3)] = "y";
    EXPECT_THROW(get(wide.map<int>("builtins:int", items, {.on_error = Rest::kCancel})), PythonError);
  }
}

}  // namespace
}  // namespace interpool::test
