/* Neon, which every aarch64 has: both halves of 16 bytes are looked up at once. */

#include "core.h"

#ifdef NEON

#include <arm_neon.h>

static int runs_here(void)
{
    return 1; /* part of every aarch64 */
}

static void add(uint8_t *restrict out, const uint8_t *restrict in, size_t n)
{
    add_plain(out, in, 0, n);
}

static void add_product(uint8_t *restrict out, const uint8_t *restrict in, size_t n, const Factor *f)
{
    const uint8x16_t low = vld1q_u8(f->low), high = vld1q_u8(f->high);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint8x16_t x = vld1q_u8(in + i);
        uint8x16_t product = veorq_u8(vqtbl1q_u8(low, vandq_u8(x, vdupq_n_u8(15))), vqtbl1q_u8(high, vshrq_n_u8(x, 4)));
        vst1q_u8(out + i, veorq_u8(vld1q_u8(out + i), product));
    }
    add_product_plain(out, in, i, n, f);
}

const Path erasure_neon = {"neon", runs_here, add, add_product};

#endif
