// Buffers that several threads make, hand to interpreters as objects, views and parts of views, get back and
// let go of, in any order, also beyond the end of the interpreters: what is in them stays as long as anybody
// has them, and each is released exactly once.
//
//   buffers_stress [--passes N] [--seed N]
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

constexpr std::size_t kThreads = 3;
constexpr std::uint64_t kPasses = 100'000;
constexpr std::uint64_t kPassesPerRound = 10'000;  // after which the interpreters end
constexpr std::size_t kElements = 8;
/// How many handles and how many futures a thread has at most.
constexpr std::size_t kHandles = 20;
constexpr std::size_t kOpen = 50;
/// Places in an interpreter where a buffer is kept until another comes.
constexpr int kPlaces = 10;

std::uint64_t option(std::string_view name, std::uint64_t otherwise) {
  const std::vector<std::string> args = testing::internal::GetArgvs();
  for (std::size_t i = 1; i + 1 < args.size(); ++i) {
    if (args[i] == name) return std::strtoull(args[i + 1].c_str(), nullptr, 10);
  }
  return otherwise;
}

/// What is known of all memory of one round; each has its number in all its elements.
class Round {
 public:
  Buffer make(const std::shared_ptr<Round>& self) {
    std::uint64_t number = 0;
    std::atomic<int>* releases = nullptr;
    {
      const std::lock_guard lock(mutex_);
      number = releases_.size();
      releases = &releases_.emplace_back(0);
    }
    auto* memory = new std::array<std::uint64_t, kElements>;
    memory->fill(number);
    return Buffer::adopt(static_cast<void*>(memory), sizeof(*memory),
                         [self, releases](void* data) {
                           auto* ended = static_cast<std::array<std::uint64_t, kElements>*>(data);
                           ended->fill(~std::uint64_t{0});
                           delete ended;
                           releases->fetch_add(1);
                         },
                         {.format = Buffer::format_of<std::uint64_t>()});
  }
  /// Counts it as wrong if it has been released, or has not the same number throughout.
  void check(const Buffer& buffer) {
    const Buffer elements = buffer.contiguous();
    const auto numbers = elements.as<const std::uint64_t>();
    if (numbers.empty()) return;
    const std::lock_guard lock(mutex_);
    const bool right =
        numbers[0] < releases_.size() && releases_[numbers[0]] == 0 &&
        std::all_of(numbers.begin(), numbers.end(), [&](auto one) { return one == numbers[0]; });
    if (!right) ++wrong_;
  }
  /// Of the memory that was made: how much has not been released exactly once.
  [[nodiscard]] std::size_t unbalanced() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(releases_.begin(), releases_.end(), [](const auto& times) { return times != 1; }));
  }
  [[nodiscard]] int wrong() const { return wrong_; }
  [[nodiscard]] std::size_t made() {
    const std::lock_guard lock(mutex_);
    return releases_.size();
  }

 private:
  std::mutex mutex_;
  std::deque<std::atomic<int>> releases_;
  std::atomic<int> wrong_ = 0;
};

/// One thread of C++ code that has buffers and futures of buffers.
class User {
 public:
  User(std::shared_ptr<Round> round, std::vector<Submitter> lanes, std::uint64_t seed)
      : round_(std::move(round)), lanes_(std::move(lanes)), random_(seed) {}

  void pass() {
    switch (below(8)) {
      case 0:
      case 1: add(round_->make(round_)); break;
      case 2:
      case 3:
        if (!handles_.empty()) put();
        break;
      case 4: ask(); break;
      case 5:
        if (!handles_.empty()) drop_one();
        break;
      case 6:
        if (!open_.empty()) take();
        break;
      default:
        if (!handles_.empty())
          add(handles_[below(handles_.size())].view({.format = "B"}).view({.format = "Q"}));
    }
  }
  void drop_handles() {
    while (!handles_.empty()) drop_one();
  }
  void drop_futures() { open_.clear(); }

 private:
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  const Submitter& lane() { return lanes_[below(lanes_.size())]; }

  void add(Buffer buffer) {
    if (handles_.size() == kHandles) drop_one();
    handles_.push_back(std::move(buffer));
  }
  void drop_one() {
    const std::size_t at = below(handles_.size());
    round_->check(handles_[at]);
    std::swap(handles_[at], handles_.back());
    handles_.pop_back();
  }
  void open(Future<std::optional<Buffer>> future) {
    if (open_.size() == kOpen) take();
    open_.push_back(std::move(future));
  }
  /// Puts one into an interpreter, which gives up what it had in that place.
  void put() {
    const std::size_t at = below(handles_.size());
    Buffer mine = handles_[at];
    if (below(2) == 0) {
      std::swap(handles_[at], handles_.back());
      handles_.pop_back();
    }
    open(lane().call<std::optional<Buffer>>("interpool_buffers:swap", place(), std::move(mine), how()));
  }
  void ask() { open(lane().call<std::optional<Buffer>>("interpool_buffers:peek", place())); }
  int place() { return static_cast<int>(below(kPlaces)); }
  int how() { return static_cast<int>(below(5)); }
  /// Gives up a future, or uses what it has.
  void take() {
    const std::size_t at = below(open_.size());
    Future<std::optional<Buffer>> future = std::move(open_[at]);
    std::swap(open_[at], open_.back());
    open_.pop_back();
    if (below(4) == 0) return;
    if (below(8) == 0 && future.cancel()) return;
    std::optional<Buffer> buffer = get(future);
    if (!buffer) return;
    round_->check(*buffer);
    if (below(2) == 0 && buffer->is_contiguous()) add(std::move(*buffer));
  }

  std::shared_ptr<Round> round_;
  std::vector<Submitter> lanes_;
  std::mt19937_64 random_;
  std::vector<Buffer> handles_;
  std::deque<Future<std::optional<Buffer>>> open_;
};

void run_round(std::uint64_t seed, std::uint64_t passes, std::size_t& made) {
  const auto round = std::make_shared<Round>();
  std::mt19937_64 random(seed);
  {
    auto pool = std::make_unique<SubinterpreterExecutor>(
        runtime(), ExecutorOptions{.pinned_workers = 2, .pooled = {.threads = 2, .interpreters = 1}});
    const std::vector<Submitter> lanes = {*pool, pool->pinned(0), pool->pinned(1), pool->main()};
    std::vector<std::unique_ptr<User>> users;
    std::vector<std::thread> threads;
    std::array<std::string, kThreads> problems;
    for (std::size_t i = 0; i < kThreads; ++i) {
      users.push_back(std::make_unique<User>(round, lanes, seed * 31 + i));
      threads.emplace_back([user = users.back().get(), &problem = problems[i], passes] {
        try {
          for (std::uint64_t pass = 0; pass < passes / kThreads; ++pass) user->pass();
        } catch (const std::exception& error) {
          problem = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& problem : problems) EXPECT_EQ(problem, "");

    // The ends, in any order; main's interpreter does not end.
    std::vector<std::function<void()>> ends = {
        [&] {
          get(pool->main().call<void>("interpool_buffers:clear"));
          pool.reset();
        },
        [&] {
          for (const auto& user : users) user->drop_handles();
        },
        [&] {
          for (const auto& user : users) user->drop_futures();
        },
    };
    std::shuffle(ends.begin(), ends.end(), random);
    for (const auto& end : ends) end();
  }
  EXPECT_EQ(round->wrong(), 0);
  EXPECT_EQ(round->unbalanced(), 0U) << "of " << round->made();
  made += round->made();
}

TEST(BuffersStress, EachIsReleasedOnceAndNotWhileAnybodyHasIt) {
  const std::uint64_t passes = option("--passes", kPasses);
  const std::uint64_t seed = option("--seed", std::random_device{}());
  std::printf("%llu passes, --seed %llu\n", static_cast<unsigned long long>(passes),
              static_cast<unsigned long long>(seed));
  std::size_t made = 0;
  for (std::uint64_t done = 0; done < passes && !HasFailure(); done += kPassesPerRound) {
    const std::uint64_t round = seed + done / kPassesPerRound;
    SCOPED_TRACE("buffers_stress --passes " + std::to_string(kPassesPerRound) + " --seed " +
                 std::to_string(round));
    run_round(round, std::min(passes - done, kPassesPerRound), made);
  }
  std::printf("%zu buffers\n", made);
}

}  // namespace
}  // namespace interpool::test
