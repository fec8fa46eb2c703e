// The least coroutine there can be.
#pragma once

#include <coroutine>
#include <exception>

namespace interpool::test {

/// Starts at once, belongs to nobody and is gone at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

}  // namespace interpool::test
