// A folder of Python plug-ins, which may change while the host runs.
#include <interpool/interpool.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

int main() {
  const fs::path folder = fs::temp_directory_path() / ("plugins-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const auto write = [&](const char* name, const char* source) {
    std::ofstream(folder / (std::string(name) + ".py")) << source;
  };
  write("shout", "def run(text):\n    return text.upper()\n");
  write("broken", "import nothing_of_this_name\n");
  {
    interpool::Runtime python({.module_paths = {folder}});
    interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
    for (const char* name : {"broken", "shout"}) {
      const auto answer = pool.call<std::string>(std::string(name) + ":run", "hello").result();
      std::printf("%s: %s\n", name, answer ? answer->c_str() : answer.error().message().c_str());
    }
    write("shout", "def run(text):\n    return text.upper() + '!!!'\n");
    pool.reload({"shout"}).get();
    std::printf("shout: %s\n", pool.call<std::string>("shout:run", "hello").get().c_str());
  }
  fs::remove_all(folder);
}
