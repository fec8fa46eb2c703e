// Native modules in the test executable, as a host would link them.
#pragma once

struct _object;  // NOLINT(bugprone-reserved-identifier): CPython's name

extern "C" {

/// For every interpreter: its `bump()` counts how often it was called in this one, from 1.
_object* PyInit_native_counter();
/// Multi-phase as well, but it does not say that it can live beside another GIL.
_object* PyInit_native_main_only();
/// Single-phase.
_object* PyInit_native_old();
/// Raises ValueError.
_object* PyInit_native_failing();

}  // extern "C"
