/* The coder in portable C: runs everywhere, and says what the others have to do. */

#include "core.h"

#define TARGET

static int runs_here(void)
{
    return 1;
}

/* Table numbers of contexts. */
static void look_up(const uint8_t *map, int contexts, uint8_t *places, size_t n)
{
    (void)contexts;
    for (size_t i = 0; i < n; i++)
        places[i] = map[places[i]];
}

/* Decode n symbols, the first of lane 0. words has n readable words. */
static const Unit16 *rans_read(const uint32_t *looked, uint32_t *states, size_t lanes, const Unit16 *words, const uint8_t *tables, size_t n, uint8_t *out, Ahead ahead)
{
    (void)ahead;
    return rans_read_plain(looked, states, lanes, words, tables, n, out, 0);
}

/* Code n symbols, the first of lane 0, from the last to the first; words grow downwards and have n free before. */
static uint16_t *rans_write(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint16_t *index, size_t n)
{
    return rans_write_plain(entries, states, lanes, words, index, n, 0);
}

/* The places of bytes that are at least `from`; large has n + 72 places. */
static size_t find_large(const uint8_t *symbols, size_t n, int from, uint16_t *large)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        large[count] = (uint16_t)i;
        count += symbols[i] >= from;
    }
    return count;
}

#include "loops.h"

OFFER(scalar);
