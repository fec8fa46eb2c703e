// Python objects as the source of a Decoder.
#pragma once

#include "base/path.h"
#include "interpool/buffer.h"
#include "interpool/convert.h"
#include "python/cpython.h"
#include "python/times.h"

namespace interpool::python {

/// Reads a Python object, which it borrows, under the GIL. Reading may run Python code (`__index__`,
/// a sequence's `__getitem__`), so everything visited is held by a reference of our own.
class PythonDecoder final : public Decoder {
 public:
  /// `attempts` are those of the whole value.
  PythonDecoder(PyObject* object, detail::Attempts& attempts, const PathStep* at = nullptr) noexcept
      : object_(object), attempts_(attempts), at_(at) {}

  [[nodiscard]] Kind kind() const override;
  [[nodiscard]] std::string type_name() const override;
  bool get_bool() override;
  std::int64_t get_int() override;
  std::uint64_t get_uint() override;
  std::optional<std::int64_t> small_int() override;
  Bytes get_big_int() override;
  double get_float() override;
  std::string get_str() override;
  Bytes get_bytes() override;
  Buffer get_buffer() override;
  DayTime get_duration() override;
  DayTime get_time() override;
  std::int32_t get_date() override;
  std::size_t size() override;
  void items(detail::FunctionRef<void(Decoder&)> visit) override;
  void entries(detail::FunctionRef<void(Decoder&, Decoder&)> visit) override;
  void members(detail::FunctionRef<void(Decoder&)> visit) override;
  bool field(std::string_view name, detail::FunctionRef<void(Decoder&)> visit) override;
  std::string get_path() override;
  [[nodiscard]] std::string path() const override;
  detail::Attempts& attempts() noexcept override { return attempts_; }

 private:
  [[noreturn]] void fail_kind(const char* wanted) const;
  /// Fails with the Python exception that is set. One that is no Exception, as KeyboardInterrupt, is no
  /// matter of conversion and stays what it is.
  [[noreturn]] void fail_raised() const;
  void check_depth() const;
  [[nodiscard]] std::optional<std::int64_t> to_int(PyObject* number) const;
  /// The object as an int, or a failure.
  [[nodiscard]] Object as_int() const;
  template <class T>
  T read_time(Timed wanted, const char* name, Reading<T> (*read)(PyObject*)) const;
  template <class Get>
  void visit_items(Py_ssize_t count, Get get, detail::FunctionRef<void(Decoder&)> visit) const;

  PyObject* object_;
  detail::Attempts& attempts_;
  const PathStep* at_;
};

}  // namespace interpool::python
