// Answers requests within a bound, and turns whatever goes wrong into a status.
#include <interpool/interpool.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <string>
#include <utility>

using namespace std::chrono_literals;

namespace {

int status_of(const interpool::Error& error) {
  switch (error.code()) {
    case interpool::ErrorCode::kTimeout:
    case interpool::ErrorCode::kQueueFull: return 503;  // too much to do: try again
    case interpool::ErrorCode::kConversion: return 400;
    case interpool::ErrorCode::kCancelled: return 499;  // the client has gone
    default: return 500;
  }
}

void answer(const char* what, interpool::Future<std::string> future) {
  const auto result = future.result();
  std::printf("%s: %d\n", what, result ? 200 : status_of(result.error()));
}

}  // namespace

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 1, .queue_capacity = 64});
  const interpool::Submitter request = pool.with({.name = "GET /", .timeout = 30s});
  answer("upper", request.call<std::string>("builtins:str.upper", "fine"));
  answer("fails", request.call<std::string>("builtins:chr", -1));
  answer("no text", request.call<std::string>("builtins:len", "fine"));
  answer("late", pool.with({.timeout = 0s}).call<std::string>("builtins:str", 1));

  std::promise<void> enough;
  auto busy = pool.submit([&] { enough.get_future().wait(); });
  auto queued = request.call<std::string>("builtins:str", 1);
  queued.cancel();  // what runs already would run to its end
  answer("client has gone", std::move(queued));
  enough.set_value();
  busy.get();
}
