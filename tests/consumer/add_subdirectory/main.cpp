// The other consumers' program, in one that uses its own fmt as well.
#include <fmt/format.h>

#if FMT_VERSION != CONSUMER_FMT_VERSION
#error "this is not the consumer's own fmt"
#endif
#define CONSUMER_HAS_FMT

#include "../main.cpp"
