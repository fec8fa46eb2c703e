// A program that knows nothing of Python or interpool, and loads a plug-in that uses both.
//
// RTLD_LOCAL, as most programs load their plug-ins, keeps the symbols of the plug-in and of the libraries it
// is linked with, libpython among them, from the rest of the process. Python's extension modules need
// libpython's: interpool makes those global.
#include <dlfcn.h>

#include <cstdio>

int main() {
  void* plugin = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fprintf(stderr, "plugin_host: %s\n", dlerror());
    return 1;
  }
  const auto run = reinterpret_cast<int (*)(char*, unsigned long)>(dlsym(plugin, "plugin_run"));
  if (run == nullptr) {
    std::fprintf(stderr, "plugin_host: %s\n", dlerror());
    return 1;
  }
  char text[512];
  const int status = run(text, sizeof text);
  std::fprintf(status == 0 ? stdout : stderr, "%s\n", text);
  // No dlclose(): CPython stays in the process, and with it what it refers to.
  return status;
}
