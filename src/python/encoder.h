// Python objects as the target of an Encoder: the arguments of a call, or the result of a callback.
#pragma once

#include "interpool/convert.h"
#include "python/callback.h"
#include "python/cpython.h"
#include "python/error_capture.h"
#include "python/interpreter.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace interpool::python {

/// Makes the arguments of one call, or one result, under the GIL, and owns them: the references it has made
/// die with it, under the same GIL.
///
/// Python code may run meanwhile: a class that an object is made by, `__hash__` of a key. It never sees a
/// list or tuple that is not full yet, whose empty places CPython itself takes ill: the garbage collector, by
/// which alone it could be found, does not know of it until then.
class PythonEncoder final : public Encoder {
 public:
  /// For `count` values in `interpreter`. `gate` is asked for when there is a callback among them,
  /// `task_name` when Python code has raised. Paths in errors begin with `root`, which has to last; empty:
  /// these are arguments, which have numbers.
  PythonEncoder(detail::InterpreterHandle& interpreter, TaskName task_name, GateOf gate, std::size_t count,
                std::string_view root = {})
      : interpreter_(interpreter), task_name_(task_name), gate_(gate), count_(count), root_(root) {
    if (count > kInline) more_ = std::make_unique<PyObject*[]>(count + 1);
  }
  ~PythonEncoder() {
    if (!frames_.empty()) drop_frames();
    for (std::size_t i = 0; i < next_; ++i) Py_DECREF(slots()[i]);
  }
  PythonEncoder(const PythonEncoder&) = delete;
  PythonEncoder& operator=(const PythonEncoder&) = delete;

  /// Checks that all that was announced has been written.
  void finish() {
    if (!frames_.empty() || next_ != count_) fail_unfinished();
  }
  /// The arguments, once finished. There is room for one more in front, as PyObject_Vectorcall likes it.
  [[nodiscard]] PyObject** slots() noexcept { return (more_ ? more_.get() : inline_) + 1; }

  void put_none() override { put(Py_NewRef(Py_None)); }
  void put_bool(bool value) override { put(Py_NewRef(value ? Py_True : Py_False)); }
  void put_int(std::int64_t value) override { put(PyLong_FromLongLong(value)); }
  void put_uint(std::uint64_t value) override { put(PyLong_FromUnsignedLongLong(value)); }
  void put_big_int(std::span<const std::byte> twos_complement) override;
  void put_float(double value) override { put(PyFloat_FromDouble(value)); }
  void put_str(std::string_view utf8) override;
  void put_bytes(std::span<const std::byte> bytes) override;
  void put_buffer(const Buffer& buffer) override;
  void put_duration(const DayTime& duration) override;
  void put_time(const DayTime& since_epoch) override;
  void put_date(std::int64_t days_since_epoch) override;
  void begin_list(std::size_t size) override;
  void begin_tuple(std::size_t size) override;
  void begin_dict(std::size_t size) override;
  void begin_set(std::size_t size) override;
  void begin_object(std::string_view type, std::size_t size) override;
  void put_callable(detail::NativeCallable& callable) override;
  void end() override;
  [[nodiscard]] std::string path() const override;

 private:
  enum class Container : std::uint8_t { kList, kTuple, kDict, kSet, kObject };
  struct Frame {
    Container kind;
    std::size_t size;       // values wanted; a dict's keys and values both count
    std::size_t next = 0;   // values written
    PyObject* container;    // ours; of an object: the dict of its fields
    PyObject* key;          // ours: a dict's key that waits for its value, or null
    PyObject* type;         // ours: what makes an object, or null
    bool hidden;            // from the garbage collector
    std::string_view name;  // of an object's type
  };

  void begin(Container kind, std::size_t size, PyObject* container);
  /// Takes over `object`; null: a Python exception is set, which becomes a ConversionError.
  void put(PyObject* object) {
    if (object != nullptr && frames_.empty() && next_ < count_) {
      slots()[next_++] = object;  // an argument that is no container: the common case, and a fast one
    } else {
      put_slowly(object);
    }
  }
  void put_slowly(PyObject* object);
  void drop_frames() noexcept;
  /// The object of a frame, whose references are taken over.
  PyObject* make_object(const Frame& frame);
  /// Throws the Python exception that is set, with a note that says for which value.
  void raise_for(std::string_view type);
  [[noreturn]] void fail_unfinished();
  [[noreturn]] void fail_raised();

  static constexpr std::size_t kInline = 8;
  detail::InterpreterHandle& interpreter_;
  const TaskName task_name_;
  const GateOf gate_;
  const std::size_t count_;
  const std::string_view root_;
  std::size_t next_ = 0;  // arguments made
  std::vector<Frame> frames_;
  std::unique_ptr<PyObject*[]> more_;
  PyObject* inline_[kInline + 1];  // NOLINT(*-member-init): written before it is read
};

}  // namespace interpool::python
