// The version of the headers that a program was compiled with.
#pragma once

// In parts, for #if, and as text.
#define INTERPOOL_VERSION_MAJOR 0
#define INTERPOOL_VERSION_MINOR 1
#define INTERPOOL_VERSION_PATCH 0
#define INTERPOOL_VERSION_STRING "0.1.0"
