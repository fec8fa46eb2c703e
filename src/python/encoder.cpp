#include "python/encoder.h"

#include "base/path.h"
#include "interpool/error.h"
#include "python/buffer_object.h"
#include "python/times.h"

#include <fmt/format.h>

namespace interpool::python {

void PythonEncoder::drop_frames() noexcept {
  for (const Frame& frame : frames_) {
    Py_XDECREF(frame.key);
    Py_XDECREF(frame.type);
    Py_DECREF(frame.container);
  }
}

void PythonEncoder::fail_unfinished() {
  fail(frames_.empty() ? "its Converter wrote no value" : "its Converter left a container open");
}

void PythonEncoder::put_big_int(std::span<const std::byte> twos_complement) {
  if (twos_complement.empty()) return put_int(0);  // no bytes may be at no address, which CPython takes ill
#if PY_VERSION_HEX >= 0x030D0000
  put(PyLong_FromNativeBytes(twos_complement.data(), twos_complement.size(), Py_ASNATIVEBYTES_LITTLE_ENDIAN));
#else
  put(_PyLong_FromByteArray(reinterpret_cast<const unsigned char*>(twos_complement.data()),
                            twos_complement.size(), /*little_endian=*/1, /*is_signed=*/1));
#endif
}

void PythonEncoder::put_str(std::string_view utf8) {
  // surrogatepass: what get_str() made of lone surrogates goes back as it came.
  PyObject* text = PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "surrogatepass");
  if (text == nullptr && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError) != 0) {
    const Object error = Object::take(PyErr_GetRaisedException());
    Py_ssize_t start = 0;
    PyUnicodeDecodeError_GetStart(error.get(), &start);
    fail(fmt::format("this text is not UTF-8 at byte {}; use interpool::Bytes for data that is not text",
                     start));
  }
  put(text);
}

void PythonEncoder::put_bytes(std::span<const std::byte> bytes) {
  put(PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes.data()),
                                static_cast<Py_ssize_t>(bytes.size())));
}

void PythonEncoder::put_buffer(const Buffer& buffer) {
  PyObject* type = interpreter_.buffer_type();
  put(type == nullptr ? nullptr : new_buffer(type, buffer));
}
void PythonEncoder::put_duration(const DayTime& duration) { put(make_timedelta(duration).release()); }
void PythonEncoder::put_time(const DayTime& since_epoch) {
  if (!is_date(since_epoch.days)) fail(kNoDate);
  put(make_datetime(since_epoch).release());
}
void PythonEncoder::put_date(std::int64_t days_since_epoch) {
  if (!is_date(days_since_epoch)) fail(kNoDate);
  put(make_date(days_since_epoch).release());
}

void PythonEncoder::begin_list(std::size_t size) {
  begin(Container::kList, size, PyList_New(static_cast<Py_ssize_t>(size)));
}
void PythonEncoder::begin_tuple(std::size_t size) {
  begin(Container::kTuple, size, PyTuple_New(static_cast<Py_ssize_t>(size)));
}
void PythonEncoder::begin_dict(std::size_t size) { begin(Container::kDict, 2 * size, PyDict_New()); }
void PythonEncoder::begin_set(std::size_t size) { begin(Container::kSet, size, PySet_New(nullptr)); }

void PythonEncoder::begin_object(std::string_view type, std::size_t size) {
  const detail::FunctionEntry& entry = interpreter_.table().entry(type);
  PyObject* found = interpreter_.function(entry);
  if (found == nullptr) raise_for(type);
  // Held: what is looked up anew meanwhile is dropped.
  Object held = Object::share(found);
  begin(Container::kObject, 2 * size, PyDict_New());
  frames_.back().type = held.release();
  frames_.back().name = entry.name;  // the table's: what `type` shows may have gone by end()
}

void PythonEncoder::put_callable(detail::NativeCallable& callable) {
  put(make_callback(interpreter_, gate_(), callable));
}

void PythonEncoder::begin(Container kind, std::size_t size, PyObject* container) {
  Object owned = Object::take(container);
  if (!owned) fail_raised();
  // Not the empty tuple, which is one for all and never the collector's.
  const bool hidden =
      (kind == Container::kList || kind == Container::kTuple) && PyObject_GC_IsTracked(container) != 0;
  // Before anything that may run Python code, as the path of an error does.
  if (hidden) PyObject_GC_UnTrack(container);
  if (frames_.size() >= kMaxDepth) {
    fail(fmt::format("nested deeper than {} containers, or contains itself", kMaxDepth));
  }
  frames_.push_back({.kind = kind,
                     .size = size,
                     .container = container,
                     .key = nullptr,
                     .type = nullptr,
                     .hidden = hidden,
                     .name = {}});
  (void)owned.release();
}

void PythonEncoder::end() {
  if (frames_.empty()) fail("its Converter closed a container that it did not open");
  if (frames_.back().next != frames_.back().size) {
    fail(fmt::format("its Converter announced {} values and wrote {}", frames_.back().size,
                     frames_.back().next));
  }
  const Frame frame = frames_.back();
  frames_.pop_back();
  if (frame.hidden) PyObject_GC_Track(frame.container);
  put(frame.kind == Container::kObject ? make_object(frame) : frame.container);
}

PyObject* PythonEncoder::make_object(const Frame& frame) {
  const Object type = Object::take(frame.type);
  const Object fields = Object::take(frame.container);
  PyObject* object = PyObject_VectorcallDict(type.get(), nullptr, 0, fields.get());
  if (object == nullptr) raise_for(frame.name);
  return object;
}

void PythonEncoder::raise_for(std::string_view type) {
  // Taken out: what a path shows of a key may run Python code, too.
  Object exception = Object::take(PyErr_GetRaisedException());
  if (exception) {
    add_note(exception.get(), fmt::format("{}: an instance of '{}' was to be made here", path(), type));
    PyErr_SetRaisedException(exception.release());
  }
  const Failure failure = take_error({.task = task_name_(), .interpreter = interpreter_.id()});
  failure->raise();
}

void PythonEncoder::put_slowly(PyObject* object) {
  Object owned = Object::take(object);
  if (!owned) fail_raised();
  if (frames_.empty()) {
    if (next_ == count_) fail("its Converter wrote more than one value");
    slots()[next_++] = owned.release();
    return;
  }
  Frame& frame = frames_.back();
  if (frame.next == frame.size) fail("its Converter wrote more values than it announced");
  const auto index = static_cast<Py_ssize_t>(frame.next);
  switch (frame.kind) {
    case Container::kList: PyList_SET_ITEM(frame.container, index, owned.release()); break;
    case Container::kTuple: PyTuple_SET_ITEM(frame.container, index, owned.release()); break;
    case Container::kSet:
      if (PySet_Add(frame.container, owned.get()) != 0) fail_raised();
      break;
    case Container::kDict:
    case Container::kObject:
      if (frame.key == nullptr) {
        frame.key = owned.release();
      } else {
        if (PyDict_SetItem(frame.container, frame.key, owned.get()) != 0) fail_raised();
        Py_CLEAR(frame.key);
      }
  }
  ++frame.next;
}

std::string PythonEncoder::path() const {
  std::string text = root_.empty() ? fmt::format("args[{}]", next_) : std::string(root_);
  for (const Frame& frame : frames_) {
    if (frame.kind != Container::kDict && frame.kind != Container::kObject) {
      append_subscript(text, std::to_string(frame.next));
    } else if (frame.key != nullptr && PyUnicode_Check(frame.key)) {
      append_key(text, text_of(frame.key));
    } else if (frame.key != nullptr) {
      append_subscript(text, repr_of(frame.key));
    }
  }
  return text;
}

void PythonEncoder::fail_raised() {
  // One that is no Exception, as KeyboardInterrupt, is no matter of conversion and stays what it is.
  const bool no_exception = PyErr_ExceptionMatches(PyExc_Exception) == 0;
  const Failure failure = take_error({.task = task_name_(), .interpreter = interpreter_.id()});
  if (no_exception) failure->raise();
  fail(failure->message());
}

}  // namespace interpool::python
