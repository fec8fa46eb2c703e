#include "python/error_capture.h"

#include "base/out_of_memory.h"
#include "interpool/detail/task.h"
#include "python/callback.h"
#include "python/module_table.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

namespace interpool::python {

namespace {

// Long chains and deep tracebacks are cut: the outermost and the innermost frames tell the story.
constexpr int kMaxCauses = 16;
constexpr std::size_t kOuterFrames = 32;
constexpr std::size_t kInnerFrames = 64;
// No line and no file of source is longer than this: it is data then, or made up.
constexpr std::size_t kLongestLine = 1000;
constexpr std::uintmax_t kLargestFile = 16U << 20U;

namespace fs = std::filesystem;

Object attribute(PyObject* object, const char* name) {
  // Interned: CPython's cache of attributes knows a name by its address, and would keep each new one.
  const Object interned = Object::take(PyUnicode_InternFromString(name));
  Object value = interned ? Object::take(PyObject_GetAttr(object, interned.get())) : Object();
  if (!value) PyErr_Clear();
  return value;
}

std::string str_of(PyObject* object) {
  const Object text = Object::take(PyObject_Str(object));
  if (text) return text_of(text.get());
  PyErr_Clear();
  return "<str() failed>";
}

std::string text_attribute(PyObject* object, const char* name) {
  const Object value = attribute(object, name);
  return value && PyUnicode_Check(value.get()) ? text_of(value.get()) : std::string();
}

std::string qualified_name(PyObject* type) {
  std::string name = text_attribute(type, "__qualname__");
  if (name.empty()) name = reinterpret_cast<PyTypeObject*>(type)->tp_name;
  const std::string module = text_attribute(type, "__module__");
  // As Python prints it.
  if (module.empty() || module == "builtins" || module == "__main__") return name;
  return module + "." + name;
}

/// Lines of one file by their numbers, from 1.
using Lines = std::map<int, std::string>;

/// Fills in the lines whose numbers are there.
void read_lines(std::istream& in, Lines& lines) {
  int at = 1;
  for (auto& [number, text] : lines) {
    if (number <= 0) continue;
    for (; at < number && in; ++at) in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    std::string line(kLongestLine, '\0');
    in.get(line.data(), static_cast<std::streamsize>(line.size()));
    if (in.gcount() == 0) in.clear(in.rdstate() & ~std::ios::failbit);  // it is empty
    line.resize(static_cast<std::size_t>(in.gcount()));
    const auto first = line.find_first_not_of(" \t\f");
    const auto last = line.find_last_not_of(" \t\r\f");
    if (first != std::string::npos) text = line.substr(first, last - first + 1);
  }
}

/// The same, by a code object's file name, which is whatever its maker liked: only a regular file is opened,
/// as others may block or never end.
void read_lines(const std::string& file, Lines& lines) {
  if (file.empty()) return;
  if (file.front() == '<') {
    std::optional<std::string> source = defined_source(file);
    if (!source) return;
    std::istringstream in(*std::move(source));
    return read_lines(in, lines);
  }
  std::error_code error;
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > kLargestFile || error) return;
  std::ifstream in(file);
  read_lines(in, lines);
}

/// Adds their source to the frames; each file is read once.
void add_source(std::vector<PythonFrame>& frames) {
  std::map<std::string, Lines> files;
  for (const PythonFrame& frame : frames) files[frame.file][frame.line];
  for (auto& [file, lines] : files) read_lines(file, lines);
  for (PythonFrame& frame : frames) frame.source = files[frame.file][frame.line];
}

std::vector<PythonFrame> frames_of(PyObject* exception) {
  std::vector<Object> entries;
  for (Object entry = Object::take(PyException_GetTraceback(exception)); entry && entry.get() != Py_None;
       entry = attribute(entries.back().get(), "tb_next")) {
    entries.push_back(std::move(entry));
  }
  std::vector<PythonFrame> frames;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries.size() > kOuterFrames + kInnerFrames && i == kOuterFrames) {
      const std::size_t skipped = entries.size() - kOuterFrames - kInnerFrames;
      frames.push_back(
          {.file = "...", .line = 0, .function = fmt::format("<{} frames left out>", skipped), .source = {}});
      i += skipped;
    }
    PythonFrame frame;
    const Object line = attribute(entries[i].get(), "tb_lineno");
    if (line && PyLong_Check(line.get())) frame.line = static_cast<int>(PyLong_AsLong(line.get()));
    const Object python_frame = attribute(entries[i].get(), "tb_frame");
    const Object code = python_frame ? attribute(python_frame.get(), "f_code") : Object();
    if (code) {
      frame.file = text_attribute(code.get(), "co_filename");
      frame.function = text_attribute(code.get(), "co_qualname");
    }
    frames.push_back(std::move(frame));
  }
  PyErr_Clear();  // of PyLong_AsLong
  add_source(frames);
  return frames;
}

std::vector<std::string> notes_of(PyObject* exception) {
  std::vector<std::string> notes;
  const Object list = attribute(exception, "__notes__");
  if (!list || PyList_Check(list.get()) == 0) return notes;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.get()); ++i) {
    const Object note = Object::share(PyList_GET_ITEM(list.get(), i));  // str() could change the list
    notes.push_back(str_of(note.get()));
  }
  return notes;
}

std::shared_ptr<const PythonErrorInfo> describe(PyObject* exception, int depth) {
  auto info = std::make_shared<PythonErrorInfo>();
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(exception));
  info->type = text_attribute(type, "__name__");
  info->qualified_type = qualified_name(type);
  info->message = str_of(exception);
  info->frames = frames_of(exception);
  info->notes = notes_of(exception);
  if (depth < kMaxCauses) {  // which ends a chain that runs in a circle as well
    Object cause = Object::take(PyException_GetCause(exception));
    if (!cause) {
      const Object suppress = attribute(exception, "__suppress_context__");
      if (suppress && suppress.get() != Py_True) {
        cause = Object::take(PyException_GetContext(exception));
        info->cause_is_context = true;
      }
    }
    if (cause) {
      info->cause = describe(cause.get(), depth + 1);
    } else {
      info->cause_is_context = false;
    }
  }
  return info;
}

int exit_code_of(PyObject* exception) {
  const Object code = attribute(exception, "code");
  if (!code || code.get() == Py_None) return 0;
  if (PyLong_Check(code.get()) == 0) return 1;
  const long value = PyLong_AsLong(code.get());
  if (value == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();
  return static_cast<int>(value);
}

}  // namespace

std::optional<std::string> utf8_of(PyObject* text) {
  Py_ssize_t size = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size)) {
    return std::string(utf8, static_cast<std::size_t>(size));
  }
  if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) return std::nullopt;
  PyErr_Clear();
  // Lone surrogates have no UTF-8; keep them in the form that put_str() takes back.
  const Object bytes = Object::take(PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass"));
  if (!bytes) return std::nullopt;
  return std::string(PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
}

std::string text_of(PyObject* text) {
  if (std::optional<std::string> utf8 = utf8_of(text)) return std::move(*utf8);
  PyErr_Clear();
  return {};
}

std::string repr_of(PyObject* object) {
  const Object text = Object::take(PyObject_Repr(object));
  if (text) return text_of(text.get());
  PyErr_Clear();
  return fmt::format("<{}>", type_name(object));
}

std::string type_name(PyObject* object) {
  std::string name = text_attribute(reinterpret_cast<PyObject*>(Py_TYPE(object)), "__name__");
  return name.empty() ? Py_TYPE(object)->tp_name : name;
}

void add_note(PyObject* exception, std::string_view note) {
  const char* data = note.data();  // NOLINT(bugprone-suspicious-stringview-data-usage): the size goes along
  const Object text =
      Object::take(PyUnicode_DecodeUTF8(data, static_cast<Py_ssize_t>(note.size()), "surrogatepass"));
  const Object name = text ? Object::take(PyUnicode_InternFromString("add_note")) : Object();
  if (!name || !Object::take(PyObject_CallMethodOneArg(exception, name.get(), text.get()))) PyErr_Clear();
}

Failure take_error(const ErrorContext& context) noexcept {
  const Object exception = Object::take(PyErr_GetRaisedException());
  try {
    if (!exception) {
      auto info = std::make_shared<PythonErrorInfo>();
      info->type = info->qualified_type = "SystemError";
      info->message = "a call failed without setting an exception";
      return std::make_shared<const PythonError>(std::move(info), context);
    }
    if (const std::exception_ptr native = native_exception(exception.get())) {
      try {
        std::rethrow_exception(native);
      } catch (...) {
        return detail::current_failure(context);
      }
    }
    auto info = describe(exception.get(), 0);
    if (PyErr_GivenExceptionMatches(exception.get(), PyExc_SystemExit) != 0) {
      return std::make_shared<const SystemExitError>(std::move(info), context, exit_code_of(exception.get()));
    }
    if (PyErr_GivenExceptionMatches(exception.get(), PyExc_KeyboardInterrupt) != 0) {
      return std::make_shared<const KeyboardInterruptError>(std::move(info), context);
    }
    return std::make_shared<const PythonError>(std::move(info), context);
  } catch (...) {
    PyErr_Clear();
    return python_out_of_memory();
  }
}

}  // namespace interpool::python
