/* Tables for counts: what table.py does, with the same integers (SPEC U5, U8). */

#include "core.h"

enum { LOG_BITS = 20, SYMBOL_COST = 9 << LOG_BITS };

/* log2(1 + i / 256) in units of 2^-20, cut off: _logs() in table.py computes them. */
static const uint32_t logs[257] = {
    0, 5897, 11772, 17624, 23454, 29261, 35046, 40809, 46550, 52269, 57967, 63644, 69299,
    74933, 80546, 86139, 91711, 97262, 102794, 108305, 113796, 119267, 124718, 130150, 135563, 140956,
    146330, 151685, 157021, 162338, 167637, 172917, 178179, 183422, 188648, 193855, 199045, 204217, 209371,
    214508, 219627, 224729, 229814, 234882, 239933, 244967, 249985, 254986, 259970, 264938, 269890, 274826,
    279745, 284649, 289537, 294409, 299265, 304106, 308932, 313742, 318537, 323316, 328081, 332831, 337566,
    342286, 346991, 351682, 356358, 361020, 365667, 370301, 374920, 379525, 384116, 388693, 393257, 397807,
    402343, 406865, 411374, 415870, 420352, 424821, 429277, 433720, 438150, 442566, 446970, 451362, 455740,
    460106, 464459, 468800, 473129, 477445, 481748, 486040, 490319, 494587, 498842, 503086, 507317, 511537,
    515745, 519941, 524126, 528299, 532461, 536611, 540750, 544878, 548994, 553099, 557193, 561276, 565348,
    569410, 573460, 577499, 581528, 585546, 589553, 593550, 597536, 601512, 605478, 609432, 613377, 617312,
    621236, 625150, 629054, 632948, 636831, 640705, 644569, 648424, 652268, 656103, 659928, 663743, 667549,
    671345, 675132, 678909, 682677, 686435, 690184, 693924, 697655, 701376, 705089, 708792, 712486, 716171,
    719847, 723515, 727173, 730823, 734464, 738096, 741719, 745334, 748940, 752538, 756127, 759707, 763279,
    766843, 770398, 773945, 777484, 781014, 784537, 788051, 791556, 795054, 798544, 802025, 805499, 808965,
    812423, 815873, 819315, 822749, 826175, 829594, 833005, 836408, 839804, 843192, 846572, 849945, 853311,
    856669, 860019, 863363, 866698, 870027, 873348, 876662, 879968, 883268, 886560, 889845, 893123, 896394,
    899658, 902915, 906164, 909407, 912643, 915872, 919094, 922309, 925518, 928719, 931914, 935102, 938284,
    941459, 944627, 947788, 950943, 954092, 957233, 960369, 963497, 966620, 969736, 972845, 975948, 979045,
    982136, 985220, 988298, 991369, 994435, 997494, 1000547, 1003594, 1006634, 1009669, 1012698, 1015720, 1018737,
    1021747, 1024752, 1027750, 1030743, 1033730, 1036711, 1039686, 1042655, 1045618, 1048576,
};

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

int run_fit(const Unit32 *counts, int contexts, int most, Rows *rows, uint8_t *map, Unit16 *frequencies)
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
