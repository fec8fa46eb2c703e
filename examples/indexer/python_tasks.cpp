#include "python_tasks.h"

#include "user_error.h"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>

namespace indexer {

interpool::Runtime start_python(const std::filesystem::path& python_directory) {
  std::error_code error;
  if (!std::filesystem::exists(python_directory / "indexer_tasks.py", error)) {
    throw std::runtime_error(
        fmt::format("the indexer's Python files are not in {}", python_directory.string()));
  }
  return interpool::Runtime({.module_paths = {python_directory}, .stop_timeout = std::chrono::seconds(10)});
}

interpool::ExecutorOptions executor_options(std::size_t workers) {
  return {
      .name = "indexer",
      .pooled = {.threads = workers, .interpreters = workers},
      // Each of the pipeline's threads waits for its own call, so there are never more than two per worker.
      .queue_capacity = 2 * workers,
      .preload = {"indexer_tasks"}};
}

PythonTasks::PythonTasks(const interpool::Submitter& submitter)
    : describe(submitter.function<std::pair<std::string, std::int64_t>()>("indexer_tasks:describe")),
      chunk(submitter.function<std::pair<bool, std::vector<Chunk>>(interpool::Bytes)>("indexer_tasks:chunk")),
      embed(
          submitter.function<std::vector<Embedding>(std::string, std::vector<Chunk>)>("indexer_tasks:embed")),
      embed_query(submitter.function<interpool::Bytes(std::string)>("indexer_tasks:embed_query")) {}

}  // namespace indexer
