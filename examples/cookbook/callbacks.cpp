// Python code that asks the host for data and tells it how far it has got.
#include <interpool/interpool.h>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

int main() {
  const std::map<std::string, double> prices = {{"ink", 2.5}, {"paper", 0.25}};
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  pool.define_module("invoice",
                     "def total(order, price, progress):\n"
                     "    total = 0\n"
                     "    for done, (name, count) in enumerate(order.items(), 1):\n"
                     "        total += count * price(name)\n"
                     "        progress(done / len(order))\n"
                     "    return total\n");

  // They run on the worker's thread, without the GIL, so they may block; what they refer to outlives the
  // pool.
  const interpool::Callback price([&](const std::string& name) { return prices.at(name); }, "price");
  const interpool::Callback progress([](double part) { std::printf("%.0f %%\n", 100 * part); });
  using Order = std::map<std::string, int>;
  std::printf("%.2f\n",
              pool.call<double>("invoice:total", Order{{"ink", 2}, {"paper", 4}}, price, progress).get());

  // An exception of C++ goes through Python, where it can be caught, and comes out as what it was.
  try {
    pool.call<double>("invoice:total", Order{{"glue", 1}}, price, progress).get();
  } catch (const std::out_of_range&) {
    std::printf("no such price\n");
  }
}
