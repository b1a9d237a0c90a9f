/* The loops with AVX2; fused products are as exact as others. */

#include "core.h"

#ifdef X86

#define TARGET __attribute__((target("avx2,fma")))
#include "add.h"

static int runs_here(void)
{
    __builtin_cpu_init(); /* changes nothing if it ran before */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const Path predict_avx2 = {"avx2", runs_here, add};

#endif
