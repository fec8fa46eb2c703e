#include "python/decoder.h"

#include "interpool/error.h"
#include "python/buffer_object.h"
#include "python/error_capture.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <utility>

namespace interpool::python {

namespace {

/// The key of a dict entry.
class KeyStep final : public PathStep {
 public:
  KeyStep(const PathStep* parent, PyObject* key) noexcept : PathStep(parent), key_(key) {}

 private:
  void append(std::string& text) const override {
    if (PyUnicode_Check(key_)) {
      append_key(text, text_of(key_));
    } else {
      append_subscript(text, repr_of(key_));
    }
  }
  PyObject* key_;
};

/// A member of a set.
class MemberStep final : public PathStep {
 public:
  MemberStep(const PathStep* parent, PyObject* member) noexcept : PathStep(parent), member_(member) {}

 private:
  void append(std::string& text) const override { append_subscript(text, repr_of(member_)); }
  PyObject* member_;
};

bool is_sequence(PyObject* object) {
  return PySequence_Check(object) != 0 && PyUnicode_Check(object) == 0 && PyBytes_Check(object) == 0 &&
         PyByteArray_Check(object) == 0 && PyDict_Check(object) == 0;
}

/// Python's own values have attributes, too, but none that anybody means by a field. Classes derived from
/// theirs may.
bool may_have_fields(PyObject* object) {
  return object != Py_None && PyBool_Check(object) == 0 && PyLong_CheckExact(object) == 0 &&
         PyFloat_CheckExact(object) == 0 && PyUnicode_CheckExact(object) == 0 &&
         PyBytes_CheckExact(object) == 0 && PyByteArray_CheckExact(object) == 0 &&
         PyMemoryView_Check(object) == 0 && !is_buffer(object) && PyList_CheckExact(object) == 0 &&
         PyTuple_CheckExact(object) == 0 && PyAnySet_CheckExact(object) == 0;
}

}  // namespace

Kind PythonDecoder::kind() const {
  if (object_ == Py_None) return Kind::kNone;
  if (PyBool_Check(object_) != 0) return Kind::kBool;
  if (PyLong_Check(object_) != 0) return Kind::kInt;
  if (PyFloat_Check(object_) != 0) return Kind::kFloat;
  if (PyUnicode_Check(object_) != 0) return Kind::kStr;
  if (PyBytes_Check(object_) != 0 || PyByteArray_Check(object_) != 0 || PyMemoryView_Check(object_) != 0) {
    return Kind::kBytes;
  }
  if (PyList_Check(object_) != 0) return Kind::kList;
  if (PyTuple_Check(object_) != 0) return Kind::kTuple;
  if (PyDict_Check(object_) != 0) return Kind::kDict;
  if (is_buffer(object_)) return Kind::kBuffer;
  return Kind::kOther;
}

std::string PythonDecoder::type_name() const { return python::type_name(object_); }

bool PythonDecoder::get_bool() {
  if (PyBool_Check(object_) == 0) fail_kind("a bool");
  return object_ == Py_True;
}

Object PythonDecoder::as_int() const {
  if (PyLong_Check(object_) != 0) return Object::share(object_);
  if (PyIndex_Check(object_) == 0) fail_kind("an int");
  Object index = Object::take(PyNumber_Index(object_));
  if (!index) fail_raised();
  return index;
}

std::int64_t PythonDecoder::get_int() {
  if (const auto value = small_int()) return *value;
  fail("an int that does not fit into a signed 64-bit integer");
}

std::optional<std::int64_t> PythonDecoder::small_int() {
  if (PyLong_Check(object_) != 0) return to_int(object_);
  const Object number = as_int();
  return to_int(number.get());
}

std::optional<std::int64_t> PythonDecoder::to_int(PyObject* number) const {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow != 0) return std::nullopt;
  if (value == -1 && PyErr_Occurred() != nullptr) fail_raised();
  return value;
}

std::uint64_t PythonDecoder::get_uint() {
  const Object number = as_int();
  const unsigned long long value = PyLong_AsUnsignedLongLong(number.get());
  if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    fail("an int that does not fit into an unsigned 64-bit integer");
  }
  return value;
}

Bytes PythonDecoder::get_big_int() {
  const Object number = as_int();
#if PY_VERSION_HEX >= 0x030D0000
  constexpr int kFlags = Py_ASNATIVEBYTES_LITTLE_ENDIAN;
  const Py_ssize_t size = PyLong_AsNativeBytes(number.get(), nullptr, 0, kFlags);
  if (size < 0) fail_raised();
  Bytes bytes(static_cast<std::size_t>(size));
  if (PyLong_AsNativeBytes(number.get(), bytes.data(), size, kFlags) < 0) fail_raised();
#else
  const std::size_t bits = _PyLong_NumBits(number.get());
  if (bits == static_cast<std::size_t>(-1) && PyErr_Occurred() != nullptr) fail_raised();
  Bytes bytes(bits / 8 + 1);  // there is always room for the sign
  if (_PyLong_AsByteArray(reinterpret_cast<PyLongObject*>(number.get()),
                          reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), /*little_endian=*/1,
                          /*is_signed=*/1) != 0) {
    fail_raised();
  }
#endif
  bytes.resize(detail::minimal(bytes).size());
  return bytes;
}

double PythonDecoder::get_float() {
  if (PyFloat_Check(object_) != 0) return PyFloat_AS_DOUBLE(object_);
  if (PyLong_Check(object_) != 0) {
    const double value = PyLong_AsDouble(object_);
    constexpr const char* kNotExact = "an int that is not exactly a double";
    if (value == -1.0 && PyErr_Occurred() != nullptr) {
      PyErr_Clear();  // it is too large
      fail(kNotExact);
    }
    const Object back = Object::take(PyLong_FromDouble(value));
    if (!back) fail_raised();
    // int's own comparison: a subclass may have another opinion of what is equal.
    const Object same = Object::take(PyLong_Type.tp_richcompare(back.get(), object_, Py_EQ));
    if (same.get() != Py_True) fail(kNotExact);
    return value;
  }
  // numpy's scalars, for one, are floats that are not PyFloats.
  const PyNumberMethods* number = Py_TYPE(object_)->tp_as_number;
  if (number == nullptr || number->nb_float == nullptr) fail_kind("a float");
  const double value = PyFloat_AsDouble(object_);
  if (value == -1.0 && PyErr_Occurred() != nullptr) fail_raised();
  return value;
}

std::string PythonDecoder::get_str() {
  if (PyUnicode_Check(object_) == 0) fail_kind("a str");
  if (std::optional<std::string> text = utf8_of(object_)) return std::move(*text);
  fail_raised();
}

Bytes PythonDecoder::get_bytes() {
  if (PyObject_CheckBuffer(object_) == 0) fail_kind("bytes");
  // Released however this ends: an object cannot change its size while it is exported.
  struct Export {
    Py_buffer view{};
    ~Export() { PyBuffer_Release(&view); }  // nothing to do for one that was never filled in
  } exported;
  if (PyObject_GetBuffer(object_, &exported.view, PyBUF_CONTIG_RO) != 0) fail_raised();
  Bytes bytes(static_cast<std::size_t>(exported.view.len));
  if (!bytes.empty()) std::memcpy(bytes.data(), exported.view.buf, bytes.size());
  return bytes;
}

Buffer PythonDecoder::get_buffer() {
  if (is_buffer(object_)) return buffer_of(object_);
  if (PyObject_CheckBuffer(object_) == 0) fail_kind("a buffer");
  Buffer buffer;
  try {
    if (buffer_from(object_, buffer)) return buffer;
  } catch (const UsageError& error) {
    fail(fmt::format("a '{}' does not convert: {}", type_name(), error.message()));
  }
  fail_raised();
}

template <class T>
T PythonDecoder::read_time(Timed wanted, const char* name, Reading<T> (*read)(PyObject*)) const {
  const Timed found = timed_kind(object_);
  if (found == Timed::kRaised) fail_raised();
  if (found != wanted) fail_kind(name);
  const Reading<T> reading = read(object_);
  if (reading.value) return *reading.value;
  if (reading.reason != nullptr) fail(reading.reason);
  fail_raised();
}

DayTime PythonDecoder::get_duration() { return read_time(Timed::kDuration, "a timedelta", read_timedelta); }
DayTime PythonDecoder::get_time() { return read_time(Timed::kTime, "an aware datetime", read_datetime); }
std::int32_t PythonDecoder::get_date() { return read_time(Timed::kDate, "a date", read_date); }

std::size_t PythonDecoder::size() {
  if (PyDict_Check(object_) == 0 && !is_sequence(object_)) fail_kind("a list, tuple or dict");
  const Py_ssize_t size = PyObject_Size(object_);
  if (size < 0) fail_raised();
  return static_cast<std::size_t>(size);
}

template <class Get>
void PythonDecoder::visit_items(Py_ssize_t count, Get get, detail::FunctionRef<void(Decoder&)> visit) const {
  for (Py_ssize_t i = 0; i < count; ++i) {
    const IndexStep step(at_, static_cast<std::size_t>(i));
    const Object item = get(i);
    if (!item) fail_raised();
    PythonDecoder decoder(item.get(), attempts_, &step);
    visit(decoder);
  }
}

void PythonDecoder::items(detail::FunctionRef<void(Decoder&)> visit) {
  check_depth();
  if (PyTuple_Check(object_) != 0) {
    visit_items(
        PyTuple_GET_SIZE(object_),
        [this](Py_ssize_t i) { return Object::share(PyTuple_GET_ITEM(object_, i)); }, visit);
    return;
  }
  if (!is_sequence(object_)) fail_kind("a list or tuple");
  // A list may change under way, and other sequences answer as they like: ask for each item. One
  // that has become shorter ends in an IndexError.
  const Py_ssize_t count = PySequence_Size(object_);
  if (count < 0) fail_raised();
  visit_items(count, [this](Py_ssize_t i) { return Object::take(PySequence_GetItem(object_, i)); }, visit);
}

void PythonDecoder::entries(detail::FunctionRef<void(Decoder&, Decoder&)> visit) {
  check_depth();
  if (PyDict_Check(object_) == 0) fail_kind("a dict");
  const Object pairs = Object::take(PyDict_Items(object_));  // a snapshot: the dict may change under way
  if (!pairs) fail_raised();
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pairs.get()); ++i) {
    PyObject* pair = PyList_GET_ITEM(pairs.get(), i);
    const KeyStep step(at_, PyTuple_GET_ITEM(pair, 0));
    PythonDecoder key(PyTuple_GET_ITEM(pair, 0), attempts_, &step);
    PythonDecoder value(PyTuple_GET_ITEM(pair, 1), attempts_, &step);
    visit(key, value);
  }
}

void PythonDecoder::members(detail::FunctionRef<void(Decoder&)> visit) {
  check_depth();
  if (PyAnySet_Check(object_) == 0) fail_kind("a set");
  const Object all = Object::take(PySequence_List(object_));  // a snapshot: the set may change under way
  if (!all) fail_raised();
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all.get()); ++i) {
    const MemberStep step(at_, PyList_GET_ITEM(all.get(), i));
    PythonDecoder member(PyList_GET_ITEM(all.get(), i), attempts_, &step);
    visit(member);
  }
}

bool PythonDecoder::field(std::string_view name, detail::FunctionRef<void(Decoder&)> visit) {
  check_depth();
  if (!may_have_fields(object_)) fail_kind("a dict or an object with fields");
  PyObject* text = PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
  // Interned, or CPython's cache of attributes would keep each of these names.
  if (text != nullptr) PyUnicode_InternInPlace(&text);
  const Object key = Object::take(text);
  if (!key) fail_raised();
  Object value;
  if (PyDict_Check(object_) != 0) {
    value = Object::share(PyDict_GetItemWithError(object_, key.get()));
    if (!value && PyErr_Occurred() != nullptr) fail_raised();
  } else {
    value = Object::take(PyObject_GetAttr(object_, key.get()));
    if (!value) {
      if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) fail_raised();
      PyErr_Clear();
    }
  }
  if (!value) return false;
  const FieldStep step(at_, name);
  PythonDecoder decoder(value.get(), attempts_, &step);
  visit(decoder);
  return true;
}

std::string PythonDecoder::get_path() {
  // Interned, or CPython's cache of attributes would keep each of these names.
  const Object protocol = Object::take(PyUnicode_InternFromString("__fspath__"));
  if (!protocol) fail_raised();
  const bool is_path = PyUnicode_Check(object_) != 0 || PyBytes_Check(object_) != 0 ||
                       PyObject_HasAttr(reinterpret_cast<PyObject*>(Py_TYPE(object_)), protocol.get()) != 0;
  if (!is_path) fail_kind("a path");
  Object path = Object::take(PyOS_FSPath(object_));
  // As the Encoder writes one; a lone surrogate that stands for no byte is an error.
  if (path && PyUnicode_Check(path.get()) != 0) {
    path = Object::take(PyUnicode_AsEncodedString(path.get(), "utf-8", "surrogateescape"));
  }
  if (!path) fail_raised();
  std::string native(PyBytes_AS_STRING(path.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(path.get())));
  if (native.find('\0') != std::string::npos) fail("no path has a NUL in it");
  return native;
}

void PythonDecoder::check_depth() const {
  if (at_ != nullptr && at_->depth() >= kMaxDepth) {
    attempts_.final = true;
    fail(fmt::format("nested deeper than {} containers, or contains itself", kMaxDepth));
  }
}

std::string PythonDecoder::path() const { return at_ == nullptr ? std::string() : at_->text(); }

void PythonDecoder::fail_kind(const char* wanted) const {
  fail(fmt::format("{} wanted, a '{}' found", wanted, type_name()));
}

void PythonDecoder::fail_raised() const {
  const bool no_exception = PyErr_ExceptionMatches(PyExc_Exception) == 0;
  if (PyErr_ExceptionMatches(PyExc_MemoryError) != 0) attempts_.final = true;
  const Failure failure = take_error({});
  if (no_exception) failure->raise();
  fail(fmt::format("a '{}' does not convert: {}", type_name(), failure->message()));
}

}  // namespace interpool::python
