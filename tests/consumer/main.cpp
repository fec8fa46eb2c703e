// What each consumer builds: a program that uses interpool through its public headers alone, and exits with 0
// when it worked.
#include <interpool/interpool.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(FMT_VERSION) != defined(CONSUMER_HAS_FMT) || defined(SPDLOG_H)
#error "interpool's headers bring those of its dependencies"
#endif
#ifdef PY_VERSION_HEX
#error "interpool's headers bring Python's"
#endif

namespace {

void check(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

}  // namespace

int main() {
  try {
    interpool::Runtime python;
    interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
    check(pool.call<std::string>("json:dumps", std::vector<int>{1, 2}).get() == "[1, 2]", "a typed call");
    const std::vector<std::string> words = {"a", "bb", "ccc"};
    check(pool.map<int>("builtins:len", words).get() == std::vector<int>{1, 2, 3}, "a map");
    const auto wrong = pool.call<int>("builtins:int", "forty-two").result();
    check(wrong.failure() != nullptr && wrong.failure()->code() == interpool::ErrorCode::kPython, "an error");
    bool caught = false;
    try {
      pool.call<int>("builtins:int", "forty-two").get();
    } catch (const interpool::PythonError& error) {  // across the library's border
      caught = error.type() == "ValueError";
    }
    check(caught, "an error as an exception");
    check(python.stop(std::chrono::seconds(10)).clean, "the end");
    std::printf("ok: Python %s\n", python.python_version().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    return 1;
  }
}
