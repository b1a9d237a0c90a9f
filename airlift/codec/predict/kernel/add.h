/* The loops of one path (SPEC P2), for what is ordinary; each path compiles them for itself: TARGET is the attribute that
 * lets the compiler use its instructions.
 *
 * Sums of products are exact in any order, fused or not. What is added is rounded once to float64, then to float32, then
 * to the element by integers. A row is left out, to be done elsewhere, if a base is NaN, infinite or (but for float16)
 * subnormal, or a sum other than zero is so small that a processor which flushes it to zero could be told from another.
 */

enum {
    WIDTH = 256, /* columns at once: a tile of the right factor stays in the first-level cache */
    AHEAD = 3, /* rows */
};

typedef uint16_t Unit16 __attribute__((aligned(1), may_alias));
typedef uint32_t Unit32 __attribute__((aligned(1), may_alias));

#define LEAST32 0x00800000u   /* 2^-126 */
#define LEAST64 0x3820000000000000 /* the bits of 2^-125 */
#define LEAST16 0x38800000u   /* 2^-14, the smallest normal float16, as float32 */
#define BEYOND16 0x477ff000u  /* 65520, the smallest that float16 makes infinite */

/* Add four ranks of the product of a row and n columns, or put them in the place of what was there. */
TARGET static inline void multiply_four(const double *left, const double *right, size_t columns, size_t n, int first, double *restrict sums)
{
    const double a = left[0], b = left[1], c = left[2], d = left[3];
    const double *r = right, *s = r + columns, *t = s + columns, *u = t + columns;
    if (first)
        for (size_t k = 0; k < n; k++)
            sums[k] = (a * r[k] + b * s[k]) + (c * t[k] + d * u[k]);
    else
        for (size_t k = 0; k < n; k++)
            sums[k] += (a * r[k] + b * s[k]) + (c * t[k] + d * u[k]);
}

/* The product of a row and n columns. */
TARGET static void multiply(const double *left, const double *right, size_t rank, size_t columns, size_t n, double *restrict sums)
{
    size_t j = 0;
    if (rank < 4)
        memset(sums, 0, n * sizeof *sums);
    for (; j + 4 <= rank; j += 4)
        multiply_four(left + j, right + j * columns, columns, n, !j, sums);
    for (; j < rank; j++) {
        const double a = left[j], *r = right + j * columns;
        for (size_t k = 0; k < n; k++)
            sums[k] += a * r[k];
    }
}

/* The values of n elements as float32; whether there is one that is not ordinary. */
TARGET static uint32_t widen_32(const Unit32 *base, size_t n, float *restrict values)
{
    uint32_t odd = 0;
    for (size_t k = 0; k < n; k++) {
        uint32_t magnitude = base[k] & 0x7fffffff;
        odd |= (uint32_t)(magnitude - 1 < LEAST32 - 1) | (uint32_t)(magnitude >= 0x7f800000);
    }
    memcpy(values, base, 4 * n);
    return odd;
}

TARGET static uint32_t widen_brain(const Unit16 *base, size_t n, float *restrict values)
{
    uint32_t odd = 0;
    for (size_t k = 0; k < n; k++) {
        uint32_t wide = (uint32_t)base[k] << 16, magnitude = wide & 0x7fffffff;
        odd |= (uint32_t)(magnitude - 1 < LEAST32 - 1) | (uint32_t)(magnitude >= 0x7f800000);
        memcpy(values + k, &wide, 4);
    }
    return odd;
}

TARGET static uint32_t widen_half(const Unit16 *base, size_t n, float *restrict values)
{
    uint32_t odd = 0;
    for (size_t k = 0; k < n; k++) {
        uint32_t half = base[k], magnitude = half & 0x7fff, wide = (magnitude << 13) + (112u << 23), bits;
        float small = (float)(int32_t)magnitude * 0x1p-24f;
        uint32_t subnormal = 0u - (uint32_t)(magnitude < 0x400);
        memcpy(&bits, &small, 4);
        bits = (bits & subnormal) | (wide & ~subnormal) | (half & 0x8000) << 16;
        odd |= (uint32_t)(magnitude >= 0x7c00);
        memcpy(values + k, &bits, 4);
    }
    return odd;
}

/* Sums of n values, rounded to float32 in their place; whether there is one that is too small to be told apart. */
TARGET static int64_t add_up(const double *restrict sums, size_t n, float *restrict values)
{
    int64_t odd = 0;
    for (size_t k = 0; k < n; k++) {
        double total = sums[k] + (double)values[k];
        int64_t magnitude;
        memcpy(&magnitude, &total, 8);
        magnitude &= INT64_MAX;
        odd |= (int64_t)(magnitude > 0) & (int64_t)(magnitude < LEAST64);
        values[k] = (float)total;
    }
    return odd;
}

/* Round float32 to elements; where nothing was added to a zero it keeps its sign. */
TARGET static void narrow_32(const Unit32 *base, const float *restrict values, size_t n, Unit32 *out)
{
    for (size_t k = 0; k < n; k++) {
        uint32_t wide, magnitude = base[k] & 0x7fffffff;
        memcpy(&wide, values + k, 4);
        out[k] = (wide & 0x7fffffff) | magnitude ? wide : base[k];
    }
}

TARGET static void narrow_brain(const Unit16 *base, const float *restrict values, size_t n, Unit16 *out)
{
    for (size_t k = 0; k < n; k++) {
        uint32_t wide, before = base[k];
        memcpy(&wide, values + k, 4);
        uint32_t rounded = (wide + 0x7fff + (wide >> 16 & 1)) >> 16;
        out[k] = (uint16_t)((wide & 0x7fffffff) | (before & 0x7fff) ? rounded : before);
    }
}

TARGET static void narrow_half(const Unit16 *base, const float *restrict values, size_t n, Unit16 *out)
{
    for (size_t k = 0; k < n; k++) {
        uint32_t wide, bits, before = base[k];
        memcpy(&wide, values + k, 4);
        uint32_t magnitude = wide & 0x7fffffff, sign = wide >> 16 & 0x8000;
        uint32_t rounded = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
        uint32_t subnormal = 0u - (uint32_t)(magnitude < LEAST16), infinite = 0u - (uint32_t)(magnitude >= BEYOND16);
        uint32_t still = 0u - (uint32_t)((magnitude | (before & 0x7fff)) == 0), tiny = magnitude & subnormal;
        float small;
        memcpy(&small, &tiny, 4);
        small = small * 0x1p24f + 0x1p23f; /* rounded to an integer */
        memcpy(&bits, &small, 4);
        rounded = (bits & 0x7fffff & subnormal) | (rounded & ~subnormal);
        rounded = (0x7c00 & infinite) | (rounded & ~infinite);
        out[k] = (uint16_t)((before & still) | ((sign | rounded) & ~still));
    }
}

/* One tile of a row; whether it is to be left out. */
TARGET static int add_tile(const Sum *sum, size_t row, size_t first, size_t n)
{
    double sums[WIDTH];
    float values[WIDTH];
    size_t at = row * sum->columns + first;
    uint32_t odd;
    multiply(sum->left + row * sum->rank, sum->right + first, sum->rank, sum->columns, n, sums);
    const Unit16 *base16 = (const Unit16 *)(const void *)sum->base + at;
    const Unit32 *base32 = (const Unit32 *)(const void *)sum->base + at;
    if (sum->element == F32)
        odd = widen_32(base32, n, values);
    else
        odd = sum->element == BF16 ? widen_brain(base16, n, values) : widen_half(base16, n, values);
    int64_t small = add_up(sums, n, values);
    if (sum->element == F32)
        narrow_32(base32, values, n, (Unit32 *)(void *)sum->out + at);
    else if (sum->element == BF16)
        narrow_brain(base16, values, n, (Unit16 *)(void *)sum->out + at);
    else
        narrow_half(base16, values, n, (Unit16 *)(void *)sum->out + at);
    return odd || small;
}

/* Prefetch what the tile of a later row reads and writes: tiles lie too far apart for the processor to see it coming. */
static inline void prefetch(const Sum *sum, size_t row, size_t first, size_t n)
{
    const size_t size = sum->element == F32 ? 4 : 2, at = (row * sum->columns + first) * size;
    if (row < sum->rows)
        for (size_t k = 0; k < n * size; k += 64) {
            __builtin_prefetch(sum->base + at + k);
            __builtin_prefetch(sum->out + at + k, 1);
        }
}

TARGET static void add(const Sum *sum)
{
    memset(sum->left_out, 0, sum->rows);
    for (size_t first = 0; first < sum->columns; first += WIDTH) {
        size_t n = sum->columns - first < WIDTH ? sum->columns - first : WIDTH;
        for (size_t row = 0; row < sum->rows; row++) {
            prefetch(sum, row + AHEAD, first, n);
            sum->left_out[row] |= (uint8_t)add_tile(sum, row, first, n);
        }
    }
}
