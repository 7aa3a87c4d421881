// csideploy.training._block: the block of block.h on NumPy's arrays. _block.pyi has the types.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
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
    Job(const csd_block_kernels &kernels, const ConstNumbers &parameters, bool coded) {
        const std::size_t size = parameters.size(), groups = size / group_floats;
        if (size != groups * group_floats + 2)
            throw nb::value_error("parameters: whole groups and two biases needed");
        const float *at = parameters.data();
        weights_.resize(groups);
        job_ = {groups, reinterpret_cast<const csd_block_group *>(at), weights_.data(),
                at + groups * group_floats, coded};
        kernels.arrange(weights_.data(), job_.group, groups);
    }
    const csd_block_job *get() const { return &job_; }
    std::size_t groups() const { return job_.groups; }

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
    for (std::size_t i = 1; i < std::min(threads, shares); i++)
        others.emplace_back(run);
    run();
    for (std::thread &other : others)
        other.join();
}

void forward(const std::string &isa, const ConstNumbers &parameters, const ConstImages &x,
             const Images &y, bool coded, std::size_t threads) {
    const csd_block_kernels &kernels = kernels_of(isa);
    if (y.shape(0) != x.shape(0))
        throw nb::value_error("x and y: samples differ");
    nb::gil_scoped_release release;
    const Job job(kernels, parameters, coded);
    divide(x.shape(0), threads, [&](std::size_t, std::size_t first, std::size_t samples) {
        const std::size_t at = first * CSD_BLOCK_IMAGE;
        kernels.forward(job.get(), x.data() + at, y.data() + at, samples);
    });
}

void backward(const std::string &isa, const ConstNumbers &parameters, const ConstImages &x,
              const ConstImages &dy, const Images &dx, const Numbers &gradient, bool coded,
              std::size_t threads) {
    const csd_block_kernels &kernels = kernels_of(isa);
    const std::size_t samples = x.shape(0), size = parameters.size();
    if (dy.shape(0) != samples || dx.shape(0) != samples || gradient.size() != size)
        throw nb::value_error("sizes differ");
    nb::gil_scoped_release release;
    const Job job(kernels, parameters, coded);
    std::vector<float> parts(std::min(samples, most_shares) * size);
    divide(samples, threads, [&](std::size_t share, std::size_t first, std::size_t count) {
        float *part = parts.data() + share * size;
        const std::size_t at = first * CSD_BLOCK_IMAGE;
        kernels.backward(job.get(), x.data() + at, dy.data() + at, dx.data() + at,
                         reinterpret_cast<csd_block_group *>(part),
                         part + job.groups() * group_floats, count);
    });
    float *sum = gradient.data();
    std::fill(sum, sum + size, 0.0f);
    for (std::size_t i = 0; i < parts.size(); i++)
        sum[i % size] += parts[i];
}

} // namespace

NB_MODULE(_block, m) {
    m.doc() = "The decoder block of ACRNet for training; use csideploy.training.block_operation.";
    m.attr("GROUP_FLOATS") = group_floats;
    m.def("isas", &isas);
    m.def("forward", &forward, nb::arg("isa"), nb::arg("parameters").noconvert(),
          nb::arg("x").noconvert(), nb::arg("y").noconvert(), nb::arg("coded"),
          nb::arg("threads"));
    m.def("backward", &backward, nb::arg("isa"), nb::arg("parameters").noconvert(),
          nb::arg("x").noconvert(), nb::arg("dy").noconvert(), nb::arg("dx").noconvert(),
          nb::arg("gradient").noconvert(), nb::arg("coded"), nb::arg("threads"));
}
