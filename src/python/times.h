// Objects of Python's module `datetime`, in the interpreter that the calling thread is attached to.
//
// By attributes and calls: the C API of the module keeps its types in a static pointer of each source file,
// which serves one interpreter only, and on 3.12 own-GIL interpreters have the module's Python version,
// without that API.
#pragma once

#include "interpool/convert.h"
#include "python/cpython.h"

#include <cstdint>
#include <optional>

namespace interpool::python {

/// Whether these days since 1970-01-01 are in the years 1 to 9999, which Python's dates are in.
[[nodiscard]] bool is_date(std::int64_t days_since_epoch) noexcept;
inline constexpr const char* kNoDate = "Python's dates are of the years 1 to 9999, and this is none of them";

// Null: an exception is set. The module is imported by the first of them.
Object make_timedelta(const DayTime& duration);
Object make_datetime(const DayTime& since_epoch);
Object make_date(std::int64_t days_since_epoch);

enum class Timed : std::uint8_t { kNone, kDuration, kTime, kDate, kRaised };
/// Which of them an object is, if any; kRaised: an exception is set. Imports nothing: as long as nobody has
/// imported the module, there is no such object.
Timed timed_kind(PyObject* object);

/// What was read; or why there is nothing, or no reason: then an exception is set.
template <class T>
struct Reading {
  std::optional<T> value;
  const char* reason = nullptr;
};
// A datetime that is naive does not convert, nor do classes derived from theirs that are finer than a
// microsecond, as pandas' are.
Reading<DayTime> read_timedelta(PyObject* object);
Reading<DayTime> read_datetime(PyObject* object);
Reading<std::int32_t> read_date(PyObject* object);

}  // namespace interpool::python
