// Measures interpool beside what it is compared with, in one run.

#include "life.h"
#include "report.h"
#include "suite.h"

#include <interpool/runtime.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures interpool beside what it is compared with, in one run, as ratios.");
  bench::SuiteOptions options;
  std::string json;
  std::string memory_of;
  app.add_option("--json", json, "Write the rows there as JSON, too");
  app.add_option("--rows", options.rows, "Only rows in whose names this regular expression is found");
  app.add_flag("--quick", options.quick, "Fewer repetitions");
  app.add_option("--ipe-python", options.ipe_python, "A Python that has InterpreterPoolExecutor");
  app.add_option("--memory-of", memory_of)->group("");  // for the process that measures memory
  CLI11_PARSE(app, argc, argv);

  try {
    if (!memory_of.empty()) {
      fmt::print("{}\n", bench::bytes_per_interpreter(memory_of == "bare"));
      return 0;
    }
    signal(SIGPIPE, SIG_IGN);  // a child that ends early shows in what it did not answer
    options.self = std::filesystem::read_symlink("/proc/self/exe").string();
    bench::Suite suite(options);
    interpool::Runtime runtime;
    bench::Circumstances circumstances;
    circumstances.python = runtime.python_version();
    circumstances.cores = std::thread::hardware_concurrency();
    circumstances.quick = options.quick;
    circumstances.load_before = load_average();
    bench::call_rows(suite, runtime);
    bench::attached_rows(suite, runtime);
    bench::round_trip_rows(suite, runtime);
    bench::buffer_rows(suite, runtime);
    bench::parallel_rows(suite, runtime);
    bench::life_rows(suite, runtime);
    circumstances.load_after = load_average();
    if (suite.rows().empty()) {
      throw std::runtime_error("--rows " + options.rows +
                               ": no row has that in its name; see docs/benchmarks.md");
    }

    fmt::print("{}", bench::as_table(suite.rows(), circumstances));
    if (!json.empty()) {
      std::ofstream file(json);
      file << bench::as_json(suite.rows(), circumstances);
      if (!file.flush()) throw std::runtime_error("cannot write " + json);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
