/* Tables for counts: what table.py does, with the same integers (SPEC U5, U8). */

enum { LOG_BITS = 20, SYMBOL_COST = 9 << LOG_BITS };

/* log2(1 + i / 256) in units of 2^-20, cut off. */
static uint32_t logs[257];

static void fill_logs(void)
{
    for (uint64_t i = 0; i < 256; i++) {
        uint64_t x = (256 + i) << 22;
        for (int k = 0; k < LOG_BITS; k++) {
            x = x * x >> 30;
            logs[i] = logs[i] << 1 | (uint32_t)(x >> 31);
            x >>= x >> 31;
        }
    }
    logs[256] = 1 << LOG_BITS;
}

/* n log2 n, with the logarithm in units of 2^-20. */
static inline int64_t weigh(uint32_t n)
{
    if (!n)
        return 0;
    int log = 31 - __builtin_clz(n);
    uint64_t m = (uint64_t)n << (31 - log), i = m >> 23 & 255;
    return (int64_t)(n * (((uint64_t)log << LOG_BITS) + logs[i] + ((logs[i + 1] - logs[i]) * (m >> 7 & 0xffff) >> 16)));
}

/* What the symbols of two rows cost together, and their table; other may be NULL. */
static int64_t information(const uint32_t *row, const uint32_t *other, int symbols)
{
    int64_t bits = 0;
    uint32_t total = 0;
    for (int y = 0; y < symbols; y++) {
        uint32_t n = row[y] + (other ? other[y] : 0);
        bits += (n ? SYMBOL_COST : 0) - weigh(n);
        total += n;
    }
    return bits + weigh(total);
}

/* Frequencies that sum to TOTAL; what occurred has at least 1. */
static void normalise(const uint32_t *counts, Unit16 *frequencies)
{
    int64_t total = 0, excess = -TOTAL;
    for (int y = 0; y < SYMBOLS; y++)
        total += counts[y];
    for (int y = 0; y < SYMBOLS; y++) {
        int64_t scaled = total ? (2 * (int64_t)counts[y] * TOTAL + total) / (2 * total) : 0;
        frequencies[y] = (uint16_t)(counts[y] && !scaled ? 1 : scaled);
        excess += frequencies[y];
    }
    for (;;) {
        int most = 0;
        for (int y = 1; y < SYMBOLS; y++)
            most = frequencies[y] > frequencies[most] ? y : most;
        int64_t part = frequencies[most] < 128 ? 1 : frequencies[most] / 64;
        part = part < excess ? part : excess;
        frequencies[most] = (uint16_t)(frequencies[most] - part);
        if (excess <= 0)
            return;
        excess -= part;
    }
}

typedef struct {
    uint32_t row[SYMBOLS][SYMBOLS];
    int first[SYMBOLS]; /* context of a row */
    int64_t alone[SYMBOLS], joint[SYMBOLS]; /* joint: with the next row */
} Rows;

/* Join the cheapest neighbours of `count` rows; returns how many rows are left. */
static int merge(Rows *rows, int count, int most, int symbols)
{
    for (int k = 0; k < count; k++) {
        rows->alone[k] = information(rows->row[k], NULL, symbols);
        if (k + 1 < count)
            rows->joint[k] = information(rows->row[k], rows->row[k + 1], symbols);
    }
    while (count > 1) {
        int best = 0;
        int64_t least = INT64_MAX;
        for (int k = 0; k + 1 < count; k++) {
            int64_t added = rows->joint[k] - rows->alone[k] - rows->alone[k + 1];
            best = added < least ? k : best;
            least = added < least ? added : least;
        }
        if (count <= most && least > 0)
            break;
        size_t after = (size_t)(count - best - 2);
        for (int y = 0; y < symbols; y++)
            rows->row[best][y] += rows->row[best + 1][y];
        rows->alone[best] = rows->joint[best];
        memmove(rows->row + best + 1, rows->row + best + 2, after * sizeof *rows->row);
        memmove(rows->first + best + 1, rows->first + best + 2, after * sizeof *rows->first);
        memmove(rows->alone + best + 1, rows->alone + best + 2, after * sizeof *rows->alone);
        memmove(rows->joint + best, rows->joint + best + 1, (after + 1) * sizeof *rows->joint);
        count--;
        for (int k = best ? best - 1 : 0; k <= best && k + 1 < count; k++)
            rows->joint[k] = information(rows->row[k], rows->row[k + 1], symbols);
    }
    return count;
}

/* Tables for counts by context and symbol; returns how many, at most `most`. rows is scratch. */
static int run_fit(const Unit32 *counts, int contexts, int most, Rows *rows, uint8_t *map, Unit16 *frequencies)
{
    int count = 0, symbols = 0;
    for (int c = 0; c < contexts; c++) {
        uint32_t any = 0;
        for (int y = 0; y < SYMBOLS; y++) {
            any |= rows->row[count][y] = counts[c * SYMBOLS + y];
            symbols = rows->row[count][y] && y >= symbols ? y + 1 : symbols;
        }
        rows->first[count] = c;
        count += any != 0;
    }
    count = merge(rows, count, most, symbols);
    for (int c = 0, k = 0; c < contexts; c++) {
        k += k + 1 < count && rows->first[k + 1] <= c;
        map[c] = (uint8_t)k;
    }
    for (int k = 0; k < count || !k; k++)
        normalise(rows->row[k], frequencies + (size_t)k * SYMBOLS);
    return count ? count : 1;
}
