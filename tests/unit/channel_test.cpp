// The channel of the indexer, and the design that it replaces.
//
// The old design: one end-of-stream message, which has to be sent by the last of several producers; each
// counts itself out and looks whether it was the last. Where counting and looking are separate steps, it
// depends on the interleaving whether nobody finds itself the last (and the consumer waits for ever) or two
// do (and it stops early, or twice).

#include "../../examples/indexer/channel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using indexer::Channel;
using indexer::Producer;

constexpr int kProducers = 4;
constexpr int kEnd = -1;

// --- A model: every interleaving of the producers' last steps, one thread, nothing left to chance
// -------------------

/// The steps of a producer, in order. In the old design counting out is a read and a write; in the channel it
/// is one step, close().
constexpr int kSteps = 4;
enum Step { kSend, kRead, kWrite, kLook };

/// Calls `run` with every order in which the producers can take their steps, as a list of producers.
/// Producers are alike, so that only orders are tried in which they begin in the order of their numbers.
template <class Run>
void for_each_interleaving(const Run& run) {
  std::array<int, kProducers> taken{};
  std::vector<int> order;
  const auto extend = [&](const auto& self) -> void {
    if (order.size() == std::size_t{kProducers} * kSteps) {
      run(order);
      return;
    }
    for (int producer = 0; producer < kProducers; ++producer) {
      auto& steps = taken[static_cast<std::size_t>(producer)];
      if (steps == kSteps) continue;
      const bool others_first = producer > 0 && taken[static_cast<std::size_t>(producer) - 1] == 0;
      if (steps == 0 && others_first) continue;
      ++steps;
      order.push_back(producer);
      self(self);
      order.pop_back();
      --steps;
    }
  };
  extend(extend);
}

/// What a consumer gets to see of one interleaving.
struct Outcome {
  int items = 0;  // before the first end
  int ends = 0;
  int items_after_end = 0;

  [[nodiscard]] bool hangs() const { return ends == 0; }
  [[nodiscard]] bool right() const { return items == kProducers && ends == 1 && items_after_end == 0; }
  void see(int message) {
    if (message == kEnd) {
      ++ends;
    } else {
      ++(ends == 0 ? items : items_after_end);
    }
  }
};

/// The old design under one interleaving. `looks_again`: whether a producer looks at the shared counter
/// again, or at the number that it wrote.
Outcome run_sentinel(const std::vector<int>& order, bool looks_again) {
  std::array<int, kProducers> step{};
  std::array<int, kProducers> mine{};
  int left = kProducers;
  Outcome outcome;
  for (const int producer : order) {
    const auto p = static_cast<std::size_t>(producer);
    switch (step[p]++) {
      case kSend: outcome.see(producer); break;
      case kRead: mine[p] = left; break;
      case kWrite: left = --mine[p]; break;
      default:
        if ((looks_again ? left : mine[p]) == 0) outcome.see(kEnd);
    }
  }
  return outcome;
}

/// The channel under the same interleaving. `at_once`: whether the consumer takes each item as soon as it is
/// there, or all of them when every producer has gone.
Outcome run_channel(const std::vector<int>& order, bool at_once) {
  Channel<int> channel(kProducers, kProducers);
  std::array<int, kProducers> step{};
  int closed = 0;
  Outcome outcome;
  for (const int producer : order) {
    switch (step[static_cast<std::size_t>(producer)]++) {
      case kSend:
        channel.send(int{producer});
        if (at_once) outcome.see(channel.receive().value_or(kEnd));
        break;
      case kWrite:
        channel.close();
        ++closed;
        break;
      default: break;
    }
    if (channel.ended() != (at_once && closed == kProducers)) return {};
  }
  // None of these waits: every producer has closed.
  while (outcome.ends == 0) outcome.see(channel.receive().value_or(kEnd));
  return outcome;
}

TEST(ChannelModelTest, OneSentinelFromWhoeverThinksItIsLastIsLostOrSentTwice) {
  for (const bool looks_again : {false, true}) {
    int interleavings = 0;
    int hangs = 0;
    int ends_twice = 0;
    for_each_interleaving([&](const std::vector<int>& order) {
      // Sending is of no interest here, so it is only tried before everything else.
      if (order[kProducers - 1] != kProducers - 1) return;
      const Outcome outcome = run_sentinel(order, looks_again);
      ++interleavings;
      hangs += outcome.hangs();
      ends_twice += outcome.ends > 1;
    });
    RecordProperty(looks_again ? "again_hangs" : "own_hangs", hangs);
    RecordProperty(looks_again ? "again_ends_twice" : "own_ends_twice", ends_twice);
    EXPECT_GT(interleavings, 10'000);
    EXPECT_GT(hangs, 0) << "of " << interleavings;
    if (looks_again) {
      EXPECT_GT(ends_twice, 0) << "of " << interleavings;
    }
  }
}

TEST(ChannelModelTest, ChannelEndsOnceAndLastUnderTheSameInterleavings) {
  int interleavings = 0;
  int wrong = 0;
  for_each_interleaving([&](const std::vector<int>& order) {
    if (order[kProducers - 1] != kProducers - 1) return;
    ++interleavings;
    wrong += !run_channel(order, true).right() || !run_channel(order, false).right();
  });
  EXPECT_GT(interleavings, 10'000);
  EXPECT_EQ(wrong, 0);
}

// Two interleavings that break the old design, by hand: the first two producers are long gone.
TEST(ChannelModelTest, EndOfStreamIsNeitherLostNorSentTwice) {
  const std::vector<int> lost = {0, 0, 0, 0, 1, 1, 1, 1,
                                 2, 3, 2, 3, 2, 3, 2, 3};  // both read 2, both write 1
  const std::vector<int> twice = {0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 2, 2, 3, 3, 2, 3};  // both write, both see 0
  EXPECT_TRUE(run_sentinel(lost, false).hangs());
  EXPECT_TRUE(run_sentinel(lost, true).hangs());
  EXPECT_EQ(run_sentinel(twice, true).ends, 2);
  for (const bool at_once : {true, false}) {
    EXPECT_TRUE(run_channel(lost, at_once).right());
    EXPECT_TRUE(run_channel(twice, at_once).right());
  }
}

// --- The channel itself, with threads
// -------------------------------------------------------------------------------

TEST(ChannelTest, GivesItemsInOrderAndThenOnlyTheEnd) {
  Channel<int> channel(8, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(channel.send(int{i}));
  channel.close();
  EXPECT_FALSE(channel.ended());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(channel.receive(), i);
  EXPECT_TRUE(channel.ended());
  EXPECT_EQ(channel.receive(), std::nullopt);
  EXPECT_EQ(channel.receive(), std::nullopt);
}

TEST(ChannelTest, EndWakesEveryReceiver) {
  Channel<int> channel(1, 2);
  std::vector<std::thread> receivers;
  for (int i = 0; i < 3; ++i) {
    receivers.emplace_back([&] { EXPECT_EQ(channel.receive(), std::nullopt); });
  }
  channel.close();
  channel.close();
  for (std::thread& receiver : receivers) receiver.join();
}

TEST(ChannelTest, HoldsNoMoreThanItsCapacity) {
  Channel<int> channel(2, 1);
  std::atomic<int> sent{0};
  std::thread producer([&] {
    const Producer<int> closing(channel);
    for (int i = 0; i < 100; ++i) {
      channel.send(int{i});
      ++sent;
    }
  });
  for (int received = 0; received < 100; ++received) {
    EXPECT_EQ(channel.receive(), received);
    // What was sent is here or in the channel; one more may have got in since.
    EXPECT_LE(sent.load(), received + 1 + 2 + 1);
  }
  EXPECT_EQ(channel.receive(), std::nullopt);
  producer.join();
}

TEST(ChannelTest, StopFreesWhoeverWaitsForRoomAndGivesBackWhatWaits) {
  Channel<std::unique_ptr<int>> channel(1, 1);
  ASSERT_TRUE(channel.send(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  std::thread producer([&] {
    const Producer<std::unique_ptr<int>> closing(channel);
    EXPECT_FALSE(channel.send(std::move(second)));
  });
  const auto left = channel.stop();
  producer.join();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(*left[0], 1);
  ASSERT_NE(second, nullptr) << "an item that was not taken stays the sender's";
  EXPECT_EQ(channel.receive(), std::nullopt);
  EXPECT_TRUE(channel.ended());
}

TEST(ChannelTest, MisuseIsAnError) {
  EXPECT_THROW(Channel<int>(0, 1), std::logic_error);
  EXPECT_THROW(Channel<int>(1, 0), std::logic_error);
  Channel<int> channel(1, 1);
  channel.close();
  EXPECT_THROW(channel.close(), std::logic_error);
  EXPECT_THROW(channel.send(1), std::logic_error);
}

TEST(ChannelTest, ManyProducersAndConsumersLoseNothing) {
  constexpr int kEach = 5'000;
  for (const std::size_t consumers : {1U, 3U}) {
    Channel<int> channel(3, kProducers);
    std::vector<std::thread> threads;
    for (int producer = 0; producer < kProducers; ++producer) {
      threads.emplace_back([&, producer] {
        Producer<int> out(channel);
        for (int i = 0; i < kEach; ++i) out.send(producer * kEach + i);
      });
    }
    std::vector<std::vector<int>> received(consumers);
    for (auto& mine : received) {
      threads.emplace_back([&] {
        while (auto item = channel.receive()) mine.push_back(*item);
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<int> all;
    for (const auto& mine : received) all.insert(all.end(), mine.begin(), mine.end());
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), std::size_t{kProducers} * kEach);
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<int>(i));
  }
}

}  // namespace
