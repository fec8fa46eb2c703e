#include "support/scenario.h"

#include "support/sync.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <stdexcept>

extern char** environ;

namespace interpool::test {

namespace {

std::map<std::string, int (*)()>& scenarios() {
  static std::map<std::string, int (*)()> scenarios;
  return scenarios;
}

std::vector<std::string>& arguments() {
  static auto* const arguments = new std::vector<std::string>;
  return *arguments;
}

constexpr const char* kFlag = "--scenario";
constexpr int kFailed = 99;

std::vector<std::string> environment_with(const Environment& changes) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : changes) {
    if (value) {
      variables[name] = *value;
    } else {
      variables.erase(name);
    }
  }
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(std::string(name).append("=").append(value));
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

int run_child(const std::string& name) {
  const auto found = scenarios().find(name);
  if (found == scenarios().end()) {
    std::fprintf(stderr, "no scenario '%s'\n", name.c_str());
    return kFailed;
  }
  try {
    return found->second();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the scenario threw: %s\n", error.what());
    return kFailed;
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const Child& child) {
  if (child.hung) {
    stream << "the child hung and was killed";
  } else if (child.exited) {
    stream << "the child exited with " << child.status;
  } else {
    stream << "the child died by signal " << child.signal;
  }
  return stream << "\n--- its output:\n" << child.out << "\n--- its errors:\n" << child.err << "\n---";
}

Child run(const std::vector<std::string>& command, const Environment& environment) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  std::vector<std::string> words = command;
  std::vector<std::string> variables = environment_with(environment);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, pointers(words).data(),
                                 pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  close(err[1]);
  if (error != 0) throw std::runtime_error("cannot start " + command[0]);

  Child child;
  const auto end = std::chrono::steady_clock::now() + 2 * kPatience;
  std::array<pollfd, 2> streams{pollfd{out[0], POLLIN, 0}, pollfd{err[0], POLLIN, 0}};
  std::array<std::string*, 2> texts{&child.out, &child.err};
  // The child's end closes both, unless it leaves a child of its own behind.
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      child.hung = true;
      kill(pid, SIGKILL);
      break;
    }
    if (poll(streams.data(), streams.size(), static_cast<int>(left.count())) <= 0) continue;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t n = read(streams[i].fd, buffer.data(), buffer.size());
      if (n > 0) {
        texts[i]->append(buffer.data(), static_cast<std::size_t>(n));
      } else {
        streams[i].fd = -1;
      }
    }
  }
  close(out[0]);
  close(err[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  child.exited = WIFEXITED(status);
  if (child.exited) {
    child.status = WEXITSTATUS(status);
  } else {
    child.signal = WTERMSIG(status);
  }
  return child;
}

Child run_scenario(const std::string& name, const std::vector<std::string>& arguments,
                   const Environment& environment) {
  std::vector<std::string> command{"/proc/self/exe", kFlag, name};
  command[0] = std::string(1024, '\0');
  command[0].resize(
      static_cast<std::size_t>(readlink("/proc/self/exe", command[0].data(), command[0].size())));
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command, environment);
}

const std::vector<std::string>& scenario_arguments() { return arguments(); }

Scenario::Scenario(const char* name, int (*body)()) { scenarios()[name] = body; }

void scenario_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  _exit(kFailed);
}

}  // namespace interpool::test

int main(int argc, char** argv) {
  if (argc > 2 && std::string(argv[1]) == interpool::test::kFlag) {
    interpool::test::arguments().assign(argv + 3, argv + argc);
    return interpool::test::run_child(argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
