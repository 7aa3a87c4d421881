// The pre-processing of one size of channel estimate, tables and working memory included.
#ifndef CSIDEPLOY_PYTHON_ANGULAR_DELAY_HPP
#define CSIDEPLOY_PYTHON_ANGULAR_DELAY_HPP

#include <cmath>

#include "csideploy/angular_delay.h"
#include "part.hpp"

class AngularDelay {
public:
    AngularDelay(std::uint32_t subcarriers, std::uint32_t antennas, std::uint32_t delays,
                 const std::string &isa)
        : tables_(csd_angular_delay_bytes(subcarriers, antennas, delays), CSD_PREPARED_ALIGN) {
        csd_isa chosen;
        if (!csd_choose_isa(isa.c_str(), &chosen))
            throw std::invalid_argument("no such instruction set: " + isa);
        kernel_ = chosen.angular_delay;
        const csd_status status =
            csd_angular_delay_open(&plan_, subcarriers, antennas, delays, tables_.data(),
                                   csd_angular_delay_bytes(subcarriers, antennas, delays));
        if (status != CSD_OK)
            throw std::invalid_argument(csd_status_text(status));
        scratch_ = std::make_unique<AlignedBytes>(csd_angular_delay_scratch_bytes(&plan_),
                                                  CSD_PREPARED_ALIGN);
    }

    // h, and x and absmax in a tuple, are checked by runtime/angular_delay.py; here sizes alone.
    // Returns the number of the first sample without a scale, zero or not finite; `count` if none is.
    std::size_t run(nb::handle h, nb::handle results, std::size_t count) {
        const Buffers from(nb::make_tuple(h), false), to(results, true);
        const std::uint64_t pairs = std::uint64_t{count} * plan_.antennas * 2 * sizeof(float);
        if (to.size() != 2 || from.nbytes(0) != pairs * plan_.subcarriers ||
            to.nbytes(0) != pairs * plan_.delays || to.nbytes(1) != count * sizeof(float))
            throw std::invalid_argument("bytes of an array differ from the sizes");
        nb::gil_scoped_release release;
        std::lock_guard<std::mutex> lock(mutex_);
        auto *absmax = static_cast<float *>(to.data(1));
        kernel_(&plan_, static_cast<const float *>(from.data(0)), count,
                static_cast<float *>(to.data(0)), absmax,
                reinterpret_cast<float *>(scratch_->data()));
        std::size_t good = 0;
        while (good < count && absmax[good] > 0 && std::isfinite(absmax[good]))
            good++;
        return good;
    }

private:
    AlignedBytes tables_;
    std::unique_ptr<AlignedBytes> scratch_;
    csd_angular_delay plan_{};
    csd_angular_delay_kernel kernel_ = nullptr;
    std::mutex mutex_;
};

#endif
