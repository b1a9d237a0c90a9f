/* What the module of every compiled kernel answers beside its own calls; see kernels.py.
 *
 * Whoever includes it has Python.h, a type Path with a name and a test whether it runs here, and has defined PATHS: an
 * array of pointers to all paths, the fastest first, with NULL at its end.
 */

#include <stdlib.h>

static int refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return 0;
}

static PyObject *kernel_paths(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    PyObject *names = PyList_New(0);
    for (const Path *const *path = PATHS; names && *path; path++) {
        if (!(*path)->runs_here())
            continue;
        PyObject *name = PyUnicode_FromString((*path)->name);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *kernel_wanted(PyObject *self, PyObject *args)
{
    const char *wanted = getenv("AIRLIFT_KERNEL");
    (void)self;
    (void)args;
    return PyUnicode_FromString(wanted ? wanted : "");
}

#define KERNEL_METHODS \
    {"paths", kernel_paths, METH_NOARGS, "paths()\n--\n\nReturn the names of the paths of this machine, the fastest first."}, \
    {"wanted", kernel_wanted, METH_NOARGS, "wanted()\n--\n\nReturn what the environment says in AIRLIFT_KERNEL."}
