// A service of coroutines: many requests at a time, no thread that waits for one of them.
#include <interpool/interpool.h>

#include <cstdio>
#include <exception>
#include <latch>
#include <string>
#include <vector>

namespace {

/// The least coroutine there can be: it starts at once, and nobody waits for it.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// Parameters by value: what the caller has would not outlive the first co_await. Results go where they
// outlive it.
Detached handle(interpool::Submitter pool, std::string query, std::string* answer, std::latch* done) {
  try {
    const auto words = co_await pool.call<std::vector<std::string>>("shlex:split", query);
    const int count = co_await pool.call<int>("builtins:len", words);
    *answer = query + " -> " + std::to_string(count);
  } catch (const interpool::Error& error) {  // Python's, or of a pool that is full or at its end
    *answer = query + " -> " + error.message();
  }
  done->count_down();
}

}  // namespace

int main() {
  interpool::Runtime python;
  interpool::SubinterpreterExecutor pool(python, {.pooled = {.threads = 2}});
  std::vector<std::string> answers(3);
  std::latch done(3);
  handle(pool, "one 'two three'", &answers[0], &done);
  handle(pool, "a b c d", &answers[1], &done);
  handle(pool, "no 'end", &answers[2], &done);
  done.wait();
  for (const std::string& answer : answers) std::puts(answer.c_str());
}
