// Clang's thread-safety annotations; nothing for other compilers.
#pragma once

#if defined(__clang__)
#define INTERPOOL_ANNOTATION(x) __attribute__((x))
#else
#define INTERPOOL_ANNOTATION(x)
#endif

#define INTERPOOL_CAPABILITY(name) INTERPOOL_ANNOTATION(capability(name))
#define INTERPOOL_SCOPED_CAPABILITY INTERPOOL_ANNOTATION(scoped_lockable)
#define INTERPOOL_GUARDED_BY(mutex) INTERPOOL_ANNOTATION(guarded_by(mutex))
#define INTERPOOL_REQUIRES(...) INTERPOOL_ANNOTATION(requires_capability(__VA_ARGS__))
#define INTERPOOL_ACQUIRE(...) INTERPOOL_ANNOTATION(acquire_capability(__VA_ARGS__))
#define INTERPOOL_RELEASE(...) INTERPOOL_ANNOTATION(release_capability(__VA_ARGS__))
#define INTERPOOL_EXCLUDES(...) INTERPOOL_ANNOTATION(locks_excluded(__VA_ARGS__))
#define INTERPOOL_NO_ANALYSIS INTERPOOL_ANNOTATION(no_thread_safety_analysis)
