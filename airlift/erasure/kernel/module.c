/* The compiled sums of products of the parity code: what reference.py does, byte for byte, faster (SPEC 6.9).
 *
 * Every count and length is checked against every other before a loop starts. Results are made here and are nobody
 * else's while they are written. The interpreter lock is released while loops run; nothing is shared between calls.
 *
 * Only the limited API of Python 3.11 and libc are used.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "core.h"

#define PATHS erasure_paths
#include "../../kernels.h"

typedef struct {
    Py_buffer weights, given[MOST];
    Sums sums;
} Work;

/* -- combine(path, weights, members, length) -> results --------------------------------------------------------- */

/* Take hold of the members; each is released in the end, also if this fails. */
static int take_members(Work *work, PyObject *members)
{
    Sums *sums = &work->sums;
    Py_ssize_t count = PyTuple_Size(members);
    if (count < 1 || count > MOST)
        return refuse("too few or too many members");
    sums->count = (size_t)count;
    for (Py_ssize_t m = 0; m < count; m++) {
        Py_buffer *given = &work->given[m];
        if (PyObject_GetBuffer(PyTuple_GetItem(members, m), given, PyBUF_SIMPLE) < 0)
            return 0;
        if ((size_t)given->len > sums->length)
            return refuse("a member is longer than the results");
        sums->members[m] = (Member){given->buf, (size_t)given->len};
    }
    return 1;
}

static int take_weights(Work *work)
{
    Sums *sums = &work->sums;
    size_t weights = (size_t)work->weights.len;
    if (weights % sums->count || weights / sums->count > MOST)
        return refuse("weights do not fit the members");
    sums->weights = work->weights.buf;
    sums->rows = weights / sums->count;
    return 1;
}

/* Results that nobody else knows, not yet written. */
static PyObject *make_results(Sums *sums)
{
    PyObject *results = PyList_New((Py_ssize_t)sums->rows);
    for (size_t r = 0; results && r < sums->rows; r++) {
        PyObject *made = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)sums->length);
        if (!made || PyList_SetItem(results, (Py_ssize_t)r, made) < 0) {
            Py_DECREF(results);
            return NULL;
        }
        sums->results[r] = (uint8_t *)PyByteArray_AsString(made);
    }
    return results;
}

static PyObject *combine_checked(const char *name, Work *work, PyObject *members)
{
    const Path *path = erasure_path(name);
    if (!path)
        refuse("this machine has no such path");
    if (!path || !take_members(work, members) || !take_weights(work))
        return NULL;
    PyObject *results = make_results(&work->sums);
    if (!results)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    combine(path, &work->sums);
    Py_END_ALLOW_THREADS
    return results;
}

static PyObject *kernel_combine(PyObject *self, PyObject *args)
{
    const char *name;
    PyObject *members, *results = NULL;
    Py_ssize_t length;
    (void)self;
    Work *work = calloc(1, sizeof *work);
    if (!work)
        return PyErr_NoMemory();
    if (PyArg_ParseTuple(args, "sy*O!n", &name, &work->weights, &PyTuple_Type, &members, &length)) {
        work->sums.length = (size_t)length;
        if (length < 0)
            refuse("a length is below zero");
        else
            results = combine_checked(name, work, members);
        PyBuffer_Release(&work->weights);
    }
    for (int m = 0; m < MOST; m++)
        if (work->given[m].obj)
            PyBuffer_Release(&work->given[m]);
    free(work);
    return results;
}

/* -- module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    KERNEL_METHODS,
    {"combine", kernel_combine, METH_VARARGS, "Return sums of products; see reference.combine."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_compiled", "The compiled parity code.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModule_Create(&module);
}
