/* AVX2 with GFNI: one instruction multiplies 32 bytes by a matrix of bits, which serves any polynomial. */

#include "core.h"

#ifdef X86

#include <immintrin.h>

#define GFNI __attribute__((target("avx2,gfni")))

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("gfni");
}

GFNI static void add(uint8_t *restrict out, const uint8_t *restrict in, size_t n)
{
    add_plain(out, in, 0, n);
}

GFNI static void add_product(uint8_t *restrict out, const uint8_t *restrict in, size_t n, const Factor *f)
{
    const __m256i bits = _mm256_set1_epi64x((long long)f->bits);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(in + i)), sum = _mm256_loadu_si256((const __m256i *)(out + i));
        sum = _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8(x, bits, 0));
        _mm256_storeu_si256((__m256i *)(out + i), sum);
    }
    add_product_plain(out, in, i, n, f);
}

const Path erasure_gfni = {"gfni", runs_here, add, add_product};

#endif
