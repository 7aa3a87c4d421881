// The binding: one class that owns a bundle's bytes and its arena. Checks of arrays against the
// interface are in runtime/part.py; here only sizes are checked, so that no call can reach outside
// a buffer.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

#include "csideploy/csideploy.h"
#include "csideploy/dispatch.h"

namespace nb = nanobind;

using Input = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<nb::c_contig, nb::device::cpu>;

namespace {

class AlignedBytes {
public:
    AlignedBytes(std::size_t size, std::size_t align)
        : align_(static_cast<std::align_val_t>(align)),
          data_(static_cast<std::uint8_t *>(::operator new(size ? size : 1, align_))) {}
    ~AlignedBytes() { ::operator delete(data_, align_); }
    AlignedBytes(const AlignedBytes &) = delete;
    AlignedBytes &operator=(const AlignedBytes &) = delete;
    std::uint8_t *data() const { return data_; }

private:
    std::align_val_t align_;
    std::uint8_t *data_;
};

const char *numpy_name(std::uint8_t dtype) {
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

void take_output(void *user, const csd_part *part, std::uint32_t step, csd_phase phase) {
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

void take_time(void *user, const csd_part *, std::uint32_t step, csd_phase phase) {
    auto &recorder = *static_cast<Recorder *>(user);
    const auto now = std::chrono::steady_clock::now();
    if (phase == CSD_BEFORE_STEP)
        recorder.start = now;
    else
        recorder.seconds[step] += std::chrono::duration<double>(now - recorder.start).count();
}

class Part {
public:
    Part(nb::bytes bundle, const std::string &isa) : bundle_(bundle.size(), CSD_BUNDLE_ALIGN) {
        if (!csd_choose_isa(isa.c_str(), &isa_))
            throw std::invalid_argument("no such instruction set: " + isa);
        std::memcpy(bundle_.data(), bundle.c_str(), bundle.size());
        {
            nb::gil_scoped_release release;
            status_ = csd_open(&part_, bundle_.data(), bundle.size(), isa_.kernels);
        }
        if (status_ != CSD_OK)
            return;
        set_arena(part_.header->arena_bytes);
        const std::size_t size = csd_prepared_bytes(&part_, isa_.preparers);
        if (size == 0)
            return;
        try {
            prepared_ = std::make_unique<AlignedBytes>(size, CSD_PREPARED_ALIGN);
        } catch (const std::bad_alloc &) {
            return; // it runs without, only slower
        }
        csd_prepare(&part_, isa_.preparers, prepared_->data(), size);
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

    void run(const std::vector<Input> &inputs, const std::vector<Output> &outputs,
             std::size_t samples, std::uint32_t k) {
        call(inputs, outputs, samples, k, nullptr, nullptr);
    }

    std::vector<std::vector<nb::bytes>> trace(const std::vector<Input> &inputs,
                                              const std::vector<Output> &outputs,
                                              std::uint32_t k) {
        Recorder recorder;
        call(inputs, outputs, 1, k, take_output, &recorder);
        return recorder.outputs;
    }

    std::vector<double> profile(const std::vector<Input> &inputs,
                                const std::vector<Output> &outputs, std::size_t samples,
                                std::uint32_t k) {
        Recorder recorder;
        recorder.seconds.resize(require().sections[CSD_SECTION_STEPS].count);
        call(inputs, outputs, samples, k, take_time, &recorder);
        return recorder.seconds;
    }

private:
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
    template <class Pointer, class Array>
    std::vector<Pointer> pointers(const std::vector<Array> &arrays, std::uint32_t first,
                                  std::uint32_t count, std::size_t samples, std::uint32_t k) {
        if (arrays.size() != count)
            throw std::invalid_argument("number of arrays differs from the part's interface");
        std::vector<Pointer> out;
        for (std::uint32_t i = 0; i < count; i++) {
            const csd_tensor_record &tensor = part_.tensors[part_.interface[first + i].tensor];
            if (arrays[i].nbytes() != csd_tensor_bytes(&tensor, samples, k))
                throw std::invalid_argument("bytes of an array differ from the part's interface");
            out.push_back(arrays[i].data());
        }
        return out;
    }

    void call(const std::vector<Input> &inputs, const std::vector<Output> &outputs,
              std::size_t samples, std::uint32_t k, csd_tick tick, void *user) {
        const csd_part &part = require();
        const auto in = pointers<const void *>(inputs, 0, part.input_count, samples, k);
        const auto out = pointers<void *>(outputs, part.input_count, part.output_count, samples, k);
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

    AlignedBytes bundle_;
    std::unique_ptr<AlignedBytes> arena_;
    std::unique_ptr<AlignedBytes> prepared_;
    csd_isa isa_{};
    csd_part part_{};
    csd_status status_ = CSD_OK;
    std::mutex mutex_;
};

// (name, can this machine run it?) of each instruction set of this build, slowest first.
nb::list isas() {
    nb::list list;
    csd_isa isa;
    for (std::uint32_t i = 0; csd_isa_at(i, &isa); i++)
        list.append(nb::make_tuple(isa.name, isa.available != 0));
    return list;
}

} // namespace

NB_MODULE(_core, m) {
    m.doc() = "Binding of the csideploy C runtime; use csideploy.runtime instead.";
    m.attr("FORMAT_VERSION") = nb::make_tuple(CSD_FORMAT_MAJOR, CSD_FORMAT_MINOR);
    m.def("isas", &isas);
    nb::class_<Part>(m, "Part")
        .def(nb::init<nb::bytes, const std::string &>(), nb::arg("bundle"), nb::arg("isa") = "")
        .def_prop_ro("isa", &Part::isa)
        .def_prop_ro("refusal", &Part::refusal)
        .def("set_arena", &Part::set_arena, nb::arg("size"))
        .def("fill_arena", &Part::fill_arena, nb::arg("value"))
        .def_prop_ro("part", &Part::part)
        .def_prop_ro("side", &Part::side)
        .def_prop_ro("arena_bytes", &Part::arena_bytes)
        .def_prop_ro("prepared_bytes", &Part::prepared_bytes)
        .def_prop_ro("n_max", &Part::n_max)
        .def_prop_ro("k_max", &Part::k_max)
        .def_prop_ro("pairing_id", &Part::pairing_id)
        .def_prop_ro("inputs", &Part::inputs)
        .def_prop_ro("outputs", &Part::outputs)
        .def_prop_ro("payload", &Part::payload)
        .def_prop_ro("metadata", &Part::metadata)
        .def_prop_ro("steps", &Part::steps)
        .def("run", &Part::run, nb::arg("inputs"), nb::arg("outputs"), nb::arg("samples"),
             nb::arg("k"))
        .def("trace", &Part::trace, nb::arg("inputs"), nb::arg("outputs"), nb::arg("k"))
        .def("profile", &Part::profile, nb::arg("inputs"), nb::arg("outputs"), nb::arg("samples"),
             nb::arg("k"));
}
