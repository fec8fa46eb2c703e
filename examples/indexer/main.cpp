// indexer: makes a tree of Python source searchable, in parallel, in one process, and can be stopped at any
// moment without harm. See options.cpp for its command line, pipeline.h for how it works.

#include "options.h"
#include "output.h"
#include "user_error.h"

#include <fmt/format.h>

#include <exception>
#include <string>

namespace {

/// One line, whatever it is about: a path may hold a newline.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  indexer::occupy_standard_descriptors();
  try {
    return indexer::run_command_line(argc, argv);
  } catch (const indexer::UserError& error) {
    indexer::print_message(fmt::format("indexer: {}\n", one_line(error.what())));
    return indexer::kExitBadInput;
  } catch (const std::exception& error) {
    indexer::print_message(fmt::format("indexer: {}\n", one_line(error.what())));
    return indexer::kExitFailed;
  }
}
