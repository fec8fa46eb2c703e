// A host that gets what its Python code prints and logs, and knows which worker and which task did.
#include <interpool/interpool.h>

#include <cstdio>
#include <string>

namespace {

// Both run on the thread that prints or logs, and several may at a time: a line each, written at once.
void show_output(const interpool::OutputLine& line) {
  const std::string text =
      std::string(line.worker).append(" ").append(line.task).append(" prints: ").append(line.text);
  std::puts(text.c_str());
}

void show_record(const interpool::LogRecord& record) { std::puts(interpool::to_json(record).c_str()); }

void run(const interpool::Submitter& worker, const char* name, const char* code) {
  worker.with({.name = name}).submit([code](interpool::Worker& python) { python.exec(code); }).get();
}

}  // namespace

int main() {
  interpool::Runtime python({.output = show_output, .python_log = show_record});
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 2});
  const interpool::Submitter first = pool.pinned(0);
  const interpool::Submitter second = pool.pinned(1);

  // In each interpreter, once.
  for (const interpool::Submitter& worker : {first, second}) {
    run(worker, "set up",
        "import interpool, logging\n"
        "logging.basicConfig(level=logging.INFO, format='%(message)s', handlers=[interpool.LogHandler()])\n");
  }

  run(first, "GET /", "print('I am', interpool.worker_id(), 'and run', interpool.task_name())");
  run(second, "GET /", "logging.getLogger('app').info('served %d bytes', 512)");
  run(second, "POST /", "print('no newline', end='')");  // the end of its task ends the line
  run(first, "POST /",
      "try:\n"
      "    {}['id']\n"
      "except KeyError:\n"
      "    logging.getLogger('app').exception('no id')\n");
}
