// `indexer search`: the chunks nearest to a query.

#include "database.h"
#include "options.h"
#include "output.h"
#include "python_tasks.h"
#include "user_error.h"

#include <interpool/interpool.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>

namespace indexer {
namespace {

std::vector<float> to_floats(const interpool::Bytes& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  for (std::size_t i = 0; i < floats.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
    if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap32(bits);
    floats[i] = std::bit_cast<float>(bits);
  }
  return floats;
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string to_text(const std::vector<Hit>& hits) {
  std::string text;
  for (const Hit& hit : hits) {
    text += fmt::format("{}:{}-{}  {:.3f}  {}\n", hit.path, hit.first_line, hit.last_line, hit.score,
                        first_line(hit.text));
  }
  return text;
}

std::string to_json(const std::string& query, const std::vector<Hit>& hits) {
  interpool::Value::List list;
  for (const Hit& hit : hits) {
    list.emplace_back(interpool::Value::Dict{{"path", hit.path},
                                             {"name", hit.name},
                                             {"first_line", hit.first_line},
                                             {"last_line", hit.last_line},
                                             {"score", hit.score},
                                             {"line", std::string(first_line(hit.text))}});
  }
  const interpool::Value result = interpool::Value::Dict{{"query", query}, {"hits", std::move(list)}};
  // The query comes from the command line, which may be any bytes.
  return interpool::to_json(result, {.escape_invalid_text = true}) + "\n";
}

}  // namespace

int run_search(const SearchOptions& options) {
  const auto database = Database::open_for_reading(options.database);

  interpool::Runtime python = start_python(options.python_directory);
  interpool::SubinterpreterExecutor executor(python, executor_options(1));
  const PythonTasks tasks(executor);
  // The query must be embedded as the chunks were.
  const auto [name, dimensions] = tasks.describe().get();
  if (database->embedder() != Embedder{.name = name, .dimensions = dimensions}) {
    throw UserError(
        fmt::format("{} was embedded by '{}' with {} dimensions, which this version cannot search",
                    options.database.string(), database->embedder().name, database->embedder().dimensions));
  }
  const std::vector<float> query = to_floats(tasks.embed_query(options.query).get());
  if (std::all_of(query.begin(), query.end(), [](float value) { return value == 0; })) {
    throw UserError("there is no word to search for in the query");
  }

  const std::vector<Hit> hits = database->search(query, options.top);
  if (options.json) {
    print_result(to_json(options.query, hits));
  } else if (hits.empty()) {
    print_message("the index is empty\n");
  } else {
    print_result(to_text(hits));
  }
  return kExitOk;
}

}  // namespace indexer
