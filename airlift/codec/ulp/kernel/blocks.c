/* Whole blocks on any path, and which paths there are. */

#include "core.h"

const Path *const paths[] = {
#ifdef X86
    &path_avx512, &path_avx2,
#elif defined(NEON)
    &path_neon,
#endif
    &path_scalar, NULL,
};

const Path *find_path(const char *name)
{
    for (const Path *const *path = paths; *path; path++)
        if (!strcmp((*path)->name, name) && (*path)->runs_here())
            return *path;
    return NULL;
}

void estimate(const Found *found, int contexts, size_t live, Unit32 *counts)
{
    for (size_t k = 0; k < (size_t)SYMBOLS * (size_t)contexts; k++) {
        uint32_t total = counted(found, k);
        counts[k] = live >= LARGE && total >= COMMON ? EVERY * total : total + found->others[k];
    }
}

void fill_entries(const Unit16 *frequencies, const uint8_t *map, size_t contexts, uint32_t *entries)
{
    for (size_t c = 0; c < contexts; c++) {
        const Unit16 *f = frequencies + (size_t)map[c] * SYMBOLS;
        for (uint32_t y = 0, start = 0; y < SYMBOLS; start += f[y++])
            *entries++ = start << TABLE_BITS | (f[y] ? f[y] - 1u : 0);
    }
}

uint16_t *run_write(const Path *path, const uint32_t *entries, const uint16_t *index, size_t units, uint32_t *states, size_t lanes, uint16_t *end)
{
    for (size_t k = 0; k < lanes; k++)
        states[k] = LOW;
    for (size_t first = (units + TILE - 1) / TILE * TILE; first;) {
        first -= TILE;
        end = path->write(entries, states, lanes, end, index + first, units - first < TILE ? units - first : TILE);
    }
    return end;
}

/* What a decoder looks up, by table and slot: slot - start, the symbol from bit 11, frequency - 1 from bit 20. */
static void fill_looked(const Unit16 *f, int tables, uint32_t *looked)
{
    for (int t = 0; t < tables; t++)
        for (uint32_t y = 0; y < SYMBOLS; y++, f++)
            for (uint32_t k = 0; k < *f; k++)
                *looked++ = (*f - 1u) << 20 | y << TABLE_BITS | k;
}

const char *run_read(const Path *path, const Model *m, const Coded *coded, const Unit16 *frequencies, int tables, uint32_t *looked)
{
    uint32_t *states = looked + (size_t)tables * TOTAL;
    fill_looked(frequencies, tables, looked);
    for (size_t k = 0; k < coded->lanes; k++)
        if ((states[k] = coded->states[k]) < LOW)
            return "an ulp block starts with an impossible state";
    const char *wrong = path->read(m, *coded, looked, states);
    for (size_t k = 0; !wrong && k < coded->lanes; k++)
        if (states[k] != LOW)
            wrong = "an ulp block's words do not end where they should";
    return wrong;
}
