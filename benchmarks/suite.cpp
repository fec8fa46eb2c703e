#include "suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace bench {

namespace {

/// The number of a side as it is shown.
double shown(Unit unit, double number) { return unit == Unit::kRate ? 1e9 / number : number; }

}  // namespace

std::optional<bool> Goal::met_by(double ratio) const {
  switch (kind) {
    case Kind::kAtMost: return ratio <= target;
    case Kind::kAtLeast: return ratio >= target;
    case Kind::kNone: break;
  }
  return std::nullopt;
}

Spread Spread::of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

Suite::Suite(SuiteOptions options)
    : options_(std::move(options)), wanted_(options_.rows, std::regex::extended) {}

bool Suite::wants(const std::string& id) const { return std::regex_search(id, wanted_); }

bool Suite::wants_any(const std::vector<Comparison>& comparisons) const {
  return std::any_of(comparisons.begin(), comparisons.end(), [&](const auto& c) { return wants(c.id); });
}

void Suite::compare(const std::vector<Side>& sides, const std::vector<Comparison>& comparisons,
                    std::size_t repetitions) {
  std::vector<bool> needed(sides.size());
  std::string ids;
  for (const Comparison& comparison : comparisons) {
    if (!wants(comparison.id)) continue;
    needed[comparison.side] = needed[comparison.reference] = true;
    ids += ids.empty() ? comparison.id : ", " + comparison.id;
  }
  if (ids.empty()) return;
  fmt::print(stderr, "   {}\n", ids);

  std::vector<std::vector<double>> numbers(sides.size());
  for (std::size_t round = 0; round <= repetitions; ++round) {
    for (std::size_t i = 0; i < sides.size(); ++i) {
      if (!needed[i]) continue;
      const double number = sides[i].run();
      if (round > 0) numbers[i].push_back(number);
    }
  }

  for (const Comparison& comparison : comparisons) {
    if (!wants(comparison.id)) continue;
    const std::vector<double>& side = numbers[comparison.side];
    const std::vector<double>& reference = numbers[comparison.reference];
    std::vector<double> ratios;
    ratios.reserve(side.size());
    for (std::size_t i = 0; i < side.size(); ++i) {
      ratios.push_back(shown(comparison.unit, side[i]) / shown(comparison.unit, reference[i]));
    }
    rows_.push_back({.id = comparison.id,
                     .what = comparison.what,
                     .unit = comparison.unit,
                     .value = shown(comparison.unit, Spread::of(side).median),
                     .reference_name = sides[comparison.reference].name,
                     .reference = shown(comparison.unit, Spread::of(reference).median),
                     .ratio = Spread::of(ratios),
                     .goal = comparison.goal,
                     .skipped = {}});
  }
}

void Suite::skip(const Comparison& comparison, const std::string& why) {
  if (!wants(comparison.id)) return;
  Row row;
  row.id = comparison.id;
  row.what = comparison.what;
  row.unit = comparison.unit;
  row.goal = comparison.goal;
  row.skipped = why;
  rows_.push_back(std::move(row));
}

}  // namespace bench
