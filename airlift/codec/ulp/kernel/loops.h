/* One path: all widths, and the loops of whole blocks (SPEC U4 to U7). Included once by the file of each instruction set,
 * which before defines TARGET, the attribute that lets the compiler use its instructions, and the operations
 *
 *     look_up     what a map has for each of n contexts, in their place
 *     find_large  the places of bytes that are at least `from`, in order; has room for n + 72
 *     rans_read   decodes n symbols, the first of lane 0; words has n + 32 readable words
 *     rans_write  codes n symbols from the last to the first; words grow downwards, n are free before and may be written
 *     scaled_16   (with VECTOR only) what a map has for the contexts of n 16-bit units of one group, see width.h
 *
 * and after this calls OFFER(its name).
 */

#define JOINED(a, b) a##b
#define JOIN(a, b) JOINED(a, b)

#define WIDE(name) JOIN(name, _8)
#define U uint8_t
#define S int8_t
#define SUM uint32_t
#define UNIT_BYTES 1
#include "width.h"
#undef WIDE
#undef U
#undef S
#undef SUM
#undef UNIT_BYTES

#define WIDE(name) JOIN(name, _16)
#define U Unit16
#define S Int16
#define SUM uint32_t
#define UNIT_BYTES 2
#include "width.h"
#undef WIDE
#undef U
#undef S
#undef SUM
#undef UNIT_BYTES

#define WIDE(name) JOIN(name, _32)
#define U Unit32
#define S Int32
#define SUM uint64_t
#define UNIT_BYTES 4
#include "width.h"
#undef WIDE
#undef U
#undef S
#undef SUM
#undef UNIT_BYTES

#define WIDE(name) JOIN(name, _64)
#define U Unit64
#define S Int64
#define SUM uint64_t
#define UNIT_BYTES 8
#include "width.h"
#undef WIDE
#undef U
#undef S
#undef SUM
#undef UNIT_BYTES

#define BY_SIZE(size, call8, call16, call32, call64) \
    do {                                             \
        switch (size) {                              \
        case 1: call8; break;                        \
        case 2: call16; break;                       \
        case 4: call32; break;                       \
        default: call64;                             \
        }                                            \
    } while (0)
#define AT(type, pointer) ((type *)(pointer))

/* Take the next count coded units: where they are, and what map has for their contexts. If out is given, still units before them are
 * copied to it from base. Sizes were checked: they last.
 */
TARGET static void take(const Model *m, Groups *groups, const uint8_t *map, const uint8_t *base, size_t count, Tile *tile, uint8_t *places, uint8_t *out)
{
    const size_t size = (size_t)m->size;
    tile->count = count;
    tile->pieces = 0;
    while (count) {
        while (!groups->left) {
            size_t units = groups->sizes[groups->next];
            int scale = groups->scales[groups->next++];
            groups->level = m->offset + scale > 32767 ? 32767 : m->offset + scale;
            if (scale) {
                groups->left = units;
            } else {
                if (out)
                    memcpy(out + groups->position * size, base + groups->position * size, units * size);
                groups->position += units;
            }
        }
        size_t step = count < groups->left ? count : groups->left;
        const uint8_t *with = base ? base + groups->position * size : NULL;
        int level = groups->level;
        if (m->context == SYMBOL) {
            memcpy(places, with, step);
            look_up(map, m->contexts, places, step);
        } else if (m->context == PLAIN || !m->delta || m->mantissa < 0)
            memset(places, map[m->context == PLAIN || level < 0 ? 0 : level > CONTEXTS - 1 ? CONTEXTS - 1 : level], step);
        else
            BY_SIZE(m->size, scaled_8(m, with, level, map, step, places),
                    scaled_16(m, AT(const Unit16, with), level, map, step, places),
                    scaled_32(m, AT(const Unit32, with), level, map, step, places),
                    scaled_64(m, AT(const Unit64, with), level, map, step, places));
        Piece *last = tile->piece + tile->pieces;
        if (tile->pieces && last[-1].start + last[-1].count == groups->position)
            last[-1].count += step;
        else
            tile->piece[tile->pieces++] = (Piece){groups->position, step};
        groups->left -= step;
        groups->position += step;
        places += step;
        count -= step;
    }
}

/* The units of a tile as one run: in place, or gathered into the buffer. */
static const uint8_t *gathered(const Tile *tile, size_t size, const uint8_t *from, uint8_t *buffer)
{
    if (!from || tile->pieces == 1)
        return from ? from + tile->piece[0].start * size : NULL;
    for (size_t k = 0, done = 0; k < tile->pieces; done += tile->piece[k++].count)
        memcpy(buffer + done * size, from + tile->piece[k].start * size, tile->piece[k].count * size);
    return buffer;
}

TARGET static void survey(const Model *m, const uint8_t *new, const uint8_t *base, const Unit32 *sizes, size_t groups, uint64_t *sums, uint16_t *tops, uint8_t *moved)
{
    for (size_t g = 0; g < groups; g++) {
        Measure found;
        size_t n = sizes[g], bytes = n * (size_t)m->size;
        BY_SIZE(m->size, found = measure_8(m, new, base, n),
                found = measure_16(m, AT(const Unit16, new), AT(const Unit16, base), n),
                found = measure_32(m, AT(const Unit32, new), AT(const Unit32, base), n),
                found = measure_64(m, AT(const Unit64, new), AT(const Unit64, base), n));
        sums[g] = found.sum;
        tops[g] = found.top;
        moved[g] = found.moved;
        new += bytes;
        base += base ? bytes : 0;
    }
}

/* Count what may be rare in a tile; its contexts are overwritten. */
TARGET static void count_rare(const Model *m, Found *found, const uint16_t *index, Scratch *scratch, size_t n)
{
    uint8_t *places = scratch->places;
    look_up(found->common, m->contexts, places, n);
    for (size_t i = 0; i < n; i++)
        places[i] = scratch->symbols[i] >= places[i];
    size_t rare = find_large(places, n, 1, scratch->large);
    for (size_t k = 0; k < rare; k++)
        found->others[index[scratch->large[k]]]++;
}

/* Contexts and symbols of the coded units, and their counts; returns how many bytes of raw bits were written. */
TARGET static size_t analyse(const Model *m, Groups groups, const uint8_t *new, const uint8_t *base, size_t live, uint16_t *index, Found *found, uint8_t *raw)
{
    Scratch scratch;
    BitWriter bits = {raw, 0, 0};
    const size_t size = (size_t)m->size;
    uint8_t *symbols = scratch.symbols, contexts[SYMBOLS];
    for (int c = 0; c < SYMBOLS; c++)
        contexts[c] = (uint8_t)c;
    for (size_t first = 0; first < live; first += TILE) {
        size_t n = live - first < TILE ? live - first : TILE;
        take(m, &groups, contexts, base, n, &scratch.tile, scratch.places, NULL);
        const uint8_t *from = gathered(&scratch.tile, size, new, scratch.new.w8);
        const uint8_t *with = gathered(&scratch.tile, size, base, scratch.base.w8);
        if (m->codes) {
            BY_SIZE(size, differ_8(m, from, with, n, symbols),
                    differ_16(m, AT(const Unit16, from), AT(const Unit16, with), n, scratch.codes.w16);
                    symbols_16(scratch.codes.w16, n, symbols, scratch.large, &bits),
                    differ_32(m, AT(const Unit32, from), AT(const Unit32, with), n, scratch.codes.w32);
                    symbols_32(scratch.codes.w32, n, symbols, scratch.large, &bits),
                    differ_64(m, AT(const Unit64, from), AT(const Unit64, with), n, scratch.codes.w64);
                    symbols_64(scratch.codes.w64, n, symbols, scratch.large, &bits));
        } else {
            uint8_t *rest = raw + first * (size - 1);
            BY_SIZE(size, turn_8(from, n, symbols, rest),
                    turn_16(AT(const Unit16, from), n, symbols, rest),
                    turn_32(AT(const Unit32, from), n, symbols, rest),
                    turn_64(AT(const Unit64, from), n, symbols, rest));
        }
        for (size_t i = 0; i < n; i++)
            index[first + i] = (uint16_t)(scratch.places[i] << 8 | symbols[i]);
        if (live < LARGE || first / TILE % EVERY == 0) {
            count(found->counts, index + first, n);
            learn(found, m->contexts);
        } else {
            count_rare(m, found, index + first, &scratch, n);
        }
    }
    return m->codes ? (size_t)(end_bits(&bits) - raw) : live * (size - 1);
}

/* Decode n symbols into units; whether the raw bits were enough. */
TARGET static int resolve(const Model *m, Scratch *scratch, const uint8_t *base, size_t n, uint8_t *out, BitReader *bits)
{
    const uint8_t *symbols = scratch->symbols;
    if (!m->codes) {
        const uint8_t *rest = bits->data + bits->position / 8; /* its length was checked */
        bits->position += 8 * n * (size_t)(m->size - 1);
        BY_SIZE(m->size, unturn_8(symbols, rest, n, out),
                unturn_16(symbols, rest, n, AT(Unit16, out)),
                unturn_32(symbols, rest, n, AT(Unit32, out)),
                unturn_64(symbols, rest, n, AT(Unit64, out)));
        return 1;
    }
    BY_SIZE(m->size, restore_8(m, symbols, base, n, out),
            restore_16(m, symbols, AT(const Unit16, base), n, AT(Unit16, out));
            correct_16(m, scratch, AT(const Unit16, base), n, AT(Unit16, out), bits),
            restore_32(m, symbols, AT(const Unit32, base), n, AT(Unit32, out));
            correct_32(m, scratch, AT(const Unit32, base), n, AT(Unit32, out), bits),
            restore_64(m, symbols, AT(const Unit64, base), n, AT(Unit64, out));
            correct_64(m, scratch, AT(const Unit64, base), n, AT(Unit64, out), bits));
    return bits->position <= 8 * (uint64_t)bits->size;
}

/* Where the next n units can take a word each: in place, or, near the end, in a padded copy. */
static void pad(Coded *coded, size_t n, Unit16 *tail)
{
    size_t left = (size_t)(coded->end - coded->words);
    if (left >= n + 32 || (coded->words >= tail && coded->words <= tail + 2 * TILE + 64))
        return;
    memcpy(tail, coded->words, 2 * left);
    memset(tail + left, 0, 2 * (2 * TILE + 64 - left));
    coded->words = tail;
    coded->end = tail + left;
}

/* Decode all units; NULL, or what is wrong. */
TARGET static const char *read_block(const Model *m, Coded coded, const uint32_t *looked, uint32_t *states)
{
    Scratch scratch;
    const Tile *tile = &scratch.tile;
    const uint8_t *base = coded.base;
    const size_t size = (size_t)m->size;
    for (size_t first = 0; first < coded.live; first += TILE) {
        size_t n = coded.live - first < TILE ? coded.live - first : TILE;
        take(m, &coded.groups, coded.map, base, n, &scratch.tile, scratch.places, coded.out);
        pad(&coded, n, scratch.tail);
        coded.words = rans_read(looked, states, coded.lanes, coded.words, scratch.places, n, scratch.symbols, after(tile, size, &coded));
        if (coded.words > coded.end)
            return "an ulp block has too few words";
        const uint8_t *with = gathered(tile, size, base, scratch.base.w8);
        uint8_t *to = tile->pieces == 1 ? coded.out + tile->piece[0].start * size : scratch.new.w8;
        if (!resolve(m, &scratch, with, n, to, &coded.bits))
            return "an ulp block's raw bits do not end where they should";
        for (size_t k = 0, done = 0; tile->pieces > 1 && k < tile->pieces; done += tile->piece[k++].count)
            memcpy(coded.out + tile->piece[k].start * size, to + done * size, tile->piece[k].count * size);
    }
    size_t end = coded.groups.position * size;
    if (base && end < coded.length) /* what is still at the end */
        memcpy(coded.out + end, base + end, coded.length - end);
    if (m->codes && !at_end(&coded.bits))
        return "an ulp block's raw bits do not end where they should";
    return coded.words == coded.end ? NULL : "an ulp block's words do not end where they should";
}

#define OFFER(name) const Path JOIN(path_, name) = {#name, runs_here, survey, analyse, rans_write, read_block}
