// Python objects as the target of an Encoder.
#pragma once

#include "interpool/convert.h"
#include "python/cpython.h"

#include <vector>

namespace interpool::python {

/// Makes Python objects, under the GIL, and puts them into an array: the arguments of a call.
class PythonEncoder final : public Encoder {
 public:
  /// `slots` takes `count` new references; the encoder drops those it has made if it is destroyed
  /// before finish().
  PythonEncoder(PyObject** slots, std::size_t count) noexcept : slots_(slots), count_(count) {}
  ~PythonEncoder();
  PythonEncoder(const PythonEncoder&) = delete;
  PythonEncoder& operator=(const PythonEncoder&) = delete;

  /// Everything announced has been written; the references belong to the caller now.
  void finish();

  void put_none() override { put(Py_NewRef(Py_None)); }
  void put_bool(bool value) override { put(Py_NewRef(value ? Py_True : Py_False)); }
  void put_int(std::int64_t value) override { put(PyLong_FromLongLong(value)); }
  void put_uint(std::uint64_t value) override { put(PyLong_FromUnsignedLongLong(value)); }
  void put_float(double value) override { put(PyFloat_FromDouble(value)); }
  void put_str(std::string_view utf8) override;
  void put_bytes(std::span<const std::byte> bytes) override;
  void begin_list(std::size_t size) override;
  void begin_tuple(std::size_t size) override;
  void begin_dict(std::size_t size) override;
  void end() override;

 private:
  struct Frame {
    Kind kind;
    std::size_t size;      // values wanted; a dict's keys and values both count
    std::size_t next = 0;  // values written
    PyObject* container;   // ours
    PyObject* key;         // ours: a dict's key that waits for its value, or null
  };

  void begin(Kind kind, std::size_t size, PyObject* container);
  /// Takes over `object`; null: a Python exception is set, which becomes a ConversionError.
  void put(PyObject* object);
  [[noreturn]] void fail_raised();
  [[noreturn]] void fail(std::string reason);
  [[nodiscard]] std::string path() const;

  PyObject** slots_;
  std::size_t count_;
  std::size_t next_ = 0;
  bool finished_ = false;
  std::vector<Frame> frames_;
};

}  // namespace interpool::python
