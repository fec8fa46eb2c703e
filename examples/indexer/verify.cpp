// `indexer verify`: whether what must always be true of an index is.

#include "database.h"
#include "options.h"
#include "user_error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace indexer {
namespace {

void print(const Verification& result) {
  fmt::print("{} files, {} chunks, {} vectors, {} failed embeddings\n", result.files, result.chunks,
             result.vectors, result.failed_embeddings);
  for (const Problem& problem : result.problems) {
    fmt::print("{} {}, for example {}\n", problem.count, problem.what, problem.example);
  }
  fmt::print("{}\n", result.problems.empty() ? "consistent" : "not consistent");
}

void print_json(const Verification& result, int exit_code) {
  auto problems = nlohmann::ordered_json::array();
  for (const Problem& problem : result.problems) {
    problems.push_back({{"what", problem.what}, {"count", problem.count}, {"example", problem.example}});
  }
  const nlohmann::ordered_json report = {
      {"files", result.files},           {"chunks", result.chunks},
      {"vectors", result.vectors},       {"failed_embeddings", result.failed_embeddings},
      {"problems", std::move(problems)}, {"exit_code", exit_code}};
  // What is wrong with an index may be its text.
  fmt::print("{}\n", report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

int run_verify(const VerifyOptions& options) {
  const auto database = Database::open_for_reading(options.database);
  const Verification result = database->verify();
  const int exit_code = result.problems.empty() ? kExitOk : kExitFailed;
  if (options.json) {
    print_json(result, exit_code);
  } else {
    print(result);
  }
  return exit_code;
}

}  // namespace indexer
