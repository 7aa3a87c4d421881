// The memory of Python's arrays, held by the buffer protocol: an import by DLPack takes ten times as
// long, more than a small part.
#ifndef CSIDEPLOY_PYTHON_BUFFERS_HPP
#define CSIDEPLOY_PYTHON_BUFFERS_HPP

#include <nanobind/nanobind.h>

#include <memory>

namespace nb = nanobind;

// C-contiguous buffers of a sequence's items, writable or not, until it goes.
class Buffers {
public:
    Buffers(nb::handle arrays, bool writable)
        : items_(nb::steal(PySequence_Fast(arrays.ptr(), "a sequence of arrays needed"))) {
        if (!items_.is_valid())
            nb::raise_python_error();
        const auto size = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items_.ptr()));
        // Where they stay: a view may point into itself.
        views_ = std::make_unique<Py_buffer[]>(size);
        const int flags = writable ? PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE : PyBUF_C_CONTIGUOUS;
        for (; count_ < size; count_++) {
            PyObject *item = PySequence_Fast_GET_ITEM(items_.ptr(), count_);
            if (PyObject_GetBuffer(item, &views_[count_], flags) != 0) {
                release();
                nb::raise_python_error();
            }
        }
    }
    ~Buffers() { release(); }
    Buffers(const Buffers &) = delete;
    Buffers &operator=(const Buffers &) = delete;

    std::size_t size() const { return count_; }
    void *data(std::size_t i) const { return views_[i].buf; }
    std::uint64_t nbytes(std::size_t i) const { return static_cast<std::uint64_t>(views_[i].len); }

private:
    void release() {
        while (count_ > 0)
            PyBuffer_Release(&views_[--count_]);
    }

    nb::object items_;
    std::unique_ptr<Py_buffer[]> views_;
    std::size_t count_ = 0;
};

#endif
