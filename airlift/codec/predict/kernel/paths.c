/* Which paths there are. */

#include "core.h"

const Path *const predict_paths[] = {
#ifdef X86
    &predict_avx2,
#endif
    &predict_scalar, NULL,
};

const Path *predict_path(const char *name)
{
    for (const Path *const *path = predict_paths; *path; path++)
        if (!strcmp((*path)->name, name) && (*path)->runs_here())
            return *path;
    return NULL;
}
