#include "call_references.h"

#include "timing.h"

#include <atomic>
#include <future>
#include <utility>

namespace bench {

void check_sum(long sum, std::size_t count) {
  check(sum == static_cast<long>(count * (count - 1) / 2), "the calls computed something else");
}

CallReferences::CallReferences(const Suite& suite, const std::vector<interpool::Submitter>& workers,
                               Comparison interpreter_pool)
    : interpreter_pool_row_(std::move(interpreter_pool)),
      interpreter_pool_(suite.wants(interpreter_pool_row_.id)
                            ? InterpreterPool::start(suite.options().ipe_python, no_interpreter_pool_)
                            : nullptr) {
  for (const interpool::Submitter& worker : workers) {
    worker.submit([] { place_this_thread(End::kWorker); }).get();
  }
  bare_.run([] {
    place_this_thread(End::kWorker);
    return 0.0;
  });
}

double CallReferences::bare_loop(std::size_t count) {
  return bare_.run([count] { return bare_call_loop(count); });
}

double CallReferences::bare_loop_beside_another(std::size_t count) {
  constexpr std::size_t kShort = 1000;
  std::atomic<bool> stop = false;
  auto other = std::async(std::launch::async, [&] {
    return other_.run([&] {
      place_this_thread(End::kCaller);
      while (!stop) bare_call_loop(kShort);
      return 0.0;
    });
  });
  const double time = bare_loop(count);
  stop = true;
  other.get();
  return time;
}

void CallReferences::compare_interpreter_pool(Suite& suite, const std::vector<Side>& sides) const {
  if (interpreter_pool_ == nullptr) {
    suite.skip(interpreter_pool_row_, no_interpreter_pool_);
    return;
  }
  suite.compare(sides, {interpreter_pool_row_}, suite.options().few_repetitions());
}

}  // namespace bench
