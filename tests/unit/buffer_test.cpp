// Buffer: memory that C++ and Python use together, alone and in every kind of interpreter.
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <Python.h>

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using Shape = std::vector<std::ptrdiff_t>;

constexpr auto kHuge = std::numeric_limits<std::ptrdiff_t>::max();

/// 0, 1, 2, … as T.
template <class T>
std::vector<T> numbers(std::size_t count) {
  std::vector<T> all(count);
  std::iota(all.begin(), all.end(), T{});
  return all;
}

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string text_of(const Buffer& buffer) {
  const auto bytes = buffer.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether both begin at the same place.
bool same_memory(const Buffer& a, const Buffer& b) { return a.bytes().data() == b.bytes().data(); }

/// Memory that tells of its end, and holds `text` until then.
struct Watched {
  struct Record {
    Event released;
    std::thread::id thread;
    int times = 0;
  };
  std::shared_ptr<Record> record = std::make_shared<Record>();
  Buffer buffer;

  explicit Watched(std::string_view text, const BufferLayout& layout = {}) {
    auto* memory = new char[text.size()];
    std::memcpy(memory, text.data(), text.size());
    buffer = Buffer::adopt(
        static_cast<void*>(memory), text.size(),
        [record = record](void* data) {
          delete[] static_cast<char*>(data);
          record->thread = std::this_thread::get_id();
          ++record->times;
          record->released.set();
        },
        layout);
  }
  /// Gives the handle away.
  Buffer take() { return std::move(buffer); }
  [[nodiscard]] bool is_released() const { return record->released.is_set(); }
};

// ---- Alone.
// ----------------------------------------------------------------------------------------------------------

TEST(BufferAlone, AnEmptyOneHasNothingAndIsOneAgainAfterAMove) {
  Buffer empty;
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_EQ(empty.format(), "B");
  EXPECT_EQ(empty.shape(), Shape{0});
  EXPECT_TRUE(empty.read_only());
  EXPECT_TRUE(empty.bytes().empty());
  Buffer full = Buffer::copy_of(bytes_of("abc"));
  const Buffer moved = std::move(full);
  EXPECT_EQ(text_of(moved), "abc");
  EXPECT_EQ(full, empty);  // NOLINT(bugprone-use-after-move): it is empty
  EXPECT_EQ(sizeof(Buffer), sizeof(void*));
}

TEST(BufferAlone, ACopyIsAnotherHandleOfTheSameMemory) {
  const Buffer one = Buffer::allocate(8);
  const Buffer other = one;  // NOLINT(performance-unnecessary-copy-initialization): it is what is tested
  one.as<std::byte>()[3] = std::byte{7};
  EXPECT_EQ(other.bytes()[3], std::byte{7});
  EXPECT_EQ(one.bytes().data(), other.bytes().data());
  Buffer assigned;
  assigned = one;
  assigned = *&assigned;
  EXPECT_EQ(assigned.bytes().data(), one.bytes().data());
}

TEST(BufferAlone, CopiedBytesAreItsOwn) {
  Bytes bytes = bytes_of("abc");
  const Buffer buffer = Buffer::copy_of(bytes);
  bytes[0] = std::byte{'x'};
  EXPECT_EQ(text_of(buffer), "abc");
  EXPECT_FALSE(buffer.read_only());
  EXPECT_TRUE(Buffer::copy_of(bytes, {.read_only = true}).read_only());
}

TEST(BufferAlone, AllocatedMemoryIsZero) {
  const Buffer buffer = Buffer::allocate({.format = "d", .shape = {3, 5}});
  EXPECT_EQ(buffer.size(), 15 * sizeof(double));
  EXPECT_EQ(buffer.shape(), (Shape{3, 5}));
  EXPECT_EQ(buffer.strides(), (Shape{40, 8}));
  for (const double number : buffer.as<double>()) EXPECT_EQ(number, 0.0);
  EXPECT_EQ(Buffer::allocate(0).size(), 0U);
}

TEST(BufferAlone, AVectorIsAdoptedWhereItIs) {
  auto values = numbers<float>(12);
  const float* data = values.data();
  const Buffer buffer = Buffer::adopt(std::move(values), {3, 4});
  EXPECT_EQ(buffer.as<const float>().data(), data);
  EXPECT_EQ(buffer.format(), "f");
  EXPECT_EQ(buffer.shape(), (Shape{3, 4}));
  EXPECT_EQ(Buffer::adopt(numbers<std::int64_t>(3)).shape(), Shape{3});
}

TEST(BufferAlone, MappedMemoryIsUnmappedByItsDeleter) {
  constexpr std::size_t kSize = 1 << 16;
  void* mapped = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  int status = -1;
  {
    const Buffer buffer = Buffer::adopt(
        mapped, kSize, [&status](void* data) { status = munmap(data, kSize); }, {.format = "q"});
    buffer.as<std::int64_t>()[100] = 5;
    EXPECT_EQ(buffer.shape(), Shape{kSize / 8});
  }
  EXPECT_EQ(status, 0);
}

TEST(BufferAlone, MemoryThatIsConstIsReadOnly) {
  static const std::array<int, 3> table = {1, 2, 3};
  const Buffer buffer = Buffer::adopt(static_cast<const void*>(table.data()), sizeof(table),
                                      [](const void*) {}, {.format = "i"});
  EXPECT_TRUE(buffer.read_only());
  EXPECT_EQ(buffer.as<const int>()[2], 3);
  EXPECT_THROW((void)buffer.as<int>(), ConversionError);
  EXPECT_TRUE(buffer.view({.format = "B"}).read_only());
}

TEST(BufferAlone, TheDeleterRunsOnceWhereTheLastHandleDies) {
  Watched watched("memory");
  std::vector<Buffer> handles(10, watched.take());
  const Buffer slice = handles[0].view({.shape = {2}, .offset = 3});
  handles.clear();
  EXPECT_FALSE(watched.is_released());
  EXPECT_EQ(text_of(slice), "or");
  std::thread last([mine = Buffer(slice)]() mutable { mine = Buffer(); });
  last.join();
  EXPECT_FALSE(watched.is_released());
  std::thread::id thread;
  std::thread([&thread, mine = std::optional<Buffer>(slice)]() mutable {
    thread = std::this_thread::get_id();
    mine.reset();
  }).join();
  EXPECT_FALSE(watched.is_released());
  const_cast<Buffer&>(slice) = Buffer();
  EXPECT_EQ(watched.record->times, 1);
  EXPECT_EQ(watched.record->thread, std::this_thread::get_id());
  EXPECT_NE(watched.record->thread, thread);
}

TEST(BufferAlone, OfManyThreadsTheLastReleasesTheMemory) {
  for (int round = 0; round < 200; ++round) {
    Watched watched("0123456789abcdef");
    constexpr int kThreads = 4;
    Meeting meeting(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&meeting, i, mine = watched.buffer]() mutable {
        meeting.arrive_and_wait();
        mine.as<char>()[static_cast<std::size_t>(i)] = 'x';  // what is written comes before the end
        Buffer copy = mine;
        mine = Buffer();
        copy = Buffer();
      });
    }
    watched.take();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(watched.record->times, 1);
  }
}

TEST(BufferAlone, TheDeleterRunsAlsoWhereNoBufferComesOfIt) {
  int released = 0;
  std::array<char, 8> memory{};
  const auto adopt = [&](const BufferLayout& layout) {
    return Buffer::adopt(
        static_cast<void*>(memory.data()), memory.size(), [&released](void*) { ++released; }, layout);
  };
  EXPECT_THROW((void)adopt({.format = "nonsense"}), UsageError);
  EXPECT_THROW((void)adopt({.shape = {9}}), UsageError);
  EXPECT_EQ(released, 2);
}

struct BadLayout {
  const char* name;
  BufferLayout layout;
  const char* message;
};

class BufferOfNothing : public testing::TestWithParam<BadLayout> {};

TEST_P(BufferOfNothing, IsAUsageErrorThatSaysWhatIsWrong) {
  const auto error = error_of<UsageError>([] { return Buffer::copy_of(Bytes(24), GetParam().layout); });
  EXPECT_NE(error.message().find(GetParam().message), std::string::npos) << error.message();
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, BufferOfNothing,
    testing::Values(
        BadLayout{"UnknownFormat", {.format = "x"}, "format: 'x' is no element"},
        BadLayout{"NoFormat", {.format = ""}, "format: ''"},
        BadLayout{"TwoFormats", {.format = "ii"}, "format: 'ii'"},
        BadLayout{"NativeOnly", {.format = "<P"}, "format: '<P'"},
        BadLayout{"NegativeLength", {.shape = {-1}}, "shape: (-1,) has a negative length"},
        BadLayout{"Overflow", {.shape = {kHuge, 2}}, "more than memory can hold"},
        BadLayout{"OverflowToZero",
                  {.shape = {std::ptrdiff_t{1} << 32, std::ptrdiff_t{1} << 32}},
                  "more than memory"},
        BadLayout{"OverflowByElement", {.format = "d", .shape = {kHuge / 4}}, "more than memory can hold"},
        BadLayout{"TooLong", {.shape = {25}}, "not all inside of 24 bytes"},
        BadLayout{"TooLongFromOffset", {.shape = {24}, .offset = 1}, "from offset 1 on are not all inside"},
        BadLayout{"OffsetOutside", {.offset = 25}, "offset: 25 is outside of 24 bytes"},
        BadLayout{"OffsetOutsideWithShape", {.shape = {0}, .offset = 25}, "not all inside"},
        BadLayout{"HugeOffset",
                  {.shape = {1}, .offset = std::numeric_limits<std::size_t>::max()},
                  "not all inside"},
        BadLayout{"StrideOutside", {.shape = {3}, .strides = {12}}, "not all inside"},
        BadLayout{"StrideBefore", {.shape = {3}, .strides = {-1}, .offset = 1}, "not all inside"},
        BadLayout{"StrideOverflow", {.shape = {3}, .strides = {kHuge}}, "not all inside"},
        BadLayout{"StridesWithoutShape", {.strides = {1}}, "strides: need a shape"},
        BadLayout{"MoreStrides", {.shape = {3}, .strides = {1, 1}}, "for a shape of 1 dimensions"},
        BadLayout{
            "NoWholeNumber", {.format = "i", .offset = 2}, "22 bytes are no whole number of elements of 4"},
        BadLayout{"TooManyDimensions", {.shape = Shape(65, 1)}, "65 dimensions"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(BufferAlone, LayoutsWithinTheMemoryAreFine) {
  const Bytes memory = bytes_of("0123456789abcdefghijklmn");
  EXPECT_EQ(Buffer::copy_of(memory, {.shape = {0, kHuge, kHuge}}).size(), 0U);
  EXPECT_EQ(text_of(Buffer::copy_of(memory, {.shape = {3}, .strides = {-1}, .offset = 2}).contiguous()),
            "210");
  EXPECT_EQ(text_of(Buffer::copy_of(memory, {.shape = {2, 3}, .strides = {0, 2}}).contiguous()), "024024");
  EXPECT_EQ(text_of(Buffer::copy_of(memory, {.offset = 24})), "");
  EXPECT_EQ(text_of(Buffer::copy_of(memory, {.shape = {2, 3}, .strides = {12, 1}, .offset = 9}).contiguous()),
            "9abl"
            "mn");
  EXPECT_EQ(Buffer::copy_of(memory, {.shape = Shape(64, 1)}).size(), 1U);
  EXPECT_TRUE(Buffer::copy_of(memory, {.shape = {1, 4}, .strides = {99, 1}}).is_contiguous())
      << "a step that nobody takes";
}

TEST(BufferAlone, TheLastElementMayEndTheMemoryAndNoneMayPassIt) {
  const Bytes memory(24);
  EXPECT_NO_THROW((void)Buffer::copy_of(memory, {.format = "d", .shape = {2}, .strides = {16}}));
  EXPECT_THROW((void)Buffer::copy_of(memory, {.format = "d", .shape = {2}, .strides = {17}}), UsageError);
  EXPECT_NO_THROW(
      (void)Buffer::copy_of(memory, {.format = "d", .shape = {3}, .strides = {-8}, .offset = 16}));
  EXPECT_THROW((void)Buffer::copy_of(memory, {.format = "d", .shape = {3}, .strides = {-8}, .offset = 15}),
               UsageError);
  EXPECT_THROW((void)Buffer::copy_of(memory, {.format = "d", .shape = {3}, .strides = {-8}, .offset = 17}),
               UsageError);
}

TEST(BufferAlone, NewMemoryNeedsAShapeAndNothingElse) {
  EXPECT_THROW((void)Buffer::allocate({.format = "d"}), UsageError);
  EXPECT_THROW((void)Buffer::allocate({.shape = {2}, .strides = {1}}), UsageError);
  EXPECT_THROW((void)Buffer::allocate({.shape = {2}, .offset = 1}), UsageError);
  EXPECT_THROW((void)Buffer::allocate(std::numeric_limits<std::size_t>::max()), UsageError);
  EXPECT_THROW((void)Buffer::adopt(static_cast<void*>(nullptr), 1, [](void*) {}), UsageError);
}

TEST(BufferAlone, ItsElementsAreOfOneType) {
  const Buffer floats = Buffer::adopt(numbers<float>(4));
  EXPECT_EQ(floats.as<float>()[3], 3.0F);
  EXPECT_THROW((void)floats.as<double>(), ConversionError);
  EXPECT_THROW((void)floats.as<std::int32_t>(), ConversionError);
  EXPECT_THROW((void)floats.as<std::byte>(), ConversionError);
  EXPECT_EQ(floats.bytes().size(), 16U);
  const Buffer longs = Buffer::adopt(numbers<long long>(2));
  EXPECT_EQ(longs.as<std::int64_t>()[1], 1) << "long and long long have the same size";
  EXPECT_THROW((void)longs.as<std::uint64_t>(), ConversionError);
  for (const char* format : {"b", "B", "c", "?"}) {
    const Buffer bytes = Buffer::copy_of(Bytes(3), {.format = format});
    EXPECT_EQ(bytes.as<std::byte>().size(), 3U) << format;
    EXPECT_EQ(bytes.as<const char>().size(), 3U) << format;
  }
  const Buffer signed_bytes = Buffer::copy_of(Bytes(3), {.format = "b"});
  EXPECT_THROW((void)signed_bytes.as<unsigned char>(), ConversionError);
  const Buffer little = Buffer::copy_of(Bytes(8), {.format = "<i"});
  const Buffer big = Buffer::copy_of(Bytes(8), {.format = ">i"});
  const bool is_little = std::endian::native == std::endian::little;
  EXPECT_EQ((is_little ? little : big).as<std::int32_t>().size(), 2U);
  EXPECT_THROW((void)(is_little ? big : little).as<std::int32_t>(), ConversionError);
}

TEST(BufferAlone, NoSpanShowsGapsOrWhatIsNotAligned) {
  const Buffer bytes = Buffer::copy_of(Bytes(24));
  const Buffer gaps = bytes.view({.format = "i", .shape = {3}, .strides = {8}});
  EXPECT_NE(error_of<ConversionError>([&] { return gaps.as<int>(); }).message().find("contiguous()"),
            std::string::npos);
  EXPECT_THROW((void)gaps.bytes(), ConversionError);
  EXPECT_THROW((void)gaps.view({}), UsageError);
  EXPECT_EQ(gaps.size(), 12U);
  const Buffer copy = gaps.contiguous();
  EXPECT_EQ(copy.as<int>().size(), 3U);
  const Buffer odd = bytes.view({.format = "i", .shape = {3}, .offset = 1});
  EXPECT_NE(error_of<ConversionError>([&] { return odd.as<int>(); }).message().find("not aligned"),
            std::string::npos);
  const Buffer none = bytes.view({.format = "i", .shape = {0}, .offset = 1});
  EXPECT_TRUE(none.as<int>().empty());
}

TEST(BufferAlone, AViewOfAPartStaysInsideOfIt) {
  const Buffer whole = Buffer::copy_of(bytes_of("0123456789"));
  const Buffer part = whole.view({.shape = {4}, .offset = 3});
  EXPECT_EQ(text_of(part), "3456");
  EXPECT_EQ(text_of(part.view({.shape = {2}, .offset = 2})), "56");
  EXPECT_THROW((void)part.view({.shape = {5}}), UsageError);
  EXPECT_THROW((void)part.view({.shape = {2}, .offset = 3}), UsageError);
  whole.as<char>()[3] = 'x';
  EXPECT_EQ(text_of(part), "x456");
  EXPECT_EQ(Buffer().view({}).size(), 0U);
}

TEST(BufferAlone, EqualMeansEqualShapeFormatAndBytes) {
  const Buffer a = Buffer::adopt(numbers<int>(4), {2, 2});
  EXPECT_EQ(a, Buffer::adopt(numbers<int>(4), {2, 2}));
  EXPECT_NE(a, Buffer::adopt(numbers<int>(4)));
  EXPECT_NE(a, Buffer::adopt(numbers<unsigned>(4), {2, 2}));
  EXPECT_NE(a, Buffer::adopt(std::vector<int>{0, 1, 2, 4}, {2, 2}));
  const Buffer bytes = Buffer::copy_of(bytes_of("abab"));
  EXPECT_EQ(bytes.view({.shape = {2}, .strides = {2}}), Buffer::copy_of(bytes_of("aa")));
}

TEST(BufferAlone, ReadsAsShapeAndFormat) {
  EXPECT_EQ(to_string(Buffer::adopt(numbers<float>(6), {2, 3})),
            "<interpool.Buffer shape=(2, 3) format='f'>");
  EXPECT_EQ(to_string(Buffer()), "<interpool.Buffer shape=(0,) format='B' read-only>");
}

TEST(BufferAlone, AValueHoldsOne) {
  const Buffer buffer = Buffer::copy_of(bytes_of("abc"));
  const Value value = buffer;
  EXPECT_EQ(value.kind(), Kind::kBuffer);
  EXPECT_STREQ(to_string(Kind::kBuffer), "Buffer");
  EXPECT_EQ(value.as_buffer().bytes().data(), buffer.bytes().data());
  EXPECT_EQ(value.size(), 3U);
  EXPECT_EQ(value, Value(Buffer::copy_of(bytes_of("abc"))));
  EXPECT_NE(value, Value(bytes_of("abc")));
  EXPECT_EQ(to_string(Value(Value::List{value})), "[<interpool.Buffer shape=(3,) format='B'>]");
  EXPECT_THROW((void)value.as_bytes(), ConversionError);
  EXPECT_EQ(error_of<ConversionError>([] { return Value(1).as_buffer(); }).reason(),
            "a Buffer wanted, an int found");
  EXPECT_TRUE(same_memory(Value::from(buffer).as_buffer(), buffer));
  EXPECT_TRUE(same_memory(value.to<Buffer>(), buffer));
  EXPECT_EQ(value.to<Bytes>(), bytes_of("abc"));
  EXPECT_EQ(text_of(Value(bytes_of("abc")).to<Buffer>()), "abc");
  EXPECT_THROW((void)Value("abc").to<Buffer>(), ConversionError);
  EXPECT_THROW((void)Value(buffer.view({.shape = {2}, .strides = {2}})).to<Bytes>(), ConversionError);
}

// ---- In Python, on every lane.
// ---------------------------------------------------------------------------------------

class BufferInPython : public testing::TestWithParam<Lane> {
 protected:
  static void SetUpTestSuite() {
    pool_ = std::make_unique<SubinterpreterExecutor>(
        runtime(), ExecutorOptions{.name = "buffers", .pinned_workers = 1, .pooled = {.threads = 1}});
  }
  static void TearDownTestSuite() { pool_.reset(); }

  static Submitter lane() {
    switch (GetParam()) {
      case Lane::kPinned: return pool_->pinned(0);
      case Lane::kMain: return pool_->main();
      case Lane::kPooled:
      case Lane::kAttached: break;
    }
    return *pool_;
  }
  template <class R, class... Args>
  static R call(const char* function, Args&&... args) {
    return get(lane().call<R>(std::string("interpool_buffers:") + function, std::forward<Args>(args)...));
  }
  template <class R, class... Args>
  static ConversionError error(const char* function, Args&&... args) {
    return error_of<ConversionError>(
        lane().call<R>(std::string("interpool_buffers:") + function, std::forward<Args>(args)...));
  }
  template <class R>
  static R eval(const std::string& expression) {
    return get(lane().submit([&](Worker& worker) {
      worker.import_module("interpool_buffers");
      worker.exec("import array, interpool_buffers, struct");
      return worker.eval<R>(expression);
    }));
  }
  /// What `expression` makes of `view`, a memoryview of the buffer.
  template <class R = Buffer>
  static R view(const Buffer& buffer, const std::string& expression) {
    return call<R>("view", buffer, expression);
  }

 private:
  static inline std::unique_ptr<SubinterpreterExecutor> pool_;
};

INSTANTIATE_TEST_SUITE_P(Lanes, BufferInPython, testing::Values(Lane::kPinned, Lane::kPooled, Lane::kMain),
                         [](const auto& lane) { return std::string(to_string(lane.param)); });

TEST_P(BufferInPython, IsTheSameMemoryOnBothSides) {
  const Buffer buffer = Buffer::adopt(numbers<double>(100));
  EXPECT_EQ(call<double>("sum_of", buffer), 4950.0);
  buffer.as<double>()[0] = 50.0;
  EXPECT_EQ(call<double>("sum_of", buffer), 5000.0);
  const Buffer filled = call<Buffer>("fill", buffer, 2.5);
  EXPECT_EQ(buffer.as<double>()[99], 2.5);
  EXPECT_EQ(filled.bytes().data(), buffer.bytes().data());
}

TEST_P(BufferInPython, ShowsItsLayout) {
  using Facts = std::tuple<std::string, Shape, Shape, bool, std::int64_t, std::int64_t>;
  const Buffer buffer = Buffer::copy_of(Bytes(48), {.format = "h", .shape = {3, 4}, .strides = {16, 2}});
  EXPECT_EQ(call<Facts>("facts", buffer), Facts("h", {3, 4}, {16, 2}, false, 24, 2));
}

TEST_P(BufferInPython, AnEmptyOneIsEmptyThereToo) {
  EXPECT_EQ(view<std::int64_t>(Buffer(), "len(buffer)"), 0);
  EXPECT_EQ(view<Bytes>(Buffer(), "bytes(buffer)"), Bytes());
  EXPECT_EQ(view(Buffer(), "buffer"), Buffer());
  EXPECT_EQ(view(Buffer(), "view"), Buffer());
}

TEST_P(BufferInPython, IsAnObjectLikeOthers) {
  const Buffer buffer = Buffer::adopt(numbers<float>(6), {2, 3});
  EXPECT_EQ(view<std::int64_t>(buffer, "len(buffer)"), 2);
  EXPECT_EQ(view<std::string>(buffer, "repr(buffer)"), to_string(buffer));
  EXPECT_EQ(view<std::string>(buffer, "type(buffer).__module__ + '.' + type(buffer).__qualname__"),
            "interpool.Buffer");
  EXPECT_TRUE(call<bool>("identity_holds", buffer));
  EXPECT_TRUE(view<bool>(buffer, "isinstance(buffer, __import__('collections').abc.Buffer)"));
  EXPECT_FALSE(view<bool>(buffer, "hasattr(buffer, 'no_such_thing')"));
}

TEST_P(BufferInPython, AViewOfTheWholeIsTheSameBuffer) {
  const Buffer buffer = Buffer::adopt(numbers<int>(10));
  for (const char* whole : {"view", "memoryview(view)", "view[:]", "view[0:10]"}) {
    const Buffer back = view(buffer, whole);
    EXPECT_EQ(&back.shape(), &buffer.shape()) << whole << " is another Buffer";
  }
}

TEST_P(BufferInPython, AViewOfAPartIsTheSameMemory) {
  const Buffer buffer = Buffer::adopt(numbers<int>(10));
  const int* data = buffer.as<const int>().data();
  const Buffer part = view(buffer, "view[2:5]");
  EXPECT_EQ(part.as<const int>().data(), data + 2);
  EXPECT_EQ(part, Buffer::adopt(std::vector<int>{2, 3, 4}));
  const Buffer every_third = view(buffer, "view[1::3]");
  EXPECT_EQ(every_third.strides(), Shape{12});
  EXPECT_EQ(every_third, Buffer::adopt(std::vector<int>{1, 4, 7}));
  buffer.as<int>()[4] = 40;
  EXPECT_EQ(every_third, Buffer::adopt(std::vector<int>{1, 40, 7})) << "shared, not copied";
  EXPECT_EQ(call<int>("sum_of", every_third), 48) << "and so it goes in again";
  const Buffer backwards = view(buffer, "view[::-4]");
  EXPECT_EQ(backwards.strides(), Shape{-16});
  EXPECT_EQ(backwards, Buffer::adopt(std::vector<int>{9, 5, 1}));
  EXPECT_EQ(view(backwards, "view[1:]"), Buffer::adopt(std::vector<int>{5, 1})) << "a part of a part";
  EXPECT_EQ(view(buffer, "view[10:]").size(), 0U);
  EXPECT_EQ(view(buffer, "view[3:3]").shape(), Shape{0});
}

TEST_P(BufferInPython, AViewOfAnotherFormatOrShapeIsTheSameMemory) {
  const Buffer buffer = Buffer::adopt(numbers<int>(6));
  const Buffer grid = view(buffer, "view.cast('B').cast('i', (2, 3))");
  EXPECT_EQ(grid.shape(), (Shape{2, 3}));
  EXPECT_EQ(grid.as<int>().data(), buffer.as<int>().data());
  EXPECT_EQ(view(buffer, "view.cast('B')").size(), 24U);
  const Buffer fixed = view(buffer, "view.toreadonly()");
  EXPECT_TRUE(fixed.read_only());
  EXPECT_EQ(fixed.as<const int>().data(), buffer.as<int>().data());
  const Buffer one = view(buffer, "view[5:].cast('B').cast('i', ())");
  EXPECT_TRUE(one.shape().empty());
  EXPECT_EQ(one.as<int>()[0], 5);
  EXPECT_EQ(view<int>(one, "view[()]"), 5) << "without a dimension there is one element";
  EXPECT_EQ(view<std::string>(one, "repr(buffer)"), "<interpool.Buffer shape=() format='i'>");
  EXPECT_EQ(error_of<PythonError>([&] { return view<int>(one, "len(buffer)"); }).type(), "TypeError");
}

TEST_P(BufferInPython, AReleasedViewIsAConversionError) {
  const Buffer buffer = Buffer::allocate(4);
  const auto found = error<Buffer>("view", buffer, "(view, view.release())[0]");
  EXPECT_NE(found.reason().find("released"), std::string::npos) << found.reason();
}

TEST_P(BufferInPython, WhatOthersHoldIsCopiedOnceWithItsLayout) {
  EXPECT_EQ(eval<Buffer>("b'abc'"), Buffer::copy_of(bytes_of("abc")));
  EXPECT_EQ(eval<Buffer>("bytearray(b'abc')"), Buffer::copy_of(bytes_of("abc")));
  EXPECT_EQ(eval<Buffer>("memoryview(b'abcdef')[::2]"), Buffer::copy_of(bytes_of("ace")));
  EXPECT_EQ(eval<Buffer>("array.array('d', [1.5, 2.5])"), Buffer::adopt(std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(eval<Buffer>("memoryview(bytes(range(6))).cast('B', (2, 3))").shape(), (Shape{2, 3}));
  EXPECT_EQ(eval<Buffer>("b''").shape(), Shape{0});
  EXPECT_EQ(eval<Buffer>("type('Sub', (bytes,), {})(b'abc')"), Buffer::copy_of(bytes_of("abc")));
  EXPECT_EQ(eval<Buffer>("memoryview(b'\\x05').cast('B', ())").shape(), Shape{});
  const Buffer copy = eval<Buffer>("b'abc'");
  EXPECT_FALSE(copy.read_only()) << "the copy is ours";

  // An array that is exported cannot grow: nothing holds on to it.
  EXPECT_EQ(call<Buffer>("keep_and_return", "array", Buffer::adopt(numbers<double>(2))).shape(), Shape{2});
  EXPECT_EQ(call<int>("grown", "array"), 3);
}

TEST_P(BufferInPython, AClassMayHaveTheProtocolByAMethod) {
  EXPECT_EQ(eval<Buffer>("interpool_buffers.Exporter(b'abc')"), Buffer::copy_of(bytes_of("abc")));
  const auto failed = error<Buffer>("Exporter", "text");
  EXPECT_NE(failed.reason().find("TypeError"), std::string::npos) << failed.reason();
  const auto raised = error_of<ConversionError>(
      [] { return eval<Buffer>("interpool_buffers.Exporter(ValueError('not today'))"); });
  EXPECT_NE(raised.reason().find("not today"), std::string::npos) << raised.reason();
  EXPECT_EQ(eval<Buffer>("interpool_buffers.remember(interpool_buffers.Exporter(b'abc'))").size(), 3U);
  EXPECT_EQ(eval<int>("interpool_buffers.remembered.released"), 1) << "once it was copied";
}

TEST_P(BufferInPython, WhatHasNoMemoryIsAConversionErrorWithItsPath) {
  using Named = std::vector<std::map<std::string, Buffer>>;
  const auto found = error_of<ConversionError>([] { return eval<Named>("[{}, {'data': 'text'}]"); });
  EXPECT_EQ(found.path(), "[1].data");
  EXPECT_EQ(found.reason(), "a buffer wanted, a 'str' found");
  EXPECT_THROW(eval<Buffer>("None"), ConversionError);
  EXPECT_THROW(eval<Buffer>("[1, 2]"), ConversionError);
  EXPECT_EQ(eval<std::optional<Buffer>>("None"), std::nullopt);
}

TEST_P(BufferInPython, OnlyBuffersAndViewsOfThemAreOtherThanBytes) {
  const Buffer buffer = Buffer::copy_of(bytes_of("abc"));
  EXPECT_EQ(view<Bytes>(buffer, "buffer"), bytes_of("abc"));
  EXPECT_TRUE(same_memory(view<Value>(buffer, "buffer").as_buffer(), buffer));
  EXPECT_EQ(view<Value>(buffer, "view").kind(), Kind::kBytes);
  EXPECT_EQ(view<Value>(buffer, "bytes(buffer)").kind(), Kind::kBytes);
  const Value nested = Value::Dict{{"a", Value::List{buffer, 1}}, {"b", bytes_of("abc")}};
  EXPECT_EQ(call<Value>("same", nested), nested);
  EXPECT_THROW(view<std::string>(buffer, "buffer"), ConversionError);
  EXPECT_THROW((view<std::vector<int>>(buffer, "buffer")), ConversionError);
}

TEST_P(BufferInPython, WhatIsReadOnlyStaysAsItIs) {
  const Buffer buffer = Buffer::copy_of(bytes_of("abc"), {.read_only = true});
  const auto failed = [&](const char* expression) {
    return error_of<PythonError>([&] { return view<Value>(buffer, expression); }).type();
  };
  EXPECT_EQ(failed("view.__setitem__(0, 1)"), "TypeError");
  EXPECT_EQ(failed("__import__('io').BytesIO(b'xyz').readinto(buffer)"), "TypeError");
  EXPECT_EQ(failed("__import__('struct').pack_into('B', buffer, 0, 1)"), "TypeError");
  EXPECT_EQ(text_of(buffer), "abc");
  EXPECT_TRUE(view(buffer, "buffer").read_only());
  EXPECT_TRUE(view(buffer, "view[1:]").read_only());
}

TEST_P(BufferInPython, TheStandardLibraryTakesIt) {
  const Buffer buffer = Buffer::copy_of(bytes_of("{\"a\": [1, 2]}"));
  EXPECT_EQ(view<std::uint32_t>(buffer, "__import__('zlib').crc32(buffer)"),
            view<std::uint32_t>(buffer, "__import__('zlib').crc32(bytes(buffer))"));
  EXPECT_TRUE(view<bool>(buffer,
                         "(lambda sha: sha(buffer).digest() == sha(bytes(buffer)).digest())"
                         "(__import__('hashlib').sha256)"));
  EXPECT_EQ(view<std::vector<int>>(buffer, "__import__('json').loads(str(buffer, 'utf-8'))['a']"),
            (std::vector<int>{1, 2}));
  EXPECT_EQ(view<int>(buffer, "__import__('struct').unpack_from('>H', buffer, 1)[0]"), 0x2261);
  EXPECT_EQ(view<Bytes>(buffer, "__import__('io').BytesIO(buffer).read(2)"), bytes_of("{\""));
  EXPECT_EQ(view<Bytes>(buffer,
                        "(lambda db: db.execute('select ?', (buffer,)).fetchone()[0])"
                        "(__import__('sqlite3').connect(':memory:'))"),
            bytes_of("{\"a\": [1, 2]}"));
  EXPECT_EQ(view<int>(buffer, "__import__('io').BytesIO(b'[9]').readinto(buffer)"), 3);
  EXPECT_EQ(text_of(buffer).substr(0, 4), "[9]\"");
}

TEST_P(BufferInPython, PythonMakesOneByACopy) {
  const Buffer buffer = Buffer::adopt(numbers<int>(6), {2, 3});
  const Buffer copy = view(buffer, "type(buffer)(buffer)");
  EXPECT_EQ(copy, buffer);
  EXPECT_NE(copy.bytes().data(), buffer.bytes().data());
  EXPECT_EQ(view(buffer, "type(buffer)(b'abc')"), Buffer::copy_of(bytes_of("abc")));
  EXPECT_EQ(view(buffer, "type(buffer)(view.cast('B')[::4])").strides(), Shape{1});
  const auto failed = [&](const char* expression) {
    return error_of<PythonError>([&] { return view<Value>(buffer, expression); }).type();
  };
  EXPECT_EQ(failed("type(buffer)()"), "TypeError");
  EXPECT_EQ(failed("type(buffer)(5)"), "TypeError");
  EXPECT_EQ(failed("type(buffer)(b'', b'')"), "TypeError");
  EXPECT_EQ(failed("type(buffer)(data=b'')"), "TypeError");
  EXPECT_EQ(failed("type('Derived', (type(buffer),), {})"), "TypeError") << "there are no derived classes";
  EXPECT_EQ(failed("setattr(type(buffer), 'x', 1)"), "TypeError");
}

TEST_P(BufferInPython, ItsTypeIsTheSameForAllOfAnInterpreter) {
  get(lane().submit([](Worker& worker) {
    const Buffer one = Buffer::allocate(1);
    worker.call<void>("interpool_buffers:keep", "type", std::pair(one, Buffer::allocate(2)));
    EXPECT_TRUE(
        worker.eval<bool>("(lambda kept: type(kept[0]) is type(kept[1]))"
                          "(__import__('interpool_buffers').take('type'))"));
  }));
}

/// What PyObject_GetBuffer says and gives.
struct Answer {
  bool given = false;
  Py_ssize_t len = 0;
  Py_ssize_t itemsize = 0;
  int ndim = 0;
  int readonly = 0;
  const void* buf = nullptr;
  std::optional<std::string> format;
  std::optional<Shape> shape;
  std::optional<Shape> strides;
  bool has_suboffsets = false;
  bool operator==(const Answer&) const = default;
};

Answer ask(PyObject* exporter, int flags) {
  Answer answer;
  Py_buffer view{};
  if (PyObject_GetBuffer(exporter, &view, flags) != 0) {
    EXPECT_NE(PyErr_ExceptionMatches(PyExc_BufferError), 0);
    EXPECT_EQ(view.obj, nullptr);
    PyErr_Clear();
    return answer;
  }
  answer.given = true;
  answer.len = view.len;
  answer.itemsize = view.itemsize;
  answer.ndim = view.ndim;
  answer.readonly = view.readonly;
  answer.buf = view.buf;
  answer.has_suboffsets = view.suboffsets != nullptr;
  if (view.format != nullptr) answer.format = view.format;
  if (view.shape != nullptr) answer.shape.emplace(view.shape, view.shape + view.ndim);
  if (view.strides != nullptr) answer.strides.emplace(view.strides, view.strides + view.ndim);
  EXPECT_EQ(view.obj, exporter);
  PyBuffer_Release(&view);
  return answer;
}

TEST_P(BufferInPython, EveryRequestIsAnsweredAsMemoryviewWould) {
  const Bytes memory(96);
  const std::vector<Buffer> buffers = {
      Buffer(),
      Buffer::copy_of(memory),
      Buffer::copy_of(memory, {.format = "i", .shape = {2, 3}, .read_only = true}),
      Buffer::copy_of(memory, {.format = "i", .shape = {2, 3}, .strides = {4, 8}}),   // Fortran's order
      Buffer::copy_of(memory, {.format = "i", .shape = {2, 3}, .strides = {24, 8}}),  // gaps
      Buffer::copy_of(memory, {.format = "<d", .shape = {3}, .strides = {-8}, .offset = 16}),
      Buffer::copy_of(memory, {.shape = {1, 1}, .strides = {50, 7}}),
      Buffer::copy_of(memory, {.shape = {2, 0}, .strides = {50, 7}}),
      view(Buffer::copy_of(Bytes(4)), "view.cast('i', ())"),
  };
  get(lane().submit([&](Worker& worker) {
    worker.call<void>("interpool_buffers:keep", "all", buffers);
    worker.exec(
        "import interpool_buffers; interpool_buffers.kept['views'] = "
        "[memoryview(b) for b in interpool_buffers.kept['all']]");
    PyObject* module = PyImport_ImportModule("interpool_buffers");
    PyObject* kept = PyObject_GetAttrString(module, "kept");
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const auto item = static_cast<Py_ssize_t>(i);
      PyObject* buffer = PyList_GetItem(PyDict_GetItemString(kept, "all"), item);
      PyObject* view = PyList_GetItem(PyDict_GetItemString(kept, "views"), item);
      for (const int structure : {PyBUF_SIMPLE, PyBUF_ND, PyBUF_STRIDES, PyBUF_C_CONTIGUOUS,
                                  PyBUF_F_CONTIGUOUS, PyBUF_ANY_CONTIGUOUS, PyBUF_INDIRECT}) {
        for (const int more : {0, PyBUF_WRITABLE, PyBUF_FORMAT, PyBUF_WRITABLE | PyBUF_FORMAT}) {
          const int flags = structure | more;
          EXPECT_TRUE(ask(buffer, flags) == ask(view, flags)) << to_string(buffers[i]) << " flags " << flags;
        }
      }
    }
    Py_DECREF(kept);
    Py_DECREF(module);
    worker.exec("interpool_buffers.kept.clear()");
  }));
}

TEST_P(BufferInPython, AViewKeepsTheMemory) {
  Watched watched("\x01\x02\x03\x04");
  call<void>("keep_view", "view", watched.take());
  EXPECT_EQ(call<int>("kept_sum", "view"), 10);
  EXPECT_FALSE(watched.is_released());
  call<void>("forget", "view");
  watched.record->released.wait();
  EXPECT_EQ(watched.record->times, 1);
}

TEST_P(BufferInPython, APartKeepsTheMemoryBeyondItsOwner) {
  Watched watched("\x01\x02\x03\x04");
  Buffer part = call<Buffer>("view", watched.take(), "view[1:3]");
  EXPECT_FALSE(watched.is_released());
  EXPECT_EQ(text_of(part), "\x02\x03");
  part = Buffer();
  EXPECT_EQ(watched.record->times, 1);
}

TEST_P(BufferInPython, ASecondReferenceOfPythonKeepsTheMemory) {
  Watched watched("abcd");
  call<void>("keep", "buffer", watched.take());
  EXPECT_FALSE(watched.is_released());
  EXPECT_EQ(text_of(call<Buffer>("take", "buffer")), "abcd");
  watched.record->released.wait();
}

// ---- Its own interpreters.
// -------------------------------------------------------------------------------------------

TEST(BufferInInterpreters, IsTheSameMemoryInAllOfThem) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  const Buffer buffer = Buffer::adopt(numbers<int>(10));
  get(pool.pinned(0).call<void>("interpool_buffers:fill", buffer, 3));
  EXPECT_EQ(get(pool.pinned(1).call<int>("interpool_buffers:sum_of", buffer)), 30);
  get(pool.main().call<void>("interpool_buffers:fill", buffer, 4));
  EXPECT_EQ(get(pool.pinned(0).call<int>("interpool_buffers:sum_of", buffer)), 40);
}

TEST(BufferInInterpreters, GoesOutOfOneIntoAnother) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  const Buffer made = get(pool.pinned(0).call<Buffer>("interpool_buffers:doubles", 1.0, 2.0, 4.0));
  EXPECT_EQ(get(pool.pinned(1).call<double>("interpool_buffers:sum_of", made)), 7.0);
  EXPECT_EQ(get(pool.main().call<double>("interpool_buffers:sum_of", made)), 7.0);
}

TEST(BufferInInterpreters, OutlivesThem) {
  Buffer made;
  Buffer part;
  Watched watched("abcdef");
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    made = get(pool.pinned(0).call<Buffer>("interpool_buffers:doubles", 1.0, 2.0));
    part = get(pool.pinned(0).call<Buffer>("interpool_buffers:view", watched.take(), "view[1:3]"));
  }
  EXPECT_EQ(made.as<double>()[1], 2.0);
  EXPECT_EQ(text_of(part), "bc");
  EXPECT_FALSE(watched.is_released());
  std::thread([&] { part = Buffer(); }).join();
  EXPECT_EQ(watched.record->times, 1);
  EXPECT_NE(watched.record->thread, std::this_thread::get_id());
}

TEST(BufferInInterpreters, TheEndOfAnInterpreterReleasesWhatItHeld) {
  Watched object("abcdef");
  Watched view("abcdef");
  Watched cycle("abcdef");
  Watched shared("abcdef");
  const Buffer mine = shared.buffer;
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    const Submitter worker = pool.pinned(0);
    get(worker.call<void>("interpool_buffers:keep", "object", object.take()));
    get(worker.call<void>("interpool_buffers:keep_view", "view", view.take()));
    get(worker.call<void>("interpool_buffers:keep_in_cycle", cycle.take()));
    get(worker.call<void>("interpool_buffers:keep", "shared", shared.take()));
    EXPECT_FALSE(object.is_released() || view.is_released() || cycle.is_released());
  }
  EXPECT_EQ(object.record->times, 1);
  EXPECT_EQ(view.record->times, 1);
  EXPECT_EQ(cycle.record->times, 1);
  EXPECT_EQ(shared.record->times, 0);
  EXPECT_EQ(text_of(mine), "abcdef");
}

TEST(BufferInInterpreters, AFutureKeepsItBeyondThem) {
  Watched watched("abcdef");
  std::optional<Future<Buffer>> future;
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    future = pool.call<Buffer>("interpool_buffers:view", watched.take(), "buffer");
    future->wait();
  }
  EXPECT_FALSE(watched.is_released());
  EXPECT_EQ(text_of(get(*future)), "abcdef");
  future.reset();
  EXPECT_EQ(watched.record->times, 1);
}

TEST(BufferInInterpreters, TasksThatNeverRunReleaseTheirs) {
  Watched watched("abcdef");
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  auto future = pool.pinned(0).call<int>("interpool_buffers:sum_of", watched.take());
  EXPECT_TRUE(future.cancel());
  watched.record->released.wait();
  busy.release();
}

// ---- Others that know the protocol; on the main lane, as they do not load everywhere.
// --------------------------------

TEST(BufferOnTheMainLane, CtypesHasItsArraysInIt) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Buffer buffer = Buffer::adopt(numbers<float>(4));
  const Buffer copy = get(pool.main().call<Buffer>("interpool_buffers:through_ctypes", buffer));
  EXPECT_EQ(buffer.as<float>()[3], 9.5F);
  EXPECT_EQ(copy.as<float>()[3], 9.5F) << copy.format();
  EXPECT_NE(copy.bytes().data(), buffer.bytes().data()) << "an array of ctypes is an object of its own";
  EXPECT_EQ(error_of<PythonError>(pool.main().call<void>("interpool_buffers:through_ctypes",
                                                         buffer.view({.format = "f", .read_only = true})))
                .type(),
            "TypeError");
}

TEST(BufferOnTheMainLane, AStructureKeepsTheFormatThatItsMakerGaveIt) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Buffer structures = get(pool.main().call<Buffer>("interpool_buffers:structure_of_ctypes"));
  EXPECT_EQ(structures.shape(), Shape{2});
  EXPECT_EQ(structures.item_size(), 16U);
  EXPECT_EQ(structures.size(), 32U);
  EXPECT_EQ(structures.format().substr(0, 2), "T{");
  EXPECT_THROW((void)structures.as<double>(), ConversionError);
  double y = 0;
  std::memcpy(&y, structures.bytes().data() + 24, sizeof y);
  EXPECT_EQ(y, 4.0);
  EXPECT_EQ(get(pool.call<std::string>("interpool_buffers:view", structures, "view.format")),
            structures.format());
}

#ifdef INTERPOOL_TEST_NUMPY
TEST(BufferOnTheMainLane, NumpySeesTheSameMemory) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Buffer buffer = Buffer::adopt(numbers<float>(6), {2, 3});
  using Found = std::tuple<double, Shape, Buffer>;
  const auto [sum, shape, transposed] =
      get(pool.main().call<Found>("interpool_buffers:doubled_by_numpy", buffer));
  EXPECT_EQ(buffer, Buffer::adopt(std::vector<float>{0, 2, 4, 6, 8, 10}, {2, 3}));
  EXPECT_EQ(sum, 30.0);
  EXPECT_EQ(shape, (Shape{2, 3}));
  EXPECT_EQ(transposed, Buffer::adopt(std::vector<float>{0, 6, 2, 8, 4, 10}, {3, 2})) << "a copy, in C order";
}

TEST(BufferOnTheMainLane, NumpysArraysAreCopiedWithTheirLayout) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const auto of_numpy = [&](const char* expression) {
    return get(pool.main().call<Buffer>("interpool_buffers:of_numpy", expression));
  };
  EXPECT_EQ(of_numpy("numpy.arange(6, dtype='f4').reshape(2, 3)"), Buffer::adopt(numbers<float>(6), {2, 3}));
  EXPECT_EQ(of_numpy("numpy.arange(6, dtype='f4')[::-2]"), Buffer::adopt(std::vector<float>{5, 3, 1}));
  EXPECT_EQ(of_numpy("numpy.float64(1.5)").shape(), Shape{});
  EXPECT_EQ(of_numpy("numpy.zeros((0, 3))").shape(), (Shape{0, 3}));
  const Buffer complex = of_numpy("numpy.array([1 + 2j])");
  EXPECT_EQ(complex.format(), "Zd");
  EXPECT_EQ(complex.size(), 16U);
  EXPECT_THROW((void)complex.as<double>(), ConversionError);
}
#endif

}  // namespace
}  // namespace interpool::test
