// Durations, times and dates, in both directions. Python's own arithmetic is the oracle.
#include "support/pool.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <ratio>
#include <string>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using std::chrono::duration;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_time;
using std::chrono::year_month_day;

class ConversionOfTimes : public WithOneWorker {
 protected:
  void SetUp() override {
    exec(
        "from datetime import date, datetime, time, timedelta, timezone, tzinfo\n"
        "us = timedelta(microseconds=1)\n");
  }
};

TEST_F(ConversionOfTimes, ADurationIsATimedelta) {
  EXPECT_EQ(repr(90s), "datetime.timedelta(seconds=90)");
  EXPECT_EQ(repr(-1us), "datetime.timedelta(days=-1, seconds=86399, microseconds=999999)");
  EXPECT_EQ(repr(-24h), "datetime.timedelta(days=-1)");
  EXPECT_EQ(repr(std::chrono::weeks(2)), "datetime.timedelta(days=14)");
  EXPECT_EQ(repr(1500ms), "datetime.timedelta(seconds=1, microseconds=500000)");
  EXPECT_EQ(repr(3000ns), "datetime.timedelta(microseconds=3)");
  EXPECT_EQ(repr(duration<int, std::ratio<1, 3>>(6)), "datetime.timedelta(seconds=2)");
  EXPECT_EQ(eval<seconds>("timedelta(minutes=2)"), 120s);
  EXPECT_EQ(eval<nanoseconds>("timedelta(microseconds=-1)"), -1000ns);
  EXPECT_EQ(eval<days>("timedelta(days=-3)"), days(-3));
  EXPECT_EQ((eval<duration<int, std::ratio<1, 3>>>("timedelta(seconds=2)").count()), 6);
  for (const microseconds time : {0us, 1us, -1us, 86399999999us, 86400000000us, -86400000000us,
                                  -86400000001us, microseconds::max(), microseconds::min()}) {
    EXPECT_EQ(round_trip(time), time);
    EXPECT_EQ(get(pool().call<microseconds>("operator:neg", -(time / 2))), time / 2);
    exec("def count(t): return t // us");
    EXPECT_EQ(get(pool().call<std::int64_t>("__main__:count", time)), time.count());
  }
}

TEST_F(ConversionOfTimes, NothingIsRoundedOrTruncated) {
  EXPECT_NE(encode_error(1, 1ns).reason().find("finer than a microsecond"), std::string::npos);
  EXPECT_EQ(encode_error(1, std::vector{1000ns, -1ns}).path(), "args[1][1]");
  EXPECT_THROW(repr(nanoseconds::max()), ConversionError);
  EXPECT_THROW((repr(duration<int, std::ratio<1, 3>>(1))), ConversionError);
  EXPECT_NE(decode_error<seconds>("timedelta(milliseconds=1)").reason().find("shorter ticks"),
            std::string::npos);
  EXPECT_EQ(decode_error<std::vector<hours>>("[timedelta(hours=1), timedelta(minutes=1)]").path(), "[1]");
  EXPECT_THROW((eval<duration<int, std::ratio<7>>>("timedelta(seconds=8)")), ConversionError);
}

TEST_F(ConversionOfTimes, ADurationHasTheRangeOfItsTypes) {
  using Byte = duration<std::int8_t>;
  using Unsigned = duration<std::uint8_t>;
  EXPECT_EQ(eval<Byte>("timedelta(seconds=127)").count(), 127);
  EXPECT_EQ(eval<Byte>("timedelta(seconds=-128)").count(), -128);
  EXPECT_THROW(eval<Byte>("timedelta(seconds=128)"), ConversionError);
  EXPECT_THROW(eval<Byte>("timedelta(seconds=-129)"), ConversionError);
  EXPECT_EQ(eval<Unsigned>("timedelta(seconds=255)").count(), 255);
  EXPECT_THROW(eval<Unsigned>("timedelta(seconds=-1)"), ConversionError);
  EXPECT_THROW(eval<nanoseconds>("timedelta.max"), ConversionError);
  EXPECT_NE(decode_error<nanoseconds>("timedelta(days=-106752)").reason().find("longer ticks"),
            std::string::npos);
  EXPECT_EQ(eval<nanoseconds>("timedelta(days=106751)"), days(106751));
  EXPECT_THROW((eval<duration<std::int64_t, std::atto>>("timedelta.max")), ConversionError);
  EXPECT_EQ((eval<duration<std::int64_t, std::atto>>("timedelta(seconds=9)").count()),
            9'000'000'000'000'000'000);
  EXPECT_EQ((eval<duration<std::uint64_t, std::micro>>("timedelta(days=213503982)").count()),
            213503982ULL * 86'400'000'000ULL);

  EXPECT_EQ(repr(days(999'999'999)), "datetime.timedelta(days=999999999)");
  EXPECT_EQ(repr(days(-999'999'999)), "datetime.timedelta(days=-999999999)");
  EXPECT_NE(encode_error(days(1'000'000'000)).reason().find("999999999 days"), std::string::npos);
  EXPECT_THROW(repr(days(-1'000'000'000)), ConversionError);
  EXPECT_THROW(repr(seconds::max()), ConversionError);
  EXPECT_THROW(repr(seconds::min()), ConversionError);
  EXPECT_THROW((repr(duration<std::int64_t, std::exa>(std::numeric_limits<std::int64_t>::min()))),
               ConversionError);
  EXPECT_EQ(round_trip(duration<std::uint64_t, std::micro>::max()),
            (duration<std::uint64_t, std::micro>::max()));
}

TEST_F(ConversionOfTimes, ADurationOfFloatsIsRounded) {
  using Seconds = duration<double>;
  EXPECT_EQ(repr(Seconds(0.1)), "datetime.timedelta(microseconds=100000)");
  EXPECT_EQ(repr(Seconds(-0.1)), repr(-100ms));
  EXPECT_EQ(repr(Seconds(0.9999999)), "datetime.timedelta(seconds=1)");
  EXPECT_EQ(repr(Seconds(-0.0000001)), "datetime.timedelta(0)");
  EXPECT_EQ(repr(duration<float, std::milli>(1.5F)), "datetime.timedelta(microseconds=1500)");
  EXPECT_EQ(eval<Seconds>("timedelta(microseconds=1)").count(), 1e-6);
  EXPECT_EQ((eval<duration<double, std::milli>>("timedelta(days=-1)").count()), -86'400'000.0);
  exec("def total(t): return t.total_seconds()\n");
  for (const double count : {0.1, 0.3, -0.7, 12345.678901, -99999999.123457, 1e9 + 0.5}) {
    EXPECT_EQ(get(pool().call<double>("__main__:total", Seconds(count))), count);
    EXPECT_EQ(round_trip(Seconds(count)).count(), count);
  }
  EXPECT_THROW(repr(Seconds(std::nan(""))), ConversionError);
  EXPECT_THROW(repr(Seconds(std::numeric_limits<double>::infinity())), ConversionError);
  EXPECT_THROW(repr(Seconds(-1e300)), ConversionError);
}

TEST_F(ConversionOfTimes, NumbersAndTimesAreNoDurations) {
  EXPECT_EQ(decode_error<seconds>("5").reason(), "a timedelta wanted, a 'int' found");
  EXPECT_EQ(decode_error<seconds>("datetime(2020, 1, 1)").reason(), "a timedelta wanted, a 'datetime' found");
  EXPECT_THROW(eval<duration<double>>("5.0"), ConversionError);
  EXPECT_THROW(eval<int>("timedelta(5)"), ConversionError);
}

TEST_F(ConversionOfTimes, ATimeIsAnAwareDatetimeInUtc) {
  using Seconds = sys_time<seconds>;
  using Micros = sys_time<microseconds>;
  EXPECT_EQ(repr(Seconds(0s)), "datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)");
  EXPECT_EQ(repr(Micros(-1us)),
            "datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)");
  EXPECT_EQ(eval<Micros>("datetime(2026, 11, 22, 1, 2, 3, 45, timezone.utc)"),
            Micros(sys_days(std::chrono::year(2026) / 11 / 22)) + 1h + 2min + 3s + 45us);
  const auto now = std::chrono::floor<microseconds>(std::chrono::system_clock::now());
  EXPECT_EQ(round_trip(now), now);
  exec("def micros(t): return (t - datetime(1970, 1, 1, tzinfo=timezone.utc)) // us\n");
  for (const std::int64_t count : {0LL, -1LL, 1LL, 951782399999999LL, 951782400000000LL, -62135596800000000LL,
                                   253402300799999999LL, -2208988800000001LL}) {
    EXPECT_EQ(get(pool().call<std::int64_t>("__main__:micros", Micros(microseconds(count)))), count);
    EXPECT_EQ(round_trip(Micros(microseconds(count))).time_since_epoch().count(), count);
  }
  EXPECT_NE(encode_error(Micros(microseconds(253402300800000000))).reason().find("years 1 to 9999"),
            std::string::npos);
  EXPECT_THROW(repr(Micros(microseconds(-62135596800000001))), ConversionError);
  EXPECT_THROW(repr(sys_time<nanoseconds>(1ns)), ConversionError);
  EXPECT_NE(decode_error<std::chrono::system_clock::time_point>("datetime.max.replace(tzinfo=timezone.utc)")
                .reason()
                .find("longer ticks"),
            std::string::npos);
  EXPECT_NE(decode_error<Seconds>("datetime(2020, 1, 1, 0, 0, 0, 1, timezone.utc)").reason().find("shorter"),
            std::string::npos);
}

TEST_F(ConversionOfTimes, TimesOfOtherZonesAreTheSameTimes) {
  using Micros = sys_time<microseconds>;
  exec(
      "class Odd(tzinfo):\n"
      "  def utcoffset(self, t): return timedelta(hours=-23, microseconds=7)\n"
      "class Bad(tzinfo):\n"
      "  def utcoffset(self, t): raise RuntimeError('no offset today')\n"
      "class Unknown(tzinfo):\n"
      "  def utcoffset(self, t): return None\n"
      "ahead = timezone(timedelta(hours=5, minutes=45))\n"
      "behind = timezone(-timedelta(hours=3, seconds=1))\n");
  for (const char* zone : {"timezone.utc", "ahead", "behind", "Odd()"}) {
    const std::string time = "datetime(2000, 2, 29, 23, 59, 59, 999999, " + std::string(zone) + ")";
    EXPECT_EQ(eval<Micros>(time).time_since_epoch().count(),
              eval<std::int64_t>("(" + time + " - datetime(1970, 1, 1, tzinfo=timezone.utc)) // us"))
        << zone;
  }
  // Beyond the years of Python, where its own arithmetic gives up.
  EXPECT_EQ(eval<Micros>("datetime.min.replace(tzinfo=ahead)"),
            eval<Micros>("datetime.min.replace(tzinfo=timezone.utc)") - 5h - 45min);
  EXPECT_NE(decode_error<Micros>("datetime(2020, 1, 1)").reason().find("datetime.now(timezone.utc)"),
            std::string::npos);
  EXPECT_EQ(decode_error<Micros>("datetime(2020, 1, 1, tzinfo=Unknown())").reason().find("a naive"), 0U);
  EXPECT_NE(decode_error<Micros>("datetime(2020, 1, 1, tzinfo=Bad())").reason().find("no offset today"),
            std::string::npos);
  EXPECT_EQ(decode_error<Micros>("date(2020, 1, 1)").reason(), "an aware datetime wanted, a 'date' found");
  EXPECT_THROW(eval<Micros>("time(1)"), ConversionError);
  EXPECT_THROW(eval<Micros>("0"), ConversionError);
}

TEST_F(ConversionOfTimes, DaysAreDates) {
  const year_month_day leap = std::chrono::year(2000) / 2 / 29;
  EXPECT_EQ(repr(leap), "datetime.date(2000, 2, 29)");
  EXPECT_EQ(repr(sys_days(leap)), "datetime.date(2000, 2, 29)");
  EXPECT_EQ(round_trip(leap), leap);
  EXPECT_EQ(eval<sys_days>("date(2000, 2, 29)"), sys_days(leap));
  EXPECT_EQ(round_trip(sys_days(days(-1))), sys_days(days(-1)));
  EXPECT_EQ(repr(std::chrono::year(1) / 1 / 1), "datetime.date(1, 1, 1)");
  EXPECT_EQ(eval<year_month_day>("date.max"), std::chrono::year(9999) / 12 / 31);
  EXPECT_EQ(encode_error(std::chrono::year(2001) / 2 / 29).reason(), "no date of the calendar");
  EXPECT_THROW(repr(std::chrono::year(0) / 1 / 1), ConversionError);
  EXPECT_THROW(repr(std::chrono::year(10000) / 1 / 1), ConversionError);
  EXPECT_EQ(decode_error<sys_days>("datetime(2000, 1, 1)").reason(), "a date wanted, a 'datetime' found");
  EXPECT_EQ((eval<std::map<year_month_day, int>>("{date(2000, 2, 29): 1}").count(leap)), 1U);
}

TEST_F(ConversionOfTimes, ClassesDerivedFromTheirsSayWhatTheyAre) {
  exec(
      "class Finer(datetime):\n"
      "  nanosecond = 5\n"
      "class Longer(timedelta):\n"
      "  nanoseconds = 0\n"
      "class Liar(timedelta):\n"
      "  seconds = 10**6\n"
      "class Text(date):\n"
      "  year = 'MMXX'\n");
  EXPECT_EQ(decode_error<sys_time<microseconds>>("Finer(2020, 1, 1, tzinfo=timezone.utc)").reason(),
            "finer than a microsecond");
  EXPECT_EQ(eval<seconds>("Longer(seconds=5)"), 5s);
  EXPECT_THROW(eval<seconds>("Liar()"), ConversionError);
  EXPECT_THROW(eval<sys_days>("Text(2020, 1, 1)"), ConversionError);
}

TEST_F(ConversionOfTimes, AValueHoldsNone) {
  EXPECT_EQ(error_of<ConversionError>([] { return Value::from(std::vector<seconds>{1s}); }).path(), "[0]");
  EXPECT_EQ(error_of<ConversionError>([] { return Value::from(std::map<int, sys_days>{{5, {}}}); }).path(),
            "[5]");
  EXPECT_THROW((void)Value::from(sys_time<seconds>()), ConversionError);
  EXPECT_EQ(error_of<ConversionError>([] { return Value(5).to<seconds>(); }).reason(),
            "a timedelta wanted, an int found");
  EXPECT_THROW((void)Value("2020-01-01").to<sys_days>(), ConversionError);
  EXPECT_THROW((void)Value(0).to<sys_time<seconds>>(), ConversionError);
}

}  // namespace
}  // namespace interpool::test
