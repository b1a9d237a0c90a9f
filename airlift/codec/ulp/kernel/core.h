/* What all files share: types, bits, the plain entropy coder, and what each file offers. Lengths were checked before. */

#ifndef KERNEL_CORE_H
#define KERNEL_CORE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

enum {
    PLAIN = 0, SCALED = 1, SYMBOL = 2, /* contexts from nothing, scale and exponent, or the base unit */
    CONTEXTS = 64,
    SYMBOLS = 256,
    CELLS = SYMBOLS * SYMBOLS, /* at most so many contexts, times symbols */
    COUNTERS = CELLS + 272, /* apart by no multiple of a page: stores would hold up loads of other counters */
    TABLE_BITS = 11,
    TOTAL = 1 << TABLE_BITS,
    LOW = 1 << 16,
    MAX_TABLES = 32,
    MAX_LANES = 2048,
    TILE = 2048, /* units; a multiple of every number of lanes */
    MAX_UNITS = 1 << 25,
    EVERY = 4, /* of a large block so many tiles are counted by one of them */
    LARGE = 1024 * TILE, /* units */
    COMMON = 512, /* what was counted as often is not counted elsewhere */
};

/* Differences below this are symbols of their own; its logarithm. By the size of a unit in bytes. */
static inline int direct_log(int size) { return size == 8 ? 4 : 6; }
static inline int direct(int size) { return 1 << direct_log(size); }

/* Units wherever they lie: buffers need not be aligned. */
typedef uint16_t Unit16 __attribute__((aligned(1), may_alias));
typedef int16_t Int16 __attribute__((aligned(1), may_alias));
typedef uint32_t Unit32 __attribute__((aligned(1), may_alias));
typedef int32_t Int32 __attribute__((aligned(1), may_alias));
typedef uint64_t Unit64 __attribute__((aligned(1), may_alias));
typedef int64_t Int64 __attribute__((aligned(1), may_alias));

/* -- bits ------------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t *next;
    uint64_t held;
    int count; /* bits held, below 64 */
} BitWriter;

/* Append length (2 to 61) bits. Needs eight free bytes. */
static inline void put_bits(BitWriter *bits, uint64_t value, int length)
{
    bits->held |= value << bits->count;
    bits->count += length;
    if (bits->count >= 64) {
        memcpy(bits->next, &bits->held, 8);
        bits->next += 8;
        bits->count -= 64;
        bits->held = bits->count ? value >> (length - bits->count) : 0;
    }
}

static inline uint8_t *end_bits(BitWriter *bits)
{
    for (; bits->count > 0; bits->count -= 8, bits->held >>= 8)
        *bits->next++ = (uint8_t)bits->held;
    return bits->next;
}

typedef struct {
    const uint8_t *data;
    size_t size;
    uint64_t position; /* in bits; may pass the end, which is then noticed */
} BitReader;

static inline uint64_t get_bits(BitReader *bits, int length)
{
    uint64_t place = bits->position >> 3, value = 0, ninth = 0;
    int shift = (int)(bits->position & 7);
    bits->position += (uint64_t)length;
    if (place + 9 <= bits->size) {
        memcpy(&value, bits->data + place, 8);
        ninth = bits->data[place + 8];
    } else {
        for (int k = 0; k < 8; k++)
            if (place + (uint64_t)k < bits->size)
                value |= (uint64_t)bits->data[place + (uint64_t)k] << (8 * k);
    }
    value = value >> shift | ninth << 1 << (63 - shift);
    return value & (((uint64_t)1 << length) - 1);
}

/* The same for length up to 32, where eight bytes can be read. */
static inline uint64_t get_few_bits(BitReader *bits, int length)
{
    uint64_t value;
    memcpy(&value, bits->data + (bits->position >> 3), 8);
    value = value >> (bits->position & 7) & (((uint64_t)1 << length) - 1);
    bits->position += (uint64_t)length;
    return value;
}

/* Append length (2 to 32) bits to fewer than 8. Needs eight free bytes. */
static inline void put_few_bits(BitWriter *bits, uint64_t value, int length)
{
    bits->held |= value << bits->count;
    bits->count += length;
    memcpy(bits->next, &bits->held, 8);
    bits->next += bits->count >> 3;
    bits->held >>= bits->count & ~7;
    bits->count &= 7;
}

/* Whether everything was read, and the unused bits are zero. */
static inline int at_end(const BitReader *bits)
{
    if (bits->size != (bits->position + 7) / 8)
        return 0;
    return bits->position % 8 == 0 || bits->data[bits->size - 1] >> (bits->position % 8) == 0;
}

/* -- blocks ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int bits, size, mantissa; /* mantissa < 0: an integer */
    int delta, context, shift, offset;
    int contexts, codes; /* derived: how many contexts; whether differences are coded */
} Model;

typedef struct {
    const Unit32 *sizes;
    const uint8_t *scales;
    size_t next;
    size_t left;     /* units of the current group */
    size_t position; /* where they start */
    int level;
} Groups;

/* A block to decode, and where its units go. words need not be aligned. */
typedef struct {
    Groups groups;
    const uint8_t *map, *base;
    const Unit32 *states;
    size_t lanes;
    const Unit16 *words, *end;
    BitReader bits;
    uint8_t *out;
    size_t length, live;
} Coded;

typedef struct {
    uint64_t sum;
    uint16_t top;
    uint8_t moved;
} Measure;

typedef struct {
    size_t start, count; /* units */
} Piece;

/* The units of a tile: pieces of the block, or, if there is one piece only, a part of it in place. */
typedef struct {
    size_t count, pieces;
    Piece piece[TILE];
} Tile;

typedef union {
    uint8_t w8[8 * TILE];
    uint16_t w16[TILE];
    uint32_t w32[TILE];
    uint64_t w64[TILE];
} Wide;

typedef struct {
    uint8_t places[TILE], symbols[TILE];
    uint16_t large[TILE + 72]; /* find_large may write past what it found */
    Unit16 tail[2 * TILE + 64]; /* the last words, padded */
    Wide codes, new, base;
    Tile tile;
} Scratch;

/* Memory that is needed soon. Prefetched little by little it costs nothing; all at once, as much as decoding it. */
typedef struct {
    const uint8_t *base, *out;
    size_t size; /* bytes a unit */
} Ahead;

/* Prefetch the bytes of the next n units, of the base and of the output, a cache line of each at a time. */
static inline void prefetch(Ahead *ahead, size_t n)
{
    for (size_t k = 0; k < n * ahead->size; k += 64) {
        __builtin_prefetch(ahead->base + k);
        __builtin_prefetch(ahead->out + k, 1);
    }
    ahead->base += n * ahead->size;
    ahead->out += n * ahead->size;
}

/* What lies after a tile; where no whole tile follows, the tile itself. */
static inline Ahead after(const Tile *tile, size_t size, const Coded *coded)
{
    const Piece *last = tile->piece + tile->pieces - 1;
    size_t next = (last->start + last->count) * size;
    if (next + TILE * size > coded->length)
        next = 0; /* at the end of a block: anything does */
    const uint8_t *out = coded->out + next;
    return (Ahead){coded->base ? coded->base + next : out, out, size};
}

/* -- entropy coder, plain -------------------------------------------------------------------------------------- */

/* Decode n symbols, the first of unit number `first` (of lane 0: 0). words has n readable words. */
static inline const Unit16 *rans_read_plain(const uint32_t *looked, uint32_t *states, size_t lanes, const Unit16 *words, const uint8_t *tables, size_t n, uint8_t *out, size_t first)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t *at = states + ((first + i) & (lanes - 1)), x = *at;
        uint32_t entry = looked[(uint32_t)tables[i] << TABLE_BITS | (x & (TOTAL - 1))];
        x = ((entry >> 20) + 1) * (x >> TABLE_BITS) + (entry & (TOTAL - 1));
        uint32_t more = x << 16 | *words;
        words += x < LOW;
        *at = x < LOW ? more : x;
        out[i] = (uint8_t)(entry >> TABLE_BITS);
    }
    return words;
}

/* Code the units [from, n), given as context << 8 | symbol, from the last to the first; the words grow downwards and
 * have n free before them. An entry has the frequency - 1 in bits 0 to 10 and the start above.
 */
static inline uint16_t *rans_write_plain(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint16_t *index, size_t n, size_t from)
{
    for (size_t i = n; i-- > from;) {
        uint32_t *at = states + (i & (lanes - 1)), x = *at;
        uint32_t entry = entries[index[i]], f = (entry & (TOTAL - 1)) + 1;
        int full = x >> (32 - TABLE_BITS) >= f;
        words[-1] = (uint16_t)x;
        words -= full;
        x = full ? x >> 16 : x;
        /* Exact: a little above 1/f, by far less than what separates x / f from the next integer. */
        uint32_t q = (uint32_t)((double)x * ((1.0 / f) * (1.0 + 0x1p-50)));
        *at = x + q * (TOTAL - f) + (entry >> TABLE_BITS);
    }
    return words;
}

/* What analyse found: counts of the tiles that are counted, and how often what is rare there occurs in the others. */
typedef struct {
    uint32_t counts[4 * COUNTERS], others[CELLS];
    uint8_t common[SYMBOLS]; /* by context: the symbols below it are not rare, whatever follows */
} Found;

static inline uint32_t counted(const Found *found, size_t k)
{
    const uint32_t *at = found->counts + k;
    return at[0] + at[COUNTERS] + at[2 * COUNTERS] + at[3 * COUNTERS];
}

static inline void learn(Found *found, int contexts)
{
    for (size_t c = 0; c < (size_t)contexts; c++)
        while (found->common[c] < 255 && counted(found, c << 8 | found->common[c]) >= COMMON)
            found->common[c]++;
}

/* Count units, given as context << 8 | symbol; neighbours go to different counters, for equal ones would wait for each
 * other.
 */
static inline void count(uint32_t *counts, const uint16_t *index, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            counts[k * COUNTERS + index[i + k]]++;
    for (; i < n; i++)
        counts[index[i]]++;
}

/* -- what an instruction set offers ---------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    int (*runs_here)(void);
    /* Fill in of each group what its scale follows from: model, new, base or NULL, sizes, groups; sums, tops, moved. */
    void (*survey)(const Model *, const uint8_t *, const uint8_t *, const Unit32 *, size_t, uint64_t *, uint16_t *, uint8_t *);
    /* Fill in contexts and symbols, what is counted, and raw bits, whose length is returned: model, groups, new, base or
     * NULL, coded units; index, found, raw.
     */
    size_t (*analyse)(const Model *, Groups, const uint8_t *, const uint8_t *, size_t, uint16_t *, Found *, uint8_t *);
    /* Code a tile from the last unit to the first; returns where the words begin: entries, states, lanes, the end of the
     * words, index, units.
     */
    uint16_t *(*write)(const uint32_t *, uint32_t *, size_t, uint16_t *, const uint16_t *, size_t);
    /* Decode a block; returns NULL or what is wrong: model, block, lookups, states. */
    const char *(*read)(const Model *, Coded, const uint32_t *, uint32_t *);
} Path;

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
extern const Path path_avx2, path_avx512;
#elif defined(__aarch64__) && defined(__GNUC__)
#define NEON
extern const Path path_neon;
#endif
extern const Path path_scalar;

/* -- whole blocks: blocks.c, fit.c ----------------------------------------------------------------------------- */

typedef struct {
    uint32_t row[SYMBOLS][SYMBOLS];
    int first[SYMBOLS]; /* context of a row */
    int64_t alone[SYMBOLS], joint[SYMBOLS]; /* joint: with the next row */
} Rows;

/* The paths that the kernel was built with, the fastest first; then NULL. */
extern const Path *const paths[];

/* A path by its name, NULL if it does not run here. */
const Path *find_path(const char *name);

/* Counts by context and symbol: exact of what is rare. */
void estimate(const Found *found, int contexts, size_t live, Unit32 *counts);

/* Tables for counts by context and symbol; returns how many, at most `most`. rows is scratch. */
int run_fit(const Unit32 *counts, int contexts, int most, Rows *rows, uint8_t *map, Unit16 *frequencies);

/* What an encoder looks up, by context and symbol; see rans_write_plain. */
void fill_entries(const Unit16 *frequencies, const uint8_t *map, size_t contexts, uint32_t *entries);

/* Code units; returns the first of the words, which end at `end` and have as many places before it. */
uint16_t *run_write(const Path *path, const uint32_t *entries, const uint16_t *index, size_t units, uint32_t *states, size_t lanes, uint16_t *end);

/* Decode a block; NULL, or what is wrong. looked has room for the tables, and `lanes` states after it. */
const char *run_read(const Path *path, const Model *m, const Coded *coded, const Unit16 *frequencies, int tables, uint32_t *looked);

#endif
