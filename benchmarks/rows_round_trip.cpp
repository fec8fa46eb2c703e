// One call at a time: submit, wait for the result, submit the next.

#include "call_references.h"
#include "ping_pong.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <chrono>
#include <vector>

namespace bench {

namespace {

template <class Call>
double round_trips(std::size_t count, Call call) {
  long sum = 0;
  const double time = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) sum += call(-static_cast<long>(i)).get();
  });
  check_sum(sum, count);
  return time;
}

}  // namespace

void round_trip_rows(Suite& suite, interpool::Runtime& runtime) {
  constexpr std::size_t kSpinning = 20'000;
  constexpr std::size_t kSleeping = 1'000;

  enum : std::size_t { kHot, kSpinningPingPong, kAsleep, kSleepingPingPong, kPeer, kIpe };
  const std::vector<Comparison> hot = {
      {.id = "round_trip.hot/spin",
       .what = "a call and its result, worker and caller spinning",
       .side = kHot,
       .reference = kSpinningPingPong,
       .goal = Goal::at_most(2.0)},
  };
  const std::vector<Comparison> asleep = {
      {.id = "round_trip.asleep/futex",
       .what = "a call and its result, worker and caller asleep (spin = 0)",
       .side = kAsleep,
       .reference = kSleepingPingPong,
       .goal = Goal::at_most(1.15)},
      {.id = "round_trip.hot/peer",
       .what = "a call and its result with the default options, against the afternoon executor",
       .side = kHot,
       .reference = kPeer},
  };
  const Comparison ipe = {.id = "round_trip.hot/ipe",
                          .what = "the same against CPython's own executor",
                          .side = kHot,
                          .reference = kIpe,
                          .unit = Unit::kRate,
                          .goal = Goal::at_least(50)};
  if (!suite.wants_any(hot) && !suite.wants_any(asleep) && !suite.wants(ipe.id)) return;

  interpool::SubinterpreterExecutor spinning_pool(runtime, {.pinned_workers = 1});
  interpool::SubinterpreterExecutor sleeping_pool(
      runtime, {.pinned_workers = 1, .spin = std::chrono::microseconds(0)});
  const auto hot_abs = spinning_pool.pinned(0).function<long(long)>("builtins:abs");
  const auto asleep_abs = sleeping_pool.pinned(0).function<long(long)>("builtins:abs");
  CallReferences references(suite, {spinning_pool.pinned(0), sleeping_pool.pinned(0)}, ipe);

  const std::vector<Side> sides = {
      {"interpool", [&] { return round_trips(kSpinning, hot_abs); }},
      {"spinning ping-pong", [&] { return spinning_ping_pong(kSpinning); }},
      {"interpool, asleep", [&] { return round_trips(kSleeping, asleep_abs); }},
      {"futex ping-pong + bare call",
       [&] { return sleeping_ping_pong(kSleeping) + references.bare_loop(kSpinning); }},
      {"afternoon executor",
       [&] { return round_trips(kSleeping, [&](long value) { return references.afternoon().abs(value); }); }},
      {"InterpreterPoolExecutor", [&] { return references.interpreter_pool().round_trip(kSleeping); }},
  };
  suite.compare(sides, hot, suite.options().repetitions());
  suite.compare(sides, asleep, suite.options().repetitions());
  references.compare_interpreter_pool(suite, sides);
}

}  // namespace bench
