/* Portable C: runs everywhere, and says what the others have to do. */

#include "core.h"

static int runs_here(void)
{
    return 1;
}

static void add(uint8_t *restrict out, const uint8_t *restrict in, size_t n)
{
    add_plain(out, in, 0, n);
}

static void add_product(uint8_t *restrict out, const uint8_t *restrict in, size_t n, const Factor *f)
{
    add_product_plain(out, in, 0, n, f);
}

const Path erasure_scalar = {"scalar", runs_here, add, add_product};
