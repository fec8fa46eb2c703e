#include "python/times.h"

#include <chrono>

namespace interpool::python {

namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::int64_t kFirstDay = (sys_days(std::chrono::year(1) / 1 / 1)).time_since_epoch().count();
constexpr std::int64_t kLastDay = (sys_days(std::chrono::year(9999) / 12 / 31)).time_since_epoch().count();

year_month_day calendar(std::int64_t days_since_epoch) {
  return sys_days(days(static_cast<std::int32_t>(days_since_epoch)));
}

/// An attribute; null: an exception is set.
Object attribute(PyObject* object, const char* name) {
  // Interned, or CPython's cache of attributes would keep each of these names.
  const Object text = Object::take(PyUnicode_InternFromString(name));
  return text ? Object::take(PyObject_GetAttr(object, text.get())) : Object();
}

/// A name of the module; null: an exception is set.
Object from_module(const char* name) {
  const Object module = Object::take(PyImport_ImportModule("datetime"));
  return module ? attribute(module.get(), name) : Object();
}

/// An attribute that is an int from `least` to `most`: a derived class may say what it likes.
std::optional<std::int32_t> number(PyObject* object, const char* name, std::int64_t least,
                                   std::int64_t most) {
  const Object value = attribute(object, name);
  if (!value) return std::nullopt;
  const long long found = PyLong_AsLongLong(value.get());
  if (found == -1 && PyErr_Occurred() != nullptr) return std::nullopt;
  if (found < least || found > most) {
    PyErr_Format(PyExc_ValueError, "%s is %lld, which is out of its range", name, found);
    return std::nullopt;
  }
  return static_cast<std::int32_t>(found);
}

/// The value, unless the object has some nanoseconds besides, under that name.
Reading<DayTime> without_nanoseconds(PyObject* object, const char* name, const DayTime& value) {
  const Object nanoseconds = attribute(object, name);
  if (!nanoseconds) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return {};
    PyErr_Clear();
    return {value};
  }
  const int some = PyObject_IsTrue(nanoseconds.get());
  if (some < 0) return {};
  if (some > 0) return {std::nullopt, "finer than a microsecond"};
  return {value};
}

}  // namespace

bool is_date(std::int64_t days_since_epoch) noexcept {
  return days_since_epoch >= kFirstDay && days_since_epoch <= kLastDay;
}

Object make_timedelta(const DayTime& duration) {
  const Object type = from_module("timedelta");
  if (!type) return {};
  return Object::take(PyObject_CallFunction(type.get(), "Lii", static_cast<long long>(duration.days),
                                            duration.seconds, duration.microseconds));
}

Object make_datetime(const DayTime& since_epoch) {
  const Object type = from_module("datetime");
  const Object utc = type ? from_module("UTC") : Object();
  if (!utc) return {};
  const year_month_day date = calendar(since_epoch.days);
  return Object::take(PyObject_CallFunction(
      type.get(), "iIIiiiiO", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), since_epoch.seconds / 3600, since_epoch.seconds / 60 % 60,
      since_epoch.seconds % 60, since_epoch.microseconds, utc.get()));
}

Object make_date(std::int64_t days_since_epoch) {
  const Object type = from_module("date");
  if (!type) return {};
  const year_month_day date = calendar(days_since_epoch);
  return Object::take(PyObject_CallFunction(type.get(), "iII", static_cast<int>(date.year()),
                                            static_cast<unsigned>(date.month()),
                                            static_cast<unsigned>(date.day())));
}

Timed timed_kind(PyObject* object) {
  const Object name = Object::take(PyUnicode_InternFromString("datetime"));
  const Object module = name ? Object::take(PyImport_GetModule(name.get())) : Object();
  if (!module) return PyErr_Occurred() == nullptr ? Timed::kNone : Timed::kRaised;
  struct Candidate {
    const char* name;
    Timed kind;
  };
  // A datetime is a date, too, so it comes before.
  for (const Candidate& candidate :
       {Candidate{"timedelta", Timed::kDuration}, {"datetime", Timed::kTime}, {"date", Timed::kDate}}) {
    const Object type = attribute(module.get(), candidate.name);
    const int is = type ? PyObject_IsInstance(object, type.get()) : -1;
    if (is < 0) return Timed::kRaised;
    if (is > 0) return candidate.kind;
  }
  return Timed::kNone;
}

Reading<DayTime> read_timedelta(PyObject* object) {
  constexpr std::int64_t kMostDays = 999'999'999;
  const auto whole = number(object, "days", -kMostDays, kMostDays);
  const auto seconds = whole ? number(object, "seconds", 0, 86399) : std::nullopt;
  const auto micros = seconds ? number(object, "microseconds", 0, 999'999) : std::nullopt;
  if (!micros) return {};
  return without_nanoseconds(object, "nanoseconds", {*whole, *seconds, *micros});
}

Reading<DayTime> read_datetime(PyObject* object) {
  const Object method = attribute(object, "utcoffset");
  const Object offset = method ? Object::take(PyObject_CallNoArgs(method.get())) : Object();
  if (!offset) return {};
  if (offset.get() == Py_None) {
    return {
        std::nullopt,
        "a naive datetime does not say which time it is: use an aware one, as datetime.now(timezone.utc) is"};
  }
  const auto date = read_date(object).value;
  const auto hour = date ? number(object, "hour", 0, 23) : std::nullopt;
  const auto minute = hour ? number(object, "minute", 0, 59) : std::nullopt;
  const auto second = minute ? number(object, "second", 0, 59) : std::nullopt;
  const auto micros = second ? number(object, "microsecond", 0, 999'999) : std::nullopt;
  const auto ahead = micros ? read_timedelta(offset.get()).value : std::nullopt;
  if (!ahead) return {};
  // Not by Python's own subtraction, which cannot leave the years 1 to 9999.
  constexpr std::int64_t kMicro = 1'000'000;
  constexpr std::int64_t kDay = 86400 * kMicro;
  const std::int64_t local = (*hour * 3600 + *minute * 60 + *second) * kMicro + *micros;
  std::int64_t rest = local - (ahead->seconds * kMicro + ahead->microseconds);
  std::int64_t whole = *date - ahead->days;
  if (rest < 0) {
    rest += kDay;
    --whole;
  }
  return without_nanoseconds(
      object, "nanosecond",
      {whole, static_cast<std::int32_t>(rest / kMicro), static_cast<std::int32_t>(rest % kMicro)});
}

Reading<std::int32_t> read_date(PyObject* object) {
  const auto year = number(object, "year", 1, 9999);
  const auto month = year ? number(object, "month", 1, 12) : std::nullopt;
  const auto day = month ? number(object, "day", 1, 31) : std::nullopt;
  if (!day) return {};
  const sys_days date = std::chrono::year(*year) / *month / *day;
  return {static_cast<std::int32_t>(date.time_since_epoch().count())};
}

}  // namespace interpool::python
