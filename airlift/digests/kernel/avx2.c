/* AVX2, which has neither rotations nor ways to combine three words. */

#include "core.h"

#ifdef X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define ROTR(x, n) _mm256_or_si256(_mm256_srli_epi64(x, n), _mm256_slli_epi64(x, 64 - (n)))
#define XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define CHOOSE(e, f, g) _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(f, g), e), g)
#define MAJORITY(a, b, c) _mm256_or_si256(_mm256_and_si256(_mm256_or_si256(a, b), c), _mm256_and_si256(a, b))

#include "rounds.h"

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2");
}

const Path digests_avx2 = {"avx2", runs_here, advance};

#endif
