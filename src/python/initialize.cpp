#include "python/initialize.h"

#include "base/out_of_memory.h"
#include "interpool/error.h"
#include "python/error_capture.h"
#include "python/threads.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

// Where the Python that the library was built with lives; the fallback when libpython's own place tells
// nothing.
#ifndef INTERPOOL_PYTHON_BASE_PREFIX
#define INTERPOOL_PYTHON_BASE_PREFIX ""
#endif

namespace interpool::python {

namespace {

namespace fs = std::filesystem;

std::string minor_version() { return fmt::format("{}.{}", PY_MAJOR_VERSION, PY_MINOR_VERSION); }

/// The file that libpython was loaded from.
fs::path libpython() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&Py_IsInitialized), &info) == 0 || info.dli_fname == nullptr)
    return {};
  std::error_code error;
  return fs::canonical(info.dli_fname, error);
}

bool has_standard_library(const fs::path& prefix) {
  std::error_code error;
  return fs::exists(prefix / "lib" / ("python" + minor_version()) / "os.py", error);
}

/// The installation that libpython belongs to: the nearest folder above it with a standard library.
/// Without this CPython would look for a `python3` on PATH, which may be any version.
fs::path installation_prefix() {
  for (fs::path folder = libpython().parent_path(); !folder.empty(); folder = folder.parent_path()) {
    if (has_standard_library(folder)) return folder;
    if (folder == folder.root_path()) break;
  }
  const fs::path built_with = INTERPOOL_PYTHON_BASE_PREFIX;
  return !built_with.empty() && has_standard_library(built_with) ? built_with : fs::path();
}

/// The value of a key in pyvenv.cfg.
std::string venv_setting(const fs::path& config, std::string_view wanted) {
  std::ifstream in(config);
  for (std::string line; std::getline(in, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const auto trim = [](const std::string& text) {
      const auto first = text.find_first_not_of(" \t");
      const auto last = text.find_last_not_of(" \t\r");
      return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
    };
    if (trim(line.substr(0, equals)) == wanted) return trim(line.substr(equals + 1));
  }
  return {};
}

void check_virtual_env(const fs::path& root) {
  const fs::path config = root / "pyvenv.cfg";
  std::error_code error;  // whatever it is, there is no virtual environment
  if (!fs::is_regular_file(config, error) || !fs::exists(root / "bin" / "python", error)) {
    throw UsageError(
        fmt::format("virtual_env: '{}' is not a virtual environment (no pyvenv.cfg or bin/python in it); "
                    "make one with `python{} -m venv`",
                    root.string(), minor_version()));
  }
  std::string found = venv_setting(config, "version");
  if (found.empty()) found = venv_setting(config, "version_info");
  const std::string wanted = minor_version();
  if (!found.empty() && found != wanted && !found.starts_with(wanted + ".")) {
    throw UsageError(
        fmt::format("virtual_env: '{}' was made by Python {}, but this program runs Python {}; make one with "
                    "`python{} -m venv`",
                    root.string(), found, wanted, wanted));
  }
}

/// Resolves a path; throws UsageError where there is no folder to resolve it in.
fs::path resolved(const fs::path& path, const char* option) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) throw UsageError(fmt::format("{}: '{}': {}", option, path.string(), error.message()));
  return absolute.lexically_normal();
}

void check_status(const PyStatus& status, PyConfig* config) {
  if (PyStatus_Exception(status) == 0) return;
  std::string message = fmt::format("CPython does not start: {}",
                                    status.err_msg == nullptr ? "no reason given" : status.err_msg);
  if (status.func != nullptr) message += fmt::format(" (in {})", status.func);
  if (config != nullptr) PyConfig_Clear(config);
  throw RuntimeStateError(std::move(message));
}

void pre_initialize(const RuntimeOptions& options) {
  PyPreConfig config;
  if (options.use_environment) {
    PyPreConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
  } else {
    PyPreConfig_InitIsolatedConfig(&config);
  }
  config.utf8_mode = 1;
  bool use_malloc = options.allocator == Allocator::kMalloc;
#if defined(__SANITIZE_ADDRESS__)
  use_malloc = true;  // pymalloc's arenas hide Python's memory errors; isolation ignores PYTHONMALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  use_malloc = true;
#endif
#endif
  if (use_malloc) config.allocator = PYMEM_ALLOCATOR_MALLOC;
  check_status(Py_PreInitialize(&config), nullptr);
}

}  // namespace

bool is_initialized() noexcept { return Py_IsInitialized() != 0; }

void promote_libpython() noexcept {
  const fs::path library = libpython();
  // RTLD_NOLOAD: it only changes the flags of what is loaded. The handle is kept for ever.
  if (!library.empty()) (void)dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

RuntimeOptions check_options(RuntimeOptions options) {
  if (options.stop_timeout < std::chrono::milliseconds::zero()) {
    throw UsageError(fmt::format("stop_timeout: {} ms is negative", options.stop_timeout.count()));
  }
  if (options.output && options.stdio != Stdio::kInherit) {
    throw UsageError(
        "output and stdio are both given: a callback takes all output, so leave stdio at Stdio::kInherit");
  }
  for (fs::path& path : options.module_paths) {
    std::error_code error;
    if (!fs::exists(path, error)) {
      throw UsageError(fmt::format("module_paths: '{}' does not exist", path.string()));
    }
    path = resolved(path, "module_paths");
  }
  if (options.virtual_env.empty() && options.use_environment) {
    if (const char* active = std::getenv("VIRTUAL_ENV"); active != nullptr && *active != '\0')
      options.virtual_env = active;
  }
  if (!options.virtual_env.empty()) {
    options.virtual_env = resolved(options.virtual_env, "virtual_env");
    check_virtual_env(options.virtual_env);
  }
  return options;
}

void initialize(const RuntimeOptions& options) {
  pre_initialize(options);

  PyConfig config;
  if (options.use_environment) {
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
  } else {
    PyConfig_InitIsolatedConfig(&config);
  }
  config.install_signal_handlers = 0;  // signals are the host's
  config.site_import = 1;
  if (options.stdio == Stdio::kUnbuffered) config.buffered_stdio = 0;

  const auto set = [&config](wchar_t** field, const fs::path& path) {
    check_status(PyConfig_SetBytesString(&config, field, path.c_str()), &config);
  };
  const fs::path prefix = installation_prefix();
  if (!options.virtual_env.empty()) {
    // CPython finds pyvenv.cfg beside the executable, and the standard library through it.
    set(&config.executable, options.virtual_env / "bin" / "python");
    set(&config.program_name, options.virtual_env / "bin" / "python");
  } else if (!prefix.empty()) {
    set(&config.home, prefix);
    // sys.executable: what multiprocessing and subprocess users start.
    std::error_code error;
    const fs::path executable = prefix / "bin" / ("python" + minor_version());
    if (fs::exists(executable, error)) {
      set(&config.executable, executable);
      set(&config.program_name, executable);
    }
  }
  check_status(Py_InitializeFromConfig(&config), &config);
  PyConfig_Clear(&config);
}

bool attached_to_main() noexcept {
  PyThreadState* state = current_thread_state();
  return state != nullptr && PyThreadState_GetInterpreter(state) == PyInterpreterState_Main();
}

std::vector<std::string> prepare_main(bool on_main_thread) {
  // While there is memory for them.
  (void)native_out_of_memory();
  (void)python_out_of_memory();
  std::vector<std::string> problems;
  // datetime and decimal crash, or corrupt the heap, when own-GIL interpreters are the first to import
  // them (concurrently up to 3.13, at all on 3.12). threading must know the main thread, which is whoever
  // imports it first on 3.12.
  for (const std::string name : {"threading", "datetime", "decimal"}) {
    if (name == "threading" && !on_main_thread) continue;
    if (!Object::take(PyImport_ImportModule(name.c_str()))) {
      problems.push_back(
          fmt::format("importing {} into the main interpreter: {}", name, take_error({})->message()));
    }
  }
  return problems;
}

void quiesce_main(bool on_main_thread) noexcept {
  if (on_main_thread) join_python_threads();
  if (const Object atexit = Object::take(PyImport_ImportModule("atexit"))) {
    // _run_exitfuncs also forgets them, so that nothing runs them again.
    if (!Object::take(PyObject_CallMethod(atexit.get(), "_run_exitfuncs", nullptr)))
      PyErr_WriteUnraisable(atexit.get());
  }
  for (const char* name : {"stdout", "stderr"}) {
    const Object stream = Object::share(PySys_GetObject(name));
    if (!stream || stream.get() == Py_None) continue;
    if (!Object::take(PyObject_CallMethod(stream.get(), "flush", nullptr))) PyErr_Clear();
  }
  PyErr_Clear();
}

std::string version() {
  const std::string text = Py_GetVersion();
  return text.substr(0, text.find(' '));
}

}  // namespace interpool::python
