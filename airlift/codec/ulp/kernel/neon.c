/* The coder with the vectors that every aarch64 has: the same arithmetic as rans_read_plain, eight lanes at once.
 *
 * Coding stays plain: it has a division a unit. Lanes below a whole step go the plain way.
 */

#include "vector.h"

#ifdef NEON

#include <arm_neon.h>

#define TARGET

static int runs_here(void)
{
    return 1; /* part of every aarch64 */
}

/* A map of CONTEXTS bytes in registers. */
static inline uint8x16x4_t load_map(const uint8_t *map)
{
    return (uint8x16x4_t){{vld1q_u8(map), vld1q_u8(map + 16), vld1q_u8(map + 32), vld1q_u8(map + 48)}};
}

static void look_up(const uint8_t *map, int contexts, uint8_t *places, size_t n)
{
    size_t i = 0;
    if (contexts == CONTEXTS) {
        const uint8x16x4_t loaded = load_map(map);
        for (; i + 16 <= n; i += 16)
            vst1q_u8(places + i, vqtbl4q_u8(loaded, vld1q_u8(places + i)));
    }
    for (; i < n; i++)
        places[i] = map[places[i]];
}

/* What map has for the contexts of n 16-bit units of one group; see width.h. */
static void scaled_16(const Model *m, const Unit16 *base, int level, const uint8_t *map, size_t n, uint8_t *out)
{
    const int16x8_t top = vdupq_n_s16((int16_t)(level > 2104 ? 2104 : level < -1 ? -1 : level));
    const int16x8_t right = vdupq_n_s16((int16_t)-m->mantissa), left = vdupq_n_s16((int16_t)m->shift);
    const uint8x16x4_t loaded = load_map(map);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x8_t part[2];
        for (int k = 0; k < 2; k++) {
            uint16x8_t b = vreinterpretq_u16_u8(vld1q_u8((const uint8_t *)(base + i + 8 * k)));
            uint16x8_t biased = vshlq_u16(vandq_u16(b, vdupq_n_u16(0x7fff)), right);
            int16x8_t e = vshlq_s16(vmaxq_s16(vreinterpretq_s16_u16(biased), vdupq_n_s16(1)), left);
            part[k] = vqmovun_s16(vminq_s16(vsubq_s16(top, e), vdupq_n_s16(CONTEXTS - 1))); /* below 0 becomes 0 */
        }
        vst1q_u8(out + i, vqtbl4q_u8(loaded, vcombine_u8(part[0], part[1])));
    }
    for (; i < n; i++)
        out[i] = scaled_one(m, base[i], level, map);
}

static size_t find_large(const uint8_t *symbols, size_t n, int from, uint16_t *large)
{
    const uint8x16_t direct = vdupq_n_u8((uint8_t)from);
    size_t count = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        uint16x8_t found = vreinterpretq_u16_u8(vcgeq_u8(vld1q_u8(symbols + i), direct));
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(found, 4)), 0); /* four bits a symbol */
        for (mask &= 0x8888888888888888u; mask; mask &= mask - 1)
            large[count++] = (uint16_t)(i + (size_t)(__builtin_ctzll(mask) >> 2));
    }
    for (; i < n; i++) {
        large[count] = (uint16_t)i;
        count += symbols[i] >= from;
    }
    return count;
}

/* Where eight units have to look. */
static inline void aim(const uint32_t *at, const uint8_t *tables, uint32_t *index)
{
    const uint32x4_t low = vdupq_n_u32(TOTAL - 1);
    uint16x8_t table = vmovl_u8(vld1_u8(tables));
    vst1q_u32(index, vorrq_u32(vshll_n_u16(vget_low_u16(table), TABLE_BITS), vandq_u32(vld1q_u32(at), low)));
    vst1q_u32(index + 4, vorrq_u32(vshll_n_u16(vget_high_u16(table), TABLE_BITS), vandq_u32(vld1q_u32(at + 4), low)));
}

/* The word of each lane that needs one, and how many do: a lane takes as many words further on as lanes before it need. */
static inline uint16x8_t deal(uint16x8_t need, const Unit16 *words, size_t *count)
{
    const uint16x8_t none = vdupq_n_u16(0), ones = vshrq_n_u16(need, 15);
    uint16x8_t sum = vaddq_u16(ones, vextq_u16(none, ones, 7));
    sum = vaddq_u16(sum, vextq_u16(none, sum, 6));
    sum = vaddq_u16(sum, vextq_u16(none, sum, 4));
    uint16x8_t bytes = vmlaq_n_u16(vdupq_n_u16(0x0100), vsubq_u16(sum, ones), 0x0202);
    *count = vgetq_lane_u16(sum, 7);
    return vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8((const uint8_t *)words), vreinterpretq_u8_u16(bytes)));
}

/* Advance the states of eight units by what they found, and write their symbols. */
static inline const Unit16 *advance(uint32_t *at, const uint32_t *entries, const Unit16 *words, uint8_t *out)
{
    const uint32x4_t low = vdupq_n_u32(TOTAL - 1), one = vdupq_n_u32(1), full = vdupq_n_u32(LOW);
    uint32x4_t x[2], need[2];
    uint16x4_t found[2];
    for (int k = 0; k < 2; k++) {
        uint32x4_t entry = vld1q_u32(entries + 4 * k), f = vaddq_u32(vshrq_n_u32(entry, 20), one);
        x[k] = vmlaq_u32(vandq_u32(entry, low), f, vshrq_n_u32(vld1q_u32(at + 4 * k), TABLE_BITS));
        need[k] = vcltq_u32(x[k], full);
        found[k] = vshrn_n_u32(entry, TABLE_BITS);
    }
    size_t count;
    uint16x8_t next = deal(vcombine_u16(vmovn_u32(need[0]), vmovn_u32(need[1])), words, &count);
    uint32x4_t more[2] = {vmovl_u16(vget_low_u16(next)), vmovl_u16(vget_high_u16(next))};
    for (int k = 0; k < 2; k++)
        vst1q_u32(at + 4 * k, vbslq_u32(need[k], vorrq_u32(vshlq_n_u32(x[k], 16), more[k]), x[k]));
    vst1_u8(out, vmovn_u16(vcombine_u16(found[0], found[1])));
    return words + count;
}

static const Unit16 *rans_read(const uint32_t *looked, uint32_t *states, size_t lanes, const Unit16 *words, const uint8_t *tables, size_t n, uint8_t *out, Ahead ahead)
{
    const size_t step = lanes < STEP ? lanes : STEP;
    uint32_t entries[STEP];
    size_t first = 0;
    for (; lanes >= 8 && first + step <= n; first += step) {
        uint32_t *at = states + (first & (lanes - 1));
        prefetch(&ahead, step);
        for (size_t i = 0; i < step; i += 8)
            aim(at + i, tables + first + i, entries + i);
        fetch(looked, entries, step);
        for (size_t i = 0; i < step; i += 8)
            words = advance(at + i, entries + i, words, out + first + i);
    }
    return rans_read_plain(looked, states, lanes, words, tables + first, n - first, out + first, first);
}

static uint16_t *rans_write(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint16_t *index, size_t n)
{
    return rans_write_plain(entries, states, lanes, words, index, n, 0);
}

#define VECTOR
#include "loops.h"

OFFER(neon);

#endif
