/* The compiled coder of the codec ulp: what reference.py does, byte for byte, faster (SPEC U4 to U7).
 *
 * Nothing here parses a payload: payload.py does, and hands over arrays. Nothing here trusts them: every length is
 * checked against every other before a loop starts, tables are checked when their lookups are built, and a loop reads
 * and writes only where these checks allow. Decoding runs over words that were copied and padded, so that it may read
 * a tile too far and be refused after. The interpreter lock is released while loops run; nothing is shared between
 * calls but tables that are filled when the module is loaded.
 *
 * Only the limited API of Python 3.11 and libc are used.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JOINED(a, b, c) a##b##c
#define JOIN3(a, b, c) JOINED(a, b, c)
#define JOIN2(a, b) JOIN3(a, b, )

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

enum {
    PLAIN = 0, SCALED = 1, SYMBOL = 2, /* contexts from nothing, scale and exponent, or the base unit */
    CONTEXTS = 64,
    DIRECT = 16,
    SYMBOLS = 256,
    TABLE_BITS = 12,
    TOTAL = 1 << TABLE_BITS,
    LOW = 1 << 16,
    MAX_TABLES = 32,
    MAX_LANES = 2048,
    TILE = 2048, /* units; a multiple of every number of lanes */
    MAX_UNITS = 1 << 25,
};

/* Units wherever they lie: buffers need not be aligned. */
typedef uint16_t Unit16 __attribute__((aligned(1), may_alias));
typedef int16_t Int16 __attribute__((aligned(1), may_alias));
typedef uint32_t Unit32 __attribute__((aligned(1), may_alias));
typedef int32_t Int32 __attribute__((aligned(1), may_alias));
typedef uint64_t Unit64 __attribute__((aligned(1), may_alias));
typedef int64_t Int64 __attribute__((aligned(1), may_alias));

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
    Wide codes, new, base;
    Tile tile;
} Scratch;

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
static int at_end(const BitReader *bits)
{
    if (bits->size != (bits->position + 7) / 8)
        return 0;
    return bits->position % 8 == 0 || bits->data[bits->size - 1] >> (bits->position % 8) == 0;
}

/* -- entropy coder, plain -------------------------------------------------------------------------------------- */

/* Decode n symbols, the first of unit number `first` (of lane 0: 0). words has n readable words. */
static inline const uint16_t *rans_read_plain(const uint32_t *looked, uint32_t *states, size_t lanes, const uint16_t *words, const uint8_t *tables, size_t n, uint8_t *out, size_t first)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t *at = states + ((first + i) & (lanes - 1)), x = *at;
        uint32_t entry = looked[(uint32_t)tables[i] << TABLE_BITS | (x & (TOTAL - 1))];
        x = ((entry >> TABLE_BITS & (TOTAL - 1)) + 1) * (x >> TABLE_BITS) + (entry & (TOTAL - 1));
        uint32_t more = x << 16 | *words;
        words += x < LOW;
        *at = x < LOW ? more : x;
        out[i] = (uint8_t)(entry >> 24);
    }
    return words;
}

/* Code the symbols [from, n) from the last to the first; the words grow downwards and have n free before them.
 * An entry has the frequency - 1 in bits 0 to 11 and the start above.
 */
static inline uint16_t *rans_write_plain(const uint32_t *entries, uint32_t *states, size_t lanes, uint16_t *words, const uint8_t *tables, const uint8_t *symbols, size_t n, size_t from)
{
    for (size_t i = n; i-- > from;) {
        uint32_t *at = states + (i & (lanes - 1)), x = *at;
        uint32_t entry = entries[(uint32_t)tables[i] << 8 | symbols[i]], f = (entry & (TOTAL - 1)) + 1;
        int full = x >> 20 >= f;
        words[-1] = (uint16_t)x;
        words -= full;
        x = full ? x >> 16 : x;
        /* Exact: a little above 1/f, by far less than what separates x / f from the next integer. */
        uint32_t q = (uint32_t)((double)x * ((1.0 / f) * (1.0 + 0x1p-50)));
        *at = x + q * (TOTAL - f) + (entry >> TABLE_BITS);
    }
    return words;
}

/* Count symbols by context; neighbours go to different counters, for equal ones would wait for each other. */
static inline void count(uint32_t *counts, const uint8_t *places, const uint8_t *symbols, size_t n)
{
    uint32_t *half = counts + SYMBOLS * SYMBOLS;
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        counts[(size_t)places[i] << 8 | symbols[i]]++;
        half[(size_t)places[i + 1] << 8 | symbols[i + 1]]++;
    }
    for (; i < n; i++)
        counts[(size_t)places[i] << 8 | symbols[i]]++;
}

/* -- paths ----------------------------------------------------------------------------------------------------- */

#define NAME _scalar
#define TARGET
#include "_kernel_path.h"
#undef NAME
#undef TARGET

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include "_kernel_x86.h"
#endif

typedef struct {
    const char *name;
    void (*survey)(const Model *, const uint8_t *, const uint8_t *, const uint32_t *, size_t, uint64_t *, uint16_t *, uint8_t *);
    size_t (*analyse)(const Model *, Groups, const uint8_t *, const uint8_t *, size_t, uint8_t *, uint8_t *, uint32_t *, uint8_t *);
    void (*look_up)(const uint8_t *, int, uint8_t *, size_t);
    uint16_t *(*write)(const uint32_t *, uint32_t *, size_t, uint16_t *, const uint8_t *, const uint8_t *, size_t);
    const char *(*read)(const Model *, Groups, const uint32_t *, const uint8_t *, uint32_t *, size_t, const uint16_t *, size_t, BitReader, const uint8_t *, size_t, uint8_t *, size_t);
} Path;

static const Path paths[] = {
#ifdef X86
    {"avx512", survey_avx512, analyse_avx512, look_up_avx512, rans_write_avx512, read_avx512},
    {"avx2", survey_avx2, analyse_avx2, look_up_avx2, rans_write_avx2, read_avx2},
#endif
    {"scalar", survey_scalar, analyse_scalar, look_up_scalar, rans_write_scalar, read_scalar},
};
enum { PATHS = sizeof paths / sizeof *paths };

static int runs_here(const char *name)
{
#ifdef X86
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (!strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return !strcmp(name, "scalar");
}

static const Path *find_path(const char *name)
{
    for (int k = 0; k < PATHS; k++)
        if (!strcmp(paths[k].name, name) && runs_here(name))
            return &paths[k];
    PyErr_SetString(PyExc_ValueError, "this machine has no such path");
    return NULL;
}

/* -- arguments ------------------------------------------------------------------------------------------------- */

static int refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return 0;
}

/* Complete a model whose first seven members are set. The exponents of narrow floats must fit eight bits. */
static int check_model(Model *m)
{
    int sized = m->bits == 4 || m->bits == 8 || m->bits == 16 || m->bits == 32 || m->bits == 64;
    int exponent = m->bits - 1 - m->mantissa;
    if (!sized || m->mantissa < -1 || m->mantissa == 0)
        return refuse("no such unit");
    if (m->mantissa > 0 && (exponent < 1 || exponent > (m->bits <= 16 ? 8 : 11)))
        return refuse("no such unit");
    if (m->context < PLAIN || m->context > SYMBOL || m->shift < 0 || m->shift > 3 || m->offset < -32768 || m->offset > 32767)
        return refuse("no such context");
    if (m->context == SYMBOL && (!m->delta || m->bits > 8))
        return refuse("no such context");
    m->size = m->bits < 8 ? 1 : m->bits / 8;
    m->contexts = m->context == PLAIN ? 1 : m->context == SCALED ? CONTEXTS : 1 << m->bits;
    m->codes = m->delta || m->mantissa < 0;
    return 1;
}

/* Whether groups cover the units exactly; live becomes the number of those that are not still. */
static int check_groups(const Py_buffer *sizes, const Py_buffer *scales, size_t units, int delta, size_t *live)
{
    uint64_t sum = 0, still = 0;
    const Unit32 *size = sizes->buf;
    const uint8_t *scale = scales ? scales->buf : NULL;
    if (sizes->len % 4 || (scales && sizes->len / 4 != scales->len))
        return refuse("groups do not fit their scales");
    for (Py_ssize_t g = 0; g < sizes->len / 4; g++) {
        sum += size[g];
        still += scale && !scale[g] ? size[g] : 0;
    }
    *live = (size_t)(sum - still);
    return sum == units && (delta || !still) ? 1 : refuse("groups do not cover the units");
}

/* Whether n bytes are numbers below bound. */
static int check_below(const uint8_t *bytes, size_t n, unsigned bound)
{
    unsigned most = 0;
    for (size_t i = 0; i < n; i++)
        most = bytes[i] > most ? bytes[i] : most;
    return !n || most < bound ? 1 : refuse("a number is out of bounds");
}

/* Whether units and base (if any) have the length of the same number of units; that number goes to count. */
static int check_units(const Model *m, const Py_buffer *units, const Py_buffer *base, size_t *count)
{
    if (units->len % m->size || units->len / m->size > MAX_UNITS || (base->obj && base->len != units->len))
        return refuse("units do not fit their base");
    if (base->obj ? !m->delta : m->delta)
        return refuse("a base is missing, or has no use");
    if (base->obj && m->bits < 8 && !check_below(base->buf, (size_t)base->len, 16))
        return 0;
    *count = (size_t)(units->len / m->size);
    return 1;
}

/* Whether every table sums to TOTAL and has no symbol above last; the number of tables, or 0. */
static int check_tables(const Py_buffer *frequencies, int last)
{
    Py_ssize_t count = frequencies->len / (2 * SYMBOLS);
    const Unit16 *f = frequencies->buf;
    if (frequencies->len % (2 * SYMBOLS) || count < 1 || count > MAX_TABLES)
        return refuse("too few or too many tables");
    for (Py_ssize_t t = 0; t < count; t++, f += SYMBOLS) {
        uint32_t sum = 0;
        for (int y = 0; y < SYMBOLS; y++) {
            sum += f[y];
            if (y > last && f[y])
                return refuse("an ulp block has a symbol beyond its unit");
        }
        if (sum != TOTAL)
            return refuse("an ulp block's table does not sum to 4096");
    }
    return (int)count;
}

static int check_lanes(const Py_buffer *states)
{
    size_t lanes = (size_t)states->len / 4;
    return states->len % 4 == 0 && lanes && lanes <= MAX_LANES && !(lanes & (lanes - 1)) ? 1 : refuse("no such number of lanes");
}

/* Whether a buffer that is written or read as numbers of a size starts at a multiple of it. */
static int check_aligned(const Py_buffer *buffer, size_t size)
{
    return (uintptr_t)buffer->buf % size == 0 ? 1 : refuse("results are not aligned");
}

static void release(Py_buffer *buffers, int count)
{
    for (int k = 0; k < count; k++)
        if (buffers[k].obj)
            PyBuffer_Release(&buffers[k]);
}

/* -- survey(path, new, base, sizes, (bits, mantissa), sums, tops, moved) ---------------------------------------- */

static int survey_checked(const Path *path, Model *m, Py_buffer *b)
{
    size_t units, live, groups = (size_t)b[2].len / 4;
    m->delta = b[1].obj != NULL;
    if (!check_model(m) || !check_units(m, &b[0], &b[1], &units) || !check_groups(&b[2], NULL, units, 1, &live))
        return 0;
    if ((size_t)b[3].len != 8 * groups || (size_t)b[4].len != 2 * groups || (size_t)b[5].len != groups)
        return refuse("results do not fit the groups");
    if (!check_aligned(&b[3], 8) || !check_aligned(&b[4], 2))
        return 0;
    Py_BEGIN_ALLOW_THREADS
    path->survey(m, b[0].buf, b[1].buf, b[2].buf, groups, b[3].buf, b[4].buf, b[5].buf);
    Py_END_ALLOW_THREADS
    return 1;
}

static PyObject *kernel_survey(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[6] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*z*y*(ii)w*w*w*", &name, &b[0], &b[1], &b[2], &m.bits, &m.mantissa, &b[3], &b[4], &b[5]))
        return NULL;
    const Path *path = find_path(name);
    int good = path && survey_checked(path, &m, b);
    release(b, 6);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* -- analyse(path, new, base, sizes, scales, model, places, symbols, counts, raw) -> length of raw --------------- */

static int analyse_checked(const Path *path, Model *m, Py_buffer *b, size_t *length)
{
    size_t units, live, cells = (size_t)SYMBOLS * SYMBOLS;
    if (!check_model(m) || !check_units(m, &b[0], &b[1], &units) || !check_groups(&b[2], &b[3], units, m->delta, &live))
        return 0;
    if ((size_t)b[4].len != live || (size_t)b[5].len != live || (size_t)b[7].len < (size_t)b[0].len + 16)
        return refuse("results do not fit the units");
    if ((size_t)b[6].len != 4 * SYMBOLS * (size_t)m->contexts)
        return refuse("counts do not fit the contexts");
    uint32_t *counts = calloc(2 * cells, sizeof *counts);
    if (!counts) {
        PyErr_NoMemory();
        return 0;
    }
    Groups groups = {b[2].buf, b[3].buf, 0, 0, 0, 0};
    Py_BEGIN_ALLOW_THREADS
    *length = path->analyse(m, groups, b[0].buf, b[1].buf, live, b[4].buf, b[5].buf, counts, b[7].buf);
    for (size_t k = 0; k < (size_t)SYMBOLS * (size_t)m->contexts; k++)
        ((Unit32 *)b[6].buf)[k] = counts[k] + counts[cells + k];
    Py_END_ALLOW_THREADS
    free(counts);
    return 1;
}

static PyObject *kernel_analyse(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[8] = {{0}};
    size_t length = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*z*y*y*(iipiii)w*w*w*w*", &name, &b[0], &b[1], &b[2], &b[3], &m.bits, &m.mantissa, &m.delta,
                          &m.context, &m.shift, &m.offset, &b[4], &b[5], &b[6], &b[7]))
        return NULL;
    const Path *path = find_path(name);
    int good = path && analyse_checked(path, &m, b, &length);
    release(b, 8);
    return good ? PyLong_FromSize_t(length) : NULL;
}

/* -- write(path, symbols, places, map, frequencies, states, words) -> number of words, at the end of words -------- */

static void run_write(const Path *path, Py_buffer *b, const uint32_t *entries, uint8_t *tables, size_t *count)
{
    size_t units = (size_t)b[0].len, lanes = (size_t)b[4].len / 4;
    const uint8_t *symbols = b[0].buf, *places = b[1].buf;
    uint16_t *end = (uint16_t *)b[5].buf + b[5].len / 2, *words = end;
    uint32_t *states = b[4].buf;
    for (size_t k = 0; k < lanes; k++)
        states[k] = LOW;
    for (size_t first = (units + TILE - 1) / TILE * TILE; first;) {
        first -= TILE;
        size_t n = units - first < TILE ? units - first : TILE;
        memcpy(tables, places + first, n);
        path->look_up(b[2].buf, (int)b[2].len, tables, n);
        words = path->write(entries, states, lanes, words, tables, symbols + first, n);
    }
    *count = (size_t)(end - words);
}

static int write_checked(const Path *path, Py_buffer *b, size_t *count)
{
    uint32_t entries[MAX_TABLES * SYMBOLS];
    uint8_t tables[TILE];
    int number = check_tables(&b[3], SYMBOLS - 1);
    if (!number || !check_lanes(&b[4]))
        return 0;
    if (b[1].len != b[0].len || b[0].len > MAX_UNITS || b[5].len % 2 || b[5].len / 2 < b[0].len + 8)
        return refuse("results do not fit the units");
    if (b[2].len > SYMBOLS || !check_below(b[2].buf, (size_t)b[2].len, (unsigned)number))
        return refuse("a context has no table");
    if (!check_below(b[1].buf, (size_t)b[1].len, (unsigned)b[2].len))
        return 0;
    if (!check_aligned(&b[4], 4) || !check_aligned(&b[5], 2))
        return 0;
    const Unit16 *f = b[3].buf;
    for (int t = 0; t < number; t++) {
        uint32_t start = 0;
        for (int y = 0; y < SYMBOLS; y++, f++) {
            entries[t << 8 | y] = start << TABLE_BITS | (*f ? *f - 1u : 0);
            start += *f;
        }
    }
    Py_BEGIN_ALLOW_THREADS
    run_write(path, b, entries, tables, count);
    Py_END_ALLOW_THREADS
    return 1;
}

static PyObject *kernel_write(PyObject *self, PyObject *args)
{
    const char *name;
    Py_buffer b[6] = {{0}};
    size_t count = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*y*y*y*w*w*", &name, &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]))
        return NULL;
    const Path *path = find_path(name);
    int good = path && write_checked(path, b, &count);
    release(b, 6);
    return good ? PyLong_FromSize_t(count) : NULL;
}

/* -- read(path, states, words, raw, base, sizes, scales, model, map, frequencies, out) -------------------------- */

/* What a decoder looks up, by table and slot: slot - start, frequency - 1 from bit 12, symbol from bit 24. */
static void fill_looked(const Unit16 *f, int tables, uint32_t *looked)
{
    for (int t = 0; t < tables; t++)
        for (uint32_t y = 0; y < SYMBOLS; y++, f++)
            for (uint32_t k = 0; k < *f; k++)
                *looked++ = y << 24 | (*f - 1u) << TABLE_BITS | k;
}

static const char *run_read(const Path *path, const Model *m, Py_buffer *b, int tables, size_t live, uint8_t *memory)
{
    size_t lanes = (size_t)b[0].len / 4;
    uint32_t *looked = (uint32_t *)memory, *states = looked + (size_t)tables * TOTAL;
    uint16_t *words = (uint16_t *)(states + lanes);
    fill_looked(b[7].buf, tables, looked);
    memcpy(states, b[0].buf, (size_t)b[0].len);
    memcpy(words, b[1].buf, (size_t)b[1].len);
    memset((uint8_t *)words + b[1].len, 0, 2 * TILE);
    for (size_t k = 0; k < lanes; k++)
        if (states[k] < LOW)
            return "an ulp block starts with an impossible state";
    Groups groups = {b[4].buf, b[5].buf, 0, 0, 0, 0};
    BitReader raw = {b[2].buf, (size_t)b[2].len, 0};
    const char *wrong = path->read(m, groups, looked, b[6].buf, states, lanes, words, (size_t)b[1].len / 2, raw, b[3].buf, live, b[8].buf, (size_t)b[8].len);
    for (size_t k = 0; !wrong && k < lanes; k++)
        if (states[k] != LOW)
            wrong = "an ulp block's words do not end where they should";
    return wrong;
}

static int read_checked(const Path *path, Model *m, Py_buffer *b)
{
    size_t units, live;
    if (!check_model(m) || !check_units(m, &b[8], &b[3], &units) || !check_groups(&b[4], &b[5], units, m->delta, &live))
        return 0;
    int last = m->bits == 8 || !m->codes ? 255 : m->bits < 8 ? 15 : 4 * m->bits - 1;
    int tables = check_tables(&b[7], last);
    if (!tables || !check_lanes(&b[0]))
        return 0;
    if (b[1].len % 2 || b[1].len / 2 > MAX_UNITS)
        return refuse("words are cut, or too many");
    if (b[6].len != m->contexts || !check_below(b[6].buf, (size_t)b[6].len, (unsigned)tables))
        return refuse("an ulp block has a context without a table");
    if (!m->codes && (size_t)b[2].len != units * (size_t)(m->size - 1))
        return refuse("an ulp block's raw bits do not end where they should");
    uint8_t *memory = malloc(4 * (size_t)tables * TOTAL + (size_t)b[0].len + (size_t)b[1].len + 2 * TILE);
    if (!memory) {
        PyErr_NoMemory();
        return 0;
    }
    const char *wrong;
    Py_BEGIN_ALLOW_THREADS
    wrong = run_read(path, m, b, tables, live, memory);
    Py_END_ALLOW_THREADS
    free(memory);
    return wrong ? refuse(wrong) : 1;
}

static PyObject *kernel_read(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[9] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*y*y*z*y*y*(iipiii)y*y*w*", &name, &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &m.bits, &m.mantissa,
                          &m.delta, &m.context, &m.shift, &m.offset, &b[6], &b[7], &b[8]))
        return NULL;
    const Path *path = find_path(name);
    int good = path && read_checked(path, &m, b);
    release(b, 9);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* -- module ---------------------------------------------------------------------------------------------------- */

static PyObject *kernel_paths(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    PyObject *names = PyList_New(0);
    for (int k = 0; names && k < PATHS; k++) {
        if (!runs_here(paths[k].name))
            continue;
        PyObject *name = PyUnicode_FromString(paths[k].name);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *kernel_wanted(PyObject *self, PyObject *args)
{
    const char *wanted = getenv("AIRLIFT_KERNEL");
    (void)self;
    (void)args;
    return PyUnicode_FromString(wanted ? wanted : "");
}

static PyMethodDef methods[] = {
    {"paths", kernel_paths, METH_NOARGS, "paths()\n--\n\nReturn the names of the paths of this machine, the fastest first."},
    {"wanted", kernel_wanted, METH_NOARGS, "wanted()\n--\n\nReturn what the environment says in AIRLIFT_KERNEL."},
    {"survey", kernel_survey, METH_VARARGS, "Fill in what scales follow from; see reference.survey."},
    {"analyse", kernel_analyse, METH_VARARGS, "Fill in contexts, symbols, counts and raw bits; return the length of these."},
    {"write", kernel_write, METH_VARARGS, "Fill in states and words; return how many words, at the end."},
    {"read", kernel_read, METH_VARARGS, "Fill in units, or raise ValueError."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "airlift.codec._kernel", "The compiled coder of the codec ulp.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
#ifdef X86
    __builtin_cpu_init();
    fill_permutations();
#endif
    return PyModule_Create(&module);
}
