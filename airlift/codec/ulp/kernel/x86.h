/* What both files for x86 share; a processor with AVX-512 has AVX2. */

#ifndef KERNEL_X86_H
#define KERNEL_X86_H

#include <immintrin.h>

#include "vector.h"

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,prfchw")))

/* A map of CONTEXTS bytes in registers. */
typedef struct {
    __m256i part[4];
} Map;

AVX2 static inline Map load_map(const uint8_t *map)
{
    Map loaded;
    for (int k = 0; k < 4; k++)
        loaded.part[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(map + 16 * k)));
    return loaded;
}

/* What it has for 32 contexts: pshufb gives 0 where the top bit is set, and adding 0x70 sets it outside part k. */
AVX2 static inline __m256i look_up_32(const Map *map, __m256i c)
{
    __m256i found = _mm256_setzero_si256();
    for (int k = 0; k < 4; k++) {
        __m256i place = _mm256_adds_epu8(_mm256_sub_epi8(c, _mm256_set1_epi8((char)(16 * k))), _mm256_set1_epi8(0x70));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(map->part[k], place));
    }
    return found;
}

AVX2 static inline void look_up(const uint8_t *map, int contexts, uint8_t *places, size_t n)
{
    size_t i = 0;
    if (contexts == CONTEXTS) {
        const Map loaded = load_map(map);
        for (; i + 32 <= n; i += 32) {
            __m256i c = _mm256_loadu_si256((const __m256i *)(places + i));
            _mm256_storeu_si256((__m256i *)(places + i), look_up_32(&loaded, c));
        }
    }
    for (; i < n; i++)
        places[i] = map[places[i]];
}

/* Write the places of the bits of mask, from first on, four at a time; up to four too many are overwritten later. */
AVX2 static inline size_t spread(uint64_t mask, size_t first, uint16_t *out)
{
    size_t count = (size_t)__builtin_popcountll(mask), done = 0;
    do {
        for (int k = 0; k < 4; k++) {
            out[done + (size_t)k] = (uint16_t)(first + _tzcnt_u64(mask));
            mask = _blsr_u64(mask);
        }
        done += 4;
    } while (done < count);
    return count;
}

/* The entries of n units (a multiple of 8), with plain loads as well. */
static inline void find(const uint32_t *entries, const uint16_t *index, size_t n, uint32_t *out)
{
    for (const uint16_t *end = index + n; index < end; index += 8, out += 8)
#pragma GCC unroll 4
        for (int i = 0; i < 8; i += 2) {
            uint64_t both = (uint64_t)entries[index[i + 1]] << 32;
            __asm__("" : "+r"(both)); /* lest the compiler moves units through vectors one by one */
            both |= entries[index[i]];
            memcpy(out + i, &both, 8);
        }
}

#endif
