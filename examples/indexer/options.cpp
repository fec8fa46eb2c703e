#include "options.h"

#include "output.h"
#include "user_error.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <system_error>
#include <thread>

namespace indexer {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxWorkers = 256;
constexpr double kMaxDrainSeconds = 1e6;

/// The Python files lie beside the executable in a build tree, and in share/ where it is installed. Not in
/// the current directory, which is the user's and has nothing to do with us.
fs::path find_python_directory(const char* program) {
  std::error_code error;
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (error) executable = fs::canonical(program, error);
  const fs::path here = executable.parent_path();
  for (const fs::path& candidate : {here / "python", here / INDEXER_PYTHON_FROM_BIN}) {
    if (fs::exists(candidate / "indexer_tasks.py", error)) return candidate.lexically_normal();
  }
  return here / "python";
}

std::size_t checked_workers(std::int64_t workers) {
  if (workers < 1 || workers > kMaxWorkers) {
    throw UserError(fmt::format("--workers must be 1 to {}, and is {}", kMaxWorkers, workers));
  }
  return static_cast<std::size_t>(workers);
}

std::chrono::milliseconds checked_drain(double seconds) {
  if (!(seconds >= 0 && seconds <= kMaxDrainSeconds)) {
    throw UserError(fmt::format("--drain must be 0 to {} seconds, and is {}", kMaxDrainSeconds, seconds));
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

void check_database(const fs::path& path) {
  // To SQLite no name is a database that is gone when it is closed.
  if (path.empty()) throw UserError("--db is empty; it must name the file that holds the index");
}

void check_embedder(const std::string& name) {
  if (name == "tokenizers") throw UserError("the embedder 'tokenizers' is not available in this version");
  if (name != "hashing") {
    throw UserError(fmt::format("there is no embedder '{}'; this version has: hashing", name));
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("Makes a tree of Python source searchable, with Python on all cores.", "indexer");
  app.require_subcommand(1);

  const fs::path python_directory = find_python_directory(argv[0]);

  IndexOptions index;
  index.python_directory = python_directory;
  std::int64_t workers = std::max(1U, std::thread::hardware_concurrency());
  double drain = std::chrono::duration<double>(index.drain).count();
  std::string store = "sqlite";
  CLI::App* index_command = app.add_subcommand("index", "Indexes what is new or changed below DIR");
  index_command->add_option("DIR", index.directory, "The tree to index")->capture_default_str();
  index_command->add_option("--db", index.database, "The index, an SQLite file")->capture_default_str();
  index_command->add_option("--workers", workers, "Python interpreters that work in parallel")
      ->capture_default_str();
  index_command->add_option("--embedder", index.embedder, "What turns text into vectors: hashing")
      ->capture_default_str();
  index_command->add_option("--drain", drain, "Seconds that files in flight may take to finish after Ctrl-C")
      ->capture_default_str();
  index_command->add_flag("--json", index.json, "Print the report as one JSON object");
  index_command->add_flag("--quiet", index.quiet, "Print no progress and no summary");
  index_command->add_option("--store", store)->group("");                        // for benchmarks: null
  index_command->add_option("--python-dir", index.python_directory)->group("");  // for tests

  SearchOptions search;
  search.python_directory = python_directory;
  std::int64_t top = static_cast<std::int64_t>(search.top);
  CLI::App* search_command = app.add_subcommand("search", "Finds the chunks nearest to a query");
  search_command->add_option("QUERY", search.query, "A few words")->required();
  search_command->add_option("--db", search.database, "The index")->capture_default_str();
  search_command->add_option("--top", top, "How many hits to show")->capture_default_str();
  search_command->add_flag("--json", search.json, "Print the hits as one JSON object");
  search_command->add_option("--python-dir", search.python_directory)->group("");

  VerifyOptions verify;
  CLI::App* verify_command = app.add_subcommand("verify", "Checks that the index is consistent");
  verify_command->add_option("--db", verify.database, "The index")->capture_default_str();
  verify_command->add_flag("--json", verify.json, "Print the result as one JSON object");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    std::ostringstream text;
    const int exit_code = app.exit(help, text, text);
    print_result(text.str());
    return exit_code;
  } catch (const CLI::ParseError& error) {
    throw UserError(error.what());
  }

  if (index_command->parsed()) {
    if (index.directory.empty()) {
      throw UserError("DIR is empty; it must name the directory to index ('.' is the current one)");
    }
    check_database(index.database);
    index.workers = checked_workers(workers);
    index.drain = checked_drain(drain);
    check_embedder(index.embedder);
    if (store != "sqlite" && store != "null") {
      throw UserError(fmt::format("there is no store '{}'; there is: sqlite, null", store));
    }
    index.null_store = store == "null";
    return run_index(index);
  }
  if (search_command->parsed()) {
    check_database(search.database);
    if (top < 1) throw UserError(fmt::format("--top must be at least 1, and is {}", top));
    search.top = static_cast<std::size_t>(top);
    return run_search(search);
  }
  check_database(verify.database);
  return run_verify(verify);
}

}  // namespace indexer
