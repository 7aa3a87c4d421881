/* Start of a Cortex-M with a floating-point unit: copies .data, clears .bss, switches the unit on,
   opens the semihosting files, runs main and ends the emulator with what it returned. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
extern int main(int argc, char **argv);
extern void initialise_monitor_handles(void);

#define CPACR (*(volatile uint32_t *)0xE000ED88u)

void reset(void) {
    CPACR |= 0xFu << 20; /* coprocessors 10 and 11: FPU and MVE */
    __asm__ volatile("dsb\n\tisb");
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++)
        *to = *from++;
    for (uint32_t *to = bss_start; to < bss_end; to++)
        *to = 0;
    initialise_monitor_handles();
    exit(main(0, NULL));
}

/* A fault ends the run with 99. */
static void fault(void) { _Exit(99); }

/* A program that starts SysTick with its interrupt brings its own. */
void systick(void);
__attribute__((weak)) void systick(void) { _Exit(98); }

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, systick,
};
