// Suite: takes the measurements of one run and keeps the rows.
#pragma once

#include <interpool/runtime.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <regex>
#include <string>
#include <vector>

namespace bench {

/// What a side's number is, and what is shown of it. In all cases a row's ratio is the shown value
/// divided by the shown reference.
enum class Unit {
  kTime,   ///< Nanoseconds per operation.
  kRate,   ///< Measured in nanoseconds per operation, shown as operations per second.
  kBytes,  ///< Bytes.
};

/// What the ratio should be, and what it is hoped to become. None: the row informs.
struct Goal {
  enum class Kind { kNone, kAtMost, kAtLeast };
  Kind kind = Kind::kNone;
  double target = 0;
  std::optional<double> aim = {};

  static Goal none() { return {}; }
  static Goal at_most(double target, std::optional<double> aim = {}) { return {Kind::kAtMost, target, aim}; }
  static Goal at_least(double target, std::optional<double> aim = {}) {
    return {Kind::kAtLeast, target, aim};
  }
  [[nodiscard]] std::optional<bool> met_by(double ratio) const;
};

/// One thing that is measured. `run` does one repetition and returns its number.
struct Side {
  std::string name;
  std::function<double()> run;
};

/// One row: a side of a list against another one of the same list.
struct Comparison {
  std::string id;
  std::string what;
  std::size_t side;
  std::size_t reference;
  Unit unit = Unit::kTime;
  Goal goal = {};
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
  static Spread of(std::vector<double> values);
};

/// A row as it is reported.
struct Row {
  std::string id;
  std::string what;
  Unit unit = Unit::kTime;
  double value = 0;  // medians, in the unit as it is shown
  std::string reference_name;
  double reference = 0;
  Spread ratio;
  Goal goal;
  std::string skipped;  // why there are no numbers; empty: there are
};

struct SuiteOptions {
  std::string rows = ".";  // a regular expression, searched for in the ids
  bool quick = false;      // fewer repetitions
  std::string ipe_python;  // an interpreter that has InterpreterPoolExecutor; empty: none
  std::string self;        // this program, for what needs a process of its own
  [[nodiscard]] std::size_t repetitions() const { return quick ? 5 : 15; }
  /// For what takes long.
  [[nodiscard]] std::size_t few_repetitions() const { return quick ? 3 : 7; }
};

/// The measurements of one run. Use from one thread.
class Suite {
 public:
  explicit Suite(SuiteOptions options);

  [[nodiscard]] const SuiteOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool wants(const std::string& id) const;
  [[nodiscard]] bool wants_any(const std::vector<Comparison>& comparisons) const;

  /// Runs the sides that the wanted comparisons need, in turn: A B C, A B C, … after one round that does not
  /// count. So what disturbs the machine for longer than a round disturbs all of them, and each
  /// round gives one ratio per comparison.
  void compare(const std::vector<Side>& sides, const std::vector<Comparison>& comparisons,
               std::size_t repetitions);
  /// Reports a row that cannot be measured here.
  void skip(const Comparison& comparison, const std::string& why);

  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

 private:
  SuiteOptions options_;
  std::regex wanted_;
  std::vector<Row> rows_;
};

// The rows, by what they are about. Each sets up what it needs, if one of its rows is wanted. There is one
// Runtime for all, as there can be only one per process.
void buffer_rows(Suite& suite, interpool::Runtime& runtime);
void call_rows(Suite& suite, interpool::Runtime& runtime);
void attached_rows(Suite& suite, interpool::Runtime& runtime);
void round_trip_rows(Suite& suite, interpool::Runtime& runtime);
void parallel_rows(Suite& suite, interpool::Runtime& runtime);
void life_rows(Suite& suite, interpool::Runtime& runtime);

}  // namespace bench
