/* The steps of SHA-512 (FIPS 180-4, 6.4) on four messages at once; word for word what the standard says of one.
 *
 * Whoever includes it has defined TARGET, and on vectors of four words ROTR, XOR3, CHOOSE and MAJORITY.
 */

#define ADD(a, b) _mm256_add_epi64(a, b)
#define SHR(x, n) _mm256_srli_epi64(x, n)
#define SUM0(x) XOR3(ROTR(x, 28), ROTR(x, 34), ROTR(x, 39))
#define SUM1(x) XOR3(ROTR(x, 14), ROTR(x, 18), ROTR(x, 41))
#define SIGMA0(x) XOR3(ROTR(x, 1), ROTR(x, 8), SHR(x, 7))
#define SIGMA1(x) XOR3(ROTR(x, 19), ROTR(x, 61), SHR(x, 6))

/* The words of a schedule lie in a ring of 16. */
#define SCHEDULE(t) \
    w[t] = ADD(ADD(w[t], SIGMA0(w[((t) + 1) & 15])), ADD(w[((t) + 9) & 15], SIGMA1(w[((t) + 14) & 15])))

/* A round, in which no word moves: the names do. */
#define ROUND(a, b, c, d, e, f, g, h, t) \
    do { \
        __m256i k = _mm256_set1_epi64x((long long)digests_constants[round + (t)]); \
        __m256i sum = ADD(ADD(ADD(h, ADD(w[t], k)), CHOOSE(e, f, g)), SUM1(e)); \
        d = ADD(d, sum); \
        h = ADD(sum, ADD(SUM0(a), MAJORITY(a, b, c))); \
    } while (0)

#define EIGHT_ROUNDS(t) \
    do { \
        ROUND(a, b, c, d, e, f, g, h, (t)); \
        ROUND(h, a, b, c, d, e, f, g, (t) + 1); \
        ROUND(g, h, a, b, c, d, e, f, (t) + 2); \
        ROUND(f, g, h, a, b, c, d, e, (t) + 3); \
        ROUND(e, f, g, h, a, b, c, d, (t) + 4); \
        ROUND(d, e, f, g, h, a, b, c, (t) + 5); \
        ROUND(c, d, e, f, g, h, a, b, (t) + 6); \
        ROUND(b, c, d, e, f, g, h, a, (t) + 7); \
    } while (0)

/* Four words of each lane, from byte "at" on: vectors of one word of every lane. */
TARGET static inline void load(__m256i words[4], const uint8_t *const lanes[LANES], size_t at)
{
    const __m256i turned = _mm256_setr_epi8(
        7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
    __m256i lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(const void *)(lanes[l] + at)), turned);
    __m256i low01 = _mm256_unpacklo_epi64(lane[0], lane[1]), high01 = _mm256_unpackhi_epi64(lane[0], lane[1]);
    __m256i low23 = _mm256_unpacklo_epi64(lane[2], lane[3]), high23 = _mm256_unpackhi_epi64(lane[2], lane[3]);
    words[0] = _mm256_permute2x128_si256(low01, low23, 0x20);
    words[1] = _mm256_permute2x128_si256(high01, high23, 0x20);
    words[2] = _mm256_permute2x128_si256(low01, low23, 0x31);
    words[3] = _mm256_permute2x128_si256(high01, high23, 0x31);
}

TARGET static void advance(uint64_t state[WORDS][LANES], const uint8_t *const lanes[LANES], size_t steps)
{
    __m256i chain[WORDS], w[16];
    memcpy(chain, state, sizeof chain);
    for (size_t step = 0; step < steps; step++) {
        for (size_t part = 0; part < 4; part++)
            load(w + 4 * part, lanes, step * BLOCK + 32 * part);
        __m256i a = chain[0], b = chain[1], c = chain[2], d = chain[3];
        __m256i e = chain[4], f = chain[5], g = chain[6], h = chain[7];
        for (size_t round = 0; round < ROUNDS; round += 16) {
            if (round) {
                SCHEDULE(0), SCHEDULE(1), SCHEDULE(2), SCHEDULE(3), SCHEDULE(4), SCHEDULE(5), SCHEDULE(6), SCHEDULE(7);
                SCHEDULE(8), SCHEDULE(9), SCHEDULE(10), SCHEDULE(11), SCHEDULE(12), SCHEDULE(13), SCHEDULE(14);
                SCHEDULE(15);
            }
            EIGHT_ROUNDS(0);
            EIGHT_ROUNDS(8);
        }
        const __m256i after[WORDS] = {a, b, c, d, e, f, g, h};
        for (int word = 0; word < WORDS; word++)
            chain[word] = ADD(chain[word], after[word]);
    }
    memcpy(state, chain, sizeof chain);
}
