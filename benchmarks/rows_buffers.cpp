// Memory that goes into Python and comes back without a copy.

#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <cstddef>
#include <vector>

namespace bench {

namespace {

/// Nanoseconds from giving a Buffer to a Python function to having it back.
double round_trips(const interpool::Function<interpool::Buffer(interpool::Buffer)>& same,
                   const interpool::Buffer& buffer, std::size_t count) {
  std::size_t returned = 0;
  const double time = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) returned += same(buffer).get().size();
  });
  check(returned == count * buffer.size(), "a Buffer came back with another size");
  return time;
}

}  // namespace

void buffer_rows(Suite& suite, interpool::Runtime& runtime) {
  constexpr std::size_t kCalls = 20'000;

  enum : std::size_t { kLarge, kSmall };
  const std::vector<Comparison> sizes = {
      {.id = "buffer.size",
       .what = "a Buffer of 256 MiB to Python and back, against one of 1 KiB",
       .side = kLarge,
       .reference = kSmall,
       .goal = Goal::at_most(1.1)},
  };
  if (!suite.wants_any(sizes)) return;

  interpool::SubinterpreterExecutor pool(runtime, {.pinned_workers = 1});
  const interpool::Submitter worker = pool.pinned(0);
  worker.submit([](interpool::Worker& python) { python.exec("def same(buffer):\n    return buffer\n"); })
      .get();
  const auto same = worker.function<interpool::Buffer(interpool::Buffer)>("__main__:same");
  const auto large = interpool::Buffer::allocate(std::size_t{256} << 20);
  const auto small = interpool::Buffer::allocate(1 << 10);

  const std::vector<Side> sides = {
      {"256 MiB", [&] { return round_trips(same, large, kCalls); }},
      {"1 KiB", [&] { return round_trips(same, small, kCalls); }},
  };
  suite.compare(sides, sizes, suite.options().repetitions());
}

}  // namespace bench
