// Uses of the library that must not compile, with a message that says what to do instead. Each case is
// compiled on its own, by a test that looks for the message.
#include <interpool/interpool.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct Unknown {};
struct alignas(128) Wide {
  int number = 0;
};
template <>
struct interpool::Converter<Wide> {
  static void encode(Encoder& out, const Wide& value) { out.put_int(value.number); }
};

#if CASE == 21
struct Viewing {
  std::string_view text;
};
template <>
inline constexpr auto interpool::kFields<Viewing> =
    interpool::fields(interpool::field("text", &Viewing::text));
#endif

#if CASE == 18
struct Classed {
  int number = 0;
};
template <>
inline constexpr auto interpool::kFields<Classed> =
    interpool::fields("module.Class", interpool::field("number", &Classed::number));
#endif

void use(interpool::SubinterpreterExecutor& pool) {
#if CASE == 0  // what is right, so that the others fail for their own reason only
  (void)pool.call<std::string>("builtins:str", "literal", std::string_view("copied"));
  (void)pool.function<std::string(const std::string&)>("builtins:str");
  (void)pool.call<int>("functools:reduce", interpool::Callback([](int a, const int& b) { return a + b; }));
#elif CASE == 1
  (void)pool.function<std::string(std::string_view)>("builtins:str");
#elif CASE == 2
  std::vector<int> numbers;
  (void)pool.call<int>("builtins:sum", std::span<int>(numbers));
#elif CASE == 3
  (void)pool.call<std::string_view>("builtins:str", 1);
#elif CASE == 4
  (void)pool.call<int>("builtins:len", Unknown{});
#elif CASE == 5
  (void)pool.call<Unknown>("builtins:object");
#elif CASE == 6
  (void)pool.map<void>("builtins:print", std::vector<int>{1});
#elif CASE == 7
  (void)pool.submit([](int) {});
#elif CASE == 8
  int number = 0;
  (void)pool.call<int>("builtins:abs", &number);
#elif CASE == 9
  (void)pool.call<int>("builtins:ord", 'c');
#elif CASE == 10
  (void)pool.submit([wide = Wide{}] { return wide.number; });
#elif CASE == 11
  (void)pool.call<int>("builtins:abs", Wide{});
#elif CASE == 12
  (void)pool.map<int>("builtins:abs", std::vector<Wide>(1));
#elif CASE == 13
  (void)pool.call<std::function<int(int)>>("operator:itemgetter", 1);
#elif CASE == 14
  (void)interpool::Callback([](std::string_view) {});
#elif CASE == 15
  (void)interpool::Callback([](int& number) { ++number; });
#elif CASE == 16
  (void)interpool::Callback([](Unknown) {});
#elif CASE == 17
  (void)interpool::Callback([] { return Unknown{}; });
#elif CASE == 18
  (void)pool.call<int>("builtins:len", Classed{});
#elif CASE == 19
  (void)pool.call<int>("builtins:len", std::map<int, std::vector<std::string_view>>());
#elif CASE == 20
  (void)pool.call<std::vector<const char*>>("builtins:list");
#elif CASE == 21
  (void)pool.call<int>("builtins:len", Viewing{});
#endif
}
