// Errors: what a task's failure tells, and that it is a failure of that task only.
#include "support/out_of_memory.h"
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

/// Holds something whose owners can be counted.
struct Counted {
  std::shared_ptr<int> count;
};

}  // namespace

template <>
struct interpool::Converter<Counted> {
  static void encode(Encoder& out, const Counted& /*value*/) { out.put_none(); }
};

namespace interpool::test {
namespace {

/// A folder for one test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "interpool-errors-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

static_assert(std::is_nothrow_copy_constructible_v<Error>);
static_assert(std::is_nothrow_copy_constructible_v<PythonError>);
static_assert(std::is_nothrow_copy_constructible_v<ConversionError>);
static_assert(std::is_nothrow_copy_constructible_v<NativeError>);

class Errors : public WithOneWorker {
 protected:
  static PythonError python_error(const std::string& code) {
    return error_of<PythonError>([&] { exec(code); });
  }
  /// Imports the code as a module, so that its frames have a file, and calls its function f.
  static PythonError module_error(const std::string& code) {
    static int number = 0;
    const std::string name = "interpool_errors_" + std::to_string(number++);
    const auto folder =
        std::filesystem::temp_directory_path() / ("interpool-errors-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / (name + ".py")) << code;
    exec("import sys, importlib; importlib.invalidate_caches()\nsys.path.insert(0, '" + folder.string() +
         "')");
    const auto error = error_of<PythonError>(pool().call<void>(name + ":f"));
    exec("sys.path.pop(0)");
    std::filesystem::remove_all(folder);
    return error;
  }
};

TEST_F(Errors, APythonErrorHasTheExceptionsData) {
  const auto error = python_error("import json\njson.loads('{')");
  EXPECT_EQ(error.code(), ErrorCode::kPython);
  EXPECT_EQ(error.type(), "JSONDecodeError");
  EXPECT_EQ(error.qualified_type(), "json.decoder.JSONDecodeError");
  EXPECT_EQ(error.python_message().substr(0, 18), "Expecting property");
  EXPECT_EQ(error.message(), error.qualified_type() + ": " + error.python_message());
  EXPECT_GT(error.interpreter(), 0);

  const auto builtin = python_error("raise KeyError('x')");
  EXPECT_EQ(builtin.type(), "KeyError");
  EXPECT_EQ(builtin.qualified_type(), "KeyError");
  EXPECT_EQ(builtin.python_message(), "'x'");
  EXPECT_EQ(python_error("raise ValueError").message(), "ValueError");
  EXPECT_EQ(python_error("class E(Exception): pass\nraise E('mine')").qualified_type(), "E");
}

TEST_F(Errors, FramesTellFileLineFunctionAndSource) {
  const auto error = module_error(
      "class C:\n"
      "    def method(self):\n"
      "        raise ValueError('deep')  \n"
      "\n"
      "def f():\n"
      "    return C().method()\n");
  ASSERT_EQ(error.frames().size(), 2U);
  const PythonFrame& outer = error.frames()[0];
  EXPECT_EQ(outer.function, "f");
  EXPECT_EQ(outer.line, 6);
  EXPECT_EQ(outer.source, "return C().method()");
  const PythonFrame& inner = error.frames()[1];
  EXPECT_EQ(inner.function, "C.method");
  EXPECT_EQ(inner.line, 3);
  EXPECT_EQ(inner.source, "raise ValueError('deep')");
  EXPECT_EQ(std::filesystem::path(inner.file).extension(), ".py");
  EXPECT_EQ(error.traceback().substr(0, 34), "Traceback (most recent call last):");
  EXPECT_NE(error.traceback().find(
                inner.file + "\", line 3, in C.method\n    raise ValueError('deep')\nValueError: deep\n"),
            std::string::npos)
      << error.traceback();
}

TEST_F(Errors, FilesThatAreNoSourceAreLeftAlone) {
  const TemporaryFolder folder;
  const auto source_of = [](const std::string& file) {
    const auto error = python_error("exec(compile('1 / 0', '" + file + "', 'exec'))");
    return error.frames().back().file == file ? error.frames().back().source : "another file";
  };
  const std::string fifo = folder.path() / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(source_of(fifo), "") << "nobody writes to it, so nobody must wait for that";
  EXPECT_EQ(source_of("/dev/zero"), "");
  EXPECT_EQ(source_of(folder.path()), "");
  EXPECT_EQ(source_of("/no/such/file"), "");
  const std::string code = folder.path() / "code.py";
  std::ofstream(code) << "  what = 'a line'\n";
  EXPECT_EQ(source_of(code), "what = 'a line'");
  std::ofstream(code) << std::string(1'000'000, 'x');
  const std::string cut = source_of(code);
  EXPECT_LT(cut.size(), 10'000U);
  EXPECT_TRUE(cut.starts_with("xxx"));
}

TEST_F(Errors, FramesOfExecutedTextHaveNoSource) {
  const auto error = python_error("def g():\n  1 / 0\ng()");
  ASSERT_EQ(error.frames().size(), 2U);
  EXPECT_EQ(error.frames()[0].file, "<exec>");
  EXPECT_EQ(error.frames()[1].line, 2);
  EXPECT_EQ(error.frames()[1].function, "g");
  EXPECT_EQ(error.frames()[1].source, "");
  EXPECT_EQ(error_of<PythonError>([] { eval<int>("1 / 0"); }).frames().at(0).file, "<eval>");
}

TEST_F(Errors, TheTracebackIsPythonsOwn) {
  // Compared with the traceback module, but for the lines of carets below the source.
  const std::string code =
      "import traceback\n"
      "def low():\n"
      "    error = KeyError('low')\n"
      "    error.add_note('a note')\n"
      "    raise error\n"
      "def middle():\n"
      "    try:\n"
      "        low()\n"
      "    except KeyError as e:\n"
      "        raise ValueError('middle') from e\n"
      "def high():\n"
      "    try:\n"
      "        middle()\n"
      "    except ValueError:\n"
      "        {}['high']\n"
      "def f():\n"
      "    try:\n"
      "        high()\n"
      "    except Exception as e:\n"
      "        lines = ''.join(traceback.format_exception(e)).splitlines()\n"
      "        f.text = '\\n'.join(l for l in lines if l.strip(' ~^') or not l) + '\\n'\n"
      "        import builtins; builtins.expected = f.text\n"
      "        raise\n";
  const auto error = module_error(code);
  const auto expected = eval<std::string>("__import__('builtins').expected");
  EXPECT_EQ(error.traceback(), expected);
}

TEST_F(Errors, NotesCausesAndContexts) {
  const auto noted = python_error("e = ValueError('v')\ne.add_note('one')\ne.add_note('two')\nraise e");
  EXPECT_EQ(noted.notes(), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(noted.cause(), nullptr);

  const auto caused = python_error("try:\n  1 / 0\nexcept Exception as e:\n  raise ValueError('v') from e");
  ASSERT_NE(caused.cause(), nullptr);
  EXPECT_EQ(caused.cause()->type, "ZeroDivisionError");
  EXPECT_FALSE(caused.info().cause_is_context);
  EXPECT_NE(caused.traceback().find("direct cause"), std::string::npos);

  const auto context = python_error("try:\n  1 / 0\nexcept Exception:\n  raise ValueError('v')");
  ASSERT_NE(context.cause(), nullptr);
  EXPECT_EQ(context.cause()->type, "ZeroDivisionError");
  EXPECT_TRUE(context.info().cause_is_context);
  EXPECT_NE(context.traceback().find("During handling"), std::string::npos);

  const auto none = python_error("try:\n  1 / 0\nexcept Exception:\n  raise ValueError('v') from None");
  EXPECT_EQ(none.cause(), nullptr);
  EXPECT_FALSE(none.info().cause_is_context);
}

TEST_F(Errors, CausesThatRunInACircleEnd) {
  const auto error =
      python_error("a = ValueError('a')\nb = KeyError('b')\na.__cause__ = b\nb.__cause__ = a\nraise a");
  EXPECT_EQ(error.type(), "ValueError");
  std::size_t causes = 0;
  for (const PythonErrorInfo* info = error.cause(); info != nullptr; info = info->cause.get()) ++causes;
  EXPECT_GE(causes, 1U);
  EXPECT_LE(causes, 100U);
  EXPECT_EQ(python_error("e = ValueError('self')\ne.__cause__ = e\nraise e").type(), "ValueError");
}

TEST_F(Errors, ExceptionsThatMisbehaveAreStillDescribed) {
  EXPECT_EQ(python_error("class E(Exception):\n  def __str__(self): raise RuntimeError\nraise E").type(),
            "E");
  EXPECT_EQ(python_error("class E(Exception):\n  def __str__(self): return 5\nraise E").type(), "E");
  const auto notes = python_error("e = ValueError('x')\ne.__notes__ = 7\nraise e");
  EXPECT_TRUE(notes.notes().empty());
  const auto odd = python_error("e = ValueError('x')\ne.__notes__ = [3, 'n']\nraise e");
  EXPECT_EQ(odd.notes().back(), "n");
  EXPECT_EQ(python_error("raise ValueError('a\\ud800b')").python_message(),
            "a\xED\xA0\x80"
            "b");
  EXPECT_EQ(python_error("raise ValueError('a\\0b')").python_message(), std::string("a\0b", 3));
  EXPECT_EQ(python_error("class M(type):\n  @property\n  def __module__(c): raise RuntimeError\n"
                         "class E(Exception, metaclass=M): pass\nraise E('odd')")
                .python_message(),
            "odd");
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(Errors, DeepRecursionIsCutInTheMiddle) {
  const auto error = python_error(
      "import sys\nsys.setrecursionlimit(1500)\ndef f(n):\n  if n == 0: raise ValueError('bottom')\n  f(n - "
      "1)\nf(1000)");
  EXPECT_EQ(error.python_message(), "bottom");
  EXPECT_LT(error.frames().size(), 200U);
  EXPECT_EQ(error.frames().front().function, "<module>");
  EXPECT_EQ(error.frames().back().line, 4);
  const auto endless = python_error("def g(): g()\ng()");
  EXPECT_EQ(endless.type(), "RecursionError");
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(Errors, SyntaxErrorsAndMissingNames) {
  EXPECT_EQ(python_error("def (").type(), "SyntaxError");
  EXPECT_EQ(error_of<PythonError>([] { eval<int>("1 +"); }).type(), "SyntaxError");
  EXPECT_EQ(error_of<PythonError>([] { eval<int>("x = 1"); }).type(), "SyntaxError");
  EXPECT_EQ(error_of<PythonError>(pool().call<int>("no_such_module:f")).type(), "ModuleNotFoundError");
  EXPECT_EQ(error_of<PythonError>(pool().call<int>("math:no_such_function")).type(), "AttributeError");
  EXPECT_EQ(error_of<PythonError>(pool().call<int>("math:pi", 1)).type(), "TypeError");
  EXPECT_THROW(eval<int>(std::string("1\0+1", 4)), UsageError);
}

TEST_F(Errors, SystemExitEndsItsTaskOnly) {
  const auto code = [](const std::string& argument) {
    return error_of<SystemExitError>([&] { exec("import sys\nsys.exit(" + argument + ")"); }).exit_code();
  };
  EXPECT_EQ(code(""), 0);
  EXPECT_EQ(code("None"), 0);
  EXPECT_EQ(code("3"), 3);
  EXPECT_EQ(code("'a message'"), 1);
  EXPECT_EQ(code("2.5"), 1);
  EXPECT_EQ(
      error_of<SystemExitError>([] { exec("class Quit(SystemExit): pass\nraise Quit(4)"); }).exit_code(), 4);
  EXPECT_EQ(error_of<SystemExitError>(pool().call<void>("sys:exit", 7)).exit_code(), 7);
  EXPECT_EQ(error_of<SystemExitError>([] { exec("exit(5)"); }).exit_code(), 5);
  EXPECT_EQ(eval<int>("1 + 1"), 2) << "the next task works";

  auto main = pool().main().call<void>("sys:exit", 9);
  EXPECT_EQ(error_of<SystemExitError>(std::move(main)).exit_code(), 9);
  EXPECT_EQ(get(pool().main().call<int>("builtins:abs", -1)), 1);
}

TEST_F(Errors, KeyboardInterruptEndsItsTaskOnly) {
  const auto error = error_of<KeyboardInterruptError>([] { exec("raise KeyboardInterrupt"); });
  EXPECT_EQ(error.type(), "KeyboardInterrupt");
  EXPECT_EQ(eval<int>("1 + 1"), 2);
  auto main = pool().main().submit([](Worker& worker) { worker.exec("raise KeyboardInterrupt"); });
  EXPECT_THROW(get(main), KeyboardInterruptError);
  EXPECT_EQ(get(pool().main().call<int>("builtins:abs", -1)), 1);
}

TEST_F(Errors, GeneratorExitAndOtherBaseExceptionsToo) {
  EXPECT_EQ(python_error("raise GeneratorExit").type(), "GeneratorExit");
  EXPECT_EQ(python_error("raise BaseException('b')").message(), "BaseException: b");
}

struct Custom {
  std::string text;
};

TEST_F(Errors, CppExceptionsComeBackAsTheirOwnType) {
  EXPECT_THROW(get(pool().submit([] { throw std::out_of_range("mine"); })), std::out_of_range);
  EXPECT_THROW(get(pool().submit([] { throw Custom{"mine"}; })), Custom);
  EXPECT_THROW(get(pool().submit([]() -> int { throw 42; })), int);

  const Result<void> failed =
      result(pool().with({.name = "native"}).submit([] { throw std::out_of_range("mine"); }));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kNative);
  EXPECT_NE(failed.error().message().find("mine"), std::string::npos);
  EXPECT_EQ(failed.error().task(), "native");
  EXPECT_THROW(failed.value(), std::out_of_range);
  const auto* native = dynamic_cast<const NativeError*>(&failed.error());
  ASSERT_NE(native, nullptr);
  EXPECT_THROW(std::rethrow_exception(native->original()), std::out_of_range);

  const Result<void> odd = result(pool().submit([] { throw Custom{"x"}; }));
  EXPECT_EQ(odd.error().code(), ErrorCode::kNative);
}

TEST_F(Errors, ErrorsOfTheLibraryKeepTheirTypeOnTheWayThroughATask) {
  EXPECT_THROW(get(pool().submit([] { throw QueueFullError("mine"); })), QueueFullError);
  EXPECT_THROW(get(pool().submit([](Worker& w) { w.call<int>("no colon"); })), UsageError);
  EXPECT_THROW(get(pool().submit([](Worker& w) { (void)w.eval<int>("'x'"); })), ConversionError);
  EXPECT_THROW(get(pool().submit([](Worker& w) { w.import_module("no_such_module"); })), PythonError);
}

/// An error of the host's own that does not know how to be copied.
struct HostError : Error {
  explicit HostError(int details) : Error(ErrorCode::kUsage, "the host's"), number(details) {}
  int number;
};

TEST_F(Errors, AnErrorOfTheHostsOwnKeepsItsTypeToo) {
  auto future = pool().submit([] { throw HostError(7); });
  EXPECT_EQ(error_of<HostError>(std::move(future)).number, 7);
  const Result<void> failed =
      result(pool().with({.name = "host"}).submit([](Worker&) { throw HostError(8); }));
  EXPECT_EQ(failed.error().code(), ErrorCode::kNative);
  EXPECT_EQ(failed.error().task(), "host");
  EXPECT_NE(failed.error().message().find("the host's"), std::string::npos);
  EXPECT_THROW(failed.value(), HostError);
}

TEST(ResultAlone, IsAValueOnlyOfWhatConverts) {
  const Result<bool> failed = std::make_shared<const CancelledError>("c");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::kCancelled);
  EXPECT_FALSE((std::is_constructible_v<Result<std::vector<int>>, int>));
  EXPECT_FALSE((std::is_constructible_v<Result<int>, std::nullptr_t>)) << "a null failure";
  EXPECT_FALSE((std::is_constructible_v<Result<void>, std::nullptr_t>)) << "a null failure";
  EXPECT_TRUE((std::is_convertible_v<const char*, Result<std::string>>));
  const Result<std::unique_ptr<int>> null = nullptr;
  EXPECT_TRUE(null.has_value());
  // A value may be an error, if that is what was asked for.
  using Held = std::shared_ptr<const CancelledError>;
  const Result<Held> held = std::make_shared<const CancelledError>("c");
  EXPECT_TRUE(held.has_value());
}

TEST_F(Errors, AResultHoldsTheErrorWithoutThrowing) {
  Result<int> failed = result(pool().call<int>("interpool_probe:fail", "why"));
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::kPython);
  EXPECT_EQ(dynamic_cast<const PythonError&>(failed.error()).python_message(), "why");
  EXPECT_NE(failed.failure(), nullptr);
  EXPECT_THROW((void)failed.value(), PythonError);
  EXPECT_THROW((void)std::move(failed).value(), PythonError);

  Result<std::string> worked = result(pool().call<std::string>("builtins:str", 1));
  ASSERT_TRUE(worked);
  EXPECT_EQ(*worked, "1");
  EXPECT_EQ(worked->size(), 1U);
  EXPECT_EQ(worked.failure(), nullptr);
  EXPECT_EQ(std::move(worked).value(), "1");
}

TEST_F(Errors, AnErrorOutlivesItsInterpreterAndItsThread) {
  Failure kept;
  {
    SubinterpreterExecutor other(runtime(), {.pooled = {.threads = 1}});
    kept = result(other.call<int>("interpool_probe:fail", "kept")).failure();
  }
  const auto copy = dynamic_cast<const PythonError&>(*kept);
  const Failure shared = copy.share();
  std::thread([&] {
    EXPECT_EQ(copy.python_message(), "kept");
    EXPECT_THROW(shared->raise(), PythonError);
  }).join();
  EXPECT_STREQ(copy.what(), kept->what());
  EXPECT_EQ(copy.traceback(), dynamic_cast<const PythonError&>(*shared).traceback());
}

TEST_F(Errors, CopiesShareAndSharesKeepTheirType) {
  const auto keeps_type = [](const auto& error) {
    using E = std::remove_cvref_t<decltype(error)>;
    const E copy = error;  // NOLINT(performance-unnecessary-copy-initialization): the copy is the test
    EXPECT_STREQ(copy.what(), error.what());
    EXPECT_EQ(copy.what(), error.what()) << "copies share their text";
    EXPECT_THROW(error.raise(), E);
    EXPECT_NE(dynamic_cast<const E*>(error.share().get()), nullptr);
    try {
      throw error;
    } catch (const Error& base) {
      EXPECT_THROW(base.raise(), E) << "not sliced";
    }
  };
  keeps_type(CancelledError("a"));
  keeps_type(TimeoutError("a"));
  keeps_type(QueueFullError("a"));
  keeps_type(ShutdownError("a"));
  keeps_type(AbandonedError("a"));
  keeps_type(WorkerError("a"));
  keeps_type(DeadlockError("a"));
  keeps_type(UsageError("a"));
  keeps_type(RuntimeStateError("a"));
  keeps_type(ConversionError("p", "a"));
  keeps_type(error_of<PythonError>([] { exec("1 / 0"); }));
  keeps_type(error_of<SystemExitError>([] { exec("raise SystemExit(1)"); }));
  keeps_type(error_of<KeyboardInterruptError>([] { exec("raise KeyboardInterrupt"); }));
}

TEST_F(Errors, CodesHaveNames) {
  EXPECT_STREQ(to_string(ErrorCode::kPython), "python");
  EXPECT_STREQ(to_string(ErrorCode::kQueueFull), "queue_full");
  EXPECT_STREQ(to_string(ErrorCode::kRuntimeState), "runtime_state");
  EXPECT_EQ(CancelledError("").code(), ErrorCode::kCancelled);
  EXPECT_EQ(TimeoutError("").code(), ErrorCode::kTimeout);
  EXPECT_EQ(AbandonedError("").code(), ErrorCode::kAbandoned);
}

TEST_F(Errors, WhatNamesTaskAndInterpreter) {
  const auto error =
      error_of<PythonError>(pool().with({.name = "GET /"}).call<int>("interpool_probe:fail", "why"));
  EXPECT_EQ(error.task(), "GET /");
  EXPECT_EQ(std::string(error.what()),
            "ValueError: why [task 'GET /', interpreter " + std::to_string(error.interpreter()) + "]");
  const auto unnamed = error_of<PythonError>(pool().call<int>("interpool_probe:fail", "why"));
  EXPECT_EQ(unnamed.task(), "interpool_probe:fail");
  EXPECT_EQ(std::string(UsageError("alone").what()), "alone");
  EXPECT_EQ(std::string(UsageError("alone", {.task = "t"}).what()), "alone [task 't']");
}

TEST_F(Errors, AnErrorInsideANamedCallableHasTheTasksName) {
  const auto named = pool().with({.name = "nightly"});
  EXPECT_EQ(error_of<PythonError>(named.submit([](Worker& w) { w.exec("1 / 0"); })).task(), "nightly");
  EXPECT_EQ(error_of<PythonError>(named.submit([](Worker& w) { return w.eval<int>("1 / 0"); })).task(),
            "nightly");
  EXPECT_EQ(error_of<ConversionError>(named.submit([](Worker& w) { return w.eval<int>("''"); })).task(),
            "nightly");
  EXPECT_EQ(error_of<PythonError>(named.submit([](Worker& w) {
              return w.call<int>("interpool_probe:fail", "why");
            })).task(),
            "nightly");
}

TEST_F(Errors, WithoutMemoryThereIsStillAnError) {
  // Each allocation of the library fails once, for a moment or until the end of the call.
  const auto outcome = [](Worker& worker, OutOfMemory::Until until, int after, auto action) {
    try {
      const OutOfMemory out_of_memory(until, after);
      action(worker);
      return "no error";
    } catch (const std::bad_alloc&) {
      return "bad_alloc";
    } catch (const PythonError& error) {
      return error.type() == "MemoryError"  ? "MemoryError"
             : error.type() == "ValueError" ? "ValueError"
                                            : "?";
    } catch (const ConversionError&) {
      return "ConversionError";
    }
  };
  exec(
      "data = bytearray(b'a text that does not fit into a small string')\n"
      "texts = ['a text that does not fit into a small string'] * 3\n"
      "def fail(n):\n"
      "  if n: fail(n - 1)\n"
      "  raise ValueError('a message that does not fit into a small string')\n");
  const auto raises = [](Worker& worker) { worker.exec("fail(3)"); };
  const auto reads_bytes = [](Worker& worker) { (void)worker.eval<Bytes>("data"); };
  const auto does_not_convert = [](Worker& worker) {
    (void)worker.eval<std::vector<std::vector<int>>>("texts");
  };
  for (const auto until : {OutOfMemory::kOnce, OutOfMemory::kTheEnd}) {
    std::set<std::string> outcomes;
    int after = 0;
    const auto sweep = [&](auto action) {
      outcomes.clear();
      for (after = 0;; ++after) {
        ASSERT_LT(after, 10'000);
        bool touched = false;
        get(pool().with({.name = "a name that does not fit into a small string"}).submit([&](Worker& worker) {
          const int before = OutOfMemory::count();
          outcomes.insert(outcome(worker, until, after, action));
          touched = OutOfMemory::count() != before;
        }));
        if (!touched) break;
      }
    };
    sweep(raises);
    EXPECT_GT(after, 5);
    EXPECT_TRUE(outcomes.contains("MemoryError")) << "while the exception was described";
    EXPECT_FALSE(outcomes.contains("?"));
    sweep(reads_bytes);
    EXPECT_TRUE(outcomes.contains("bad_alloc"));
    EXPECT_NO_THROW(exec("data.append(1)")) << "the buffer was given back";
    sweep(does_not_convert);
    EXPECT_TRUE(outcomes.contains("ConversionError"));
  }
  EXPECT_EQ(eval<int>("1"), 1);
}

TEST_F(Errors, AMapThatCannotBeMadeKeepsNoArgument) {
  const auto counted = std::make_shared<int>();
  const auto none_left = [&] { return counted.use_count() == 1; };
  const auto items = [&](int bad) {
    return std::views::iota(0, 5) | std::views::transform([&counted, bad](int i) {
             if (i == bad) throw std::runtime_error("no more items");
             return Counted{counted};
           });
  };
  EXPECT_THROW((void)pool().map<std::string>("builtins:repr", items(3)), std::runtime_error);
  wait_until([] { return pool().in_flight() == 0; });
  EXPECT_TRUE(none_left()) << counted.use_count();

  // The same for each allocation that can fail.
  for (int after = 0;; ++after) {
    ASSERT_LT(after, 1'000);
    Future<std::vector<std::string>> mapped;
    const int before = OutOfMemory::count();
    try {
      const OutOfMemory out_of_memory(OutOfMemory::kOnce, after);
      mapped = pool().map<std::string>("builtins:repr", items(-1));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): what is left is looked at below
    }
    if (mapped.valid()) (void)result(mapped);
    wait_until([] { return pool().in_flight() == 0; });
    wait_until(none_left);
    if (OutOfMemory::count() == before) break;
  }
}

TEST_F(Errors, ACaughtErrorInsideATaskLeavesTheInterpreterUsable) {
  EXPECT_EQ(get(pool().submit([](Worker& worker) {
              try {
                worker.exec("1 / 0");
              } catch (const PythonError& error) {
                return error.type() + worker.eval<std::string>("'!'");
              }
              return std::string("no error");
            })),
            "ZeroDivisionError!");
}

}  // namespace
}  // namespace interpool::test
