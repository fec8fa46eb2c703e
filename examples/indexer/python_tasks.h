// The Python part, as typed C++ functions.
#pragma once

#include "database.h"
#include "model.h"

#include <interpool/interpool.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace indexer {

/// Python with our module path.
interpool::Runtime start_python(const std::filesystem::path& python_directory);

/// What an executor needs for the functions below: `workers` threads, each with an interpreter of its own.
interpool::ExecutorOptions executor_options(std::size_t workers);

/// The functions of indexer_tasks.py. Each call is a task; see there for what they do.
struct PythonTasks {
  explicit PythonTasks(const interpool::Submitter& submitter);

  /// The embedder's name and dimensions.
  interpool::Function<std::pair<std::string, std::int64_t>()> describe;
  /// The path goes as bytes: which bytes a str stands for depends on the locale.
  interpool::Function<std::pair<bool, std::vector<Chunk>>(interpool::Bytes path)> chunk;
  interpool::Function<std::vector<Embedding>(std::string path, std::vector<Chunk> chunks)> embed;
  interpool::Function<interpool::Bytes(std::string query)> embed_query;
};

}  // namespace indexer
