#include "progress.h"

#include "output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <unistd.h>

namespace indexer {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kBarWidth = 24;

std::string clock_time(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::min(seconds, 359'999.0)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(const ProgressCounts& counts, bool quiet)
    : counts_(counts), quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { finish(); }

milliseconds Progress::period() const { return terminal_ ? milliseconds(100) : milliseconds(2000); }

double Progress::chunks_per_second() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  return static_cast<double>(counts_.chunks.load()) / std::max(elapsed.count(), 0.001);
}

std::string Progress::time_left() const {
  const auto done = counts_.done.load();
  if (done == 0) return "?";
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  const auto left = static_cast<double>(counts_.found.load() - done);
  return clock_time(elapsed.count() * left / static_cast<double>(done));
}

std::string Progress::bar() const {
  const auto done = counts_.done.load();
  const auto found = counts_.found.load();
  const auto filled = found == 0 ? 0 : static_cast<std::size_t>(kBarWidth * done / found);
  return fmt::format("[{:<{}}] {}/{} files  {:.0f} chunks/s  {} left", std::string(filled, '#'), kBarWidth,
                     done, found, chunks_per_second(), time_left());
}

std::string Progress::line() const {
  return fmt::format("{} of {} files, {:.0f} chunks/s, {} left", counts_.done.load(), counts_.found.load(),
                     chunks_per_second(), time_left());
}

void Progress::update() {
  if (quiet_) return;
  const std::lock_guard lock(mutex_);
  if (terminal_) {
    print_message(fmt::format("\r{}\x1b[K", bar()));
    bar_shown_ = true;
  } else if (counts_.found.load() > 0) {
    print_message(line() + "\n");
  }
}

void Progress::message(std::string_view line) {
  std::string text(line);
  std::replace(text.begin(), text.end(), '\n', ' ');  // a path may hold one, and an error's text
  const std::lock_guard lock(mutex_);
  clear_bar();
  print_message(text + "\n");
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  clear_bar();
}

void Progress::clear_bar() {
  if (bar_shown_) print_message("\r\x1b[K");
  bar_shown_ = false;
}

}  // namespace indexer
