#include "pipeline.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>

namespace indexer {
namespace {

/// For each worker, how many things may wait between two stages. Two: enough that no stage waits for another
/// that is only a little late, and few enough that a stop is quick.
constexpr std::size_t kWaitingPerWorker = 2;

interpool::Bytes to_bytes(std::string_view text) {
  interpool::Bytes bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// Whether a call came to nothing because we are stopping, and not because of what was called.
bool is_stopped(const interpool::Error& error) {
  switch (error.code()) {
    case interpool::ErrorCode::kCancelled:
    case interpool::ErrorCode::kShutdown:
    case interpool::ErrorCode::kAbandoned: return true;
    default: return false;
  }
}

/// What a call gives, or its error; also when the call is not accepted.
template <class Call>
auto result_of(Call&& call) -> decltype(call().result()) {
  try {
    return call().result();
  } catch (const interpool::Error& error) {
    return interpool::Failure(std::make_shared<interpool::Error>(error));
  }
}

/// Sends an item with so many parts, and counts both: as sent before they are, because the other side may
/// count first.
template <class T>
void send_counted(Producer<T>& producer, std::type_identity_t<T>&& item, Passage& items, Passage& parts,
                  std::size_t count) {
  ++items.sent;
  parts.sent += count;
  if (producer.send(std::move(item))) return;
  ++items.dropped;
  parts.dropped += count;
}

}  // namespace

Pipeline::Pipeline(const interpool::Submitter& executor, Store& store, PipelineInput input,
                   ProgressCounts& counts, Progress& progress, std::function<void()> finished)
    : tasks_(executor),
      store_(store),
      input_(std::move(input)),
      counts_(counts),
      progress_(progress),
      on_finished_(std::move(finished)),
      files_(kWaitingPerWorker * input_.workers, 1),
      batches_(kWaitingPerWorker * input_.workers, input_.workers),
      embedded_(kWaitingPerWorker * input_.workers, input_.workers) {
  threads_.reserve(2 * input_.workers + 2);
  // The walk last: until it runs, the others do nothing but wait, and so they can be taken back.
  std::size_t chunkers = 0;
  std::size_t embedders = 0;
  try {
    threads_.emplace_back([this] {
      guard(&Pipeline::store_stage);
      // The store receives until everybody before it has closed, so now there is nobody left to wait for.
      finished_.store(true);
      on_finished_();
    });
    for (; embedders < input_.workers; ++embedders) {
      threads_.emplace_back([this] { guard(&Pipeline::embed_stage); });
    }
    for (; chunkers < input_.workers; ++chunkers) {
      threads_.emplace_back([this] { guard(&Pipeline::chunk_stage); });
    }
    threads_.emplace_back([this] { guard(&Pipeline::walk_stage); });
  } catch (const std::system_error& error) {
    const std::string why =
        fmt::format("only {} of {} threads could be started: {}; fewer --workers need fewer threads",
                    threads_.size(), 2 * input_.workers + 2, error.what());
    // In place of those who are not there, so that those who are see their streams end.
    files_.close();
    for (; chunkers < input_.workers; ++chunkers) batches_.close();
    for (; embedders < input_.workers; ++embedders) embedded_.close();
    join_threads();
    throw std::runtime_error(why);
  }
}

Pipeline::~Pipeline() {
  stop_walking();
  cancel();
  join_threads();
}

void Pipeline::join_threads() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::uint64_t Pipeline::in_flight() const noexcept {
  // Read first, so that it cannot overtake what was sent.
  const auto done = counts_.done + not_chunked_ + not_embedded_ + not_stored_;
  return files_passage_.sent - done;
}

void Pipeline::stop_walking() noexcept { stop_walking_.request_stop(); }

void Pipeline::cancel() {
  stop_walking();
  files_passage_.dropped += files_.stop().size();
  for (const ChunkBatch& batch : batches_.stop()) {
    ++batches_passage_.dropped;
    chunks_passage_.dropped += batch.chunks.size();
  }
}

PipelineReport Pipeline::join() {
  join_threads();
  PipelineReport report = stored_;
  report.unchanged = walked_.unchanged;
  report.failed = failed_.load();
  report.left = counts_.found.load() - counts_.done.load();
  report.walked = walked_.complete;
  report.mismatches = mismatches();
  const std::lock_guard lock(error_mutex_);
  report.error = error_;
  return report;
}

void Pipeline::guard(void (Pipeline::*stage)()) noexcept {
  try {
    (this->*stage)();
  } catch (...) {
    fail(std::current_exception());
  }
}

void Pipeline::fail(std::exception_ptr error) noexcept {
  {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::move(error);
  }
  try {
    cancel();
  } catch (...) {
    // Out of memory for the list of what is dropped: the first error says more.
  }
  failing_.store(true);
  on_finished_();  // whoever waits for the end hears of this as well
}

void Pipeline::file_failed(std::string_view path, std::string_view reason) {
  ++failed_;
  progress_.message(fmt::format("failed: {}: {}", path, reason));
}

void Pipeline::walk_stage() {
  Producer files(files_);
  walked_ = walk(input_.root, input_.known, stop_walking_.get_token(),
                 [this](std::string_view path, std::string_view reason) { file_failed(path, reason); });
  counts_.found += walked_.to_index.size();
  for (FoundFile& file : walked_.to_index) {
    if (stop_walking_.stop_requested()) return;
    ++files_passage_.sent;  // before it is: the other side may count first
    if (!files.send(std::move(file))) {
      ++files_passage_.dropped;
      return;
    }
  }
}

void Pipeline::chunk_stage() {
  Producer batches(batches_);
  while (auto file = files_.receive()) {
    ++files_passage_.received;
    auto result = result_of([&] { return tasks_.chunk(to_bytes(file->path)); });
    if (!result) {
      if (is_stopped(result.error())) {
        ++not_chunked_;
      } else {
        ++unreadable_;
        file_failed(file->path, result.error().message());
        ++counts_.done;
      }
      continue;
    }
    ChunkBatch batch{.file = std::move(*file), .parsed = result->first, .chunks = std::move(result->second)};
    const auto chunks = batch.chunks.size();
    send_counted(batches, std::move(batch), batches_passage_, chunks_passage_, chunks);
  }
}

void Pipeline::embed_stage() {
  Producer embedded(embedded_);
  while (auto batch = batches_.receive()) {
    ++batches_passage_.received;
    const auto chunks = batch->chunks.size();
    chunks_passage_.received += chunks;
    auto result = result_of([&] { return tasks_.embed(batch->file.path, batch->chunks); });
    if (!result && is_stopped(result.error())) {
      ++not_embedded_;
      continue;
    }
    IndexedFile file{.batch = std::move(*batch), .embeddings = {}};
    if (result && result->size() == chunks) {
      file.embeddings = std::move(*result);
    } else {
      // The file is searched for by nobody yet, but it is in the index, and the next run tries again.
      const std::string why =
          result ? "the embedder returned another number of vectors" : result.error().message();
      file.embeddings.assign(chunks, Embedding{.vector = {}, .error = why});
    }
    send_counted(embedded, std::move(file), embedded_passage_, vectors_passage_, chunks);
  }
}

void Pipeline::store_stage() {
  while (auto file = embedded_.receive()) {
    ++embedded_passage_.received;
    std::uint64_t vectors = 0;
    std::uint64_t errors = 0;
    for (Embedding& embedding : file->embeddings) {
      // One of the two, whatever the Python side made of it, and a vector that can be searched.
      if (!embedding.error && (!embedding.vector || embedding.vector->size() != input_.vector_bytes)) {
        embedding.error = "the embedder returned no vector of the index's length";
      }
      if (embedding.error) embedding.vector.reset();
      ++(embedding.vector ? vectors : errors);
    }
    vectors_passage_.received += vectors + errors;
    // After a failure nothing is stored, but everything is received: nobody must wait for room for ever.
    if (failing_.load()) {
      ++not_stored_;
      continue;
    }
    try {
      store_.put(*file);
    } catch (...) {
      ++not_stored_;
      fail(std::current_exception());
      continue;
    }
    ++stored_.files;
    if (!file->batch.parsed) ++stored_.unparsed;
    stored_.chunks += file->batch.chunks.size();
    stored_.vectors += vectors;
    stored_.failed_embeddings += errors;
    counts_.chunks += file->batch.chunks.size();
    ++counts_.done;
  }
  // The walk has ended before the stream did, so its result can be read here.
  if (walked_.complete && !stop_walking_.stop_requested() && !failing_.load() && !walked_.removed.empty()) {
    store_.remove(walked_.removed);
    stored_.removed = walked_.removed.size();
  }
}

std::vector<std::string> Pipeline::mismatches() const {
  std::vector<std::string> lines;
  const auto compare = [&](std::string_view what, const Passage& passage) {
    if (passage.sent != passage.received + passage.dropped) {
      lines.push_back(fmt::format("{}: {} sent, {} received, {} dropped", what, passage.sent.load(),
                                  passage.received.load(), passage.dropped.load()));
    }
  };
  compare("files", files_passage_);
  compare("batches of chunks", batches_passage_);
  compare("chunks", chunks_passage_);
  compare("embedded files", embedded_passage_);
  compare("vectors and failed embeddings", vectors_passage_);

  // And inside the stages: what went in, and what became of it.
  const auto balance = [&](std::string_view what, std::uint64_t in, std::uint64_t out) {
    if (in != out) lines.push_back(fmt::format("{}: {} received, {} accounted for", what, in, out));
  };
  balance("chunking", files_passage_.received, batches_passage_.sent + unreadable_ + not_chunked_);
  balance("embedding", batches_passage_.received, embedded_passage_.sent + not_embedded_);
  balance("storing", embedded_passage_.received, stored_.files + not_stored_);
  balance("chunks and vectors", stored_.chunks, stored_.vectors + stored_.failed_embeddings);
  return lines;
}

}  // namespace indexer
