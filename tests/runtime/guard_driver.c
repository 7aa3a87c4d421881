/* Runs fast kernels with every operand in memory of its own size, between pages that cannot be
   touched, and compares with the scalar kernels.

       guard_driver CASES

   CASES holds cases one after another, each in whole lines of 64 bytes. The first line: u32, in the
   machine's order, bytes of the bundle, samples, k, aliased (number + 1 of the input whose bytes the
   first output takes, or 0), bytes of the case in all. Then the bundle, of one step, and the bytes of
   each input of the part in order. For each instruction set that is built in and that the machine
   has, it runs each case

   - at every alignment that the element type allows, up to a cache line, against the page before,
     and against the page behind;
   - with what the preparer makes of the constants, in memory that ends where it says, and without.

   A kernel that returns 0 must have written nothing. It prints "ISA operation cases taken" lines and
   exits with 0, or says what went wrong in the first line that starts with "fault:". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "csideploy/dispatch.h"
#include "guard_driver.h"
#include "prepare.h"

#define LINE 64u
#define OPERANDS (CSD_MAX_INPUTS + CSD_MAX_OUTPUTS)
#define CANARY 0xa5

#ifdef CSD_WITH_AVX2
extern const guard_set csd_avx2_guard_set;
#endif
#ifdef CSD_WITH_AVX512
extern const guard_set csd_avx512_guard_set;
#endif
#ifdef CSD_WITH_NEON
extern const guard_set csd_neon_guard_set;
#endif
#ifdef CSD_WITH_DOTPROD
extern const guard_set csd_dotprod_guard_set;
#endif

static const guard_set *const sets[] = {
#ifdef CSD_WITH_AVX2
    &csd_avx2_guard_set,
#endif
#ifdef CSD_WITH_AVX512
    &csd_avx512_guard_set,
#endif
#ifdef CSD_WITH_NEON
    &csd_neon_guard_set,
#endif
#ifdef CSD_WITH_DOTPROD
    &csd_dotprod_guard_set,
#endif
    NULL};

/* Where we are, for the message of a signal. */
static char place[256];

static void fail(const char *what) {
    printf("fault: %s: %s\n", place, what);
    fflush(stdout);
    _exit(1);
}

static void caught(int number) {
    static const char text[] = "fault: ", end[] = ": touched memory that is not its own\n";
    if (write(1, text, sizeof text - 1) < 0 || write(1, place, strlen(place)) < 0 ||
        write(1, end, sizeof end - 1) < 0)
        _exit(3);
    _exit(number == SIGSEGV || number == SIGBUS ? 1 : 4);
}

static size_t page;

/* `room` bytes that may be touched, whole pages, between two pages that may not. */
typedef struct guarded {
    uint8_t *first;
    size_t room, size;
    uint8_t *data; /* `size` bytes inside */
} guarded;

static guarded guard(size_t size) {
    guarded g;
    g.room = (size + LINE + page - 1) / page * page;
    g.size = size;
    uint8_t *all = mmap(NULL, g.room + 2 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        fail("no memory");
    g.first = all + page;
    g.data = g.first;
    if (mprotect(all, page, PROT_NONE) || mprotect(g.first + g.room, page, PROT_NONE))
        fail("no guard pages");
    return g;
}

static void release(const guarded *g) { munmap(g->first - page, g->room + 2 * page); }

/* Puts the data `shift` bytes from the page before, or so many from the page behind. */
static void put(guarded *g, int behind, size_t shift, const void *bytes) {
    memset(g->first, CANARY, g->room);
    g->data = behind ? g->first + g->room - g->size - shift : g->first + shift;
    if (bytes != NULL)
        memcpy(g->data, bytes, g->size);
}

/* Nothing around the data was written. */
static int intact(const guarded *g) {
    for (uint8_t *p = g->first; p < g->first + g->room; p++) {
        if (p == g->data)
            p += g->size;
        if (p < g->first + g->room && *p != CANARY)
            return 0;
    }
    return 1;
}

/* One step: its operands at n samples, their bytes, and what the scalar kernel makes of them. */
typedef struct one {
    csd_part part;
    const csd_step_record *step;
    const uint32_t *operands;
    uint32_t inputs, count, aliased;
    csd_args args, constants; /* `constants`: as a preparer sees them */
    const uint8_t *given[OPERANDS];
    uint8_t *wanted[OPERANDS];
    size_t bytes[OPERANDS];
    guarded own[OPERANDS];
} one;

static const csd_tensor_record *tensor_of(const one *o, uint32_t i) {
    return o->operands[i] == CSD_NONE ? NULL : o->part.tensors + o->operands[i];
}

static size_t shape_bytes(const csd_shape *s) {
    size_t bytes = s->element;
    for (uint32_t i = 0; i < s->rank; i++)
        bytes *= s->dims[i];
    return bytes;
}

static const void *constant_of(const one *o, const csd_tensor_record *t) {
    return (const uint8_t *)o->part.sections[CSD_SECTION_WEIGHTS].data + t->place;
}

/* Operand number i of `args`, at n samples and k users. */
static csd_shape *shape_in(const one *o, csd_args *args, uint32_t i) {
    return i < o->inputs ? &args->in[i].shape : &args->out[i - o->inputs].shape;
}

static void set_data(const one *o, csd_args *args, uint32_t i, void *data) {
    if (i < o->inputs)
        args->in[i].data = data;
    else
        args->out[i - o->inputs].data = data;
}

static void make(one *o, const uint8_t *bundle, size_t size, uint32_t n, uint32_t k,
                 const uint8_t *inputs) {
    if (csd_open(&o->part, bundle, size, csd_reference_kernels) != CSD_OK)
        fail("the bundle is refused");
    if (o->part.sections[CSD_SECTION_STEPS].count != 1)
        fail("the bundle has several steps");
    o->step = o->part.steps;
    o->operands = o->part.operands + o->step->operand_first;
    o->inputs = o->step->input_count;
    o->count = o->inputs + o->step->output_count;
    memset(&o->args, 0, sizeof o->args);
    memset(&o->constants, 0, sizeof o->constants);
    o->args.params = o->constants.params = o->part.params + o->step->param_first;
    const uint8_t *input_at[CSD_MAX_INPUTS] = {NULL};
    for (uint32_t i = 0; i < o->part.input_count; i++) {
        input_at[i] = inputs;
        inputs += csd_tensor_bytes(o->part.tensors + o->part.interface[i].tensor, n, k);
    }
    for (uint32_t i = 0; i < o->count; i++) {
        const csd_tensor_record *t = tensor_of(o, i);
        o->given[i] = NULL;
        o->wanted[i] = NULL;
        o->bytes[i] = 0;
        if (t == NULL)
            continue;
        csd_resolve_shape(shape_in(o, &o->args, i), t, n, k);
        csd_resolve_shape(shape_in(o, &o->constants, i), t, o->part.header->n_max,
                          o->part.header->k_max);
        o->bytes[i] = shape_bytes(shape_in(o, &o->args, i));
        if (t->storage == CSD_STORAGE_WEIGHTS)
            o->given[i] = constant_of(o, t);
        else if (t->storage == CSD_STORAGE_INPUT)
            o->given[i] = input_at[t->place];
        o->own[i] = guard(o->bytes[i]);
        if (i >= o->inputs)
            o->wanted[i] = calloc(1, o->bytes[i] + 1);
        set_data(o, &o->args, i, i < o->inputs ? (void *)(uintptr_t)o->given[i] : o->wanted[i]);
    }
    csd_reference_kernels[o->step->op](&o->args);
}

static void drop(one *o) {
    for (uint32_t i = 0; i < o->count; i++) {
        if (tensor_of(o, i) != NULL)
            release(&o->own[i]);
        free(o->wanted[i]);
    }
}

/* The same bits; the sign and payload of a NaN are the target's. */
static int equal(const csd_shape *shape, const uint8_t *a, const uint8_t *b, size_t bytes) {
    if (memcmp(a, b, bytes) == 0)
        return 1;
    for (size_t i = 0; shape->dtype == CSD_F32 && i < bytes; i += 4) {
        float x, y;
        memcpy(&x, a + i, 4);
        memcpy(&y, b + i, 4);
        if (memcmp(a + i, b + i, 4) != 0 && !(x != x && y != y))
            return 0;
    }
    return shape->dtype == CSD_F32;
}

/* All operands against one page, `elements` from it. Returns what the kernel returned. */
static int attempt(one *o, const guard_set *set, int behind, size_t elements,
                   const void *prepared) {
    csd_args args = o->args;
    for (uint32_t i = 0; i < o->count; i++) {
        if (tensor_of(o, i) == NULL)
            continue;
        put(&o->own[i], behind, elements * shape_in(o, &args, i)->element,
            i < o->inputs ? o->given[i] : NULL);
        set_data(o, &args, i, o->own[i].data);
    }
    if (o->aliased)
        args.in[o->aliased - 1].data = args.out[0].data =
            (void *)(uintptr_t)args.in[o->aliased - 1].data;
    args.prepared = prepared;
    const int taken = set->tries[o->step->op](&args);
    for (uint32_t i = 0; i < o->count; i++) {
        const csd_tensor_record *t = tensor_of(o, i);
        if (t == NULL)
            continue;
        const int in_place = o->aliased && i == o->inputs;
        const guarded *own = in_place ? &o->own[o->aliased - 1] : &o->own[i];
        if (!intact(&o->own[i]))
            fail("wrote around an operand");
        if (i < o->inputs && i + 1 != o->aliased &&
            memcmp(own->data, o->given[i], o->bytes[i]) != 0)
            fail("wrote to an input");
        if (i < o->inputs)
            continue;
        if (!taken) {
            for (size_t b = 0; !in_place && b < o->bytes[i]; b++)
                if (own->data[b] != CANARY)
                    fail("returned 0, and has written");
            if (in_place && memcmp(own->data, o->given[o->aliased - 1], o->bytes[i]) != 0)
                fail("returned 0, and has written in place");
        } else if (t->storage == CSD_STORAGE_OUTPUT && /* scratch is the kernel's own */
                   !equal(&args.out[i - o->inputs].shape, own->data, o->wanted[i], o->bytes[i])) {
            fail("not the scalar kernel's result");
        }
    }
    return taken;
}

/* What the preparer makes, read from constants between guards and written to exact memory. */
static int prepare_step(one *o, const guard_set *set, int behind, guarded *memory) {
    const csd_preparer preparer = set->preparers[o->step->op];
    csd_args args = o->constants;
    for (uint32_t i = 0; i < o->inputs; i++) {
        const csd_tensor_record *t = tensor_of(o, i);
        args.in[i].data = NULL;
        if (t == NULL || t->storage != CSD_STORAGE_WEIGHTS)
            continue;
        put(&o->own[i], behind, 0, o->given[i]);
        args.in[i].data = o->own[i].data;
    }
    const size_t size = preparer == NULL ? 0 : preparer(&args, NULL);
    if (size == 0)
        return 0;
    *memory = guard(size);
    /* Its start is aligned: against the page behind it, up to a line is left over. */
    const size_t left = behind ? (memory->room - size) % CSD_PREPARED_ALIGN : 0;
    put(memory, behind, left, NULL);
    if (preparer(&args, memory->data) != size)
        fail("the preparer gives two sizes");
    for (uint32_t i = 0; i < o->inputs; i++)
        if (args.in[i].data != NULL && !intact(&o->own[i]))
            fail("the preparer wrote around a constant");
    if (!intact(memory))
        fail("the preparer wrote outside of its memory");
    if (mprotect(memory->first, memory->room, PROT_READ) != 0)
        fail("no guard pages");
    return 1;
}

static uint32_t cases[CSD_OP_LAST + 1u], taken[CSD_OP_LAST + 1u];

static void run(one *o, const guard_set *set, uint32_t number) {
    const uint32_t op = o->step->op;
    if (op > CSD_OP_LAST || set->tries[op] == NULL)
        return;
    int any = 0;
    for (int behind = 0; behind < 2; behind++) {
        guarded memory;
        snprintf(place, sizeof place, "%s, operation %u, case %u, prepare against the page %s",
                 set->name, op, number, behind ? "behind" : "before");
        const int prepared = prepare_step(o, set, behind, &memory);
        for (int with = 0; with <= prepared; with++)
            for (size_t elements = 0; elements < LINE; elements += elements < 8 ? 1 : 7) {
                uint32_t element = 1;
                for (uint32_t i = 0; i < o->count; i++)
                    if (tensor_of(o, i) != NULL && shape_in(o, &o->args, i)->element > element)
                        element = shape_in(o, &o->args, i)->element;
                if (elements * element >= LINE)
                    break;
                snprintf(place, sizeof place,
                         "%s, operation %u, case %u, %zu elements from the page %s, %s", set->name,
                         op, number, elements, behind ? "behind" : "before",
                         with ? "prepared" : "not prepared");
                any |= attempt(o, set, behind, elements, with ? memory.data : NULL);
            }
        if (prepared)
            release(&memory);
    }
    cases[op]++;
    taken[op] += any != 0;
}

static uint32_t word(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

int main(int argc, char **argv) {
    page = (size_t)sysconf(_SC_PAGESIZE);
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return 2;
    const size_t size = (size_t)ftell(file);
    void *memory = NULL;
    rewind(file);
    if (posix_memalign(&memory, LINE, size + 1) != 0 || fread(memory, 1, size, file) != size)
        return 2;
    const uint8_t *all = memory;
    fclose(file);
    signal(SIGSEGV, caught);
    signal(SIGBUS, caught);
    signal(SIGILL, caught);
    for (const guard_set *const *set = sets; *set != NULL; set++) {
        csd_isa isa;
        if (!csd_choose_isa((*set)->name, &isa))
            continue;
        memset(cases, 0, sizeof cases);
        memset(taken, 0, sizeof taken);
        uint32_t number = 0;
        for (size_t at = 0; at < size; number++) {
            static one o;
            const uint8_t *head = all + at;
            const size_t bundle = word(head);
            o.aliased = word(head + 12);
            snprintf(place, sizeof place, "case %u", number);
            make(&o, head + LINE, bundle, word(head + 4), word(head + 8), head + LINE + bundle);
            run(&o, *set, number);
            drop(&o);
            at += word(head + 16);
        }
        for (uint32_t op = 0; op <= CSD_OP_LAST; op++)
            if (cases[op] > 0)
                printf("%s %u %u %u\n", (*set)->name, op, cases[op], taken[op]);
    }
    free(memory);
    return 0;
}
