/* What paths with vectors share, whatever the machine. */

#ifndef KERNEL_VECTOR_H
#define KERNEL_VECTOR_H

#include "core.h"

enum { STEP = 128 }; /* units that go through each stage together */

/* Prefetch the units of a step that comes soon: writing goes backwards, which the processor does not foresee. Before the
 * first units of a block nothing is read there.
 */
static inline void prefetch_before(const uint16_t *index)
{
    const uintptr_t place = (uintptr_t)index - 8 * STEP * sizeof *index;
    for (size_t k = 0; k < STEP * sizeof *index; k += 64)
        __builtin_prefetch((const void *)(place + k));
}

/* What map has for the context of a 16-bit unit; see width.h. */
static inline uint8_t scaled_one(const Model *m, uint16_t base, int level, const uint8_t *map)
{
    int e = (base & 0x7fff) >> m->mantissa, c = level - ((e > 1 ? e : 1) << m->shift);
    return map[c < 0 ? 0 : c > CONTEXTS - 1 ? CONTEXTS - 1 : c];
}

/* Replace n indices (a multiple of 8) by what they look up, two at a time. Plain loads: gathers are slow where microcode
 * had to close their leaks.
 */
static inline void fetch(const uint32_t *from, uint32_t *index, size_t n)
{
    for (const uint32_t *end = index + n; index < end; index += 8)
#pragma GCC unroll 4
        for (int i = 0; i < 8; i += 2) {
            uint64_t both;
            memcpy(&both, index + i, 8);
            both = from[(uint32_t)both] | (uint64_t)from[both >> 32] << 32;
            memcpy(index + i, &both, 8);
        }
}

#endif
