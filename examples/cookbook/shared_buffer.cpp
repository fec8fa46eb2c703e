// Samples that C++ and several interpreters work on in place: nothing is copied, whatever their size.
#include <interpool/interpool.h>

#include <cstddef>
#include <cstdio>
#include <vector>

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
  pool.define_module("audio",
                     "def scale(samples, begin, end, factor):\n"
                     "    part = memoryview(samples)[begin:end]\n"  // a view, too
                     "    for i, value in enumerate(part):\n"
                     "        part[i] = value * factor\n"
                     "def loudest(samples):\n"
                     "    return max(memoryview(samples))\n");

  // The vector's own memory, which lives until the last handle in C++ or Python has gone.
  const auto samples = interpool::Buffer::adopt(std::vector<float>(1'000'000, 0.5F));
  const std::size_t half = 500'000;
  auto left = pool.call<void>("audio:scale", samples, 0, half, 0.5);
  auto right = pool.call<void>("audio:scale", samples, half, 2 * half, 1.5);
  left.get();  // before anybody reads what they write: nothing else orders it
  right.get();

  const auto values = samples.as<float>();
  std::printf("%.2f %.2f\n", static_cast<double>(values[0]), static_cast<double>(values[half]));
  std::printf("loudest %.2f\n", pool.call<double>("audio:loudest", samples).get());
}
