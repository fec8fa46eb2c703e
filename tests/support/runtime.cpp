#include "support/runtime.h"

#include "support/sync.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace interpool::test {

namespace {

struct Log {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
};

// Never destroyed: threads that a test has given up may still write to it.
Log& log() {
  static auto* const log = new Log;
  return *log;
}

std::optional<Runtime>& place() {
  static auto* const place = new std::optional<Runtime>;
  return *place;
}

}  // namespace

Runtime& runtime() {
  if (!place()) throw std::logic_error("this test needs support/main.cpp");
  return *place();
}

std::vector<std::string> take_log() {
  const std::lock_guard lock(log().mutex);
  return std::exchange(log().lines, {});
}

void wait_for_log(const std::string& text) {
  std::unique_lock lock(log().mutex);
  const bool found = log().changed.wait_for(lock, kPatience, [&] {
    for (const std::string& line : log().lines) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  });
  if (!found) throw TimedOut("no line logged that contains '" + text + "'");
}

void wait_for_interpreters(std::size_t count) {
  wait_until([&] { return runtime().interpreter_count() == count; });
}

WithRuntime::WithRuntime() {
  place().emplace(RuntimeOptions{.module_paths = {INTERPOOL_TEST_DATA "/support/python"},
                                 .log = [](LogLevel, std::string_view line) {
                                   const std::lock_guard lock(log().mutex);
                                   log().lines.emplace_back(line);
                                   log().changed.notify_all();
                                 }});
}

WithRuntime::~WithRuntime() { place().reset(); }

std::vector<std::string> WithRuntime::stop() const {
  std::vector<std::string> problems;
  if (const std::size_t left = runtime().interpreter_count(); left > 0) {
    problems.push_back("interpreters that no executor has ended: " + std::to_string(left));
  }
  StopReport report = runtime().stop(kPatience);
  for (std::string& problem : report.problems) problems.push_back(std::move(problem));
  return problems;
}

}  // namespace interpool::test
