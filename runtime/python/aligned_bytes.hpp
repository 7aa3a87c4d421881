// Memory that the binding owns: aligned, uncleared, freed with its owner.
#ifndef CSIDEPLOY_PYTHON_ALIGNED_BYTES_HPP
#define CSIDEPLOY_PYTHON_ALIGNED_BYTES_HPP

#include <cstddef>
#include <cstdint>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

// What a part reads again in every run is wanted on large pages: 1 MB is 256 pages of 4 KiB, more than
// the nearest table of addresses holds. From 512 KiB on; rounding up
// costs less than 2 MiB. Where the system has no such pages to give, ordinary ones do.
enum class Pages { ordinary, large };

class AlignedBytes {
public:
    AlignedBytes(std::size_t size, std::size_t align, Pages pages = Pages::ordinary)
        : align_(static_cast<std::align_val_t>(align)) {
        if (pages == Pages::large && size >= least && align <= page)
            map(size);
        if (data_ == nullptr)
            data_ = static_cast<std::uint8_t *>(::operator new(size ? size : 1, align_));
    }
    ~AlignedBytes() {
#ifdef __linux__
        if (mapped_ > 0) {
            munmap(data_, mapped_);
            return;
        }
#endif
        ::operator delete(data_, align_);
    }
    AlignedBytes(const AlignedBytes &) = delete;
    AlignedBytes &operator=(const AlignedBytes &) = delete;
    std::uint8_t *data() const { return data_; }

private:
    static constexpr std::size_t page = std::size_t{2} << 20, least = page / 4;

    // Whole large pages: one more than needed, of which both ends are given back.
    void map(std::size_t size) {
#ifdef __linux__
        if (size > SIZE_MAX - 2 * page)
            return;
        const std::size_t wanted = (size + page - 1) / page * page;
        void *got = mmap(nullptr, wanted + page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (got == MAP_FAILED)
            return;
        auto *begin = static_cast<std::uint8_t *>(got);
        const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(got) % page) % page;
        if (before > 0)
            munmap(begin, before);
        if (before < page)
            munmap(begin + before + wanted, page - before);
        data_ = begin + before;
        mapped_ = wanted;
#ifdef MADV_HUGEPAGE
        madvise(data_, mapped_, MADV_HUGEPAGE); // advice: a refusal changes nothing
#endif
#else
        (void)size;
#endif
    }

    std::align_val_t align_;
    std::uint8_t *data_ = nullptr;
    std::size_t mapped_ = 0;
};

#endif
