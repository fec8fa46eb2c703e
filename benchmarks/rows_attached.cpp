// A call on a thread that is attached, against the same written by hand.

#include "bare_interpreter.h"
#include "call_references.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <cstddef>
#include <thread>

namespace bench {

namespace {

/// What a host would write: one swap in, the call, one swap out. Its interpreter lives on the calling thread.
class SwappedInterpreter {
 public:
  SwappedInterpreter() : state_(new_interpreter()), abs_(new_abs()) { PyThreadState_Swap(nullptr); }
  ~SwappedInterpreter() {
    PyThreadState_Swap(state_);
    Py_DECREF(abs_);
    Py_EndInterpreter(state_);
  }
  SwappedInterpreter(const SwappedInterpreter&) = delete;
  SwappedInterpreter& operator=(const SwappedInterpreter&) = delete;

  long abs(long value) {
    PyThreadState_Swap(state_);
    const long result = call_abs(abs_, value);
    PyThreadState_Swap(nullptr);
    return result;
  }

 private:
  PyThreadState* state_;
  PyObject* abs_;
};

template <class Call>
double calls(std::size_t count, Call call) {
  long sum = 0;
  const double time = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) sum += call(-static_cast<long>(i));
  });
  check_sum(sum, count);
  return time;
}

}  // namespace

void attached_rows(Suite& suite, interpool::Runtime& runtime) {
  constexpr std::size_t kCalls = 200'000;
  enum : std::size_t { kAttached, kSwapped };
  const Comparison attached = {
      .id = "attached.call/swap",
      .what = "a trivial typed call on an attached thread, against the same C calls with one swap",
      .side = kAttached,
      .reference = kSwapped,
      .goal = Goal::at_most(1.3)};
  if (!suite.wants(attached.id)) return;

  interpool::SubinterpreterExecutor pool(runtime, {.pinned_workers = 1});
  // Both on a thread that ends before the pool does.
  std::thread([&] {
    const auto abs = pool.attach().function<long(long)>("builtins:abs");
    SwappedInterpreter swapped;
    suite.compare(
        {{"interpool", [&] { return calls(kCalls, abs); }},
         {"swap, call, swap", [&] { return calls(kCalls, [&](long value) { return swapped.abs(value); }); }}},
        {attached}, suite.options().repetitions());
  }).join();
}

}  // namespace bench
