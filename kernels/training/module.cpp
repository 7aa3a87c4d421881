// csideploy.training._block: block.h on NumPy's arrays. _block.pyi has the types.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "block.h"

namespace nb = nanobind;

extern "C" {
extern const csd_block_kernels csd_avx2_block_kernels, csd_avx512_block_kernels,
    csd_neon_block_kernels;
}

namespace {

using Images = nb::ndarray<float, nb::shape<-1, 2, CSD_BLOCK_SIDE, CSD_BLOCK_SIDE>, nb::c_contig,
                           nb::device::cpu>;
using ConstImages = nb::ndarray<const float, nb::shape<-1, 2, CSD_BLOCK_SIDE, CSD_BLOCK_SIDE>,
                                nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ConstNumbers = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t group_floats = sizeof(csd_block_group) / sizeof(float);
constexpr std::size_t last_floats = sizeof(csd_block_last) / sizeof(float);
constexpr std::size_t head_floats = sizeof(csd_block_head) / sizeof(float);

// Samples are divided into so many shares, whose gradients are added in their order: results do not
// depend on the number of threads.
constexpr std::size_t most_shares = 16;

// Slowest first. The build says by CSD_WITH_... which it has.
const csd_block_kernels *const tables[] = {
#ifdef CSD_WITH_AVX2
    &csd_avx2_block_kernels,
#endif
#ifdef CSD_WITH_AVX512
    &csd_avx512_block_kernels,
#endif
#ifdef CSD_WITH_NEON
    &csd_neon_block_kernels,
#endif
};

const csd_block_kernels &kernels_of(const std::string &isa) {
    for (const csd_block_kernels *table : tables)
        if (isa == table->name)
            return *table;
    throw nb::value_error("no such instruction set");
}

nb::list isas() {
    nb::list names;
    for (const csd_block_kernels *table : tables)
        names.append(table->name);
    return names;
}

// What samples have in common.
class Job {
public:
    Job(const csd_block_kernels &kernels, int kind, const ConstNumbers &parameters) {
        const std::size_t size = parameters.size(), groups = size / group_floats;
        if (kind < 0 || kind >= CSD_KINDS)
            throw nb::value_error("kind: none of block.h's");
        const bool head = kind == CSD_KIND_HEAD;
        if (size != (head ? head_floats : groups * group_floats + last_floats))
            throw nb::value_error("parameters: of another kind");
        job_ = {static_cast<csd_block_kind>(kind), head ? 0 : groups, parameters.data(), nullptr};
        weights_.resize(job_.groups);
        job_.weights = weights_.data();
        kernels.arrange(weights_.data(), job_.parameters, job_.groups);
    }
    const csd_block_job *get() const { return &job_; }

private:
    std::vector<csd_block_weights> weights_;
    csd_block_job job_;
};

// Calls work(share, first sample, samples) for every share, on so many threads.
template <class Work> void divide(std::size_t samples, std::size_t threads, Work work) {
    const std::size_t shares = std::min(samples, most_shares);
    std::atomic<std::size_t> next{0};
    const auto run = [&] {
        for (std::size_t i; (i = next.fetch_add(1)) < shares;) {
            const std::size_t first = samples * i / shares;
            work(i, first, samples * (i + 1) / shares - first);
        }
    };
    std::vector<std::thread> others;
    try {
        for (std::size_t i = 1; i < std::min(threads, shares); i++)
            others.emplace_back(run);
    } catch (const std::exception &) {
        // No more threads to be had: those there are take all shares.
    }
    run();
    for (std::thread &other : others)
        other.join();
}

void forward(const std::string &isa, int kind, const ConstNumbers &parameters, const ConstImages &x,
             const Images &z, const Images &y, std::size_t threads) {
    const csd_block_kernels &kernels = kernels_of(isa);
    const std::size_t samples = x.shape(0);
    if (z.shape(0) != samples || y.shape(0) != samples)
        throw nb::value_error("numbers of samples differ");
    const Job job(kernels, kind, parameters);
    nb::gil_scoped_release release;
    divide(samples, threads, [&](std::size_t, std::size_t first, std::size_t count) {
        const std::size_t at = first * CSD_BLOCK_IMAGE;
        kernels.forward(job.get(), x.data() + at, z.data() + at, y.data() + at, count);
    });
}

void backward(const std::string &isa, int kind, const ConstNumbers &parameters,
              const ConstImages &x, const ConstImages &z, const ConstImages &dy, const Images &dx,
              const Numbers &gradient, std::size_t threads) {
    const csd_block_kernels &kernels = kernels_of(isa);
    const std::size_t samples = x.shape(0), size = parameters.size();
    if (z.shape(0) != samples || dy.shape(0) != samples || dx.shape(0) != samples)
        throw nb::value_error("numbers of samples differ");
    if (gradient.size() != size)
        throw nb::value_error("gradient: not of the parameters' size");
    const Job job(kernels, kind, parameters);
    nb::gil_scoped_release release;
    std::vector<float> parts(std::min(samples, most_shares) * size);
    divide(samples, threads, [&](std::size_t share, std::size_t first, std::size_t count) {
        const std::size_t at = first * CSD_BLOCK_IMAGE;
        kernels.backward(job.get(), x.data() + at, z.data() + at, dy.data() + at, dx.data() + at,
                         parts.data() + share * size, count);
    });
    float *sum = gradient.data();
    std::fill(sum, sum + size, 0.0f);
    for (std::size_t i = 0; i < parts.size(); i++)
        sum[i % size] += parts[i];
}

} // namespace

NB_MODULE(_block, m) {
    m.doc() = "ACRNet's convolutions for training; use csideploy.training.block_operation.";
    m.attr("BLOCK") = int{CSD_KIND_BLOCK};
    m.attr("CODED") = int{CSD_KIND_CODED};
    m.attr("PAIR") = int{CSD_KIND_PAIR};
    m.attr("HEAD") = int{CSD_KIND_HEAD};
    m.def("isas", &isas);
    m.def("forward", &forward, nb::arg("isa"), nb::arg("kind"), nb::arg("parameters").noconvert(),
          nb::arg("x").noconvert(), nb::arg("z").noconvert(), nb::arg("y").noconvert(),
          nb::arg("threads"));
    m.def("backward", &backward, nb::arg("isa"), nb::arg("kind"),
          nb::arg("parameters").noconvert(), nb::arg("x").noconvert(), nb::arg("z").noconvert(),
          nb::arg("dy").noconvert(), nb::arg("dx").noconvert(), nb::arg("gradient").noconvert(),
          nb::arg("threads"));
}
