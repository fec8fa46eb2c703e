// A trivial typed call with its future, one pinned worker, many in flight.

#include "call_references.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <future>
#include <vector>

namespace bench {

namespace {

using interpool::Function;
using interpool::Future;

/// Submits `count` calls, then takes their results; nanoseconds per call.
template <class FutureType, class Submit>
double in_flight(std::vector<FutureType>& futures, std::size_t count, Submit submit) {
  futures.reserve(count);
  long sum = 0;
  const double time = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) futures.push_back(submit(-static_cast<long>(i)));
    for (auto& future : futures) sum += future.get();
    futures.clear();
  });
  check_sum(sum, count);
  return time;
}

}  // namespace

void call_rows(Suite& suite, interpool::Runtime& runtime) {
  constexpr std::size_t kMany = 100'000;
  constexpr std::size_t kVeryMany = 1'000'000;
  constexpr std::size_t kFew = 2'000;  // for what takes tens of microseconds each

  enum : std::size_t { kCall, kBare, kPeer, kIpe, kDeadline, kMillion, kMillionBare, kBareAlone };
  const Comparison bare_loop = {
      .id = "call.in_flight/bare",
      .what = "a trivial typed call with its future, 100,000 in flight, one pinned worker",
      .side = kCall,
      .reference = kBare,
      .goal = Goal::at_most(3.0, 2.0)};
  const Comparison afternoon = {.id = "call.in_flight/peer",
                                .what = "the same against an executor written in an afternoon",
                                .side = kCall,
                                .reference = kPeer};
  const Comparison deadline = {.id = "call.deadline",
                               .what = "the same with a deadline that is not reached, against none",
                               .side = kDeadline,
                               .reference = kCall};
  const Comparison ipe = {.id = "call.in_flight/ipe",
                          .what = "the same against CPython's own executor with one worker",
                          .side = kCall,
                          .reference = kIpe,
                          .unit = Unit::kRate,
                          .goal = Goal::at_least(100, 500)};
  const Comparison million = {.id = "call.in_flight_1m/bare",
                              .what = "a trivial typed call with its future, 1,000,000 in flight",
                              .side = kMillion,
                              .reference = kMillionBare,
                              .goal = Goal::at_most(3.0, 2.0)};
  const Comparison machine = {
      .id = "call.machine",
      .what = "a bare call loop beside another, against one alone: whether cores share",
      .side = kBare,
      .reference = kBareAlone};
  if (!suite.wants_any({bare_loop, million, machine, afternoon, deadline, ipe})) return;

  interpool::SubinterpreterExecutor pool(runtime, {.pinned_workers = 1, .queue_capacity = 2 * kVeryMany});
  const Function<long(long)> abs = pool.pinned(0).function<long(long)>("builtins:abs");
  const Function<long(long)> timed = abs.with({.timeout = std::chrono::hours(1)});
  CallReferences references(suite, {pool.pinned(0)}, ipe);
  std::vector<Future<long>> futures;
  std::vector<std::future<long>> peer_futures;

  const std::vector<Side> sides = {
      {"interpool", [&] { return in_flight(futures, kMany, abs); }},
      {"bare call loop", [&] { return references.bare_loop_beside_another(kMany); }},
      {"afternoon executor",
       [&] {
         return in_flight(peer_futures, kMany, [&](long value) { return references.afternoon().abs(value); });
       }},
      {"InterpreterPoolExecutor", [&] { return references.interpreter_pool().in_flight(kFew); }},
      {"with a deadline", [&] { return in_flight(futures, kMany, timed); }},
      {"interpool", [&] { return in_flight(futures, kVeryMany, abs); }},
      {"bare call loop", [&] { return references.bare_loop_beside_another(kVeryMany); }},
      {"bare call loop alone", [&] { return references.bare_loop(kMany); }},
  };
  // One after the other: what the others leave behind in the heap would slow the calls of this row.
  suite.compare(sides, {bare_loop}, suite.options().repetitions());
  suite.compare(sides, {million}, suite.options().repetitions());
  suite.compare(sides, {machine}, suite.options().repetitions());
  suite.compare(sides, {afternoon}, suite.options().few_repetitions());
  suite.compare(sides, {deadline}, suite.options().few_repetitions());
  references.compare_interpreter_pool(suite, sides);
}

}  // namespace bench
