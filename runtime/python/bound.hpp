// A call on arrays that were checked once: from Python it costs little more than what it computes.
#ifndef CSIDEPLOY_PYTHON_BOUND_HPP
#define CSIDEPLOY_PYTHON_BOUND_HPP

#include <atomic>

#include "csideploy/bind.h"
#include "part.hpp"

// What Python gets is a built-in function with a Bound as its self (`callable`): that takes 20 ns
// to call; a class with __call__ takes four times as long.
class Bound {
public:
    // Holds the part and the arrays, so that neither goes before the callable.
    Bound(nb::object part, nb::handle inputs, nb::tuple outputs, std::size_t samples,
          std::uint32_t k)
        : owner_(std::move(part)), part_(nb::cast<Part &>(owner_)), inputs_(inputs, false),
          outputs_(outputs, true), result_(std::move(outputs)) {
        const csd_part &core = part_.require();
        in_ = part_.pointers<const void *>(inputs_, 0, core.input_count, samples, k);
        out_ = part_.pointers<void *>(outputs_, core.input_count, core.output_count, samples, k);
        call_ = {samples, k, in_.data(), out_.data(), nullptr, nullptr};
        if (samples >= 1 && samples <= core.header->n_max)
            steps_ = std::make_unique<AlignedBytes>(csd_bound_bytes(&core), alignof(csd_bound_step));
        std::lock_guard<std::mutex> lock(part_.mutex_);
        refresh();
    }

    static PyObject *callable(nb::handle self) {
        static PyMethodDef method = {"run", &Bound::call, METH_NOARGS,
                                     "Run the part on its bound arrays; gives the outputs."};
        return PyCFunction_New(&method, self.ptr());
    }

private:
    static PyObject *call(PyObject *self, PyObject *) {
        nb::inst_ptr<Bound>(self)->run();
        return Py_NewRef(nb::inst_ptr<Bound>(self)->result_.ptr());
    }

    // Releasing the GIL and taking it again costs tens of nanoseconds, and milliseconds if another
    // thread computes in Python meanwhile: a run of microseconds keeps it. The first runs release it
    // and are timed, until one is short. A part that another thread is running is waited for
    // without it.
    void run() {
        if (short_.load(std::memory_order_relaxed) && part_.mutex_.try_lock()) {
            std::lock_guard<std::mutex> lock(part_.mutex_, std::adopt_lock);
            run_locked();
            return;
        }
        nb::gil_scoped_release release;
        std::lock_guard<std::mutex> lock(part_.mutex_);
        const auto start = std::chrono::steady_clock::now();
        run_locked();
        if (std::chrono::steady_clock::now() - start < std::chrono::microseconds(50))
            short_.store(true, std::memory_order_relaxed);
    }

    void run_locked() {
        if (steps_ == nullptr) { // more samples than n_max, or none
            csd_run(&part_.part_, &call_);
            return;
        }
        if (arena_ != part_.part_.arena)
            refresh();
        csd_bound_run(&bound_);
    }

    // Resolves the operands, again after the part got another arena.
    void refresh() {
        arena_ = part_.part_.arena;
        if (steps_ == nullptr)
            return;
        const csd_status status = csd_bind(&bound_, &part_.part_, &call_, steps_->data(),
                                           csd_bound_bytes(&part_.part_));
        if (status != CSD_OK)
            throw std::invalid_argument(csd_status_text(status));
    }

    nb::object owner_;
    Part &part_;
    Buffers inputs_, outputs_;
    nb::tuple result_;
    std::vector<const void *> in_;
    std::vector<void *> out_;
    csd_call call_{};
    csd_bound bound_{};
    std::unique_ptr<AlignedBytes> steps_;
    const std::uint8_t *arena_ = nullptr;
    std::atomic<bool> short_{false};
};

#endif
