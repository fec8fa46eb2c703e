// The module `interpool` that Python code finds in its interpreter. Output and logs need a Runtime of their
// own: see scenario/inside_scenarios.cpp.
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace interpool::test {
namespace {

using Text = std::optional<std::string>;

class InsidePython : public testing::Test {
 protected:
  SubinterpreterExecutor pool{
      runtime(),
      {.pinned_workers = 2, .pooled = {.threads = 3, .interpreters = 2}, .preload = {"interpool"}}};
};

template <class T>
T eval(const Submitter& worker, const std::string& expression) {
  return get(worker.submit([&](Worker& python) { return python.eval<T>(expression); }));
}

TEST_F(InsidePython, ItsModuleIsInEveryInterpreter) {
  for (const Submitter& worker : std::vector<Submitter>{pool.pinned(0), pool.pinned(1), pool, pool.main()}) {
    EXPECT_EQ(eval<std::string>(worker, "repr(__import__('interpool'))"), "<module 'interpool' (built-in)>");
    EXPECT_TRUE(
        eval<bool>(worker, "__import__('importlib.util').util.find_spec('interpool').name == 'interpool'"));
  }
}

TEST_F(InsidePython, AWorkerKnowsItsName) {
  EXPECT_EQ(get(pool.pinned(0).call<Text>("interpool:worker_id")), "pinned-0");
  EXPECT_EQ(get(pool.pinned(1).call<Text>("interpool:worker_id")), "pinned-1");
  EXPECT_EQ(get(pool.main().call<Text>("interpool:worker_id")), "main");
  // Two threads in one interpreter are two workers.
  get(pool.submit([](Worker& python) {
    EXPECT_EQ(python.call<Text>("interpool:worker_id"), "pooled-" + std::to_string(python.index()));
  }));
}

TEST_F(InsidePython, ATaskKnowsItsName) {
  for (const Submitter& worker : std::vector<Submitter>{pool.pinned(0), pool, pool.main()}) {
    EXPECT_EQ(get(worker.with({.name = "GET / \u00fc"}).call<Text>("interpool:task_name")), "GET / \u00fc");
    EXPECT_EQ(get(worker.call<Text>("interpool:task_name")), "interpool:task_name") << "the function's";
    EXPECT_EQ(eval<Text>(worker, "__import__('interpool').task_name()"), "");
    EXPECT_EQ(get(worker.with({.name = "not \xff text"}).call<Text>("interpool:task_name")),
              "not \ufffd text");
  }
}

TEST_F(InsidePython, PythonCodeMakesBuffers) {
  for (const Submitter& worker : std::vector<Submitter>{pool.pinned(0), pool, pool.main()}) {
    const auto made = get(worker.call<Buffer>("interpool:Buffer", Bytes{std::byte{1}, std::byte{2}}));
    EXPECT_EQ(made.size(), 2U);
    // It is the type of those that come from C++.
    EXPECT_TRUE(get(worker.submit([&](Worker& python) {
      python.exec("def is_one(value):\n    import interpool\n    return type(value) is interpool.Buffer\n");
      return python.call<bool>("__main__:is_one", made);
    })));
  }
}

TEST_F(InsidePython, AnAttachedThreadIsAWorkerDuringACall) {
  AttachedThread here = pool.attach();
  EXPECT_EQ(here.call<Text>("interpool:worker_id"), "attached-0");
  EXPECT_EQ(here.call<Text>("interpool:task_name"), "interpool:task_name");
  EXPECT_EQ(here.run([](Worker& python) { return python.eval<Text>("__import__('interpool').task_name()"); }),
            "");
  here.release();
}

TEST_F(InsidePython, AThreadOfPythonsOwnIsNoWorker) {
  constexpr const char* kInAThread =
      "import interpool, threading\n"
      "seen = []\n"
      "thread = threading.Thread(target=lambda: seen.extend((interpool.worker_id(), "
      "interpool.task_name())))\n"
      "thread.start()\n"
      "thread.join()\n";
  for (const Submitter& worker : std::vector<Submitter>{pool.pinned(0), pool, pool.main()}) {
    get(worker.submit([&](Worker& python) {
      python.exec(kInAThread);
      EXPECT_EQ(python.eval<std::vector<Text>>("seen"), (std::vector<Text>{std::nullopt, std::nullopt}));
    }));
  }
}

TEST_F(InsidePython, WhatAWorkerDoesBetweenTasksIsNoTasks) {
  SubinterpreterExecutor other(runtime(), {.pinned_workers = 1, .preload = {"interpool_where"}});
  const auto where = get(other.pinned(0).submit(
      [](Worker& python) { return python.eval<std::vector<Text>>("__import__('interpool_where').where"); }));
  EXPECT_EQ(where, (std::vector<Text>{"pinned-0", std::nullopt})) << "while it was preloaded";
}

TEST_F(InsidePython, ItsFunctionsTakeNoArguments) {
  const auto error = error_of<PythonError>(pool.call<void>("interpool:worker_id", 1));
  EXPECT_EQ(error.type(), "TypeError");
}

}  // namespace
}  // namespace interpool::test
