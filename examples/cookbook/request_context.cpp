// Each request's id reaches whatever Python code asks for it, its log records, say, without being passed on.
#include <interpool/interpool.h>

#include <cstdio>
#include <string>

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 1});
  pool.define_module("app",
                     "from contextvars import ContextVar\n"
                     "request_id = ContextVar('request_id', default='no request')\n"
                     "def log(text):\n"
                     "    return f'[{request_id.get()}] {text}'\n"
                     "def handle(path):\n"
                     "    return log(f'GET {path}')\n");
  const auto handle = pool.function<std::string(std::string)>("app:handle");

  for (const char* id : {"17", "18"}) {
    const interpool::CallOptions request = {.name = "GET", .context = {{"app:request_id", id}}};
    std::printf("%s\n", handle.with(request)("/").get().c_str());
  }
  std::printf("%s\n", handle("/health").get().c_str());  // gone with the task that it was set for

  // For a part of a task, or on an attached thread, where there are no options:
  auto nested = pool.submit([](interpool::Worker& worker) {
    return worker.in_context({{"app:request_id", "19"}},
                             [&] { return worker.call<std::string>("app:handle", "/part"); });
  });
  std::printf("%s\n", nested.get().c_str());
}
