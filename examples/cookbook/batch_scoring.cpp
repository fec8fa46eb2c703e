// Scores a large batch on all cores, with no more of it in memory than the queue and the workers hold.
#include <interpool/interpool.h>

#include <cstddef>
#include <cstdio>
#include <deque>
#include <vector>

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}, .queue_capacity = 8});
  pool.define_module("scoring", "def score(row):\n    return sum(x * x for x in row)\n");
  auto score = pool.function<double(std::vector<double>)>("scoring:score");

  // What fits into memory as a whole: one future for all. The first error cancels the rest.
  const std::vector<std::vector<double>> rows = {{1, 2}, {3, 4}, {5}};
  for (const double result :
       pool.map<double>("scoring:score", rows, {.on_error = interpool::Rest::kCancel}).get()) {
    std::printf("%.0f\n", result);
  }

  // What does not: rows are read as fast as they are scored, since submitting waits while the queue is full.
  constexpr std::size_t kInFlight = 16;
  std::deque<interpool::Future<double>> futures;
  double total = 0;
  const auto take_one = [&] {
    total += futures.front().get();
    futures.pop_front();
  };
  for (int row = 0; row < 1000; ++row) {
    futures.push_back(score({static_cast<double>(row % 10), 1}));
    if (futures.size() == kInFlight) take_one();
  }
  while (!futures.empty()) take_one();
  std::printf("total %.0f\n", total);
}
