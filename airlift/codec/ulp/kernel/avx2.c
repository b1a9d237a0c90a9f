/* The entropy coder with AVX2: the same arithmetic as rans_read_plain and rans_write_plain, many lanes at once.
 *
 * A step handles one unit of each of 8 neighbouring lanes: gather the table entries, advance the states, and let
 * the lanes that run low take the next words in order. Lanes below a whole vector go the plain way.
 */

#include "core.h"

#ifdef X86

#include "x86.h"

#define TARGET AVX2

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

/* Permutations that move what a mask selects: for each mask of 8 lanes, to_lanes spreads the first words over the
 * selected lanes, to_words packs the selected lanes at the end.
 */
#define BELOW(mask, lane) ((uint8_t)__builtin_popcount((mask) & ((1u << (lane)) - 1)))
#define TO_LANES(mask) {BELOW(mask, 0), BELOW(mask, 1), BELOW(mask, 2), BELOW(mask, 3), BELOW(mask, 4), BELOW(mask, 5), BELOW(mask, 6), BELOW(mask, 7)}
#define IF_PLACED(mask, place, lane) ((mask) >> (lane) & 1 && BELOW(mask, lane) + 8 == BELOW(mask, 8) + (place) ? (lane) : 0)
#define PLACED(mask, place) \
    (IF_PLACED(mask, place, 1) + IF_PLACED(mask, place, 2) + IF_PLACED(mask, place, 3) + IF_PLACED(mask, place, 4) + \
     IF_PLACED(mask, place, 5) + IF_PLACED(mask, place, 6) + IF_PLACED(mask, place, 7))
#define TO_WORDS(mask) {PLACED(mask, 0), PLACED(mask, 1), PLACED(mask, 2), PLACED(mask, 3), PLACED(mask, 4), PLACED(mask, 5), PLACED(mask, 6), PLACED(mask, 7)}
#define FOUR(row, mask) row(mask), row((mask) + 1u), row((mask) + 2u), row((mask) + 3u)
#define SIXTEEN(row, mask) FOUR(row, mask), FOUR(row, (mask) + 4u), FOUR(row, (mask) + 8u), FOUR(row, (mask) + 12u)
#define SIXTY_FOUR(row, mask) SIXTEEN(row, mask), SIXTEEN(row, (mask) + 16u), SIXTEEN(row, (mask) + 32u), SIXTEEN(row, (mask) + 48u)
#define EVERY_MASK(row) SIXTY_FOUR(row, 0u), SIXTY_FOUR(row, 64u), SIXTY_FOUR(row, 128u), SIXTY_FOUR(row, 192u)
static const uint8_t to_lanes[256][8] = {EVERY_MASK(TO_LANES)}, to_words[256][8] = {EVERY_MASK(TO_WORDS)};

/* What map has for the contexts of n 16-bit units of one group; see width.h. */
AVX2 static void scaled_16(const Model *m, const Unit16 *base, int level, const uint8_t *map, size_t n, uint8_t *out)
{
    const __m256i top = _mm256_set1_epi16((int16_t)(level > 2104 ? 2104 : level < -1 ? -1 : level));
    const __m256i sign = _mm256_set1_epi16(0x7fff), one = _mm256_set1_epi16(1);
    const __m128i right = _mm_cvtsi32_si128(m->mantissa), left = _mm_cvtsi32_si128(m->shift);
    const Map loaded = load_map(map);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i part[2];
        for (int k = 0; k < 2; k++) {
            __m256i b = _mm256_loadu_si256((const __m256i *)(base + i + 16 * k));
            __m256i e = _mm256_srl_epi16(_mm256_and_si256(b, sign), right);
            e = _mm256_sll_epi16(_mm256_max_epi16(e, one), left);
            part[k] = _mm256_min_epi16(_mm256_sub_epi16(top, e), _mm256_set1_epi16(CONTEXTS - 1));
        }
        __m256i c = _mm256_permute4x64_epi64(_mm256_packus_epi16(part[0], part[1]), 0xd8); /* below 0 becomes 0 */
        _mm256_storeu_si256((__m256i *)(out + i), look_up_32(&loaded, c));
    }
    for (; i < n; i++)
        out[i] = scaled_one(m, base[i], level, map);
}

AVX2 static size_t find_large(const uint8_t *symbols, size_t n, int from, uint16_t *large)
{
    const __m256i direct = _mm256_set1_epi8((char)from);
    size_t count = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t mask = 0;
        for (int k = 0; k < 2; k++) {
            __m256i s = _mm256_loadu_si256((const __m256i *)(symbols + i + 32 * k));
            uint32_t half = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(s, direct), s));
            mask |= (uint64_t)half << (32 * k);
        }
        count += spread(mask, i, large + count);
    }
    for (; i < n; i++) {
        large[count] = (uint16_t)i;
        count += symbols[i] >= from;
    }
    return count;
}

AVX2 static const Unit16 *rans_read(const uint32_t *looked, uint32_t *states, size_t lanes, const Unit16 *words, const uint8_t *tables, size_t n, uint8_t *out, Ahead ahead)
{
    const __m256i low = _mm256_set1_epi32(TOTAL - 1), one = _mm256_set1_epi32(1);
    const __m128i pick = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const size_t step = lanes < STEP ? lanes : STEP;
    uint32_t entries[STEP];
    size_t first = 0;
    for (; lanes >= 8 && first + step <= n; first += step) {
        uint32_t *at = states + (first & (lanes - 1));
        prefetch(&ahead, step);
        for (size_t i = 0; i < step; i += 8) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(at + i));
            __m256i table = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(tables + first + i)));
            x = _mm256_or_si256(_mm256_slli_epi32(table, TABLE_BITS), _mm256_and_si256(x, low));
            _mm256_storeu_si256((__m256i *)(entries + i), x);
        }
        fetch(looked, entries, step);
        for (size_t i = 0; i < step; i += 8) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(at + i));
            __m256i entry = _mm256_loadu_si256((const __m256i *)(entries + i));
            __m256i f = _mm256_add_epi32(_mm256_srli_epi32(entry, 20), one);
            x = _mm256_add_epi32(_mm256_mullo_epi32(f, _mm256_srli_epi32(x, TABLE_BITS)), _mm256_and_si256(entry, low));
            __m256i need = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
            unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(need));
            __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)words));
            next = _mm256_permutevar8x32_epi32(next, _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)to_lanes[mask])));
            x = _mm256_blendv_epi8(x, _mm256_or_si256(_mm256_slli_epi32(x, 16), next), need);
            words += __builtin_popcount(mask);
            _mm256_storeu_si256((__m256i *)(at + i), x);
            __m256i found = _mm256_srli_epi32(entry, TABLE_BITS);
            __m128i front = _mm_shuffle_epi8(_mm256_castsi256_si128(found), pick);
            __m128i back = _mm_shuffle_epi8(_mm256_extracti128_si256(found, 1), pick);
            _mm_storel_epi64((__m128i *)(out + first + i), _mm_unpacklo_epi32(front, back));
        }
    }
    return rans_read_plain(looked, states, lanes, words, tables + first, n - first, out + first, first);
}

AVX2 static uint16_t *rans_write(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint16_t *index, size_t n)
{
    const __m256i low = _mm256_set1_epi32(TOTAL - 1), one = _mm256_set1_epi32(1);
    const size_t step = lanes < STEP ? lanes : STEP, whole = lanes >= 8 ? n / step * step : 0;
    uint32_t found[STEP];
    words = rans_write_plain(entries, states, lanes, words, index, n, whole);
    for (size_t first = whole; first;) {
        first -= step;
        prefetch_before(index + first);
        find(entries, index + first, step, found);
        for (size_t i = step; i;) {
            i -= 8;
            uint32_t *at = states + ((first + i) & (lanes - 1));
            __m256i x = _mm256_loadu_si256((const __m256i *)at);
            __m256i entry = _mm256_loadu_si256((const __m256i *)(found + i));
            __m256i f = _mm256_add_epi32(_mm256_and_si256(entry, low), one), start = _mm256_srli_epi32(entry, TABLE_BITS);
            __m256i need = _mm256_cmpgt_epi32(_mm256_add_epi32(_mm256_srli_epi32(x, 32 - TABLE_BITS), one), f);
            unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(need));
            __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)to_words[mask]));
            __m256i packed = _mm256_blend_epi16(_mm256_permutevar8x32_epi32(x, order), _mm256_setzero_si256(), 0xaa);
            __m128i tail = _mm_packus_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
            _mm_storeu_si128((__m128i *)(words - 8), tail);
            words -= __builtin_popcount(mask);
            x = _mm256_blendv_epi8(x, _mm256_srli_epi32(x, 16), need);
            /* x / f is below 2^21, and single precision is wrong by at most 1: halves are converted, for x has 32 bits. */
            __m256 halves = _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 1));
            __m256i q = _mm256_cvttps_epi32(_mm256_div_ps(_mm256_add_ps(halves, halves), _mm256_cvtepi32_ps(f)));
            __m256i rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(q, f)), under = _mm256_srai_epi32(rest, 31);
            q = _mm256_add_epi32(q, under);
            rest = _mm256_add_epi32(rest, _mm256_and_si256(under, f));
            __m256i over = _mm256_cmpgt_epi32(rest, _mm256_sub_epi32(f, one));
            q = _mm256_sub_epi32(q, over);
            rest = _mm256_sub_epi32(rest, _mm256_and_si256(over, f));
            x = _mm256_add_epi32(_mm256_add_epi32(rest, start), _mm256_slli_epi32(q, TABLE_BITS));
            _mm256_storeu_si256((__m256i *)at, x);
        }
    }
    return words;
}

#define VECTOR
#include "loops.h"

OFFER(avx2);

#endif
