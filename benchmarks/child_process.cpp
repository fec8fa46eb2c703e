#include "child_process.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

namespace {

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    read = ends[0];
    write = ends[1];
  }
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, bool discard_stderr) {
  const Pipe in;
  const Pipe out;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  if (discard_stderr) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int error = posix_spawnp(&pid_, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in.read);
  close(out.write);
  to_.reset(fdopen(in.write, "w"));
  from_.reset(fdopen(out.read, "r"));
  if (error != 0) throw std::system_error(error, std::generic_category(), command.front());
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  wait();
}

void ChildProcess::write_line(const std::string& line) {
  std::fputs((line + "\n").c_str(), to_.get());
  std::fflush(to_.get());
}

std::string ChildProcess::read_line() {
  std::string line;
  for (int c = std::fgetc(from_.get()); c != EOF && c != '\n'; c = std::fgetc(from_.get())) {
    line += static_cast<char>(c);
  }
  return line;
}

int ChildProcess::wait() {
  to_.reset();
  while (std::fgetc(from_.get()) != EOF) {
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

InterpreterPool::InterpreterPool(const std::string& python) : process_({python, "-I", BENCH_IPE_SCRIPT}) {}

std::unique_ptr<InterpreterPool> InterpreterPool::start(const std::string& python, std::string& why_not) {
  if (python.empty()) {
    why_not = "no reference on this Python";
    return nullptr;
  }
  std::unique_ptr<InterpreterPool> pool(new InterpreterPool(python));
  const std::string answer = pool->process_.read_line();
  if (answer == "ready") return pool;
  why_not = answer.empty() ? fmt::format("{} did not start", python) : answer;
  return nullptr;
}

double InterpreterPool::ask(const char* what, std::size_t tasks) {
  process_.write_line(fmt::format("{} {}", what, tasks));
  const std::string answer = process_.read_line();
  if (answer.empty()) throw std::runtime_error("the process with InterpreterPoolExecutor ended");
  return std::stod(answer);
}

}  // namespace bench
