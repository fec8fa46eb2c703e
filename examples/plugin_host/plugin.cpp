// The plug-in: one function in C's terms, behind which Python runs in a sub-interpreter and in the main one.
#include <interpool/interpool.h>

#include <cstdio>
#include <exception>
#include <string>

namespace {

// _json, the fast part of json, is an extension module: a shared library that needs the symbols of libpython.
std::string escape(interpool::Worker& worker) {
  worker.exec("import _json");
  return worker.eval<std::string>("_json.encode_basestring_ascii(chr(252))");
}

std::string run() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  auto in_worker = pool.pinned(0).submit(escape);
  auto in_main = pool.main().submit(escape);
  return "sub-interpreter: " + in_worker.get() + "\nmain interpreter: " + in_main.get();
}

}  // namespace

/// Writes the result, or what went wrong, to `text`. Returns 0 or 1. Once per process: CPython starts once.
extern "C" __attribute__((visibility("default"))) int plugin_run(char* text, unsigned long size) {
  // No exception may leave a function that is called as C.
  try {
    std::snprintf(text, size, "%s", run().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::snprintf(text, size, "%s", error.what());
    return 1;
  }
}
