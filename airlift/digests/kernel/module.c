/* The compiled SHA-512 of four messages side by side: what hashlib says of each, faster.
 *
 * Every length is checked against every other before a loop starts. The interpreter lock is released while loops run;
 * they work on a copy of the state, which nobody else has.
 *
 * Only the limited API of Python 3.11 and libc are used.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "core.h"

#define PATHS digests_paths
#include "../../kernels.h"

typedef struct {
    Py_buffer state, given[LANES];
    const uint8_t *lanes[LANES];
    size_t steps;
} Work;

/* -- advance(path, state, members): state goes on by the bytes of the members ------------------------------------ */

/* Take hold of the members; each is released in the end, also if this fails. */
static int take_members(Work *work, PyObject *members)
{
    if (PyTuple_Size(members) != LANES)
        return refuse("too few or too many members");
    for (Py_ssize_t l = 0; l < LANES; l++) {
        Py_buffer *given = &work->given[l];
        if (PyObject_GetBuffer(PyTuple_GetItem(members, l), given, PyBUF_SIMPLE) < 0)
            return 0;
        if (given->len != work->given[0].len || given->len % BLOCK)
            return refuse("members are not of one length, in whole steps");
        work->lanes[l] = given->buf;
    }
    work->steps = (size_t)work->given[0].len / BLOCK;
    return 1;
}

static PyObject *advance_checked(const char *name, Work *work, PyObject *members)
{
    uint64_t state[WORDS][LANES];
    const Path *path = digests_path(name);
    if (!path)
        refuse("this machine has no such path");
    else if (work->state.len != sizeof state)
        refuse("a state has another length");
    else if (take_members(work, members)) {
        memcpy(state, work->state.buf, sizeof state);
        Py_BEGIN_ALLOW_THREADS
        path->advance(state, work->lanes, work->steps);
        Py_END_ALLOW_THREADS
        memcpy(work->state.buf, state, sizeof state);
        Py_RETURN_NONE;
    }
    return NULL;
}

static PyObject *kernel_advance(PyObject *self, PyObject *args)
{
    const char *name;
    PyObject *members, *done = NULL;
    Work work = {0};
    (void)self;
    if (PyArg_ParseTuple(args, "sw*O!", &name, &work.state, &PyTuple_Type, &members)) {
        done = advance_checked(name, &work, members);
        PyBuffer_Release(&work.state);
    }
    for (int l = 0; l < LANES; l++)
        if (work.given[l].obj)
            PyBuffer_Release(&work.given[l]);
    return done;
}

/* -- module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    KERNEL_METHODS,
    {"advance", kernel_advance, METH_VARARGS, "Go on with the digests of four messages."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_compiled", "The compiled digests.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModule_Create(&module);
}
