// Scenarios: programs of their own for what ends, or needs, a whole process.
//
// A scenario and the test of it stand side by side: the test starts its own executable again with the
// scenario's name, and looks at the exit status and the output.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace interpool::test {

/// How a child process ended.
struct Child {
  bool exited = false;  ///< By itself, with `status`; else by `signal`.
  int status = -1;
  int signal = 0;
  bool hung = false;  ///< It did not end within the bound and was killed.
  std::string out;
  std::string err;

  /// Exited by itself with this status. For EXPECT_TRUE with the child as its message.
  [[nodiscard]] bool exited_with(int wanted) const { return exited && !hung && status == wanted; }
  friend std::ostream& operator<<(std::ostream& stream, const Child& child);
};

/// Changes to the environment of a child; nullopt unsets a variable.
using Environment = std::vector<std::pair<std::string, std::optional<std::string>>>;

Child run(const std::vector<std::string>& command, const Environment& environment = {});
Child run_scenario(const std::string& name, const std::vector<std::string>& arguments = {},
                   const Environment& environment = {});

/// The scenario's own arguments.
const std::vector<std::string>& scenario_arguments();

struct Scenario {
  Scenario(const char* name, int (*body)());
};

/// Ends the scenario with a status that no test expects.
[[noreturn]] void scenario_failed(const char* condition, const char* file, int line);

}  // namespace interpool::test

/// The body of a scenario; returns its exit status. What it throws ends it with another.
#define SCENARIO(name)                                                                \
  static int scenario_##name();                                                       \
  static const ::interpool::test::Scenario registered_##name(#name, scenario_##name); \
  static int scenario_##name()

/// In a scenario: what must hold.
#define REQUIRE(condition) \
  ((condition) ? void() : ::interpool::test::scenario_failed(#condition, __FILE__, __LINE__))
/// In a scenario: what must throw exactly this.
#define REQUIRE_THROWS(statement, Type)                                                    \
  do {                                                                                     \
    bool threw_as_wanted = false;                                                          \
    try {                                                                                  \
      (void)(statement);                                                                   \
    } catch (const Type&) {                                                                \
      threw_as_wanted = true;                                                              \
    }                                                                                      \
    if (!threw_as_wanted)                                                                  \
      ::interpool::test::scenario_failed(#statement " throws " #Type, __FILE__, __LINE__); \
  } while (false)
