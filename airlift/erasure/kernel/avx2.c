/* AVX2: both halves of 32 bytes are looked up at once (Plank et al., "Screaming Fast Galois Field Arithmetic", FAST '13). */

#include "core.h"

#ifdef X86

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2");
}

AVX2 static void add(uint8_t *restrict out, const uint8_t *restrict in, size_t n)
{
    add_plain(out, in, 0, n);
}

AVX2 static void add_product(uint8_t *restrict out, const uint8_t *restrict in, size_t n, const Factor *f)
{
    const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)f->low));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)f->high));
    const __m256i half = _mm256_set1_epi8(15);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(in + i)), sum = _mm256_loadu_si256((const __m256i *)(out + i));
        sum = _mm256_xor_si256(sum, _mm256_shuffle_epi8(low, _mm256_and_si256(x, half)));
        sum = _mm256_xor_si256(sum, _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi64(x, 4), half)));
        _mm256_storeu_si256((__m256i *)(out + i), sum);
    }
    add_product_plain(out, in, i, n, f);
}

const Path erasure_avx2 = {"avx2", runs_here, add, add_product};

#endif
