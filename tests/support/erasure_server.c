/* The kernel of the parity code without Python, for machines that are emulated: calls on standard input, what they return
 * on the output.
 *
 * A call is: path (16 bytes), the numbers of members and of results, the length of the results, the members' lengths,
 * then weights and members. The answer: the results, or nothing and the end if there is no such path.
 */

#include <stdio.h>

#include "core.h"

typedef struct {
    char path[16];
    uint64_t count, rows, length, lengths[MOST];
} Call;

static uint8_t *taken(uint64_t length)
{
    uint8_t *bytes = malloc(length ? length : 1);
    return bytes && fread(bytes, 1, length, stdin) == length ? bytes : NULL;
}

static int run(const Call *call)
{
    static Sums sums;
    const Path *path = erasure_path(call->path);
    uint8_t *weights = taken(call->count * call->rows);
    sums.count = call->count, sums.rows = call->rows, sums.length = call->length, sums.weights = weights;
    for (size_t m = 0; m < sums.count; m++)
        sums.members[m] = (Member){taken(call->lengths[m]), call->lengths[m]};
    for (size_t r = 0; r < sums.rows; r++)
        sums.results[r] = malloc(sums.length + 1);
    if (!path)
        return 0;
    combine(path, &sums);
    for (size_t r = 0; r < sums.rows; r++)
        fwrite(sums.results[r], 1, sums.length, stdout), free(sums.results[r]);
    for (size_t m = 0; m < sums.count; m++)
        free((void *)sums.members[m].bytes);
    free(weights);
    return !fflush(stdout);
}

int main(void)
{
    Call call;
    while (fread(&call, sizeof call, 1, stdin))
        if (!run(&call))
            return 2;
    return 0;
}
