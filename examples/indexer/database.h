// Database: the index, an SQLite file.
#pragma once

#include "model.h"
#include "store.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace indexer {

/// What made the vectors of an index. Those of two embedders say nothing about each other and never share an
/// index.
struct Embedder {
  std::string name;
  std::int64_t dimensions = 0;

  bool operator==(const Embedder&) const = default;
};

/// What the index knows of a file.
struct KnownFile {
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
  bool has_failed_embeddings = false;
};

struct Hit {
  double score = 0;
  std::string path;
  std::string name;
  std::int64_t first_line = 0;
  std::int64_t last_line = 0;
  std::string text;
};

/// One way in which an index is not what it must be.
struct Problem {
  std::string what;
  std::int64_t count = 0;
  std::string example;
};

struct Verification {
  std::int64_t files = 0;
  std::int64_t chunks = 0;
  std::int64_t vectors = 0;
  std::int64_t failed_embeddings = 0;
  std::vector<Problem> problems;
};

/// An open index.
///
/// Each file is one transaction, so at every instant, also after a SIGKILL, the index holds whole files only.
/// The write-ahead log makes such a transaction cheap, and lets others search meanwhile.
///
/// Used by one thread at a time. Destroying it closes the file. What SQLite reports comes as an exception
/// that names the file: UserError where its owner can do something about it (it is damaged, or the disk is
/// full), else std::runtime_error.
class Database final : public Store {
 public:
  /// Opens an index to write to it; makes one if there is none. Throws UserError when the file is something
  /// else, is of another schema or embedder, or cannot be written.
  static std::unique_ptr<Database> open_for_indexing(const std::filesystem::path& path,
                                                     const Embedder& embedder);
  /// Opens an index to read it. Throws UserError when it is none.
  static std::unique_ptr<Database> open_for_reading(const std::filesystem::path& path);

  ~Database() override;

  [[nodiscard]] const Embedder& embedder() const noexcept { return embedder_; }

  /// The files of the index, by path.
  std::unordered_map<std::string, KnownFile> known_files();
  void put(const IndexedFile& file) override;
  void remove(const std::vector<std::string>& paths) override;

  /// The `count` chunks whose vectors are nearest to `query`, best first. The vectors are of length 1, so
  /// that the inner product is the cosine.
  std::vector<Hit> search(std::span<const float> query, std::size_t count);
  /// Checks what must always be true; see the queries.
  Verification verify();

 private:
  /// The statements of put() and remove(), compiled once.
  struct Writing {
    explicit Writing(SQLite::Database& database);
    SQLite::Statement find_file, delete_vectors, delete_chunks, delete_file, insert_file, insert_chunk,
        insert_vector;
  };

  Database(std::filesystem::path path, SQLite::Database database, Embedder embedder);
  void remove_one(const std::string& path);

  const std::filesystem::path path_;
  SQLite::Database database_;
  Embedder embedder_;
  std::optional<Writing> writing_;
};

}  // namespace indexer
