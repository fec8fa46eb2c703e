// The export macro of the library's public symbols.
#pragma once

#if defined(INTERPOOL_SHARED) && (defined(__GNUC__) || defined(__clang__))
#define INTERPOOL_API __attribute__((visibility("default")))
#else
#define INTERPOOL_API
#endif
