// Pipeline: walk → files → chunk → batches → embed → embedded files → store.
#pragma once

#include "channel.h"
#include "database.h"
#include "model.h"
#include "progress.h"
#include "python_tasks.h"
#include "store.h"
#include "walk.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace indexer {

/// What went into a channel, what came out, and what was taken out or turned away when the pipeline was
/// cancelled; each counted by the thread that had it in its hands, not by the channel. At the end sent =
/// received + dropped, or something was lost.
struct Passage {
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> dropped{0};
};

struct PipelineReport {
  std::uint64_t files = 0;  ///< Stored.
  std::uint64_t unchanged = 0;
  std::uint64_t removed = 0;
  std::uint64_t unparsed = 0;
  std::uint64_t failed = 0;  ///< Could not be read; said on stderr, with their paths.
  std::uint64_t left = 0;    ///< Found and not done, since the pipeline was stopped.
  bool walked = false;       ///< The walk came to its end; if not, there may be more left than it found.
  std::uint64_t chunks = 0;
  std::uint64_t vectors = 0;
  std::uint64_t failed_embeddings = 0;
  /// What does not add up; empty when all does.
  std::vector<std::string> mismatches;
  /// What made the pipeline fail, or null.
  std::exception_ptr error;
};

struct PipelineInput {
  std::filesystem::path root;
  std::unordered_map<std::string, KnownFile> known;
  std::size_t workers = 1;
  std::size_t vector_bytes = 0;  ///< What each vector must have.
};

/// The stages, and the threads that carry things between them.
///
/// The walk and the store are a thread each. Chunking and embedding happen in Python, in the executor's
/// workers; as many C++ threads as there are workers wait for each of the two, so that a worker that finishes
/// a call finds the next one queued. Every channel is bounded: a slow store slows down the walk, not the
/// machine.
///
/// It ends by itself when all is done. Two things end it sooner: stop_walking(), after which what is in
/// flight is finished, and cancel(), after which only what runs is. It must be destroyed before the executor
/// and the store; that cancels and waits for what runs.
///
/// Thread safety: one thread makes, asks and destroys it.
class Pipeline {
 public:
  /// Starts the threads; throws std::runtime_error when there cannot be so many. `finished` is called once,
  /// on one of them, when there is nothing more to wait for; `progress` gets the messages about files that
  /// failed.
  Pipeline(const interpool::Submitter& executor, Store& store, PipelineInput input, ProgressCounts& counts,
           Progress& progress, std::function<void()> finished);
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline();

  [[nodiscard]] bool finished() const noexcept { return finished_.load(); }
  /// A stage has failed, and so the pipeline was cancelled: there is no point in what is still queued.
  [[nodiscard]] bool failing() const noexcept { return failing_.load(); }
  /// Files that are somewhere between the walk and the index.
  [[nodiscard]] std::uint64_t in_flight() const noexcept;

  /// Sends no more files.
  void stop_walking() noexcept;
  /// Takes back what waits between the stages before the store; what is embedded is still stored.
  void cancel();
  /// Waits for the threads, and adds up.
  PipelineReport join();

 private:
  void join_threads();
  void walk_stage();
  void chunk_stage();
  void embed_stage();
  void store_stage();
  /// Runs a stage; what it throws fails the pipeline.
  void guard(void (Pipeline::*stage)()) noexcept;
  void fail(std::exception_ptr error) noexcept;
  void file_failed(std::string_view path, std::string_view reason);
  [[nodiscard]] std::vector<std::string> mismatches() const;

  const PythonTasks tasks_;
  Store& store_;
  const PipelineInput input_;
  ProgressCounts& counts_;
  Progress& progress_;
  const std::function<void()> on_finished_;

  Channel<FoundFile> files_;
  Channel<ChunkBatch> batches_;
  Channel<IndexedFile> embedded_;

  Passage files_passage_;
  Passage batches_passage_;
  Passage chunks_passage_;  // the chunks in those batches
  Passage embedded_passage_;
  Passage vectors_passage_;  // the vectors, and errors in place of vectors, in those

  std::stop_source stop_walking_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> failing_{false};
  std::atomic<std::uint64_t> failed_{0};
  // Files that a stage received and did not send on.
  std::atomic<std::uint64_t> unreadable_{0};
  std::atomic<std::uint64_t> not_chunked_{0};  // cancelled, as the next two
  std::atomic<std::uint64_t> not_embedded_{0};
  std::atomic<std::uint64_t> not_stored_{0};

  // Of the walk and of the store, who alone write them; read after join().
  WalkResult walked_;
  PipelineReport stored_;

  std::mutex error_mutex_;
  std::exception_ptr error_;  // guarded by error_mutex_

  std::vector<std::thread> threads_;
};

}  // namespace indexer
