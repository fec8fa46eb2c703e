#include "database.h"

#include "user_error.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace indexer {
namespace {

namespace fs = std::filesystem;

constexpr int kSchema = 1;
constexpr int kBusyTimeoutMs = 10'000;  // another program's write, or its clean-up of the log

constexpr const char* kCreateTables = R"sql(
  CREATE TABLE files(id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, size INTEGER NOT NULL,
                     mtime_ns INTEGER NOT NULL, chunks INTEGER NOT NULL, parsed INTEGER NOT NULL);
  CREATE TABLE chunks(id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL REFERENCES files(id),
                      name TEXT NOT NULL, first_line INTEGER NOT NULL, last_line INTEGER NOT NULL,
                      text TEXT NOT NULL, error TEXT);  -- why its embedding failed, else NULL
  CREATE TABLE vectors(chunk_id INTEGER PRIMARY KEY REFERENCES chunks(id),
                       data BLOB NOT NULL);             -- little-endian float32
  CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE INDEX chunks_by_file ON chunks(file_id);
  CREATE INDEX chunks_failed ON chunks(file_id) WHERE error IS NOT NULL;
)sql";

/// The path as SQLite must be given it, to whom ":memory:" and "file:..." are no files.
std::string file_name(const fs::path& path) {
  return path.is_absolute() ? path.string() : "./" + path.string();
}

/// Turns what SQLite says into what the file's owner can do about it.
[[noreturn]] void fail(const fs::path& path, const SQLite::Exception& error) {
  switch (error.getErrorCode()) {
    case SQLITE_NOTADB:
      throw UserError(
          fmt::format("{} is not an index (it is not an SQLite file); use another --db", path.string()));
    case SQLITE_CORRUPT:
      throw UserError(
          fmt::format("{} is damaged ({}); delete it and index again", path.string(), error.what()));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw UserError(fmt::format("{} is in use by another program; try again later", path.string()));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      throw UserError(
          fmt::format("{} cannot be opened or written: {}; check its directory and permissions, or use "
                      "another --db",
                      path.string(), error.what()));
    case SQLITE_FULL:
      throw UserError(
          fmt::format("{} cannot grow: {}; make room on the disk, or use a --db on another, and "
                      "index again",
                      path.string(), error.what()));
    case SQLITE_IOERR:
      throw UserError(
          fmt::format("{} cannot be read or written: {}; check the disk, or use a --db on another",
                      path.string(), error.what()));
    case SQLITE_ERROR:  // other columns, say
      throw UserError(
          fmt::format("{} cannot be used as an index: {}; use another --db", path.string(), error.what()));
    default: throw std::runtime_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

bool has_table(SQLite::Database& database, const char* name) {
  SQLite::Statement query(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  query.bind(1, name);
  return query.executeStep();
}

bool is_empty(SQLite::Database& database) {
  return !SQLite::Statement(database, "SELECT 1 FROM sqlite_master").executeStep();
}

std::optional<std::string> meta(SQLite::Database& database, const char* key) {
  SQLite::Statement query(database, "SELECT value FROM meta WHERE key = ?");
  query.bind(1, key);
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getString();
}

void set_meta(SQLite::Database& database, const char* key, const std::string& value) {
  SQLite::Statement statement(database, "INSERT INTO meta(key, value) VALUES(?, ?)");
  statement.bind(1, key);
  statement.bind(2, value);
  statement.exec();
}

/// Makes sure that it is an index of this schema, and says what embedded it.
Embedder read_meta(SQLite::Database& database, const fs::path& path) {
  for (const char* table : {"meta", "files", "chunks", "vectors"}) {
    if (!has_table(database, table)) {
      throw UserError(fmt::format("{} is not an index (it has no table '{}')", path.string(), table));
    }
  }
  const auto schema = meta(database, "schema");
  if (schema != std::to_string(kSchema)) {
    throw UserError(fmt::format("{} has schema {}, and this version works with schema {}; make a new index",
                                path.string(), schema.value_or("none"), kSchema));
  }
  const auto name = meta(database, "embedder");
  const auto dimensions = meta(database, "dimensions");
  Embedder embedder{.name = name.value_or("")};
  try {
    embedder.dimensions = std::stoll(dimensions.value_or(""));
  } catch (const std::logic_error&) {
    embedder.dimensions = 0;
  }
  if (embedder.name.empty() || embedder.dimensions <= 0) {
    throw UserError(fmt::format("{} is not an index (it does not say what embedded it)", path.string()));
  }
  return embedder;
}

std::span<const std::byte> bytes_of(const SQLite::Column& column) {
  return {static_cast<const std::byte*>(column.getBlob()), static_cast<std::size_t>(column.getBytes())};
}

/// The inner product of a query and a stored vector, which need not be aligned.
double inner_product(std::span<const float> query, std::span<const std::byte> stored) {
  float sum = 0;
  for (std::size_t i = 0; i < query.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, stored.data() + i * sizeof bits, sizeof bits);
    if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap32(bits);
    sum += query[i] * std::bit_cast<float>(bits);
  }
  return sum;
}

}  // namespace

Database::Writing::Writing(SQLite::Database& database)
    : find_file(database, "SELECT id FROM files WHERE path = ?"),
      delete_vectors(database,
                     "DELETE FROM vectors WHERE chunk_id IN (SELECT id FROM chunks WHERE file_id = ?)"),
      delete_chunks(database, "DELETE FROM chunks WHERE file_id = ?"),
      delete_file(database, "DELETE FROM files WHERE id = ?"),
      insert_file(database, "INSERT INTO files(path, size, mtime_ns, chunks, parsed) VALUES(?, ?, ?, ?, ?)"),
      insert_chunk(
          database,
          "INSERT INTO chunks(file_id, name, first_line, last_line, text, error) VALUES(?, ?, ?, ?, ?, ?)"),
      insert_vector(database, "INSERT INTO vectors(chunk_id, data) VALUES(?, ?)") {}

Database::Database(fs::path path, SQLite::Database database, Embedder embedder)
    : path_(std::move(path)), database_(std::move(database)), embedder_(std::move(embedder)) {}

Database::~Database() {
  if (!writing_) return;
  writing_.reset();
  try {
    // Back to a single file, which can also be read where the reader may not write, as a log demands.
    database_.setBusyTimeout(0);
    database_.exec("PRAGMA journal_mode = DELETE");
  } catch (const SQLite::Exception&) {
    // Somebody else has it open. Then the log stays, which is as good to everybody who may write.
  }
}

std::unique_ptr<Database> Database::open_for_indexing(const fs::path& path, const Embedder& embedder) {
  try {
    SQLite::Database database(file_name(path), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs);
    // SQLite opens a file that it must not write without a word.
    if (sqlite3_db_readonly(database.getHandle(), "main") == 1) {
      throw UserError(fmt::format("{} cannot be written", path.string()));
    }
    // Looked at before anything is changed: it may be somebody else's database.
    if (!is_empty(database)) read_meta(database, path);
    // NORMAL: a power cut may lose the last files, which the next run does again; it breaks no transaction.
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec("PRAGMA wal_autocheckpoint = 4000");
    database.exec("PRAGMA foreign_keys = ON");
    {
      // Immediate: of two programs that make the same index, the second finds it made.
      SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
      if (is_empty(database)) {
        database.exec(kCreateTables);
        set_meta(database, "schema", std::to_string(kSchema));
        set_meta(database, "embedder", embedder.name);
        set_meta(database, "dimensions", std::to_string(embedder.dimensions));
      }
      transaction.commit();
    }
    Embedder found = read_meta(database, path);
    if (found != embedder) {
      throw UserError(
          fmt::format("{} was embedded by '{}' with {} dimensions, and not by '{}' with {}; use another --db",
                      path.string(), found.name, found.dimensions, embedder.name, embedder.dimensions));
    }
    std::unique_ptr<Database> result(new Database(path, std::move(database), std::move(found)));
    result->writing_.emplace(result->database_);
    return result;
  } catch (const SQLite::Exception& error) {
    fail(path, error);
  }
}

std::unique_ptr<Database> Database::open_for_reading(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) throw UserError(fmt::format("there is no index {}", path.string()));
  try {
    // Not OPEN_READONLY: whoever closes the log last tidies it up, and for that must be able to write.
    SQLite::Database database(file_name(path), SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    database.exec("PRAGMA query_only = ON");
    Embedder embedder = read_meta(database, path);
    return std::unique_ptr<Database>(new Database(path, std::move(database), std::move(embedder)));
  } catch (const SQLite::Exception& sqlite_error) {
    fail(path, sqlite_error);
  }
}

std::unordered_map<std::string, KnownFile> Database::known_files() try {
  std::unordered_map<std::string, KnownFile> files;
  SQLite::Statement query(database_, R"sql(
    SELECT path, size, mtime_ns, id IN (SELECT file_id FROM chunks WHERE error IS NOT NULL)
    FROM files)sql");
  while (query.executeStep()) {
    files.emplace(query.getColumn(0).getString(),
                  KnownFile{.size = query.getColumn(1).getInt64(),
                            .mtime_ns = query.getColumn(2).getInt64(),
                            .has_failed_embeddings = query.getColumn(3).getInt() != 0});
  }
  return files;
} catch (const SQLite::Exception& error) {
  fail(path_, error);
}

void Database::put(const IndexedFile& indexed) try {
  const FoundFile& file = indexed.batch.file;
  const std::vector<Chunk>& chunks = indexed.batch.chunks;
  Writing& sql = *writing_;
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  remove_one(file.path);

  sql.insert_file.bind(1, file.path);
  sql.insert_file.bind(2, file.size);
  sql.insert_file.bind(3, file.mtime_ns);
  sql.insert_file.bind(4, static_cast<std::int64_t>(chunks.size()));
  sql.insert_file.bind(5, indexed.batch.parsed ? 1 : 0);
  sql.insert_file.exec();
  sql.insert_file.reset();
  const std::int64_t file_id = database_.getLastInsertRowid();

  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const Chunk& chunk = chunks[i];
    const Embedding& embedding = indexed.embeddings[i];
    sql.insert_chunk.bind(1, file_id);
    sql.insert_chunk.bindNoCopy(2, chunk.name);
    sql.insert_chunk.bind(3, chunk.first_line);
    sql.insert_chunk.bind(4, chunk.last_line);
    sql.insert_chunk.bindNoCopy(5, chunk.text);
    if (embedding.error) {
      sql.insert_chunk.bindNoCopy(6, *embedding.error);
    } else {
      sql.insert_chunk.bind(6);  // NULL
    }
    sql.insert_chunk.exec();
    sql.insert_chunk.reset();
    if (embedding.vector) {
      sql.insert_vector.bind(1, database_.getLastInsertRowid());
      sql.insert_vector.bindNoCopy(2, embedding.vector->data(), static_cast<int>(embedding.vector->size()));
      sql.insert_vector.exec();
      sql.insert_vector.reset();
    }
  }
  transaction.commit();
} catch (const SQLite::Exception& error) {
  fail(path_, error);
}

void Database::remove(const std::vector<std::string>& paths) try {
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  for (const std::string& path : paths) remove_one(path);
  transaction.commit();
} catch (const SQLite::Exception& error) {
  fail(path_, error);
}

void Database::remove_one(const std::string& path) {
  Writing& sql = *writing_;
  sql.find_file.bind(1, path);
  std::optional<std::int64_t> id;
  if (sql.find_file.executeStep()) id = sql.find_file.getColumn(0).getInt64();
  sql.find_file.reset();
  if (!id) return;
  for (SQLite::Statement* statement : {&sql.delete_vectors, &sql.delete_chunks, &sql.delete_file}) {
    statement->bind(1, *id);
    statement->exec();
    statement->reset();
  }
}

std::vector<Hit> Database::search(std::span<const float> query, std::size_t count) try {
  // What is nearest is kept with the farthest on top, where it is cheap to replace.
  using Candidate = std::pair<double, std::int64_t>;  // score, chunk
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::vector<Candidate> nearest;
  SQLite::Transaction transaction(database_);  // one state of the index for both queries
  SQLite::Statement vectors(database_, "SELECT chunk_id, data FROM vectors");
  while (vectors.executeStep()) {
    const SQLite::Column column = vectors.getColumn(1);
    const std::span<const std::byte> data = bytes_of(column);
    if (data.size() != query.size_bytes()) continue;
    const Candidate candidate{inner_product(query, data), vectors.getColumn(0).getInt64()};
    if (nearest.size() < count) {
      nearest.push_back(candidate);
      std::push_heap(nearest.begin(), nearest.end(), better);
    } else if (better(candidate, nearest.front())) {
      std::pop_heap(nearest.begin(), nearest.end(), better);
      nearest.back() = candidate;
      std::push_heap(nearest.begin(), nearest.end(), better);
    }
  }
  std::sort(nearest.begin(), nearest.end(), better);

  std::vector<Hit> hits;
  SQLite::Statement details(database_, R"sql(
    SELECT path, name, first_line, last_line, text
    FROM chunks JOIN files ON files.id = file_id
    WHERE chunks.id = ?)sql");
  for (const auto& [score, chunk] : nearest) {
    details.bind(1, chunk);
    if (details.executeStep()) {
      hits.push_back({.score = score,
                      .path = details.getColumn(0).getString(),
                      .name = details.getColumn(1).getString(),
                      .first_line = details.getColumn(2).getInt64(),
                      .last_line = details.getColumn(3).getInt64(),
                      .text = details.getColumn(4).getString()});
    }
    details.reset();
  }
  return hits;
} catch (const SQLite::Exception& error) {
  fail(path_, error);
}

Verification Database::verify() try {
  SQLite::Transaction transaction(database_);  // one state of the index, also while another program writes
  Verification result;
  const auto count = [&](const char* sql) { return database_.execAndGet(sql).getInt64(); };
  result.files = count("SELECT count(*) FROM files");
  result.chunks = count("SELECT count(*) FROM chunks");
  result.vectors = count("SELECT count(*) FROM vectors");
  result.failed_embeddings = count("SELECT count(*) FROM chunks WHERE error IS NOT NULL");

  // Each query gives the number of violations, and one of them.
  const auto check = [&](const char* what, const std::string& sql) {
    SQLite::Statement query(database_, sql);
    if (!query.executeStep()) return;
    const std::int64_t violations = query.getColumn(0).getInt64();
    if (violations > 0) {
      result.problems.push_back(
          {.what = what, .count = violations, .example = query.getColumn(1).getString()});
    }
  };
  check("chunks with neither a vector nor an error", R"sql(
    SELECT count(*), coalesce(min('chunk ' || c.id || ', ' || c.name), '')
    FROM chunks c LEFT JOIN vectors v ON v.chunk_id = c.id
    WHERE v.chunk_id IS NULL AND c.error IS NULL)sql");
  check("chunks with a vector and an error", R"sql(
    SELECT count(*), coalesce(min('chunk ' || c.id || ', ' || c.name), '')
    FROM chunks c JOIN vectors v ON v.chunk_id = c.id
    WHERE c.error IS NOT NULL)sql");
  check("vectors without a chunk", R"sql(
    SELECT count(*), coalesce(min('the vector of chunk ' || v.chunk_id), '')
    FROM vectors v LEFT JOIN chunks c ON c.id = v.chunk_id
    WHERE c.id IS NULL)sql");
  check("vectors of another length than the index's", R"sql(
    SELECT count(*), coalesce(min('the vector of chunk ' || chunk_id), '')
    FROM vectors
    WHERE length(data) <> 4 * (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'dimensions'))sql");
  check("files with another number of chunks than they say", R"sql(
    SELECT count(*), coalesce(min(f.path), '')
    FROM files f
    WHERE f.chunks <> (SELECT count(*) FROM chunks c WHERE c.file_id = f.id))sql");
  check("chunks without a file", R"sql(
    SELECT count(*), coalesce(min('chunk ' || c.id || ', ' || c.name), '')
    FROM chunks c LEFT JOIN files f ON f.id = c.file_id
    WHERE f.id IS NULL)sql");
  return result;
} catch (const SQLite::Exception& error) {
  fail(path_, error);
}

}  // namespace indexer
