// Answers requests within a bound, and turns whatever goes wrong into a status.
#include <interpool/interpool.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <string>

using namespace std::chrono_literals;

namespace {

int status_of(const interpool::Error& error) {
  // What the client sent does not convert. Of a result that does not, it is not to blame.
  const auto* conversion = dynamic_cast<const interpool::ConversionError*>(&error);
  if (conversion != nullptr && conversion->path().starts_with("args[")) return 400;
  switch (error.code()) {
    case interpool::ErrorCode::kTimeout:
    case interpool::ErrorCode::kQueueFull:  // too much to do: try again
    case interpool::ErrorCode::kCancelled:  // by the end of the pool
    case interpool::ErrorCode::kShutdown: return 503;
    default: return 500;
  }
}

int answer(const interpool::Submitter& pool, std::chrono::milliseconds bound, const char* name,
           auto argument) {
  try {
    auto future = pool.call<std::string>(name, argument);
    if (!future.wait_for(bound)) {
      future.cancel();  // what runs already runs to its end
      return 504;
    }
    (void)future.get();  // what the client gets
    return 200;
  } catch (const interpool::Error& error) {
    return status_of(error);
  }
}

}  // namespace

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 1, .queue_capacity = 64});
  const interpool::Submitter request = pool.with({.name = "GET /", .timeout = 30s});
  std::printf("upper: %d\n", answer(request, 60s, "builtins:str.upper", "fine"));
  std::printf("fails: %d\n", answer(request, 60s, "builtins:chr", -1));
  std::printf("not UTF-8: %d\n", answer(request, 60s, "builtins:str.upper", "\xFF"));
  std::printf("no text: %d\n", answer(request, 60s, "builtins:len", "fine"));
  std::printf("late: %d\n", answer(pool.with({.timeout = 0s}), 60s, "builtins:str", 1));

  std::promise<void> enough;
  auto busy = pool.submit([&] { enough.get_future().wait(); });
  std::printf("takes too long: %d\n", answer(request, 10ms, "builtins:str", 1));
  enough.set_value();
  busy.get();
}
