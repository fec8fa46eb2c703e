// A model is loaded once per worker, and used by many threads of the host.
#include <interpool/interpool.h>

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

int main() {
  interpool::Runtime python;
  python.define_module("model",
                       "import random\n"
                       "class Model:\n"
                       "    def __init__(self, path):\n"
                       "        self.path, self.calls = path, 0\n"  // here a real one reads a gigabyte
                       "    def predict(self, text):\n"
                       "        self.calls += 1\n"
                       "        return len(text) + random.randrange(1)\n");
  // Before the first task of each worker: what the model needs in its interpreter.
  const interpool::WorkerHooks hooks = {
      .start = [](interpool::Worker& worker) { worker.call<void>("random:seed", worker.index()); }};
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 2, .preload = {"model"}, .hooks = hooks});

  std::vector<interpool::Object> models;
  models.reserve(pool.pinned_workers());
  for (std::size_t i = 0; i < pool.pinned_workers(); ++i) {
    models.push_back(pool.pinned(i).create("model:Model", "weights.bin"));
  }
  const std::vector<std::string> texts = {"a", "bb", "ccc", "dddd"};
  std::vector<interpool::Future<int>> answers;
  answers.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    answers.push_back(models[i % models.size()].call<int>("predict", texts[i]));
  }
  for (auto& answer : answers) std::printf("%d\n", answer.get());
  std::printf("each model was called %d times\n", models[0].get<int>("calls").get());
}
