// Runtime: the CPython of this process.
#pragma once

#include <interpool/detail/api.h>
#include <interpool/log.h>
#include <interpool/output.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// PyObject, without Python.h. NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
struct _object;

namespace interpool {

namespace detail {
class RuntimeCore;
struct RuntimeAccess;
}  // namespace detail

/// What Python's sys.stdout and sys.stderr do, in every interpreter.
enum class Stdio : std::uint8_t {
  kInherit,     ///< The process's own streams, buffered as Python does (by line on a terminal).
  kUnbuffered,  ///< The process's own streams, each write passed on at once.
  kDiscard,     ///< Nowhere.
};

/// Where CPython takes its memory from.
enum class Allocator : std::uint8_t {
  kDefault,  ///< pymalloc; malloc where the library was built for AddressSanitizer.
  kMalloc,   ///< The C library's malloc for everything, so that memory checkers see it.
};

/// How CPython is started. In an interpreter that the host has started, only `module_paths`, `stdio`,
/// `output`, the timeout and the log options have an effect.
struct RuntimeOptions {
  /// The root of a virtual environment, made by the same Python version: its packages are importable
  /// and it is sys.prefix. Empty: none, or $VIRTUAL_ENV when `use_environment` is set.
  std::filesystem::path virtual_env = {};
  /// Put in front of sys.path of every interpreter, in this order. Relative ones are resolved now.
  std::vector<std::filesystem::path> module_paths = {};
  /// Whether PYTHONPATH and the other PYTHON… variables, $VIRTUAL_ENV and the user's site-packages
  /// count. By default Python is isolated from them.
  bool use_environment = false;
  /// In an interpreter that the host has started, kDiscard silences the sub-interpreters alone, and
  /// kUnbuffered has no effect: how streams are buffered was settled when Python was started.
  Stdio stdio = Stdio::kInherit;
  /// Takes what Python writes to sys.stdout and sys.stderr, line by line, in place of the process's own
  /// streams; empty: those. Set `stdio` or this, not both. In an interpreter that the host has started it
  /// gets the output of the sub-interpreters alone. What a child process or C code writes goes past it.
  OutputCallback output = {};
  /// For all interpreters.
  Allocator allocator = Allocator::kDefault;
  /// Bounds what the destructor waits for; see Runtime::stop.
  std::chrono::milliseconds stop_timeout = std::chrono::seconds(30);
  /// Takes the library's log lines of at least `log_level`; empty: they go to stderr.
  LogCallback log = {};
  /// kOff: none. The library has no line of its own below kWarn yet.
  LogLevel log_level = LogLevel::kWarn;
  /// Takes what Python code logs through an interpool.LogHandler, whatever `log_level` is. Empty: each record
  /// is a log line, as the library's own are.
  LogRecordCallback python_log = {};
};

/// The init function of a native module: `PyInit_engine`, as every extension module has one.
using NativeModuleInit = ::_object* (*)();

/// What Runtime::stop did.
struct StopReport {
  /// Everything that was to end has ended, and Python's atexit callbacks and flushes have run.
  bool clean = true;
  /// What was still running or failed, one line each, when not clean.
  std::vector<std::string> problems;
};

/// CPython in this process: started here, or adopted when the host has started it already.
///
/// One per process, and CPython starts once: while one exists, and after it has ended, making another
/// throws RuntimeStateError. It owns the *home thread*, on which CPython was initialized, which is
/// Python's main thread and the main lane of every executor; the host's own threads stay free of
/// Python. In an adopted interpreter the main lane is a thread of ours in the main interpreter.
/// While the home thread is idle it holds no GIL.
///
/// Thread safety: stop() and the queries may be called from any thread; construct and destroy it on
/// any one thread. A caller that holds a GIL has it released while a call blocks.
///
/// Ownership: an executor keeps what it needs of the Runtime alive; executors are best destroyed
/// first, and stop() ends those that were not.
///
/// Destruction is stop(options.stop_timeout), with the problems logged.
///
/// CPython is *quiesced*, not finalized: Python threads are joined, atexit callbacks run, streams
/// are flushed, sub-interpreters ended, and the main interpreter is left standing. A foreign thread
/// that attaches late, of a Rust extension say, finds a live interpreter instead of crashing.
///
/// After fork(), the child has no threads of ours: every call there throws RuntimeStateError, and
/// destructors return at once.
class INTERPOOL_API Runtime {
 public:
  using Options = RuntimeOptions;

  /// Starts CPython (about 30 ms) or adopts a running one. Throws UsageError for an option that
  /// cannot be right (a path that does not exist, a virtual environment of another version) and
  /// RuntimeStateError when there cannot be a Runtime.
  explicit Runtime(Options options = {});
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  /// Ends the executors that are left (their queued tasks are cancelled), then quiesces Python:
  /// joins its threads, runs atexit callbacks, flushes. Returns at the latest when `timeout` has
  /// passed, plus a small constant; what has not ended by then is left running and reported.
  /// Called again, it returns the first report; while the first call is still at it, it waits for
  /// that, but no longer than its own timeout. Throws DeadlockError inside a task.
  StopReport stop(std::chrono::milliseconds timeout);

  /// Gives every interpreter, present and future ones and main, a Python module that is in no file. It is
  /// loaded in each interpreter when that first imports it, which calls of "name:function" and `preload` do,
  /// too; what its body raises is the error of that import, and the next import tries again. `source` is
  /// UTF-8. It is kept for the life of the process, and shown in tracebacks.
  ///
  /// It comes before files of that name. Names have no dots: there are no packages. The same source
  /// again changes nothing. Another source is for interpreters that have not imported the module yet; the
  /// others keep what they have until it is reloaded: by SubinterpreterExecutor::reload, or by their Python
  /// code, after which calls by name go on to call the function that they have looked up.
  ///
  /// The source is compiled here, once, in the main interpreter: the call blocks while another thread holds
  /// main's GIL, a task on the main lane say, until that gives it up. The caller's own GIL is released
  /// meanwhile. Throws PythonError (SyntaxError with file and line) for source that does not compile,
  /// UsageError for a name that cannot be used (one of the standard library's is among them) or source that
  /// is no text, and RuntimeStateError once stop() has begun.
  void define_module(std::string_view name, std::string_view source);
  /// The same for a native module that is linked into this program. `init` is what an extension module
  /// exports as PyInit_NAME. It has to return PyModuleDef_Init(&definition) (multi-phase initialization), and
  /// runs under the GIL of an interpreter: now, in main, on the calling thread, to see what it is, and then
  /// in each interpreter that imports the module, on the importing thread.
  ///
  /// A module without the slot Py_MOD_PER_INTERPRETER_GIL_SUPPORTED is an ImportError in sub-interpreters,
  /// and works on the main lane. A name that has been given to another module, native or not, is a
  /// UsageError, as is a null `init`; what `init` raises, and the ImportError for one of single-phase
  /// initialization, are PythonErrors. `init` and its definition must stay loaded as long as the process
  /// lives.
  void add_native_module(std::string_view name, NativeModuleInit init);

  /// "3.13.0"
  [[nodiscard]] const std::string& python_version() const noexcept;
  /// Whether the host had initialized CPython.
  [[nodiscard]] bool adopted() const noexcept;
  /// How many sub-interpreters of this library exist right now.
  [[nodiscard]] std::size_t interpreter_count() const noexcept;

 private:
  friend struct detail::RuntimeAccess;
  std::shared_ptr<detail::RuntimeCore> core_;
};

}  // namespace interpool
