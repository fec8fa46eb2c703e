// The command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>

namespace indexer {

struct IndexOptions {
  std::filesystem::path directory = ".";
  std::filesystem::path database = "index.db";
  std::size_t workers = 1;
  std::string embedder = "hashing";
  /// How long what is in flight may take to finish after the first Ctrl-C.
  std::chrono::milliseconds drain = std::chrono::seconds(30);
  bool json = false;
  bool quiet = false;
  /// For measuring: chunk and embed, and keep nothing.
  bool null_store = false;
  /// Where the Python part is.
  std::filesystem::path python_directory;
};

struct SearchOptions {
  std::string query;
  std::filesystem::path database = "index.db";
  std::size_t top = 10;
  bool json = false;
  std::filesystem::path python_directory;
};

struct VerifyOptions {
  std::filesystem::path database = "index.db";
  bool json = false;
};

/// Parses the command line, runs the command, and returns its exit code. Throws UserError for a command line
/// that makes no sense.
int run_command_line(int argc, char** argv);

// The commands, each in a file of its own. They return the exit code.
int run_index(const IndexOptions& options);
int run_search(const SearchOptions& options);
int run_verify(const VerifyOptions& options);

}  // namespace indexer
