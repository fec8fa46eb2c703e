// A walk through the calling surface. It runs where there are a virtual environment `venv` and the folder
// `app`.
#include <interpool/interpool.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

using namespace std::chrono_literals;

int main() {
  interpool::Runtime python(
      {.virtual_env = "venv", .module_paths = {"app"}});  // starts CPython on a home thread
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 2,
                                                  .pooled = {.threads = 4, .interpreters = 2},
                                                  .queue_capacity = 1024,
                                                  .preload = {"json", "handlers"}});

  auto sqrt =
      pool.function<double(double)>("math:sqrt");  // a Python function, typed, looked up once per interpreter
  interpool::Future<double> a = sqrt(2.0);

  auto b = pool.submit([](interpool::Worker& w) {  // native code inside an interpreter, its GIL held
    return w.eval<std::string>("'-'.join('abc')");
  });

  auto c = pool.with({.name = "GET /", .timeout = 250ms})  // options: name, timeout or deadline
               .call<interpool::Value>("handlers:handle", "/", 42);

  auto d = pool.pinned(1).call<int>(
      "handlers:count");  // one worker, addressed: its state is sticky, its order kept
  auto e = pool.main().call<std::vector<float>>("model:embed",
                                                "text");  // for modules that refuse sub-interpreters

  auto lengths =
      pool.map<std::size_t>("builtins:len", std::vector<std::string>{"a", "bb"});  // one task per item

  pool.define_module("helpers", "limit = 0\ndef configure(n):\n    global limit\n    limit = n\n");
  pool.broadcast("helpers:configure", 10).get();  // every interpreter, present and future

  auto model = pool.pinned(0).create("model:Model", 0.5);  // an object that lives in one interpreter
  auto f = model.call<float>("predict", std::vector<float>{1, 2, 3});

  double x = a.get();                             // moves the value out, or throws PythonError, …
  interpool::Result<std::string> r = b.result();  // or does not throw
  c.cancel();                                     // false if it has begun: then its result comes

  std::printf("sqrt(2) = %.4f, %s\n", x, r ? r->c_str() : r.error().what());
  if (auto handled = c.result()) std::printf("handled: %s\n", to_string(*handled).c_str());
  std::printf("count %d, embedding of %zu, %zu lengths\n", d.get(), e.get().size(), lengths.get().size());
  std::printf("prediction %.1f, weight %.1f\n", static_cast<double>(f.get()),
              model.get<double>("weight").get());

  {
    interpool::AttachedThread here =
        pool.attach();  // this thread becomes a worker: no queue, no other thread
    std::printf("limit here: %d\n", here.run([](interpool::Worker& w) {
      w.exec("import helpers");
      return w.eval<int>("helpers.limit");
    }));
  }
  return pool.stop({.drain = 30s}).drained ? 0 : 1;
}
