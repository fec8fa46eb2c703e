// The modules that the host has defined, and how every interpreter finds them.
#pragma once

#include "base/mutex.h"
#include "interpool/error.h"
#include "python/cpython.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace interpool::detail {

/// One definition of a module: Python code, or the init function of a native module. Immutable.
struct DefinedModule {
  using Init = PyObject* (*)();

  std::string name;
  std::string file = {};    // as its code names it: "<interpool>/helpers.py"
  std::string source = {};  // UTF-8
  std::string code = {};    // compiled and marshalled
  Init init = nullptr;      // of a native module, which has none of the three above
};

/// The modules by their names. Definitions that were replaced are kept, because code of theirs still runs and
/// shows up in tracebacks. Thread-safe; shared-owned, also by the interpreters that look in it.
class ModuleTable {
 public:
  using Definition = std::shared_ptr<const DefinedModule>;

  /// The one that counts now, or null.
  [[nodiscard]] Definition find(std::string_view name) const INTERPOOL_EXCLUDES(mutex_);
  /// Whether it is there, with just this source.
  [[nodiscard]] bool has(std::string_view name, std::string_view source) const {
    const Definition module = find(name);
    return module != nullptr && module->init == nullptr && module->source == source;
  }
  /// The one whose code names this file, or null.
  [[nodiscard]] Definition find_file(std::string_view file) const INTERPOOL_EXCLUDES(mutex_);
  /// A file name for code of this module, different each time.
  [[nodiscard]] std::string new_file(const std::string& name) INTERPOOL_EXCLUDES(mutex_);
  /// Adds a definition, in place of one with the same name, unless that says the same. Throws UsageError
  /// where one of the two is native and they differ.
  void add(DefinedModule module) INTERPOOL_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::map<std::string, Definition, std::less<>> by_name_ INTERPOOL_GUARDED_BY(mutex_);
  std::map<std::string, Definition, std::less<>> by_file_ INTERPOOL_GUARDED_BY(mutex_);
  std::map<std::string, std::size_t> files_ INTERPOOL_GUARDED_BY(mutex_);  // given out so far, per name
};

}  // namespace interpool::detail

namespace interpool::python {

/// Throws UsageError where this cannot be the name of a module of the host's, as far as that can be told
/// without Python.
void check_module_name(std::string_view name);

// Under main's GIL; null is success.

/// Compiles the module and adds it to the table.
Failure define_module(detail::ModuleTable& table, std::string_view name, std::string_view source) noexcept;
/// Calls `init`, to see what it is, and adds the module to the table.
Failure add_native_module(detail::ModuleTable& table, std::string_view name,
                          detail::DefinedModule::Init init) noexcept;

// Under any interpreter's GIL.

/// A set-up step: from now on, imports of this interpreter ask the table first. Null is success.
Failure install_finder(const std::shared_ptr<detail::ModuleTable>& table) noexcept;
/// The source of a defined module, by the file that its code names, in an interpreter with a finder.
std::optional<std::string> defined_source(std::string_view file);

}  // namespace interpool::python
