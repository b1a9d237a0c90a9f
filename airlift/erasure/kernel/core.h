/* What all files share: what multiplies by an element of GF(2^8), and what each file offers. Lengths were checked before. */

#ifndef ERASURE_CORE_H
#define ERASURE_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST = 255, /* members, and results */
    TILE = 1 << 13, /* bytes that are summed up at once: those of a few results stay in the nearest cache */
    POLYNOMIAL = 0x11D,
};

/* What multiplies a byte by one element: the products of its halves, and the same as a matrix of bits. */
typedef struct {
    uint8_t low[16], high[16];
    uint64_t bits; /* row 7 in the lowest byte: result bit 7 is the parity of that byte and the input */
} Factor;

/* One instruction set: a name, and what it does with n bytes that lie anywhere; out and in do not overlap. */
typedef struct {
    const char *name;
    int (*runs_here)(void);
    void (*add)(uint8_t *restrict out, const uint8_t *restrict in, size_t n); /* out += in */
    void (*add_product)(uint8_t *restrict out, const uint8_t *restrict in, size_t n, const Factor *); /* out += factor * in */
} Path;

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
extern const Path erasure_gfni, erasure_avx2;
#elif defined(__aarch64__) && defined(__GNUC__)
#define NEON
extern const Path erasure_neon;
#endif
extern const Path erasure_scalar;

/* For what is left of a vector, from place i on. */
static inline void add_product_plain(uint8_t *restrict out, const uint8_t *restrict in, size_t i, size_t n, const Factor *f)
{
    for (; i < n; i++)
        out[i] ^= f->low[in[i] & 15] ^ f->high[in[i] >> 4];
}

static inline void add_plain(uint8_t *restrict out, const uint8_t *restrict in, size_t i, size_t n)
{
    for (; i < n; i++)
        out[i] ^= in[i];
}

/* -- whole members: combine.c ---------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *bytes;
    size_t length; /* what lies beyond counts as zeros */
} Member;

/* The sums of products: results[r] becomes the sum of weights[r * count + m] times member m over all m. */
typedef struct {
    size_t count, rows, length; /* members, results, and the bytes of each result; no member is longer */
    const uint8_t *weights;
    Member members[MOST];
    uint8_t *results[MOST];
    Factor factors[256]; /* filled in by combine() */
} Sums;

void combine(const Path *path, Sums *sums);

/* The paths that the kernel was built with, the fastest first; then NULL. */
extern const Path *const erasure_paths[];

/* A path by its name, NULL if it does not run here. */
const Path *erasure_path(const char *name);

#endif
