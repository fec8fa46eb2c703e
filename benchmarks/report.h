// The rows as a table and as JSON.
#pragma once

#include "suite.h"

#include <string>
#include <vector>

namespace bench {

/// Where and when a run took place.
struct Circumstances {
  std::string python;
  unsigned cores = 0;
  double load_before = 0;  // the load average of one minute
  double load_after = 0;
  bool quick = false;
};

std::string as_table(const std::vector<Row>& rows, const Circumstances& circumstances);
std::string as_json(const std::vector<Row>& rows, const Circumstances& circumstances);

}  // namespace bench
