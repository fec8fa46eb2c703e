// A folder of Python plug-ins, which may change while the host runs.
#include <interpool/interpool.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

/// A new folder that nobody else may write to, removed at the end.
struct Folder {
  Folder() {
    if (mkdtemp(path.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path = (std::filesystem::temp_directory_path() / "plugins-XXXXXX").string();
};

int main() {
  const Folder folder;
  const auto write = [&](const std::string& name, const char* source) {
    std::ofstream(folder.path + "/" + name + ".py") << source;
  };
  write("shout", "def run(text):\n    return text.upper()\n");
  write("broken", "import nothing_of_this_name\n");

  interpool::Runtime python({.module_paths = {folder.path}});
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
  for (const char* name : {"broken", "shout"}) {
    const auto answer = pool.call<std::string>(std::string(name) + ":run", "hello").result();
    std::printf("%s: %s\n", name, answer ? answer->c_str() : answer.error().message().c_str());
  }
  write("shout", "def run(text):\n    return text.upper() + '!!!'\n");
  pool.reload({"shout"}).get();
  std::printf("shout: %s\n", pool.call<std::string>("shout:run", "hello").get().c_str());
}
