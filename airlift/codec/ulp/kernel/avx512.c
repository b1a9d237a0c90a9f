/* The entropy coder with AVX-512: as avx2.c, 16 lanes at once; masks say which lanes run low, and move their words. */

#include "core.h"

#ifdef X86

#include "x86.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt,prfchw")))
#define TARGET AVX512

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

AVX512 static void scaled_16(const Model *m, const Unit16 *base, int level, const uint8_t *map, size_t n, uint8_t *out)
{
    const __m512i top = _mm512_set1_epi16((int16_t)(level > 2104 ? 2104 : level < -1 ? -1 : level));
    const __m512i sign = _mm512_set1_epi16(0x7fff), one = _mm512_set1_epi16(1), most = _mm512_set1_epi16(CONTEXTS - 1);
    const __m512i low = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)map));
    const __m512i high = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(map + 32)));
    const __m128i right = _mm_cvtsi32_si128(m->mantissa), left = _mm_cvtsi32_si128(m->shift);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m512i e = _mm512_srl_epi16(_mm512_and_si512(_mm512_loadu_si512(base + i), sign), right);
        e = _mm512_sll_epi16(_mm512_max_epi16(e, one), left);
        __m512i c = _mm512_min_epi16(_mm512_max_epi16(_mm512_sub_epi16(top, e), _mm512_setzero_si512()), most);
        c = _mm512_permutex2var_epi16(low, c, high);
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtepi16_epi8(c));
    }
    for (; i < n; i++)
        out[i] = scaled_one(m, base[i], level, map);
}

AVX512 static size_t find_large(const uint8_t *symbols, size_t n, int from, uint16_t *large)
{
    const __m512i direct = _mm512_set1_epi8((char)from);
    size_t count = 0;
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 here = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        __mmask64 mask = _mm512_cmpge_epu8_mask(_mm512_maskz_loadu_epi8(here, symbols + i), direct);
        count += spread(mask, i, large + count);
    }
    return count;
}

enum {
    AHEAD = 64, /* units between one stage of the pipeline below and the next: what was stored has left the core by then */
    RING = 256,
};

/* Where 32 units, the first of unit number `at`, have to look. */
AVX512 static inline void aim(const uint32_t *states, size_t lanes, const uint8_t *tables, size_t at, uint32_t *ring)
{
    const __m512i low = _mm512_set1_epi32(TOTAL - 1);
#pragma GCC unroll 2
    for (size_t end = at + 32; at < end; at += 16) {
        __m512i x = _mm512_loadu_si512(states + (at & (lanes - 1)));
        __m512i table = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(tables + at)));
        x = _mm512_ternarylogic_epi32(x, low, _mm512_slli_epi32(table, TABLE_BITS), 0xea); /* (x & low) | table */
        _mm512_store_si512(ring + (at & (RING - 1)), x);
    }
}

/* Advance the states of 32 units by what they found, and write their symbols. */
AVX512 static inline const Unit16 *advance(uint32_t *states, size_t lanes, const uint32_t *ring, size_t at, const Unit16 *words, uint8_t *out)
{
    const __m512i low = _mm512_set1_epi32(TOTAL - 1), one = _mm512_set1_epi32(1), full = _mm512_set1_epi32(LOW);
#pragma GCC unroll 2
    for (size_t end = at + 32; at < end; at += 16) {
        uint32_t *state = states + (at & (lanes - 1));
        __m512i x = _mm512_loadu_si512(state), entry = _mm512_load_si512(ring + (at & (RING - 1)));
        __m512i f = _mm512_add_epi32(_mm512_srli_epi32(entry, 20), one);
        x = _mm512_add_epi32(_mm512_mullo_epi32(f, _mm512_srli_epi32(x, TABLE_BITS)), _mm512_and_si512(entry, low));
        __mmask16 need = _mm512_cmplt_epu32_mask(x, full);
        __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)words));
        next = _mm512_maskz_expand_epi32(need, next);
        x = _mm512_mask_or_epi32(x, need, _mm512_slli_epi32(x, 16), next);
        words += __builtin_popcount(need);
        _mm512_storeu_si512(state, x);
        _mm_storeu_si128((__m128i *)(out + at), _mm512_cvtepi32_epi8(_mm512_srli_epi32(entry, TABLE_BITS)));
    }
    return words;
}

/* Three stages, each AHEAD units behind the one before: vectors aim, plain loads find, vectors advance. */
AVX512 static const Unit16 *rans_read(const uint32_t *looked, uint32_t *states, size_t lanes, const Unit16 *words, const uint8_t *tables, size_t n, uint8_t *out, Ahead ahead)
{
    uint32_t ring[RING] __attribute__((aligned(64)));
    const size_t whole = lanes > 2 * AHEAD ? n & ~(size_t)31 : 0;
    size_t aimed = 0, found = 0, done = 0;
    for (; aimed < AHEAD && aimed < whole; aimed += 32)
        aim(states, lanes, tables, aimed, ring);
    for (; aimed < 2 * AHEAD && aimed < whole; aimed += 32, found += 32) {
        aim(states, lanes, tables, aimed, ring);
        fetch(looked, ring + (found & (RING - 1)), 32);
    }
    for (; aimed < whole; aimed += 32, found += 32, done += 32) {
        prefetch(&ahead, 32);
        aim(states, lanes, tables, aimed, ring);
        fetch(looked, ring + (found & (RING - 1)), 32);
        words = advance(states, lanes, ring, done, words, out);
    }
    for (; found < whole; found += 32, done += 32) {
        fetch(looked, ring + (found & (RING - 1)), 32);
        words = advance(states, lanes, ring, done, words, out);
    }
    for (; done < whole; done += 32)
        words = advance(states, lanes, ring, done, words, out);
    return rans_read_plain(looked, states, lanes, words, tables + whole, n - whole, out + whole, whole);
}

AVX512 static uint16_t *rans_write(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint16_t *index, size_t n)
{
    const __m512i low = _mm512_set1_epi32(TOTAL - 1), one = _mm512_set1_epi32(1);
    const size_t step = lanes < STEP ? lanes : STEP, whole = lanes >= 16 ? n / step * step : 0;
    uint32_t found[STEP] __attribute__((aligned(64)));
    words = rans_write_plain(entries, states, lanes, words, index, n, whole);
    for (size_t first = whole; first;) {
        first -= step;
        prefetch_before(index + first);
        find(entries, index + first, step, found);
        for (size_t i = step; i;) {
            i -= 16;
            uint32_t *at = states + ((first + i) & (lanes - 1));
            __m512i x = _mm512_loadu_si512(at), entry = _mm512_load_si512(found + i);
            __m512i f = _mm512_add_epi32(_mm512_and_si512(entry, low), one), start = _mm512_srli_epi32(entry, TABLE_BITS);
            __mmask16 need = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 32 - TABLE_BITS), f);
            __m256i packed = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(need, x));
            int count = __builtin_popcount(need);
            words -= count;
            _mm256_mask_storeu_epi16(words, (__mmask16)((1u << count) - 1), packed);
            x = _mm512_mask_srli_epi32(x, need, x, 16);
            /* x / f is below 2^21, and single precision is wrong by at most 1. */
            __m512i q = _mm512_cvttps_epi32(_mm512_div_ps(_mm512_cvtepu32_ps(x), _mm512_cvtepi32_ps(f)));
            __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(q, f));
            __mmask16 under = _mm512_movepi32_mask(rest);
            q = _mm512_mask_sub_epi32(q, under, q, one);
            rest = _mm512_mask_add_epi32(rest, under, rest, f);
            __mmask16 over = _mm512_cmpge_epi32_mask(rest, f);
            q = _mm512_mask_add_epi32(q, over, q, one);
            rest = _mm512_mask_sub_epi32(rest, over, rest, f);
            x = _mm512_add_epi32(_mm512_add_epi32(rest, start), _mm512_slli_epi32(q, TABLE_BITS));
            _mm512_storeu_si512(at, x);
        }
    }
    return words;
}

#define VECTOR
#include "loops.h"

OFFER(avx512);

#endif
