/* The compiled sum of a base and a product of factors: what exact.py does, bit for bit, faster (SPEC P2).
 *
 * Every length is checked against every other before a loop starts. The interpreter lock is released while loops run;
 * nothing is shared between calls.
 *
 * Only the limited API of Python 3.11 and libc are used.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "core.h"

#define PATHS predict_paths
#include "../../../kernels.h"

enum { MOST = 1 << 26, MOST_RANK = 1 << 12 };

/* -- add(path, element, rank, base, left, right, out, left_out) -------------------------------------------------- */

static int is_aligned(const Py_buffer *buffer, size_t size)
{
    return (uintptr_t)buffer->buf % size == 0;
}

/* Complete a sum whose element and rank are set. */
static int check_sum(Sum *sum, Py_ssize_t rank, const Py_buffer *b)
{
    if (sum->element < BF16 || sum->element > F32 || rank < 1 || rank > MOST_RANK)
        return refuse("no such element or rank");
    const size_t size = sum->element == F32 ? 4 : 2, count = (size_t)rank * sizeof(double);
    sum->rank = (size_t)rank;
    sum->rows = (size_t)b[4].len;
    if ((size_t)b[2].len % count || sum->rows > MOST || (size_t)b[2].len / count > MOST)
        return refuse("factors do not fit the rank, or are too large");
    sum->columns = (size_t)b[2].len / count;
    if ((size_t)b[1].len != sum->rows * count)
        return refuse("factors do not fit the rows");
    if ((size_t)b[0].len != sum->rows * sum->columns * size || b[3].len != b[0].len)
        return refuse("factors do not have the shape of their base");
    if (!is_aligned(&b[1], sizeof(double)) || !is_aligned(&b[2], sizeof(double)))
        return refuse("factors are not aligned");
    sum->base = b[0].buf;
    sum->left = b[1].buf;
    sum->right = b[2].buf;
    sum->out = b[3].buf;
    sum->left_out = b[4].buf;
    return 1;
}

static PyObject *kernel_add(PyObject *self, PyObject *args)
{
    const char *name;
    Sum sum = {0};
    Py_ssize_t rank;
    Py_buffer b[5] = {{0}};
    (void)self;
    if (!PyArg_ParseTuple(args, "siny*y*y*w*w*", &name, &sum.element, &rank, &b[0], &b[1], &b[2], &b[3], &b[4]))
        return NULL;
    const Path *path = predict_path(name);
    int good = path ? check_sum(&sum, rank, b) : refuse("this machine has no such path");
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        path->add(&sum);
        Py_END_ALLOW_THREADS
    }
    for (int k = 0; k < 5; k++)
        PyBuffer_Release(&b[k]);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* -- module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    KERNEL_METHODS,
    {"add", kernel_add, METH_VARARGS, "Fill in predictions, and which rows are left out; see compiled.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_compiled", "The compiled prediction from factors.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModule_Create(&module);
}
