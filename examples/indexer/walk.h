// The walk: which files there are, and which of them the index lacks.
#pragma once

#include "database.h"
#include "model.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace indexer {

struct WalkResult {
  /// New or changed, or with failed embeddings; sorted by path.
  std::vector<FoundFile> to_index;
  /// In the index, below the root, and there no more.
  std::vector<std::string> removed;
  std::uint64_t unchanged = 0;
  /// Files and directories that could not be looked at.
  std::uint64_t failed = 0;
  /// The walk was not stopped. Only then is `removed` worth anything.
  bool complete = false;
};

using FailedPath = std::function<void(std::string_view path, std::string_view reason)>;

/// Looks at each *.py below `root`, an absolute path. Hidden files and directories are left out; links to
/// directories are not followed, since they may lead in circles.
WalkResult walk(const std::filesystem::path& root, const std::unordered_map<std::string, KnownFile>& known,
                const std::stop_token& stop, const FailedPath& failed);

}  // namespace indexer
