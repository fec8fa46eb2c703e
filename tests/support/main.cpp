// The main of the unit and stress tests: CPython starts once per process, so all cases share one Runtime.
#include "support/runtime.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();

  const interpool::test::WithRuntime with_runtime;
  int status = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::fputs("no test ran: a filter that fits none?\n", stderr);
    status = 1;
  }
  for (const std::string& problem : with_runtime.stop()) {
    std::fprintf(stderr, "at the end of all tests: %s\n", problem.c_str());
    status = 1;
  }
  return status;
}
