// The smallest useful program: Python functions and C++ code in Python interpreters on every core.
#include <interpool/interpool.h>

#include <cstdio>
#include <string>
#include <vector>

int main() {
  interpool::Runtime python;                       // CPython, on a thread of its own
  interpool::SubinterpreterExecutor pool(python);  // one interpreter with its own GIL per core

  // A Python function with a C++ signature. The call returns at once; get() waits for the result.
  auto sqrt = pool.function<double(double)>("math:sqrt");
  interpool::Future<double> root = sqrt(2.0);

  // C++ code inside an interpreter, whose GIL it holds.
  auto json = pool.submit([](interpool::Worker& worker) {
    worker.exec("import json");
    return worker.eval<std::string>("json.dumps({'answer': 6 * 7})");
  });

  std::printf("sqrt(2) = %.6f\n", root.get());
  std::printf("json = %s\n", json.get().c_str());

  // What Python raises arrives as a C++ exception that holds nothing of Python.
  try {
    pool.call<int>("builtins:int", "forty-two").get();
  } catch (const interpool::PythonError& error) {
    std::printf("%s: %s\n", error.type().c_str(), error.python_message().c_str());
  }

  // One call per item, in parallel; the results keep the items' order.
  const std::vector<std::string> words = {"a", "bb", "ccc"};
  for (const int length : pool.map<int>("builtins:len", words).get()) std::printf("%d\n", length);
}  // the executor ends its interpreters, then Python comes to rest
