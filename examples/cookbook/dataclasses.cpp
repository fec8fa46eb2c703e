// Structs of C++ that are dataclasses in Python, both ways, by one declaration each.
#include <interpool/interpool.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

struct Item {
  std::string name;
  double price = 0;
};
struct Order {
  std::int64_t id = 0;
  std::vector<Item> items;
};

template <>
inline constexpr auto interpool::kFields<Item> = interpool::fields(
    "shop:Item", interpool::field("name", &Item::name), interpool::field("price", &Item::price));
template <>
inline constexpr auto interpool::kFields<Order> = interpool::fields(
    "shop:Order", interpool::field("id", &Order::id), interpool::field("items", &Order::items));

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 1}});
  pool.define_module("shop",
                     "from dataclasses import dataclass, replace\n"
                     "@dataclass\nclass Item:\n    name: str\n    price: float\n"
                     "@dataclass\nclass Order:\n    id: int\n    items: list[Item]\n"
                     "def cheapest(order):\n"
                     "    return replace(order, items=[min(order.items, key=lambda item: item.price)])\n");
  const Order order{7, {{"ink", 2.5}, {"paper", 0.25}}};
  const Order cheapest = pool.call<Order>("shop:cheapest", order).get();
  std::printf("order %d: %s\n", static_cast<int>(cheapest.id), cheapest.items[0].name.c_str());
}
