/* The kernel without Python, for machines that are emulated: calls on standard input, what they return on the output.
 *
 * A call is: operation, number of buffers, the six numbers of a model, path (16 bytes), the buffers' lengths (-1: none),
 * then the bytes of those that are only read. The answer: a number, and the bytes of the buffers that are written; or -1
 * and 64 bytes that say what is wrong. Arguments are those of the compiled module, which checked them before.
 */

#include <stdio.h>

#include "core.h"

enum { SURVEY, ANALYSE, FIT, WRITE, READ, MOST_BUFFERS = 9 };

static const int read_only[] = {[SURVEY] = 3, [ANALYSE] = 4, [FIT] = 1, [WRITE] = 3, [READ] = 8};

typedef struct {
    int32_t operation, buffers, model[6];
    char path[16];
    int64_t length[MOST_BUFFERS];
} Call;

typedef struct {
    int64_t number;
    const char *wrong;
} Answer;

static Model model_of(const int32_t *given)
{
    Model m = {.bits = given[0], .mantissa = given[1], .delta = given[2], .context = given[3], .shift = given[4], .offset = given[5]};
    m.size = m.bits < 8 ? 1 : m.bits / 8;
    m.contexts = m.context == PLAIN ? 1 : m.context == SCALED ? CONTEXTS : 1 << m.bits;
    m.codes = m.delta || m.mantissa < 0;
    return m;
}

static size_t live_of(const Unit32 *sizes, const uint8_t *scales, int64_t groups)
{
    size_t live = 0;
    for (int64_t g = 0; g < groups; g++)
        live += scales[g] ? sizes[g] : 0;
    return live;
}

static Answer analyse(const Path *path, const Model *m, const Call *call, uint8_t **b)
{
    Found *found = calloc(1, sizeof *found);
    size_t live = live_of((Unit32 *)b[2], b[3], call->length[3]);
    size_t raw = path->analyse(m, (Groups){(Unit32 *)b[2], b[3], 0, 0, 0, 0}, b[0], b[1], live, (uint16_t *)b[4], found, b[6]);
    estimate(found, m->contexts, live, (Unit32 *)b[5]);
    free(found);
    return (Answer){(int64_t)raw, NULL};
}

static Answer fit(const Call *call, uint8_t **b)
{
    Rows *rows = malloc(sizeof *rows);
    int number = run_fit((Unit32 *)b[0], (int)call->length[1], (int)(call->length[2] / (2 * SYMBOLS)), rows, b[1], (Unit16 *)b[2]);
    free(rows);
    return (Answer){number, NULL};
}

static Answer write(const Path *path, const Call *call, uint8_t **b)
{
    uint32_t *entries = calloc(CELLS, sizeof *entries);
    uint16_t *end = (uint16_t *)b[4] + call->length[4] / 2;
    fill_entries((Unit16 *)b[2], b[1], (size_t)call->length[1], entries);
    uint16_t *first = run_write(path, entries, (uint16_t *)b[0], (size_t)call->length[0] / 2, (uint32_t *)b[3], (size_t)call->length[3] / 4, end);
    free(entries);
    return (Answer){end - first, NULL};
}

static Answer read(const Path *path, const Model *m, const Call *call, uint8_t **b)
{
    const Unit16 *words = (Unit16 *)b[1];
    const Coded coded = {
        .groups = {(Unit32 *)b[4], b[5], 0, 0, 0, 0}, .map = b[6], .base = b[3],
        .states = (Unit32 *)b[0], .lanes = (size_t)call->length[0] / 4, .words = words, .end = words + call->length[1] / 2,
        .bits = {b[2], (size_t)call->length[2], 0}, .out = b[8], .length = (size_t)call->length[8],
        .live = live_of((Unit32 *)b[4], b[5], call->length[5]),
    };
    int tables = (int)(call->length[7] / (2 * SYMBOLS));
    if (!m->codes && (size_t)call->length[2] != coded.length / (size_t)m->size * (size_t)(m->size - 1))
        return (Answer){-1, "an ulp block's raw bits do not end where they should"};
    uint32_t *memory = malloc(4 * ((size_t)tables * TOTAL + coded.lanes));
    const char *wrong = run_read(path, m, &coded, (Unit16 *)b[7], tables, memory);
    free(memory);
    return (Answer){wrong ? -1 : 0, wrong};
}

static Answer run(const Call *call, uint8_t **b)
{
    const Model m = model_of(call->model);
    const Path *path = find_path(call->path);
    if (!path)
        return (Answer){-1, "this machine has no such path"};
    switch (call->operation) {
    case SURVEY:
        path->survey(&m, b[0], b[1], (Unit32 *)b[2], (size_t)call->length[2] / 4, (uint64_t *)b[3], (uint16_t *)b[4], b[5]);
        return (Answer){0, NULL};
    case ANALYSE: return analyse(path, &m, call, b);
    case FIT: return fit(call, b);
    case WRITE: return write(path, call, b);
    default: return read(path, &m, call, b);
    }
}

static void answer(const Call *call, uint8_t **b, Answer answered)
{
    char wrong[64] = {0};
    fwrite(&answered.number, 8, 1, stdout);
    if (answered.wrong) {
        strncpy(wrong, answered.wrong, sizeof wrong - 1);
        fwrite(wrong, sizeof wrong, 1, stdout);
    }
    for (int k = read_only[call->operation]; !answered.wrong && k < call->buffers; k++)
        fwrite(b[k], 1, (size_t)call->length[k], stdout);
    fflush(stdout);
}

int main(void)
{
    Call call;
    while (fread(&call, sizeof call, 1, stdin)) {
        uint8_t *b[MOST_BUFFERS] = {0};
        for (int k = 0; k < call.buffers; k++) {
            size_t length = call.length[k] < 0 ? 0 : (size_t)call.length[k];
            b[k] = call.length[k] < 0 ? NULL : malloc(length ? length : 1);
            if (k < read_only[call.operation] && fread(b[k], 1, length, stdin) != length)
                return 1;
        }
        answer(&call, b, run(&call, b));
        for (int k = 0; k < call.buffers; k++)
            free(b[k]);
    }
    return 0;
}
