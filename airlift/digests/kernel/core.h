/* What all files share: the numbers of SHA-512, and what each file offers. Lengths were checked before. */

#ifndef DIGESTS_CORE_H
#define DIGESTS_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    LANES = 4, /* messages that are digested side by side */
    WORDS = 8, /* of a chain */
    BLOCK = 128, /* bytes of a step */
    ROUNDS = 80, /* of a step */
};

/* One instruction set: a name, and what goes on with all lanes by so many steps. Word w of lane l is state[w][l]. */
typedef struct {
    const char *name;
    int (*runs_here)(void);
    void (*advance)(uint64_t state[WORDS][LANES], const uint8_t *const lanes[LANES], size_t steps);
} Path;

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
extern const Path digests_avx512, digests_avx2;
#endif

/* The constants of the rounds (FIPS 180-4, 4.2.3). */
extern const uint64_t digests_constants[ROUNDS];

/* The paths that the kernel was built with, the fastest first; then NULL. */
extern const Path *const digests_paths[];

/* A path by its name, NULL if it does not run here. */
const Path *digests_path(const char *name);

#endif
