// How a CPU kernel is compiled once for AVX-512, once for AVX2 and once for any x86-64, the best being chosen when the
// program is loaded. Put SINK_MULTIVERSION before the definition of a function that holds loops; what it calls must be
// inline. Sanitizers cannot run before the loader's choice is made, so their builds have the plain version only.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(SINK_SANITIZER)
#define SINK_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SINK_MULTIVERSION
#endif

#define SINK_INLINE inline __attribute__((always_inline))
