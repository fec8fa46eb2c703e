#include "report.h"

#include <interpool/interpool.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace bench {

namespace {

struct Scale {
  double factor;
  const char* name;
};

template <std::size_t N>
std::string scaled(double number, const std::array<Scale, N>& scales) {
  const Scale* scale = &scales.front();
  for (const Scale& candidate : scales) {
    if (number >= candidate.factor) scale = &candidate;
  }
  const double shown = number / scale->factor;
  return fmt::format("{:.{}f} {}", shown, shown < 10 ? 2 : shown < 100 ? 1 : 0, scale->name);
}

std::string in_unit(Unit unit, double number) {
  static constexpr std::array kTimes = {Scale{1, "ns"}, Scale{1e3, "µs"}, Scale{1e6, "ms"}, Scale{1e9, "s"}};
  static constexpr std::array kRates = {Scale{1, "/s"}, Scale{1e3, "k/s"}, Scale{1e6, "M/s"}};
  static constexpr std::array kSizes = {Scale{1, "B"}, Scale{1024, "KiB"}, Scale{1024.0 * 1024, "MiB"}};
  switch (unit) {
    case Unit::kTime: return scaled(number, kTimes);
    case Unit::kRate: return scaled(number, kRates);
    case Unit::kBytes: return scaled(number, kSizes);
  }
  return {};
}

std::string short_ratio(double ratio) {
  return fmt::format("{:.{}f}", ratio, ratio < 10 ? 2 : ratio < 100 ? 1 : 0);
}

std::string goal_text(const Goal& goal) {
  if (goal.kind == Goal::Kind::kNone) return "-";
  std::string text = fmt::format("{} {:g}", goal.kind == Goal::Kind::kAtMost ? "≤" : "≥", goal.target);
  if (goal.aim) text += fmt::format(" (aim {:g})", *goal.aim);
  return text;
}

std::string met_text(const Row& row) {
  const auto met = row.goal.met_by(row.ratio.median);
  return !met ? "-" : *met ? "yes" : "NO";
}

/// Columns as wide as their widest cell; the first one left-aligned, and so the one of names.
std::string align(const std::vector<std::vector<std::string>>& lines) {
  // What is shown is ASCII but for a few letters of one column each.
  const auto width = [](const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a UTF-8 continuation
    }));
  };
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines) {
    // A line of two cells is a row that was skipped, and its reason, which may be long.
    if (line.size() == 2) widths[0] = std::max(widths[0], width(line[0]));
    if (line.size() == 2) continue;
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i > 0) row += "  ";
      const std::string padding(widths[i] > width(line[i]) ? widths[i] - width(line[i]) : 0, ' ');
      const bool number = line.size() > 2 && (i == 1 || i == 2 || i == 4);
      row += number ? padding + line[i] : line[i] + padding;
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

const char* unit_name(Unit unit) {
  switch (unit) {
    case Unit::kTime: return "ns";
    case Unit::kRate: return "1/s";
    case Unit::kBytes: return "bytes";
  }
  return "";
}

}  // namespace

std::string as_table(const std::vector<Row>& rows, const Circumstances& circumstances) {
  std::vector<std::vector<std::string>> lines = {
      {"row", "value", "reference", "", "ratio", "(min - max)", "target", "met"}};
  for (const Row& row : rows) {
    if (!row.skipped.empty()) {
      lines.push_back({row.id, "not measured: " + row.skipped});
      continue;
    }
    lines.push_back({row.id, in_unit(row.unit, row.value), in_unit(row.unit, row.reference),
                     row.reference_name, short_ratio(row.ratio.median),
                     fmt::format("({} - {})", short_ratio(row.ratio.min), short_ratio(row.ratio.max)),
                     goal_text(row.goal), met_text(row)});
  }
  return fmt::format("Python {}, {} cores, load average {:.2f} before and {:.2f} after{}\n{}\n{}",
                     circumstances.python, circumstances.cores, circumstances.load_before,
                     circumstances.load_after, circumstances.quick ? ", --quick" : "",
                     circumstances.load_before < 0.5
                         ? ""
                         : "Other programs were running: rows with more than one thread say little.\n",
                     align(lines));
}

std::string as_json(const std::vector<Row>& rows, const Circumstances& circumstances) {
  using interpool::Value;
  Value::List list;
  for (const Row& row : rows) {
    Value::Dict entry = {{"row", row.id}, {"what", row.what}};
    if (!row.skipped.empty()) {
      entry.emplace_back("skipped", row.skipped);
    } else {
      entry.emplace_back("unit", unit_name(row.unit));
      entry.emplace_back("value", row.value);
      entry.emplace_back("reference", Value::Dict{{"name", row.reference_name}, {"value", row.reference}});
      entry.emplace_back(
          "ratio", Value::Dict{{"median", row.ratio.median}, {"min", row.ratio.min}, {"max", row.ratio.max}});
    }
    if (row.goal.kind != Goal::Kind::kNone) {
      Value::Dict target = {{"is", row.goal.kind == Goal::Kind::kAtMost ? "at most" : "at least"},
                            {"ratio", row.goal.target}};
      if (row.goal.aim) target.emplace_back("aim", *row.goal.aim);
      entry.emplace_back("target", std::move(target));
    }
    if (const auto met = row.goal.met_by(row.ratio.median); met && row.skipped.empty()) {
      entry.emplace_back("met", *met);
    }
    list.emplace_back(std::move(entry));
  }
  const Value document =
      Value::Dict{{"python", circumstances.python},
                  {"cores", circumstances.cores},
                  {"load_average", Value::List{circumstances.load_before, circumstances.load_after}},
                  {"quick", circumstances.quick},
                  {"rows", std::move(list)}};
  return interpool::to_json(document, {.indent = 2}) + "\n";
}

}  // namespace bench
