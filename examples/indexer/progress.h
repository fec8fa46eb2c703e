// Progress: what a person sees while the pipeline works.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace indexer {

/// What is counted for it, by the pipeline's threads.
struct ProgressCounts {
  std::atomic<std::uint64_t> found{0};  ///< Files to do.
  std::atomic<std::uint64_t> done{0};   ///< Stored or failed.
  std::atomic<std::uint64_t> chunks{0};
};

/// Writes to stderr: on a terminal a bar in place, else a plain line now and then; and messages, which the
/// bar makes room for.
///
/// Thread safety: any thread may call anything. Destruction takes the bar away.
class Progress {
 public:
  explicit Progress(const ProgressCounts& counts, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// How often update() is worth a call.
  [[nodiscard]] std::chrono::milliseconds period() const;
  /// Shows the counts.
  void update();
  /// Writes a line that matters also to who asked for quiet.
  void message(std::string_view line);
  /// Takes the bar away.
  void finish();

 private:
  [[nodiscard]] std::string bar() const;
  [[nodiscard]] std::string line() const;
  [[nodiscard]] double chunks_per_second() const;
  [[nodiscard]] std::string time_left() const;
  void clear_bar();

  const ProgressCounts& counts_;
  const bool quiet_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  bool bar_shown_ = false;  // guarded by mutex_
};

}  // namespace indexer
