/* Loops over units of one width (SPEC U4, U6). Included once for each width by loops.h; defines nothing twice.
 *
 * WIDE(name) names a function of this width, U and S are the unsigned and signed type of a unit, and TARGET
 * is the attribute that lets the compiler use the path's instructions. The compiler vectorises most of these loops.
 */

#define WIDTH ((int)(8 * sizeof(U)))
#define LOW_BITS ((U)(((U)1 << (WIDTH - 1)) - 1))

/* What ord(x) flips where the sign is set: nothing in an integer. */
#define FLIP(m) ((U)((m)->mantissa < 0 ? 0 : LOW_BITS))

/* ord(x): its own inverse. */
TARGET static inline U WIDE(order)(U x, U flip)
{
    return (U)(x ^ ((U)(0 - (U)(x >> (WIDTH - 1))) & flip));
}

#if !defined(VECTOR) || UNIT_BYTES != 2
/* What map has for the contexts of n units of one group; level is offset + scale. Only floats with a base get here. */
TARGET static void WIDE(scaled)(const Model *m, const U *restrict base, int level, const uint8_t *map, size_t n, uint8_t *restrict out)
{
    const int mantissa = m->mantissa, shift = m->shift;
#if UNIT_BYTES <= 2
    /* Exponents are below 2^8, so levels outside [-1, 2104] mean no more than these do, and 16 bits suffice. */
    const int16_t top = (int16_t)(level > 2104 ? 2104 : level < -1 ? -1 : level);
    for (size_t i = 0; i < n; i++) {
        int16_t e = (int16_t)((U)(base[i] & LOW_BITS) >> mantissa);
        e = (int16_t)((e > 1 ? e : 1) << shift);
        int16_t c = (int16_t)(top - e);
        c = c < 0 ? 0 : c;
        out[i] = (uint8_t)(c > CONTEXTS - 1 ? CONTEXTS - 1 : c);
    }
#else
    for (size_t i = 0; i < n; i++) {
        int32_t e = (int32_t)((U)(base[i] & LOW_BITS) >> mantissa);
        int32_t c = level - ((e > 1 ? e : 1) << shift);
        c = c < 0 ? 0 : c;
        out[i] = (uint8_t)(c > CONTEXTS - 1 ? CONTEXTS - 1 : c);
    }
#endif
    look_up(map, CONTEXTS, out, n);
}
#endif

/* Zigzagged differences. base may be NULL: zero. */
TARGET static void WIDE(differ)(const Model *m, const U *restrict new, const U *restrict base, size_t n, U *restrict out)
{
    const U flip = FLIP(m), keep = (U)(m->bits < 8 ? 15 : ~(U)0), sign = (U)(m->bits < 8 ? 8 : 0);
    if (!base) {
        for (size_t i = 0; i < n; i++) {
            U d = (U)((U)((U)(WIDE(order)(new[i], flip) & keep) ^ sign) - sign);
            out[i] = (U)((U)(d << 1) ^ (U)(0 - (U)(d >> (WIDTH - 1))));
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        U d = (U)(WIDE(order)(new[i], flip) - WIDE(order)(base[i], flip));
        d = (U)((U)((U)(d & keep) ^ sign) - sign); /* nibbles: extend the sign */
        out[i] = (U)((U)(d << 1) ^ (U)(0 - (U)(d >> (WIDTH - 1))));
    }
}

/* A unit from a zigzagged difference. */
TARGET static inline U WIDE(apply)(U code, U base, U flip)
{
    U d = (U)((U)(code >> 1) ^ (U)(0 - (U)(code & 1)));
    return WIDE(order)((U)(WIDE(order)(base, flip) + d), flip);
}

/* Units from symbols as if all were zigzagged differences; the inverse of differ. */
TARGET static void WIDE(restore)(const Model *m, const uint8_t *restrict symbols, const U *restrict base, size_t n, U *restrict out)
{
    const U flip = FLIP(m), keep = (U)(m->bits < 8 ? 15 : ~(U)0);
    if (base)
        for (size_t i = 0; i < n; i++)
            out[i] = (U)(WIDE(apply)(symbols[i], base[i], flip) & keep);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (U)(WIDE(apply)(symbols[i], 0, flip) & keep);
}

/* What the scale of one group follows from; see reference.survey. */
TARGET static Measure WIDE(measure)(const Model *m, const U *restrict new, const U *restrict base, size_t n)
{
    Measure found = {0, 0, 0};
    const U *powers = base ? base : new;
    const int floating = m->mantissa >= 0, mantissa = floating ? m->mantissa : 0;
    const U flip = FLIP(m), keep = (U)(m->bits < 8 ? 15 : ~(U)0), half = (U)(m->bits < 8 ? 8 : 0);
    U top = (U)floating;
    if (floating)
        for (size_t i = 0; i < n; i++) {
            U e = (U)((U)(powers[i] & LOW_BITS) >> mantissa);
            top = e > top ? e : top;
        }
    found.top = (uint16_t)top;
    U moved = base ? 0 : 1;
    for (size_t first = 0; first < n; first += 128) { /* 128 terms of 24 bits fit a narrow sum */
        size_t end = n - first < 128 ? n : first + 128;
        SUM sum = 0;
        for (size_t i = first; i < end; i++) {
            U e = (U)((U)(powers[i] & LOW_BITS) >> mantissa);
            SUM below = floating ? (SUM)(U)(top - (e > 1 ? e : 1)) : 0;
            SUM steps = 1;
            if (base) {
                U d = (U)(WIDE(order)(new[i], flip) - WIDE(order)(base[i], flip));
                d = (U)((U)((U)(d & keep) ^ half) - half);
                U sign = (U)((S)d >> (WIDTH - 1));
                U size = (U)((U)(d ^ sign) - sign);
                moved |= size;
                steps = size;
#if UNIT_BYTES == 8
                steps = steps > 0xffffffffu ? 0xffffffffu : steps;
#endif
            }
            const SUM most = 8 * sizeof(SUM) - 1;
            sum += (SUM)((SUM)(steps << 8) >> (below > most ? most : below));
        }
        found.sum += sum;
    }
    found.moved = moved != 0;
    return found;
}

#if UNIT_BYTES == 8
#define PUT_BITS put_bits
#else
#define PUT_BITS put_few_bits
#endif

#if UNIT_BYTES > 1
/* Symbols of zigzagged differences; the raw bits go to the writer. large is scratch for n places. */
TARGET static void WIDE(symbols)(const U *restrict codes, size_t n, uint8_t *restrict out, uint16_t *restrict large, BitWriter *bits)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(codes[i] < 255 ? codes[i] : 255);
    const int from = direct(UNIT_BYTES), log = direct_log(UNIT_BYTES);
    size_t count = find_large(out, n, from, large);
    for (size_t k = 0; k < count; k++) {
        uint64_t z = codes[large[k]];
        int length = 61 - __builtin_clzll(z); /* floor(log2 z) - 2 */
        out[large[k]] = (uint8_t)(from + 4 * (length + 2 - log) + (int)((z >> length) & 3));
        PUT_BITS(bits, z & (((uint64_t)1 << length) - 1), length);
    }
}

/* Put the units right whose symbols have raw bits. */
TARGET static void WIDE(correct)(const Model *m, Scratch *scratch, const U *base, size_t n, U *out, BitReader *bits)
{
    const U flip = FLIP(m);
    const int from = direct(UNIT_BYTES), log = direct_log(UNIT_BYTES);
    const uint16_t *large = scratch->large;
    const int enough = UNIT_BYTES < 8 && bits->position / 8 + 4 * n + 8 <= bits->size; /* whatever the lengths are */
    size_t count = find_large(scratch->symbols, n, from, scratch->large);
    BitReader reader = *bits; /* which no unit that is written can be thought to change */
    for (size_t k = 0; k < count; k++) {
        size_t i = large[k];
        int token = scratch->symbols[i] - from, length = (token >> 2) + log - 2;
        uint64_t low = enough ? get_few_bits(&reader, length) : get_bits(&reader, length);
        out[i] = WIDE(apply)((U)((uint64_t)(4 | (token & 3)) << length | low), base ? base[i] : 0, flip);
    }
    bits->position = reader.position;
}
#endif

/* Floats as they are: the eight bits after the sign, and the rest with the sign as raw bytes. */
TARGET static void WIDE(turn)(const U *restrict units, size_t n, uint8_t *restrict symbols, uint8_t *restrict raw)
{
    for (size_t i = 0; i < n; i++) {
        U turned = (U)((U)(units[i] << 1) | (U)(units[i] >> (WIDTH - 1)));
        symbols[i] = (uint8_t)(turned >> (WIDTH - 8));
        for (int k = 0; k < UNIT_BYTES - 1; k++)
            raw[i * (UNIT_BYTES - 1) + (size_t)k] = (uint8_t)(turned >> (8 * k));
    }
}

TARGET static void WIDE(unturn)(const uint8_t *restrict symbols, const uint8_t *restrict raw, size_t n, U *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        U turned = (U)((U)symbols[i] << (WIDTH - 8));
        for (int k = 0; k < UNIT_BYTES - 1; k++)
            turned |= (U)((U)raw[i * (UNIT_BYTES - 1) + (size_t)k] << (8 * k));
        out[i] = (U)((U)(turned >> 1) | (U)(turned << (WIDTH - 1)));
    }
}

#undef PUT_BITS
#undef FLIP
#undef WIDTH
#undef LOW_BITS
