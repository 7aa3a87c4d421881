/* Runs each part of a side once, between two marks, so that an emulator can count instructions.

   On a bare Cortex-M the marks read SysTick, which under qemu's -icount advances with the
   instructions, and the ticks are printed, with the bytes of stack that were written to. Elsewhere
   the marks are functions whose names stand in the emulator's trace. Returns 0, or 1 + the status
   of the part that failed. */
#include "csideploy/csideploy.h"
#include "calls.h"

static uint8_t csd_arena[CSD_ARENA_BYTES] __attribute__((aligned(16)));
static csd_part parts[CSD_CALLS];

#ifdef CSD_BARE
#include <stdio.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define PAINT 0xC0DEDBADu
#define PAINTED_WORDS 16384u /* 64 KiB below the caller's frame */

static volatile uint32_t wraps;

void systick(void);

void systick(void) { wraps++; }

/* Processor clocks since the start; SysTick counts 24 bits down, then interrupts. */
static uint64_t ticks(void) {
    uint32_t before, value;
    do {
        before = wraps;
        value = SYST_CVR;
    } while (before != wraps);
    return ((uint64_t)before << 24) + (0xFFFFFFu - value);
}

static void start_clock(void) {
    SYST_RVR = 0xFFFFFFu;
    SYST_CVR = 0;
    SYST_CSR = 7; /* on, with its interrupt, at the processor's clock */
}

static volatile uint32_t *paint_stack(void) {
    volatile uint32_t *top;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (uint32_t i = 1; i <= PAINTED_WORDS; i++)
        top[-(int32_t)i] = PAINT;
    return top;
}

/* Bytes from `top` to the lowest word that was written to. */
static uint32_t stack_used(volatile uint32_t *top) {
    uint32_t words = PAINTED_WORDS;
    while (words > 0 && top[-(int32_t)words] == PAINT)
        words--;
    return words * 4u;
}

static void print(const char *what, uint64_t number) {
    (void)printf("%s %08lx%08lx\n", what, (unsigned long)(number >> 32), (unsigned long)number);
}

#else

void csd_count_begin(void);
void csd_count_end(void);

/* The empty instruction keeps the functions apart. */
__attribute__((noinline)) void csd_count_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void csd_count_end(void) { __asm__ volatile("nop" ::: "memory"); }
#endif

int main(void) {
#ifdef CSD_BARE
    start_clock();
    volatile uint32_t *top = paint_stack();
    const uint64_t nothing_from = ticks();
    const uint64_t nothing = ticks() - nothing_from;
#endif
    for (size_t i = 0; i < CSD_CALLS; i++) {
        csd_status status = csd_open(&parts[i], csd_models[i].data, csd_models[i].bytes,
                                     csd_reference_kernels);
        if (status == CSD_OK)
            status = csd_set_arena(&parts[i], csd_arena, sizeof csd_arena);
        if (status != CSD_OK)
            return 1 + (int)status;
#ifdef CSD_BARE
        const uint64_t from = ticks();
        status = csd_run(&parts[i], &csd_calls[i]);
        const uint64_t taken = ticks() - from - nothing;
        const uint32_t stack = stack_used(top);
        print("ticks", taken);
        print("stack", stack);
        top = paint_stack();
#else
        csd_count_begin();
        status = csd_run(&parts[i], &csd_calls[i]);
        csd_count_end();
#endif
        if (status != CSD_OK)
            return 1 + (int)status;
    }
    return 0;
}
