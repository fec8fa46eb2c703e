// A fixture for tests that only need some interpreter to run Python in.
#pragma once

#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/error.h>
#include <interpool/executor.h>
#include <interpool/value.h>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace interpool::test {

/// One pooled worker for all tests of a suite; each test finds an empty queue.
class WithOneWorker : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    pool_ = std::make_unique<SubinterpreterExecutor>(
        runtime(), ExecutorOptions{.name = "one", .pooled = {.threads = 1}});
  }
  static void TearDownTestSuite() {
    pool_.reset();
    EXPECT_EQ(runtime().interpreter_count(), 0U);
  }
  void TearDown() override {
    wait_until([] { return pool().in_flight() == 0; });
  }

  static SubinterpreterExecutor& pool() { return *pool_; }
  /// What Python's `expression` is as a T; throws the task's error.
  template <class T>
  static T eval(const std::string& expression) {
    return get(pool().submit([&](Worker& worker) { return worker.eval<T>(expression); }));
  }
  static void exec(const std::string& code) {
    get(pool().submit([&](Worker& worker) { worker.exec(code); }));
  }
  /// repr() of a value that went into Python.
  template <class T>
  static std::string repr(T&& value) {
    return get(pool().call<std::string>("builtins:repr", std::forward<T>(value)));
  }
  /// A value after its way into Python and out of it.
  template <class T>
  static T round_trip(const T& value) {
    return get(pool().call<T>("interpool_probe:identity", value));
  }
  /// Why Python's `expression` is no T.
  template <class T>
  static ConversionError decode_error(const std::string& expression) {
    return error_of<ConversionError>([&] { return eval<T>(expression); });
  }
  /// Why these do not go into Python.
  template <class... Args>
  static ConversionError encode_error(Args&&... args) {
    return error_of<ConversionError>(pool().call<Value>("builtins:print", std::forward<Args>(args)...));
  }

 private:
  static inline std::unique_ptr<SubinterpreterExecutor> pool_;
};

}  // namespace interpool::test
