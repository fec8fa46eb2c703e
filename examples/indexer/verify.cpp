// `indexer verify`: whether what must always be true of an index is.

#include "database.h"
#include "options.h"
#include "output.h"
#include "user_error.h"

#include <interpool/interpool.h>

#include <fmt/format.h>

#include <string>
#include <utility>

namespace indexer {
namespace {

std::string to_text(const Verification& result) {
  std::string text = fmt::format("{} files, {} chunks, {} vectors, {} failed embeddings\n", result.files,
                                 result.chunks, result.vectors, result.failed_embeddings);
  for (const Problem& problem : result.problems) {
    text += fmt::format("{} {}, for example {}\n", problem.count, problem.what, problem.example);
  }
  text += result.problems.empty() ? "consistent\n" : "not consistent\n";
  return text;
}

std::string to_json(const Verification& result, int exit_code) {
  interpool::Value::List problems;
  for (const Problem& problem : result.problems) {
    problems.emplace_back(interpool::Value::Dict{
        {"what", problem.what}, {"count", problem.count}, {"example", problem.example}});
  }
  const interpool::Value report = interpool::Value::Dict{
      {"files", result.files},           {"chunks", result.chunks},
      {"vectors", result.vectors},       {"failed_embeddings", result.failed_embeddings},
      {"problems", std::move(problems)}, {"exit_code", exit_code}};
  // What is wrong with an index may be its text.
  return interpool::to_json(report, {.escape_invalid_text = true}) + "\n";
}

}  // namespace

int run_verify(const VerifyOptions& options) {
  const auto database = Database::open_for_reading(options.database);
  const Verification result = database->verify();
  const int exit_code = result.problems.empty() ? kExitOk : kExitFailed;
  print_result(options.json ? to_json(result, exit_code) : to_text(result));
  return exit_code;
}

}  // namespace indexer
