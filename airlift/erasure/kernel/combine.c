/* Whole members on any path, and the list of paths. */

#include "core.h"

const Path *const erasure_paths[] = {
#ifdef X86
    &erasure_gfni, &erasure_avx2,
#elif defined(NEON)
    &erasure_neon,
#endif
    &erasure_scalar, NULL,
};

const Path *erasure_path(const char *name)
{
    for (const Path *const *path = erasure_paths; *path; path++)
        if (!strcmp((*path)->name, name) && (*path)->runs_here())
            return *path;
    return NULL;
}

/* What multiplies by one element: sums of its products with 1, 2, 4 ... 128. */
static void fill(Factor *factor, unsigned element)
{
    *factor = (Factor){{0}, {0}, 0};
    for (unsigned bit = 0; bit < 8; bit++) {
        for (unsigned half = 0; half < 16; half++) {
            factor->low[half] ^= (uint8_t)(half >> bit & 1 ? element : 0);
            factor->high[half] ^= (uint8_t)(bit >= 4 && half >> (bit - 4) & 1 ? element : 0);
        }
        for (unsigned row = 0; row < 8; row++)
            factor->bits |= (uint64_t)(element >> row & 1) << (8 * (7 - row) + bit);
        element = element << 1 ^ (element & 0x80 ? POLYNOMIAL : 0);
    }
}

/* Add what one member gives to all results, in the tile that begins at start. */
static void add_member(const Path *path, const Sums *sums, size_t m, size_t start, size_t n)
{
    const Member member = sums->members[m];
    if (member.length <= start)
        return;
    n = n < member.length - start ? n : member.length - start;
    for (size_t r = 0; r < sums->rows; r++) {
        unsigned weight = sums->weights[r * sums->count + m];
        if (weight == 1)
            path->add(sums->results[r] + start, member.bytes + start, n);
        else if (weight)
            path->add_product(sums->results[r] + start, member.bytes + start, n, &sums->factors[weight]);
    }
}

void combine(const Path *path, Sums *sums)
{
    for (unsigned element = 0; element < 256; element++)
        fill(&sums->factors[element], element);
    for (size_t start = 0; sums->rows && start < sums->length; start += TILE) {
        size_t n = TILE < sums->length - start ? TILE : sums->length - start;
        for (size_t r = 0; r < sums->rows; r++)
            memset(sums->results[r] + start, 0, n);
        for (size_t m = 0; m < sums->count; m++)
            add_member(path, sums, m, start, n);
    }
}
