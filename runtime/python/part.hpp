// A part in Python: one class that owns a bundle's bytes and its arena. Checks of arrays against the
// interface are in runtime/part.py; here only sizes are checked, so that no call can reach outside
// a buffer.
#ifndef CSIDEPLOY_PYTHON_PART_HPP
#define CSIDEPLOY_PYTHON_PART_HPP

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

#include "aligned_bytes.hpp"
#include "buffers.hpp"
#include "csideploy/csideploy.h"
#include "csideploy/dispatch.h"

inline const char *numpy_name(std::uint8_t dtype) {
    switch (static_cast<csd_dtype>(dtype)) {
    case CSD_F32:
        return "float32";
    case CSD_U8:
        return "uint8";
    case CSD_I8:
        return "int8";
    case CSD_I16:
        return "int16";
    case CSD_I32:
        return "int32";
    }
    return "";
}

struct Recorder {
    std::vector<std::vector<nb::bytes>> outputs;
    std::vector<double> seconds;
    std::chrono::steady_clock::time_point start;
};

inline void take_output(void *user, const csd_part *part, std::uint32_t step, csd_phase phase) {
    if (phase == CSD_BEFORE_STEP)
        return;
    auto &recorder = *static_cast<Recorder *>(user);
    std::vector<nb::bytes> outputs;
    for (std::uint32_t i = 0; i < part->steps[step].output_count; i++) {
        const csd_tensor_record *tensor = nullptr;
        const void *data = csd_step_output(part, step, i, &tensor);
        outputs.emplace_back(data, csd_tensor_bytes(tensor, 1, part->call->k));
    }
    recorder.outputs.push_back(std::move(outputs));
}

inline void take_time(void *user, const csd_part *, std::uint32_t step, csd_phase phase) {
    auto &recorder = *static_cast<Recorder *>(user);
    const auto now = std::chrono::steady_clock::now();
    if (phase == CSD_BEFORE_STEP)
        recorder.start = now;
    else
        recorder.seconds[step] += std::chrono::duration<double>(now - recorder.start).count();
}

class Part {
public:
    Part(nb::bytes bundle, const std::string &isa)
        : bundle_(std::make_shared<AlignedBytes>(bundle.size(), CSD_BUNDLE_ALIGN, Pages::large)) {
        if (!csd_choose_isa(isa.c_str(), &isa_))
            throw std::invalid_argument("no such instruction set: " + isa);
        std::memcpy(bundle_->data(), bundle.c_str(), bundle.size());
        {
            nb::gil_scoped_release release;
            status_ = csd_open(&part_, bundle_->data(), bundle.size(), isa_.kernels);
        }
        if (status_ != CSD_OK)
            return;
        set_arena(part_.header->arena_bytes);
        const std::size_t size = csd_prepared_bytes(&part_, isa_.preparers);
        if (size == 0)
            return;
        try {
            prepared_ = std::make_shared<AlignedBytes>(size, CSD_PREPARED_ALIGN, Pages::large);
        } catch (const std::bad_alloc &) {
            return; // it runs without, only slower
        }
        nb::gil_scoped_release release;
        csd_prepare(&part_, isa_.preparers, prepared_->data(), size);
    }

    // A copy that shares the bundle and what was prepared, with an arena of its own: another
    // thread may run it at the same time.
    Part *fork() const {
        require();
        return new Part(*this);
    }

    // What csd_open refused, as (name, text, record, field, index); None for a sound bundle.
    nb::object refusal() const {
        if (status_ == CSD_OK)
            return nb::none();
        return nb::make_tuple(csd_status_name(status_), csd_status_text(status_),
                              part_.fault.record, part_.fault.field, part_.fault.index);
    }

    const char *isa() const { return isa_.name; }

    // Replaces the arena by one of another size; false if the part refuses it.
    bool set_arena(std::size_t size) {
        require();
        std::lock_guard<std::mutex> lock(mutex_);
        auto arena = std::make_unique<AlignedBytes>(size, part_.header->arena_align);
        // Not cleared: a verified part reads only what it wrote, and pages that it never touches
        // cost nothing, however large an arena a hostile bundle may ask for.
        if (csd_set_arena(&part_, arena->data(), size) != CSD_OK)
            return false;
        arena_ = std::move(arena);
        return true;
    }

    void fill_arena(std::uint8_t value) {
        require();
        std::lock_guard<std::mutex> lock(mutex_);
        std::memset(arena_->data(), value, part_.header->arena_bytes);
    }

    nb::object part() const { return text(require().header->part); }
    nb::object side() const { return text(require().header->side); }
    std::uint64_t arena_bytes() const { return require().header->arena_bytes; }
    std::uint64_t prepared_bytes() const {
        return require().prepared == nullptr ? 0 : csd_prepared_bytes(&part_, isa_.preparers);
    }
    std::uint32_t n_max() const { return require().header->n_max; }
    std::uint32_t k_max() const { return require().header->k_max; }
    nb::bytes pairing_id() const {
        return nb::bytes(require().header->pairing_id, sizeof part_.header->pairing_id);
    }

    nb::list interface(std::uint32_t first, std::uint32_t count) const {
        nb::list list;
        for (std::uint32_t i = 0; i < count; i++)
            list.append(describe(part_.tensors[part_.interface[first + i].tensor]));
        return list;
    }
    nb::list inputs() const { return interface(0, require().input_count); }
    nb::list outputs() const { return interface(require().input_count, part_.output_count); }

    nb::object payload() const {
        const csd_section &section = require().sections[CSD_SECTION_PAYLOAD];
        if (section.count == 0)
            return nb::none();
        const auto *record = static_cast<const csd_payload_record *>(section.data);
        return nb::make_tuple(record->layout_id, record->count, record->bits, record->nbytes);
    }

    nb::dict metadata() const {
        const csd_section &section = require().sections[CSD_SECTION_METADATA];
        const auto *pairs = static_cast<const csd_metadata_record *>(section.data);
        nb::dict dict;
        for (std::uint32_t i = 0; i < section.count; i++)
            dict[text(pairs[i].key)] = text(pairs[i].value);
        return dict;
    }

    // (name, operation code, outputs) of each step, an output as in the interface.
    nb::list steps() const {
        nb::list list;
        for (std::uint32_t s = 0; s < require().sections[CSD_SECTION_STEPS].count; s++) {
            const csd_step_record &step = part_.steps[s];
            nb::list outputs;
            for (std::uint32_t i = 0; i < step.output_count; i++)
                outputs.append(describe(part_.tensors[part_.operands[step.operand_first +
                                                                     step.input_count + i]]));
            list.append(nb::make_tuple(text(step.name), step.op, outputs));
        }
        return list;
    }

    void run(nb::handle inputs, nb::handle outputs, std::size_t samples, std::uint32_t k) {
        call(inputs, outputs, samples, k, nullptr, nullptr);
    }

    std::vector<std::vector<nb::bytes>> trace(nb::handle inputs, nb::handle outputs,
                                              std::uint32_t k) {
        Recorder recorder;
        call(inputs, outputs, 1, k, take_output, &recorder);
        return recorder.outputs;
    }

    std::vector<double> profile(nb::handle inputs, nb::handle outputs, std::size_t samples,
                                std::uint32_t k) {
        Recorder recorder;
        recorder.seconds.resize(require().sections[CSD_SECTION_STEPS].count);
        call(inputs, outputs, samples, k, take_time, &recorder);
        return recorder.seconds;
    }

private:
    friend class Bound;

    Part(const Part &other)
        : bundle_(other.bundle_), prepared_(other.prepared_), isa_(other.isa_), part_(other.part_) {
        part_.call = nullptr; // of a run that the other may be in
        set_arena(part_.header->arena_bytes);
    }

    const csd_part &require() const {
        if (status_ != CSD_OK)
            throw std::runtime_error("the bundle was refused");
        return part_;
    }

    nb::object text(std::uint32_t offset) const {
        const char *name = csd_name(&part_, offset);
        return nb::steal(
            PyUnicode_DecodeUTF8(name, static_cast<Py_ssize_t>(std::strlen(name)), "replace"));
    }

    nb::tuple describe(const csd_tensor_record &tensor) const {
        nb::list shape;
        for (std::uint32_t i = 0; i < tensor.rank; i++) {
            if (tensor.dims[i] == CSD_DIM_N)
                shape.append("n");
            else if (tensor.dims[i] == CSD_DIM_K)
                shape.append("k");
            else
                shape.append(tensor.dims[i]);
        }
        return nb::make_tuple(text(tensor.name), numpy_name(tensor.dtype), nb::tuple(shape));
    }

    // Pointers of the arrays, each with exactly the bytes that its tensor has.
    template <class Pointer>
    std::vector<Pointer> pointers(const Buffers &arrays, std::uint32_t first, std::uint32_t count,
                                  std::size_t samples, std::uint32_t k) const {
        if (arrays.size() != count)
            throw std::invalid_argument("number of arrays differs from the part's interface");
        std::vector<Pointer> out;
        out.reserve(count);
        for (std::uint32_t i = 0; i < count; i++) {
            const csd_tensor_record &tensor = part_.tensors[part_.interface[first + i].tensor];
            if (arrays.nbytes(i) != csd_tensor_bytes(&tensor, samples, k))
                throw std::invalid_argument("bytes of an array differ from the part's interface");
            out.push_back(arrays.data(i));
        }
        return out;
    }

    void call(nb::handle inputs, nb::handle outputs, std::size_t samples, std::uint32_t k,
              csd_tick tick, void *user) {
        const csd_part &part = require();
        const Buffers from(inputs, false), to(outputs, true);
        const auto in = pointers<const void *>(from, 0, part.input_count, samples, k);
        const auto out = pointers<void *>(to, part.input_count, part.output_count, samples, k);
        const csd_call call = {samples, k, in.data(), out.data(), tick, user};
        csd_status status;
        if (tick == take_output) { // it makes Python objects
            std::lock_guard<std::mutex> lock(mutex_);
            status = csd_run(&part_, &call);
        } else {
            nb::gil_scoped_release release;
            std::lock_guard<std::mutex> lock(mutex_);
            status = csd_run(&part_, &call);
        }
        if (status != CSD_OK)
            throw std::invalid_argument(csd_status_text(status));
    }

    std::shared_ptr<AlignedBytes> bundle_;
    std::unique_ptr<AlignedBytes> arena_;
    std::shared_ptr<AlignedBytes> prepared_;
    csd_isa isa_{};
    csd_part part_{};
    csd_status status_ = CSD_OK;
    std::mutex mutex_;
};

#endif
