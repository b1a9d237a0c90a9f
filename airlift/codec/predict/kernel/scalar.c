/* The loops for any processor of the kind that the rest is compiled for. */

#include "core.h"

#define TARGET
#include "add.h"

static int runs_here(void)
{
    return 1;
}

const Path predict_scalar = {"scalar", runs_here, add};
