// Where the pipeline's results end up.
#pragma once

#include "model.h"

#include <string>
#include <vector>

namespace indexer {

/// Used by one thread at a time.
class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  /// Puts a file in, in place of what was there under its path. All of it or nothing.
  virtual void put(const IndexedFile& file) = 0;
  /// Takes files out.
  virtual void remove(const std::vector<std::string>& paths) = 0;
};

/// Keeps nothing, to measure everything else.
class NullStore final : public Store {
 public:
  void put(const IndexedFile& /*file*/) override {}
  void remove(const std::vector<std::string>& /*paths*/) override {}
};

}  // namespace indexer
