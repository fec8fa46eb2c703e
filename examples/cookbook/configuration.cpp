// Configuration that every interpreter has, those that are there and those that come later.
#include <interpool/interpool.h>

#include <cstdio>
#include <string>

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 2});
  // In no file: every interpreter finds it, and loads it when it first imports it.
  pool.define_module("settings",
                     "level = 'unset'\n"
                     "def configure(new):\n"
                     "    global level\n"
                     "    level = new\n"
                     "    return level\n"
                     "def current():\n"
                     "    return level\n");
  const auto level = [&](std::size_t worker) {
    return pool.pinned(worker).call<std::string>("settings:current").get();
  };

  std::printf("before: %s\n", level(0).c_str());
  // Answers come from those that are there, the main one first; worker 1 has no interpreter yet.
  for (const auto& answer : pool.broadcast<std::string>("settings:configure", "debug").get()) {
    std::printf("%s: %s\n", to_string(answer.lane), answer.value.c_str());
  }
  std::printf("worker 0: %s\n", level(0).c_str());
  std::printf("worker 1: %s\n", level(1).c_str());  // configured while it was set up
}
