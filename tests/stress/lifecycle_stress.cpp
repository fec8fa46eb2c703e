// Executors that come and go, with queued, running and blocked work in them, while other threads submit,
// cancel, chain and wait: each future settles exactly once, and nothing hangs.
//
//   lifecycle_stress [--rounds N] [--seed N]
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

// CPython up to 3.13 keeps 1.6 MB of each interpreter that ends: not too many rounds.
constexpr std::uint64_t kRounds = 40;
constexpr std::size_t kThreads = 3;

std::uint64_t option(std::string_view name, std::uint64_t otherwise) {
  const std::vector<std::string> args = testing::internal::GetArgvs();
  for (std::size_t i = 1; i + 1 < args.size(); ++i) {
    if (args[i] == name) return std::strtoull(args[i + 1].c_str(), nullptr, 10);
  }
  return otherwise;
}

/// What one round knows of all its tasks. Shared with those that outlive the round.
struct Round {
  /// One per task that was accepted.
  struct Account {
    std::atomic<int> runs = 0;
    std::atomic<int> settled = 0;
    std::atomic<int> deaths = 0;  // of its callable
    std::atomic<bool> on_main = false;
    std::atomic<bool> in_shared = false;  // in an interpreter of several threads
  };

  Account& open() {
    const std::lock_guard lock(mutex);
    return accounts.emplace_back();
  }
  /// For a task that was not accepted.
  static void strike(Account& account) { account.settled = 1; }

  Event gate;  // blocked tasks wait for it
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<std::uint64_t> abandoned_on_main = 0;
  std::atomic<std::uint64_t> abandoned_in_shared = 0;
  bool shares = false;  // the pooled threads share interpreters
  std::mutex mutex;
  std::deque<Account> accounts;
};

/// The callable of a task: counts its runs and its end.
class Job {
 public:
  enum class Kind : std::uint8_t { kQuick, kPython, kSleep, kBlocked, kThrow, kNested };

  Job(std::shared_ptr<Round> round, Round::Account& account, Kind kind, Submitter pool)
      : round_(std::move(round)), account_(&account), kind_(kind), pool_(std::move(pool)) {}
  Job(Job&& other) noexcept
      : round_(std::move(other.round_)),
        account_(std::exchange(other.account_, nullptr)),
        kind_(other.kind_),
        pool_(other.pool_) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  Job& operator=(Job&&) = delete;
  ~Job() {
    if (account_ != nullptr) ++account_->deaths;
  }

  int operator()(Worker& worker) {
    if (++account_->runs != 1) ++round_->wrong;
    account_->on_main = worker.lane() == Lane::kMain;
    account_->in_shared = worker.lane() == Lane::kPooled && round_->shares;
    switch (kind_) {
      case Kind::kQuick: return 1;
      case Kind::kPython: return worker.call<int>("builtins:len", std::vector<int>{1});
      case Kind::kSleep: worker.call<void>("time:sleep", 0.001); return 1;
      case Kind::kBlocked: round_->gate.wait(); return 1;
      case Kind::kThrow: throw std::runtime_error("thrown on purpose");
      case Kind::kNested: {
        // Its own executor may be full or closed.
        if (auto inner = pool_.try_submit([] { return 1; })) inner->cancel();
        return 1;
      }
    }
    return 0;
  }

 private:
  std::shared_ptr<Round> round_;
  Round::Account* account_;
  Kind kind_;
  Submitter pool_;
};

/// A thread that uses an executor until that has ended.
class User {
 public:
  User(std::shared_ptr<Round> round, std::vector<Submitter> lanes, bool may_block, std::uint64_t seed)
      : round_(std::move(round)), lanes_(std::move(lanes)), may_block_(may_block), random_(seed) {}

  void run() {
    while (step()) {
    }
    for (auto& [future, account] : held_) settle(*account, result(future));
  }

 private:
  std::uint64_t pick(std::uint64_t of) { return random_() % of; }

  /// False: the executor has ended.
  bool step() {
    const Submitter& lane = lanes_[pick(lanes_.size())];
    CallOptions options;
    if (pick(6) == 0) options.timeout = std::chrono::microseconds(pick(3000));
    auto kind = static_cast<Job::Kind>(pick(6));
    if (kind == Job::Kind::kBlocked && (!may_block_ || pick(5) != 0)) kind = Job::Kind::kSleep;
    Round::Account& account = round_->open();
    Future<int> future;
    try {
      Job job(round_, account, kind, lane);
      if (pick(3) == 0) {
        auto offered = lane.with(options).try_submit(std::move(job));
        if (!offered) offered.failure()->raise();
        future = std::move(*offered);
      } else {
        future = lane.with(options).submit(std::move(job));
      }
    } catch (const ShutdownError&) {
      Round::strike(account);
      return false;
    } catch (const TimeoutError&) {
      Round::strike(account);
      return true;
    } catch (const QueueFullError&) {
      Round::strike(account);
      return true;
    }
    ++round_->accepted;
    switch (pick(5)) {
      case 0: (void)future.cancel(); break;
      case 1: (void)future.wait_for(std::chrono::microseconds(pick(200))); break;
      case 2:
        (void)future.then([this_round = round_, &account](const Result<int>& result) {
          settle(*this_round, account, result);
        });
        return true;
      default: break;
    }
    held_.emplace_back(std::move(future), &account);
    return true;
  }

  void settle(Round::Account& account, const Result<int>& result) { settle(*round_, account, result); }
  static void settle(Round& round, Round::Account& account, const Result<int>& result) {
    ++account.settled;
    if (result.has_value()) {
      if (*result != 1 || account.runs != 1) ++round.wrong;
      return;
    }
    switch (result.error().code()) {
      case ErrorCode::kCancelled:
      case ErrorCode::kTimeout:
        if (account.runs != 0 || account.deaths != 1) ++round.wrong;
        break;
      case ErrorCode::kNative:
        if (account.runs != 1) ++round.wrong;
        break;
      case ErrorCode::kAbandoned:
        if (account.runs > 1) ++round.wrong;
        if (account.on_main) ++round.abandoned_on_main;
        if (account.in_shared) ++round.abandoned_in_shared;
        break;
      default: ++round.wrong;
    }
  }

  std::shared_ptr<Round> round_;
  std::vector<Submitter> lanes_;
  bool may_block_;
  std::mt19937_64 random_;
  std::vector<std::pair<Future<int>, Round::Account*>> held_;
};

/// Of all rounds.
struct Total {
  std::uint64_t accepted = 0;
  std::uint64_t cancelled = 0;  // by stop()
  std::uint64_t abandoned_on_main = 0;
  std::uint64_t abandoned_in_shared = 0;
};

void run_round(std::uint64_t seed, Total& total) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t of) { return random() % of; };
  const auto round = std::make_shared<Round>();
  const bool may_block = pick(2) == 0;
  const std::size_t pinned = pick(3);
  const std::size_t threads = pinned == 0 ? 1 + pick(4) : pick(4);
  const std::size_t interpreters = pick(3) == 0 || threads == 0 ? threads : 1 + pick((threads + 1) / 2);
  round->shares = interpreters < threads;
  std::optional<SubinterpreterExecutor> pool;
  pool.emplace(runtime(), ExecutorOptions{
                              .name = "round",
                              .pinned_workers = pinned,
                              .pooled = {.threads = threads, .interpreters = interpreters},
                              .queue_capacity = std::array<std::size_t, 3>{1, 8, 1024}.at(pick(3)),
                              .when_full = pick(2) == 0 ? WhenFull::kBlock : WhenFull::kReject,
                              .spin = std::chrono::microseconds(pick(2) * 50),
                              // Blocked work ends only after the executor.
                              .stop_timeout = may_block ? std::chrono::milliseconds(pick(30)) : kPatience,
                          });
  std::vector<Submitter> lanes = {*pool};
  for (std::size_t i = 0; i < pinned; ++i) lanes.push_back(pool->pinned(i));
  // While a blocked task is on the main lane, no interpreter can be created: not in all rounds.
  if (!may_block || pick(4) == 0) lanes.push_back(pool->main());

  std::vector<std::string> problems(kThreads);
  std::vector<std::thread> users;
  for (std::size_t i = 0; i < kThreads; ++i) {
    users.emplace_back([&problems, i, user = std::make_shared<User>(round, lanes, may_block, seed * 31 + i)] {
      try {
        user->run();
      } catch (const std::exception& error) {
        problems[i] = error.what();
      }
    });
  }
  // The end comes after some number of tasks, which may be none.
  const std::uint64_t enough = pick(4) == 0 ? 0 : pick(400);
  const auto stuck = std::chrono::steady_clock::now() + 100ms;  // all workers may be blocked
  while (round->accepted < enough && std::chrono::steady_clock::now() < stuck) std::this_thread::yield();
  TaskCounts counts;
  const std::uint64_t end = pick(5);
  if (end == 0) {
    pool->close();
    if (!may_block) {
      EXPECT_TRUE(pool->drain(kPatience));
    }
  } else if (end == 1) {
    counts = pool->stop({.drain = may_block ? 1ms : 10ms, .timeout = may_block ? 20ms : kPatience}).tasks;
    EXPECT_EQ(counts.accepted, counts.settled());
  } else if (end == 2) {
    // Two at once, who get the same report, unless one of them has no more time for it.
    ExecutorReport other;
    std::thread second([&] { other = pool->stop({.timeout = may_block ? 10ms : kPatience}); });
    counts = pool->stop({.timeout = may_block ? 10ms : kPatience}).tasks;
    second.join();
    if (!may_block) {
      EXPECT_EQ(counts.settled(), other.tasks.settled());
    }
    counts = pool->stop({}).tasks;
    EXPECT_EQ(counts.accepted, counts.settled());
  } else if (end == 3) {
    (void)pool->cancel_queued();
  }
  pool.reset();
  // All of it has settled now, the blocked tasks too; the continuations may still be on their way.
  round->gate.set();
  for (std::thread& user : users) user.join();
  for (const std::string& problem : problems) EXPECT_EQ(problem, "");
  wait_until([&] {
    for (const auto& account : round->accounts) {
      if (account.settled == 0 || account.deaths == 0) return false;
    }
    return true;
  });
  std::size_t not_once = 0;
  for (const auto& account : round->accounts) not_once += account.settled == 1 && account.deaths == 1 ? 0 : 1;
  EXPECT_EQ(not_once, 0U) << "tasks that did not settle, or whose callables did not die, exactly once";
  EXPECT_EQ(round->wrong, 0U);
  total.accepted += round->accepted;
  total.cancelled += counts.cancelled;
  total.abandoned_on_main += round->abandoned_on_main;
  total.abandoned_in_shared += round->abandoned_in_shared;
  wait_for_interpreters(0);
}

TEST(LifecycleStress, NothingHangsAndEachSettlesOnce) {
  const std::uint64_t rounds = option("--rounds", kRounds);
  const std::uint64_t seed = option("--seed", std::random_device{}());
  std::printf("%llu rounds, --seed %llu\n", static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(seed));
  Total total;
  for (std::uint64_t i = 0; i < rounds && !HasFailure(); ++i) {
    SCOPED_TRACE("lifecycle_stress --rounds 1 --seed " + std::to_string(seed + i));
    run_round(seed + i, total);
  }
  std::printf(
      "%llu tasks; cancelled by stop(): %llu; abandoned on the main lane: %llu, in a shared interpreter: "
      "%llu\n",
      static_cast<unsigned long long>(total.accepted), static_cast<unsigned long long>(total.cancelled),
      static_cast<unsigned long long>(total.abandoned_on_main),
      static_cast<unsigned long long>(total.abandoned_in_shared));
  for (const std::string& line : take_log()) {
    EXPECT_EQ(line.find("bug of interpool"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace interpool::test
