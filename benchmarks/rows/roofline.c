/* What one core can do at most: `roofline.py` compiles this with -march=native and loads it.

   Each instruction runs on registers alone, ten chains side by side, so that the units and not the
   latencies bind. Bandwidth is that of reading a buffer of so many bytes again and again. Time is
   the thread's own processor time; the caller takes the best of several windows. */
#include <stddef.h>
#include <stdint.h>
#include <time.h>

double roofline_rate(int kind, double seconds);
double roofline_read(const void *data, size_t size, double seconds);
int roofline_bits(void);

enum { MULTIPLY_ADD, FMA, DOT_INT8, DOT_INT16, LOOK_UP_32, LOOK_UP_16, LOOK_UP_8 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* `per` results of an instruction; a case that the machine lacks is left out and gives -1. */
#define REPEAT(S) S(a0) S(a1) S(a2) S(a3) S(a4) S(a5) S(a6) S(a7) S(a8) S(a9)
#define RATE(KIND, per, S)                                                                         \
    case KIND: {                                                                                   \
        const double start = now();                                                                \
        double passed = 0.0, count = 0.0;                                                          \
        while (passed < seconds) {                                                                 \
            for (int i = 0; i < 20000; i++) {                                                      \
                REPEAT(S)                                                                          \
            }                                                                                      \
            count += 200000.0;                                                                     \
            passed = now() - start;                                                                \
        }                                                                                          \
        return count * (per) / passed;                                                             \
    }

#if defined(__AVX512F__) && defined(__AVX512BW__)
#include <immintrin.h>
#define BITS 512
typedef __m512i wide;
#define SPREAD(x) _mm512_set1_epi32(x)
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define BITS 256
typedef __m256i wide;
#define SPREAD(x) _mm256_set1_epi32(x)
#endif

#ifdef BITS
#define ONE(text, a) __asm__ volatile(text : "+v"(a) : "v"(b), "v"(c));
#define PAIR(a)                                                                                    \
    {                                                                                              \
        wide t;                                                                                    \
        __asm__ volatile("vmulps %3,%2,%1\n\tvaddps %1,%0,%0" : "+v"(a), "=&v"(t) : "v"(b), "v"(c)); \
    }
#define FUSED(a) ONE("vfmadd231ps %2,%1,%0", a)
#define BYTES(a) ONE("vpdpbusd %2,%1,%0", a)
#define WORDS(a) ONE("vpdpwssd %2,%1,%0", a)
#define PERMUTE_32(a) ONE("vpermps %0,%1,%0", a)
#define PERMUTE_16(a) ONE("vpermw %0,%1,%0", a)
#define SHUFFLE_8(a) ONE("vpshufb %1,%0,%0", a)

/* Multiply-accumulates or look-ups a second, or -1. */
double roofline_rate(int kind, double seconds) {
    const int lanes = BITS / 32;
    /* 1e-30 and the like as floats: nothing overflows, nothing is subnormal. */
    wide b = SPREAD(0x3f800000), c = SPREAD(0x30000000);
    wide a0 = b, a1 = b, a2 = b, a3 = b, a4 = b, a5 = b, a6 = b, a7 = b, a8 = b, a9 = b;
    switch (kind) {
        RATE(MULTIPLY_ADD, lanes, PAIR)
        RATE(FMA, lanes, FUSED)
#if BITS == 512 && defined(__AVX512VNNI__)
        RATE(DOT_INT8, 4 * lanes, BYTES)
        RATE(DOT_INT16, 2 * lanes, WORDS)
#endif
        RATE(LOOK_UP_32, lanes, PERMUTE_32)
#if BITS == 512
        RATE(LOOK_UP_16, 2 * lanes, PERMUTE_16)
#endif
        RATE(LOOK_UP_8, 4 * lanes, SHUFFLE_8)
    default:
        return -1.0;
    }
}

int roofline_bits(void) { return BITS; }
#else
double roofline_rate(int kind, double seconds) {
    (void)kind;
    (void)seconds;
    return -1.0;
}

int roofline_bits(void) { return 128; }
#endif

#ifdef BITS
typedef uint64_t line __attribute__((vector_size(BITS / 8), aligned(8)));
#else
typedef uint64_t line __attribute__((vector_size(16), aligned(8)));
#endif

/* Bytes a second; `size` is a multiple of 1024. */
double roofline_read(const void *data, size_t size, double seconds) {
    const line *lines = data;
    const size_t count = size / sizeof(line);
    line sum[8] = {{0}};
    const double start = now();
    double passed = 0.0, bytes = 0.0;
    while (passed < seconds) {
        for (size_t again = 0; again < 1 + (1u << 20) / size; again++) {
            for (size_t i = 0; i < count; i += 8)
                for (size_t j = 0; j < 8; j++)
                    sum[j] ^= lines[i + j];
            /* The buffer is read anew each time. */
            __asm__ volatile("" : : "r"(lines), "r"(sum) : "memory");
            bytes += (double)size;
        }
        passed = now() - start;
    }
    return bytes / passed;
}
