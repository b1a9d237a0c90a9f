/* What all files share: types, and what each path offers. Lengths were checked before. */

#ifndef PREDICT_CORE_H
#define PREDICT_CORE_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "every rounding counts"
#endif

enum { BF16, F16, F32 };

/* A matrix of elements, row by row, and its factors: left (rows, rank), right (rank, columns), in float64, whose product
 * is added. `left_out` gets 1 for each row that this code does not do, else 0. Elements need not be aligned.
 */
typedef struct {
    int element;
    size_t rows, columns, rank;
    const uint8_t *base;
    const double *left, *right;
    uint8_t *out, *left_out;
} Sum;

typedef struct {
    const char *name;
    int (*runs_here)(void);
    void (*add)(const Sum *);
} Path;

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
extern const Path predict_avx2;
#endif
extern const Path predict_scalar;

extern const Path *const predict_paths[];
const Path *predict_path(const char *name);

#endif
