// What travels through the pipeline.
#pragma once

#include <interpool/interpool.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace indexer {

/// A file as the walk found it. Size and time of change tell whether it has changed since.
struct FoundFile {
  std::string path;  ///< Absolute, UTF-8.
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
};

/// A function, a class, or the rest of a module.
struct Chunk {
  std::string name;
  std::int64_t first_line = 0;
  std::int64_t last_line = 0;
  std::string text;
};

/// A chunk's vector (little-endian float32), or why it has none. One of the two.
struct Embedding {
  std::optional<interpool::Bytes> vector;
  std::optional<std::string> error;
};

/// A file's chunks: what chunking makes, and embedding takes.
struct ChunkBatch {
  FoundFile file;
  bool parsed = true;
  std::vector<Chunk> chunks;
};

/// A file with all that goes into the index; one embedding for each chunk.
struct IndexedFile {
  ChunkBatch batch;
  std::vector<Embedding> embeddings;
};

}  // namespace indexer

// How these look to Python: as tuples.
template <>
struct interpool::Converter<indexer::Chunk> {
  using Tuple = std::tuple<std::string, std::int64_t, std::int64_t, std::string>;
  static void encode(Encoder& out, const indexer::Chunk& chunk) {
    out.begin_tuple(4);
    out.put_str(chunk.name);
    out.put_int(chunk.first_line);
    out.put_int(chunk.last_line);
    out.put_str(chunk.text);
    out.end();
  }
  static indexer::Chunk decode(Decoder& in) {
    auto [name, first, last, text] = Converter<Tuple>::decode(in);
    return {std::move(name), first, last, std::move(text)};
  }
};

template <>
struct interpool::Converter<indexer::Embedding> {
  static indexer::Embedding decode(Decoder& in) {
    auto [vector, error] = Converter<std::pair<std::optional<Bytes>, std::optional<std::string>>>::decode(in);
    return {std::move(vector), std::move(error)};
  }
};
