/* AVX-512 on vectors of 256 bits, which no processor slows down for: words are rotated, and three combined, in one instruction. */

#include "core.h"

#ifdef X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,avx512f,avx512vl")))
#define ROTR(x, n) _mm256_ror_epi64(x, n)
#define XOR3(a, b, c) _mm256_ternarylogic_epi64(a, b, c, 0x96)
#define CHOOSE(e, f, g) _mm256_ternarylogic_epi64(e, f, g, 0xCA)
#define MAJORITY(a, b, c) _mm256_ternarylogic_epi64(a, b, c, 0xE8)

#include "rounds.h"

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}

const Path digests_avx512 = {"avx512", runs_here, advance};

#endif
