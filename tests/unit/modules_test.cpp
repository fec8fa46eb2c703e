// Modules that the host gives its interpreters: in source, and native ones.
#include "support/busy.h"
#include "support/native_modules.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace interpool::test {
namespace {

constexpr const char* kSettings =
    "limit = 0\n"
    "def configure(n):\n"
    "    global limit\n"
    "    limit = n\n"
    "def get():\n"
    "    return limit\n"
    "def fail():\n"
    "    # a comment\n"
    "    return 1 / limit\n";

ExecutorOptions two_kinds() { return {.pinned_workers = 2, .pooled = {.threads = 2, .interpreters = 1}}; }

/// Where the name differs from test to test: the Runtime, with the modules it was given, is one per process.
class Modules : public testing::Test {
 protected:
  ~Modules() override { pool_.reset(); }
  SubinterpreterExecutor& pool() { return *pool_; }
  /// One way to every interpreter.
  std::map<std::string, Submitter> lanes() {
    return {{"pinned 0", pool().pinned(0)},
            {"pinned 1", pool().pinned(1)},
            {"pooled", pool()},
            {"main", pool().main()}};
  }
  template <class R>
  static R eval(const Submitter& worker, const std::string& expression) {
    return get(worker.submit([&](Worker& python) { return python.eval<R>(expression); }));
  }
  static void exec(const Submitter& worker, const std::string& code) {
    get(worker.submit([&](Worker& python) { python.exec(code); }));
  }

 private:
  std::unique_ptr<SubinterpreterExecutor> pool_ =
      std::make_unique<SubinterpreterExecutor>(runtime(), two_kinds());
};

TEST_F(Modules, AreFoundInEveryInterpreterPresentAndFuture) {
  exec(pool().pinned(0), "pass");  // this interpreter is there before the module is
  pool().define_module("settings_everywhere", kSettings);
  for (const auto& [lane, worker] : lanes()) {
    SCOPED_TRACE(lane);
    get(worker.call<void>("settings_everywhere:configure", 7));
    EXPECT_EQ(get(worker.call<int>("settings_everywhere:get")), 7);
  }
  EXPECT_EQ(pool().attach().call<int>("settings_everywhere:get"), 0);
  // Of another executor, which is made later, and each with a state of its own.
  SubinterpreterExecutor other(runtime(), {.preload = {"settings_everywhere"}});
  EXPECT_EQ(get(other.call<int>("settings_everywhere:get")), 0);
}

TEST_F(Modules, AreLoadedWhereTheyAreImportedAndNotBefore) {
  runtime().define_module("loaded_late", "import sys\nsys.loaded_late = True\n");
  exec(pool().pinned(0), "import loaded_late");
  EXPECT_TRUE(eval<bool>(pool().pinned(0), "hasattr(__import__('sys'), 'loaded_late')"));
  EXPECT_FALSE(eval<bool>(pool().pinned(1), "hasattr(__import__('sys'), 'loaded_late')"));
}

TEST_F(Modules, ComeBeforeFilesOfTheirName) {
  runtime().define_module("interpool_flaky_path", "origin = 'host'\n");  // in tests/support/python, too
  EXPECT_EQ(
      eval<std::string>(pool().pinned(0), "getattr(__import__('interpool_flaky_path'), 'origin', 'a file')"),
      "host");
}

TEST_F(Modules, ASyntaxErrorIsThrownWhereTheModuleIsDefined) {
  const auto error = error_of<PythonError>([] {
    runtime().define_module("misspelt", "ok = 1\ndef broken(:\n");
    return 0;
  });
  EXPECT_EQ(error.type(), "SyntaxError");
  EXPECT_EQ(error.python_message(), "invalid syntax (misspelt.py, line 2)");
  EXPECT_EQ(error.task(), "define_module misspelt");
  EXPECT_EQ(error_of<PythonError>(pool().call<int>("misspelt:broken")).type(), "ModuleNotFoundError");
}

TEST_F(Modules, ErrorsInThemShowTheirSource) {
  pool().define_module("settings_failing", kSettings);
  for (const auto& [lane, worker] : lanes()) {
    SCOPED_TRACE(lane);
    const auto error = error_of<PythonError>(worker.call<void>("settings_failing:fail"));
    ASSERT_EQ(error.frames().size(), 1U);
    EXPECT_EQ(error.frames()[0].file, "<interpool>/settings_failing.py");
    EXPECT_EQ(error.frames()[0].line, 9);
    EXPECT_EQ(error.frames()[0].source, "return 1 / limit");
    // And in what Python itself prints.
    exec(worker,
         "import settings_failing, traceback, inspect\n"
         "try:\n"
         "    settings_failing.fail()\n"
         "except ZeroDivisionError:\n"
         "    text = traceback.format_exc()\n");
    EXPECT_TRUE(eval<bool>(worker, "'    return 1 / limit' in text")) << eval<std::string>(worker, "text");
    EXPECT_EQ(eval<std::string>(worker, "inspect.getsource(settings_failing.get)"),
              "def get():\n    return limit\n");
    EXPECT_EQ(eval<std::string>(worker, "repr(settings_failing)"),
              "<module 'settings_failing' (<interpool>/settings_failing.py)>");
  }
}

TEST_F(Modules, AnErrorInTheBodyIsThatOfTheImportAndTheNextOneTriesAgain) {
  runtime().define_module("hesitant",
                          "import sys\n"
                          "sys.tries = getattr(sys, 'tries', 0) + 1\n"
                          "if sys.tries < 3: raise LookupError(f'try {sys.tries}')\n");
  const Submitter worker = pool().pinned(0);
  for (const char* text : {"try 1", "try 2"}) {
    const auto error = error_of<PythonError>(worker.call<int>("hesitant:missing"));
    EXPECT_EQ(error.python_message(), text);
    ASSERT_EQ(error.frames().size(), 1U) << error.traceback();  // none of Python's own
    EXPECT_EQ(error.frames()[0].source, "if sys.tries < 3: raise LookupError(f'try {sys.tries}')");
  }
  exec(worker, "import hesitant");
  EXPECT_EQ(eval<int>(worker, "__import__('sys').tries"), 3);
}

TEST_F(Modules, ANewSourceIsForThoseThatHaveNotImportedTheOldOne) {
  const Submitter early = pool().pinned(0);
  const Submitter late = pool().pinned(1);
  runtime().define_module("versioned",
                          "def version():\n    return 1\n\ndef fail():\n    raise ValueError('one')\n");
  EXPECT_EQ(get(early.call<int>("versioned:version")), 1);
  runtime().define_module("versioned",
                          "def version():\n    return 2\n\ndef fail():\n    raise ValueError('two')\n");
  EXPECT_EQ(get(early.call<int>("versioned:version")), 1);
  EXPECT_EQ(get(late.call<int>("versioned:version")), 2);
  // Each shows the lines that it runs.
  EXPECT_EQ(error_of<PythonError>(early.call<int>("versioned:fail")).frames()[0].source,
            "raise ValueError('one')");
  EXPECT_EQ(error_of<PythonError>(late.call<int>("versioned:fail")).frames()[0].source,
            "raise ValueError('two')");
  exec(early, "import importlib, versioned\nimportlib.reload(versioned)");
  EXPECT_EQ(eval<int>(early, "versioned.version()"), 2);
}

TEST_F(Modules, TheSameSourceAgainChangesNothing) {
  runtime().define_module("unchanged", "x = 1\n");
  runtime().define_module("unchanged", "x = 1\n");
  EXPECT_EQ(eval<std::string>(pool().pinned(0), "__import__('unchanged').__spec__.origin"),
            "<interpool>/unchanged.py");
}

TEST_F(Modules, WhatCannotBeDefinedIsAUsageError) {
  const auto refused = [](const std::string& name, const std::string& source = "") {
    return error_of<UsageError>([&] {
             runtime().define_module(name, source);
             return 0;
           })
        .message();
  };
  for (const char* name : {"", "a.b", "1st", "a b", "a:b", "caf\xC3\xA9"}) {
    EXPECT_NE(refused(name).find("cannot name a module"), std::string::npos) << name;
  }
  for (const char* name : {"__main__", "interpool"}) {
    EXPECT_NE(refused(name).find("of every interpreter already"), std::string::npos) << name;
  }
  for (const char* name : {"sys", "json", "builtins"}) {
    EXPECT_NE(refused(name).find("standard library"), std::string::npos) << name;
  }
  EXPECT_EQ(refused("not_text", "x = '\xFF'"), "the source of 'not_text' is not UTF-8");
  EXPECT_EQ(refused("not_text", std::string("x = 1\0y", 7)), "Python code cannot contain a NUL character");
}

TEST_F(Modules, SourceIsUtf8WhateverItsCommentsSay) {
  runtime().define_module("encoded", "# -*- coding: latin-1 -*-\ntext = 'caf\xC3\xA9'\n");
  EXPECT_EQ(eval<std::string>(pool().pinned(0), "__import__('encoded').text"), "caf\xC3\xA9");
}

TEST_F(Modules, MayBeDefinedInsideTasks) {
  for (const auto& [lane, worker] : lanes()) {
    SCOPED_TRACE(lane);
    const std::string name = "inside_" + lane.substr(0, 4);
    get(worker.submit([&](Worker& python) {
      runtime().define_module(name, "x = 3\n");
      EXPECT_EQ(python.eval<int>("__import__('" + name + "').x"), 3);
    }));
  }
}

TEST_F(Modules, AreNotDefinedWhileATaskHoldsMainsGil) {
  exec(pool().pinned(0), "pass");  // its interpreter could not be created then, either
  Event held;
  Event release;
  auto busy = pool().main().submit([&](Worker&) {
    held.set();
    release.wait();
  });
  held.wait();
  SleepingThread definer([] { runtime().define_module("waited_for", "x = 4\n"); });
  definer.wait_until_asleep();
  // It was not in main yet.
  EXPECT_EQ(error_of<PythonError>(pool().pinned(0).call<int>("waited_for:x")).type(), "ModuleNotFoundError");
  release.set();
  get(busy);
  definer.join();
  EXPECT_EQ(eval<int>(pool().pinned(0), "__import__('waited_for').x"), 4);
}

TEST_F(Modules, AreDefinedAndImportedWhileInterpretersComeAndGo) {
  constexpr int kModules = 20;
  std::atomic<bool> done = false;
  std::thread definer([&] {
    for (int i = 0; i < kModules; ++i) {
      const std::string n = std::to_string(i);
      runtime().define_module("going" + n, "x = " + n + "\n");
      runtime().define_module("going", "newest = " + n + "\n");
    }
    done = true;
  });
  runtime().define_module("going", "newest = -1\n");
  do {
    SubinterpreterExecutor passing(runtime(), {.pooled = {.threads = 2}});
    EXPECT_LT(eval<int>(passing, "__import__('going').newest"), kModules);
  } while (!done);
  definer.join();
  for (int i = 0; i < kModules; ++i) {
    EXPECT_EQ(eval<int>(pool(), "__import__('going" + std::to_string(i) + "').x"), i);
  }
}

TEST_F(Modules, NativeOnesHaveAStatePerInterpreter) {
  runtime().add_native_module("native_counter", &PyInit_native_counter);
  runtime().add_native_module("native_counter", &PyInit_native_counter);  // changes nothing
  for (const auto& [lane, worker] : lanes()) {
    SCOPED_TRACE(lane);
    EXPECT_EQ(get(worker.call<int>("native_counter:bump")), 1);
    EXPECT_EQ(get(worker.call<int>("native_counter:bump")), 2);
    exec(worker, "import importlib, native_counter\nimportlib.reload(native_counter)");
    EXPECT_EQ(get(worker.call<int>("native_counter:bump")), 3);
    EXPECT_EQ(eval<std::string>(worker, "repr(native_counter)"), "<module 'native_counter' (<interpool>)>");
  }
}

TEST_F(Modules, NativeOnesThatNeedMainAreImportErrorsElsewhere) {
  runtime().add_native_module("native_main_only", &PyInit_native_main_only);
  EXPECT_EQ(get(pool().main().call<int>("native_main_only:bump")), 1);
  const auto error = error_of<PythonError>(pool().pinned(0).call<int>("native_main_only:bump"));
  EXPECT_EQ(error.type(), "ImportError");
  EXPECT_EQ(error.python_message(), "module native_main_only does not support loading in subinterpreters");
}

TEST_F(Modules, NativeOnesThatCannotBeAreErrorsAtOnce) {
  const auto add = [](const char* name, NativeModuleInit init) {
    return [=] {
      runtime().add_native_module(name, init);
      return 0;
    };
  };
  const auto old = error_of<PythonError>(add("native_old", &PyInit_native_old));
  EXPECT_EQ(old.type(), "ImportError");
  EXPECT_NE(old.python_message().find("single-phase"), std::string::npos);
  EXPECT_EQ(error_of<PythonError>(add("native_failing", &PyInit_native_failing)).python_message(),
            "not today");
  EXPECT_EQ(error_of<UsageError>(add("native_null", nullptr)).message(),
            "the init function of 'native_null' is null");
  for (const char* name : {"native_old", "native_failing", "native_null"}) {
    EXPECT_EQ(error_of<PythonError>(pool().pinned(0).call<int>(std::string(name) + ":f")).type(),
              "ModuleNotFoundError");
  }
  // A name is native or not, for good.
  runtime().define_module("in_python", "x = 1\n");
  EXPECT_NE(
      error_of<UsageError>(add("in_python", &PyInit_native_counter)).message().find("choose another name"),
      std::string::npos);
  runtime().add_native_module("in_native", &PyInit_native_counter);
  EXPECT_NE(
      error_of<UsageError>(add("in_native", &PyInit_native_main_only)).message().find("choose another name"),
      std::string::npos);
  EXPECT_NE(error_of<UsageError>([] {
              runtime().define_module("in_native", "x = 1\n");
              return 0;
            })
                .message()
                .find("choose another name"),
            std::string::npos);
}

}  // namespace
}  // namespace interpool::test
