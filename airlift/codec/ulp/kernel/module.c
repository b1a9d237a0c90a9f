/* The compiled coder of the codec ulp: what reference.py does, byte for byte, faster (SPEC U4 to U7).
 *
 * Nothing here parses a payload: payload.py does, and hands over arrays. Nothing here trusts them: every length is
 * checked against every other before a loop starts, tables are checked when their lookups are built, and a loop reads
 * and writes only where these checks allow. The last words are decoded from a padded copy, so that a tile may read
 * too far and be refused after. The interpreter lock is released while loops run; nothing is shared between
 * calls but tables that are constant.
 *
 * Only the limited API of Python 3.11 and libc are used.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "core.h"

#define PATHS paths
#include "../../../kernels.h"

static const Path *path_of(const char *name)
{
    const Path *path = find_path(name);
    if (!path)
        PyErr_SetString(PyExc_ValueError, "this machine has no such path");
    return path;
}

/* -- arguments ------------------------------------------------------------------------------------------------- */

/* Complete a model whose first seven members are set. The exponents of narrow floats must fit eight bits. */
static int check_model(Model *m)
{
    int sized = m->bits == 4 || m->bits == 8 || m->bits == 16 || m->bits == 32 || m->bits == 64;
    int exponent = m->bits - 1 - m->mantissa;
    if (!sized || m->mantissa < -1 || m->mantissa == 0)
        return refuse("no such unit");
    if (m->mantissa > 0 && (exponent < 1 || exponent > (m->bits <= 16 ? 8 : 11)))
        return refuse("no such unit");
    if (m->context < PLAIN || m->context > SYMBOL || m->shift < 0 || m->shift > 3 || m->offset < -32768 || m->offset > 32767)
        return refuse("no such context");
    if (m->context == SYMBOL && (!m->delta || m->bits > 8))
        return refuse("no such context");
    m->size = m->bits < 8 ? 1 : m->bits / 8;
    m->contexts = m->context == PLAIN ? 1 : m->context == SCALED ? CONTEXTS : 1 << m->bits;
    m->codes = m->delta || m->mantissa < 0;
    return 1;
}

/* Whether groups cover the units exactly; live becomes the number of those that are not still. */
static int check_groups(const Py_buffer *sizes, const Py_buffer *scales, size_t units, int delta, size_t *live)
{
    uint64_t sum = 0, still = 0;
    const Unit32 *size = sizes->buf;
    const uint8_t *scale = scales ? scales->buf : NULL;
    if (sizes->len % 4 || (scales && sizes->len / 4 != scales->len))
        return refuse("groups do not fit their scales");
    for (Py_ssize_t g = 0; g < sizes->len / 4; g++) {
        sum += size[g];
        still += scale && !scale[g] ? size[g] : 0;
    }
    *live = (size_t)(sum - still);
    return sum == units && (delta || !still) ? 1 : refuse("groups do not cover the units");
}

/* Whether n bytes are numbers below bound. */
static int check_below(const uint8_t *bytes, size_t n, unsigned bound)
{
    unsigned most = 0;
    for (size_t i = 0; i < n; i++)
        most = bytes[i] > most ? bytes[i] : most;
    return !n || most < bound ? 1 : refuse("a number is out of bounds");
}

/* Whether units and base (if any) have the length of the same number of units; that number goes to count. */
static int check_units(const Model *m, const Py_buffer *units, const Py_buffer *base, size_t *count)
{
    if (units->len % m->size || units->len / m->size > MAX_UNITS || (base->obj && base->len != units->len))
        return refuse("units do not fit their base");
    if (base->obj ? !m->delta : m->delta)
        return refuse("a base is missing, or has no use");
    if (base->obj && m->bits < 8 && !check_below(base->buf, (size_t)base->len, 16))
        return 0;
    *count = (size_t)(units->len / m->size);
    return 1;
}

/* The largest symbol that has a meaning. */
static int last_symbol(const Model *m)
{
    if (m->bits == 8 || !m->codes)
        return SYMBOLS - 1;
    return m->bits < 8 ? 15 : direct(m->size) + 4 * (m->bits - direct_log(m->size)) - 1;
}

/* Whether every table sums to TOTAL and has no symbol above last; the number of tables, or 0. */
static int check_tables(const Py_buffer *frequencies, int last)
{
    Py_ssize_t count = frequencies->len / (2 * SYMBOLS);
    const Unit16 *f = frequencies->buf;
    if (frequencies->len % (2 * SYMBOLS) || count < 1 || count > MAX_TABLES)
        return refuse("too few or too many tables");
    for (Py_ssize_t t = 0; t < count; t++, f += SYMBOLS) {
        uint32_t sum = 0;
        for (int y = 0; y < SYMBOLS; y++) {
            sum += f[y];
            if (y > last && f[y])
                return refuse("an ulp block has a symbol beyond its unit");
        }
        if (sum != TOTAL)
            return refuse("an ulp block's table does not sum to 2048");
    }
    return (int)count;
}

static int check_lanes(const Py_buffer *states)
{
    size_t lanes = (size_t)states->len / 4;
    return states->len % 4 == 0 && lanes && lanes <= MAX_LANES && !(lanes & (lanes - 1)) ? 1 : refuse("no such number of lanes");
}

/* Whether a buffer that is written or read as numbers of a size starts at a multiple of it. */
static int check_aligned(const Py_buffer *buffer, size_t size)
{
    return (uintptr_t)buffer->buf % size == 0 ? 1 : refuse("results are not aligned");
}

static void release(Py_buffer *buffers, int count)
{
    for (int k = 0; k < count; k++)
        if (buffers[k].obj)
            PyBuffer_Release(&buffers[k]);
}

/* -- survey(path, new, base, sizes, (bits, mantissa), sums, tops, moved) ---------------------------------------- */

static int survey_checked(const Path *path, Model *m, Py_buffer *b)
{
    size_t units, live, groups = (size_t)b[2].len / 4;
    m->delta = b[1].obj != NULL;
    if (!check_model(m) || !check_units(m, &b[0], &b[1], &units) || !check_groups(&b[2], NULL, units, 1, &live))
        return 0;
    if ((size_t)b[3].len != 8 * groups || (size_t)b[4].len != 2 * groups || (size_t)b[5].len != groups)
        return refuse("results do not fit the groups");
    if (!check_aligned(&b[3], 8) || !check_aligned(&b[4], 2))
        return 0;
    Py_BEGIN_ALLOW_THREADS
    path->survey(m, b[0].buf, b[1].buf, b[2].buf, groups, b[3].buf, b[4].buf, b[5].buf);
    Py_END_ALLOW_THREADS
    return 1;
}

static PyObject *kernel_survey(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[6] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*z*y*(ii)w*w*w*", &name, &b[0], &b[1], &b[2], &m.bits, &m.mantissa, &b[3], &b[4], &b[5]))
        return NULL;
    const Path *path = path_of(name);
    int good = path && survey_checked(path, &m, b);
    release(b, 6);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* -- analyse(path, new, base, sizes, scales, model, index, counts, raw) -> length of raw ------------------------- */

static int analyse_checked(const Path *path, Model *m, Py_buffer *b, size_t *length)
{
    size_t units, live;
    if (!check_model(m) || !check_units(m, &b[0], &b[1], &units) || !check_groups(&b[2], &b[3], units, m->delta, &live))
        return 0;
    if ((size_t)b[4].len != 2 * live || (size_t)b[6].len < (size_t)b[0].len + 16)
        return refuse("results do not fit the units");
    if ((size_t)b[5].len != 4 * SYMBOLS * (size_t)m->contexts)
        return refuse("counts do not fit the contexts");
    if (!check_aligned(&b[4], 2))
        return 0;
    Found *found = calloc(1, sizeof *found);
    if (!found) {
        PyErr_NoMemory();
        return 0;
    }
    Groups groups = {b[2].buf, b[3].buf, 0, 0, 0, 0};
    Py_BEGIN_ALLOW_THREADS
    *length = path->analyse(m, groups, b[0].buf, b[1].buf, live, b[4].buf, found, b[6].buf);
    estimate(found, m->contexts, live, b[5].buf);
    Py_END_ALLOW_THREADS
    free(found);
    return 1;
}

static PyObject *kernel_analyse(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[7] = {{0}};
    size_t length = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*z*y*y*(iipiii)w*w*w*", &name, &b[0], &b[1], &b[2], &b[3], &m.bits, &m.mantissa, &m.delta,
                          &m.context, &m.shift, &m.offset, &b[4], &b[5], &b[6]))
        return NULL;
    const Path *path = path_of(name);
    int good = path && analyse_checked(path, &m, b, &length);
    release(b, 7);
    return good ? PyLong_FromSize_t(length) : NULL;
}

/* -- fit(counts, map, frequencies) -> number of tables ----------------------------------------------------------- */

static int fit_checked(Py_buffer *b)
{
    Py_ssize_t contexts = b[1].len, most = b[2].len / (2 * SYMBOLS);
    if (contexts < 1 || contexts > SYMBOLS || b[0].len != 4 * SYMBOLS * contexts || most < 1 || most > MAX_TABLES)
        return refuse("counts do not fit the contexts") - 1;
    uint64_t sum = 0;
    for (Py_ssize_t k = 0; k < b[0].len / 4; k++)
        sum += ((const Unit32 *)b[0].buf)[k];
    if (sum > 2 * MAX_UNITS)
        return refuse("more was counted than a block has") - 1;
    Rows *rows = malloc(sizeof *rows);
    if (!rows) {
        PyErr_NoMemory();
        return -1;
    }
    int number;
    Py_BEGIN_ALLOW_THREADS
    number = run_fit(b[0].buf, (int)contexts, (int)most, rows, b[1].buf, b[2].buf);
    Py_END_ALLOW_THREADS
    free(rows);
    return number;
}

static PyObject *kernel_fit(PyObject *self, PyObject *args)
{
    Py_buffer b[3] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*w*", &b[0], &b[1], &b[2]))
        return NULL;
    int number = fit_checked(b);
    release(b, 3);
    return number < 0 ? NULL : PyLong_FromLong(number);
}

/* -- write(path, index, map, frequencies, states, words) -> number of words, at the end of words ------------------ */

static int write_checked(const Path *path, Py_buffer *b, size_t *count)
{
    size_t units = (size_t)b[0].len / 2;
    int number = check_tables(&b[2], SYMBOLS - 1);
    if (!number || !check_lanes(&b[3]))
        return 0;
    if (b[0].len % 2 || units > MAX_UNITS || b[4].len % 2 || (size_t)b[4].len / 2 < units + 8)
        return refuse("results do not fit the units");
    if (b[1].len > SYMBOLS || !check_below(b[1].buf, (size_t)b[1].len, (unsigned)number))
        return refuse("a context has no table");
    if (!check_aligned(&b[0], 2) || !check_aligned(&b[3], 4) || !check_aligned(&b[4], 2))
        return 0;
    uint32_t *entries = calloc(CELLS, sizeof *entries);
    if (!entries) {
        PyErr_NoMemory();
        return 0;
    }
    uint16_t *end = (uint16_t *)b[4].buf + b[4].len / 2;
    Py_BEGIN_ALLOW_THREADS
    fill_entries(b[2].buf, b[1].buf, (size_t)b[1].len, entries);
    *count = (size_t)(end - run_write(path, entries, b[0].buf, units, b[3].buf, (size_t)b[3].len / 4, end));
    Py_END_ALLOW_THREADS
    free(entries);
    return 1;
}

static PyObject *kernel_write(PyObject *self, PyObject *args)
{
    const char *name;
    Py_buffer b[5] = {{0}};
    size_t count = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*y*y*w*w*", &name, &b[0], &b[1], &b[2], &b[3], &b[4]))
        return NULL;
    const Path *path = path_of(name);
    int good = path && write_checked(path, b, &count);
    release(b, 5);
    return good ? PyLong_FromSize_t(count) : NULL;
}

/* -- read(path, states, words, raw, base, sizes, scales, model, map, frequencies, out) -------------------------- */

static int read_checked(const Path *path, Model *m, Py_buffer *b)
{
    size_t units, live;
    if (!check_model(m) || !check_units(m, &b[8], &b[3], &units) || !check_groups(&b[4], &b[5], units, m->delta, &live))
        return 0;
    int tables = check_tables(&b[7], last_symbol(m));
    if (!tables || !check_lanes(&b[0]))
        return 0;
    if (b[1].len % 2 || b[1].len / 2 > MAX_UNITS)
        return refuse("words are cut, or too many");
    if (b[6].len != m->contexts || !check_below(b[6].buf, (size_t)b[6].len, (unsigned)tables))
        return refuse("an ulp block has a context without a table");
    if (!m->codes && (size_t)b[2].len != units * (size_t)(m->size - 1))
        return refuse("an ulp block's raw bits do not end where they should");
    const Unit16 *words = b[1].buf;
    const Coded coded = {
        .groups = {b[4].buf, b[5].buf, 0, 0, 0, 0}, .map = b[6].buf, .base = b[3].buf,
        .states = b[0].buf, .lanes = (size_t)b[0].len / 4, .words = words, .end = words + b[1].len / 2,
        .bits = {b[2].buf, (size_t)b[2].len, 0}, .out = b[8].buf, .length = (size_t)b[8].len, .live = live,
    };
    uint32_t *memory = malloc(4 * (size_t)tables * TOTAL + (size_t)b[0].len);
    if (!memory) {
        PyErr_NoMemory();
        return 0;
    }
    const char *wrong;
    Py_BEGIN_ALLOW_THREADS
    wrong = run_read(path, m, &coded, b[7].buf, tables, memory);
    Py_END_ALLOW_THREADS
    free(memory);
    return wrong ? refuse(wrong) : 1;
}

static PyObject *kernel_read(PyObject *self, PyObject *args)
{
    const char *name;
    Model m = {0};
    Py_buffer b[9] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "sy*y*y*z*y*y*(iipiii)y*y*w*", &name, &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &m.bits, &m.mantissa,
                          &m.delta, &m.context, &m.shift, &m.offset, &b[6], &b[7], &b[8]))
        return NULL;
    const Path *path = path_of(name);
    int good = path && read_checked(path, &m, b);
    release(b, 9);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* -- module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    KERNEL_METHODS,
    {"survey", kernel_survey, METH_VARARGS, "Fill in what scales follow from; see reference.survey."},
    {"analyse", kernel_analyse, METH_VARARGS, "Fill in contexts and symbols, their counts, and raw bits; return the length of these."},
    {"fit", kernel_fit, METH_VARARGS, "Fill in map and frequencies; return how many tables there are."},
    {"write", kernel_write, METH_VARARGS, "Fill in states and words; return how many words, at the end."},
    {"read", kernel_read, METH_VARARGS, "Fill in units, or raise ValueError."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_compiled", "The compiled coder of the codec ulp.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModule_Create(&module);
}
