/* Three convolutions, group by group: export/operations.py says what is computed. Those of floats
   are CONV2D on slices. What the groups give to y is added in their order, as CONV2D adds its
   channels: the first group begins with bias and residual, every other with y itself, whose sums are
   never -0. Those of codes are sums of integers, modulo 2^32; the verifier holds what codes of 8 bits
   and weights of 8 bits give below 2^24, and 16 and 8 bits below 2^31. */
#include "../codes.h"

/* One convolution of the block, as the step of it; `pads` is PAD_TOP of its two. */
static void set_window(csd_param *p, const csd_param *pads, const csd_shape *kernel) {
    for (size_t i = 0; i <= CSD_CONV2D_P_ALPHA; i++)
        p[i].u = 0;
    p[CSD_CONV2D_P_GROUPS].u = 1;
    p[CSD_CONV2D_P_STRIDE_H].u = p[CSD_CONV2D_P_STRIDE_W].u = 1;
    p[CSD_CONV2D_P_DILATION_H].u = p[CSD_CONV2D_P_DILATION_W].u = 1;
    p[CSD_CONV2D_P_PAD_TOP] = pads[0];
    p[CSD_CONV2D_P_PAD_LEFT] = pads[1];
    p[CSD_CONV2D_P_PAD_BOTTOM].u = kernel->dims[2] - 1u - pads[0].u;
    p[CSD_CONV2D_P_PAD_RIGHT].u = kernel->dims[3] - 1u - pads[1].u;
}

static void set_image(csd_shape *shape, const csd_shape *like, uint32_t channels) {
    *shape = *like;
    shape->dims[0] = 1;
    shape->dims[1] = channels;
}

static void set_vector(csd_input *in, const float *data, uint32_t count) {
    in->data = data;
    in->shape.rank = 1;
    in->shape.dims[0] = count;
}

/* planes = prelu(conv(x) + bias) for `outputs` of its outputs, by rows of `channels`. */
static void convolve(float *planes, const csd_input *x, const float *weight,
                     const csd_shape *kernel, const float *bias, const float *slopes,
                     uint32_t outputs, const csd_param *pads) {
    csd_param p[CSD_CONV2D_P_ALPHA + 1];
    csd_args conv = {.params = p, .in = {[CSD_CONV2D_X] = *x}};
    csd_input *weights = &conv.in[CSD_CONV2D_WEIGHT];
    set_window(p, pads, kernel);
    weights->data = weight;
    weights->shape = *kernel;
    weights->shape.dims[0] = outputs;
    set_image(&conv.out[0].shape, &x->shape, outputs);
    conv.out[0].data = planes;
    p[CSD_CONV2D_P_ACTIVATION].u = CSD_ACT_PRELU;
    set_vector(&conv.in[CSD_CONV2D_BIAS], bias, outputs);
    set_vector(&conv.in[CSD_CONV2D_SLOPE], slopes, outputs);
    CSD_KERNEL(conv2d)(&conv);
}

/* Codes - zero of `total` numbers at v, in int16, which may stand in the place of v: a block is read
   before it is written, and what is written ends before what is still to be read. */
static void take_codes(void *codes, const float *v, size_t total, float scale, int32_t low,
                       int32_t high) {
    float ratio[CSD_BLOCK];
    const csd_output made = {.data = codes, .shape = {.dtype = CSD_I16}};
    for (size_t at = 0; at < total; at += CSD_BLOCK) {
        const size_t count = csd_block(total - at);
        for (size_t i = 0; i < count; i++)
            ratio[i] = v[at + i] / scale;
        CSD_KERNEL(store_codes)(&made, at, ratio, count, 0, low, high);
    }
}

/* Those of 0 to size - 1 that a tap meets inside the image, when it reads `pad` before its output. */
static size_t first_inside(size_t tap, size_t pad) { return tap < pad ? pad - tap : 0; }
static size_t end_inside(size_t tap, size_t pad, size_t size) {
    return tap <= pad ? size : tap - pad < size ? size - (tap - pad) : 0;
}

/* sums += codes of `channels` planes times the weights from number `at` on, modulo 2^32, tap by tap
   over the whole plane. */
static void add_codes(uint32_t *sums, const int16_t *codes, const csd_shape *x, uint32_t channels,
                      const csd_input *weight, size_t at, const csd_param *pads) {
    const size_t height = x->dims[2], width = x->dims[3], top = pads[0].u, left = pads[1].u;
    for (size_t c = 0; c < channels; c++, codes += height * width) {
        for (size_t i = 0; i < weight->shape.dims[2]; i++) {
            const size_t end_row = end_inside(i, top, height);
            for (size_t j = 0; j < weight->shape.dims[3]; j++) {
                const int32_t w = csd_code_at(weight, at++);
                const size_t first = first_inside(j, left), end = end_inside(j, left, width);
                for (size_t row = first_inside(i, top); row < end_row; row++) {
                    uint32_t *to = sums + row * width;
                    const int16_t *from = codes + (row + i - top) * width;
                    for (size_t column = first; column < end; column++)
                        to[column] += (uint32_t)(from[column + j - left] * w);
                }
            }
        }
    }
}

/* planes = prelu(sums of codes of x, times multiplier, + bias) for those `outputs` from number
   `first` on. The rows of `channels` are from it on. */
static void convolve_codes(float *planes, const csd_input *x, const csd_input *weight, size_t first,
                           uint32_t outputs, const float *multiplier, const float *bias,
                           const float *slope, const csd_param *pads) {
    const size_t plane = csd_count(&x->shape, 2, 4), products = csd_count(&weight->shape, 1, 4);
    for (size_t o = 0; o < outputs; o++, planes += plane) {
        uint32_t *sums = (uint32_t *)(void *)planes;
        for (size_t i = 0; i < plane; i++)
            sums[i] = 0;
        add_codes(sums, x->data, &x->shape, weight->shape.dims[1], weight, (first + o) * products,
                  pads);
        for (size_t i = 0; i < plane; i++) {
            const float scaled = (float)(int32_t)sums[i] * multiplier[o];
            planes[i] = scaled + bias[o];
        }
        CSD_KERNEL(activate)(planes, plane, CSD_ACT_PRELU, slope[o]);
    }
}

/* The step's activation on a finished plane of y. */
static void finish(const csd_args *args, float *y, size_t plane, size_t o) {
    const csd_param *params = args->params;
    CSD_KERNEL(activate)
    (y, plane, params[CSD_CONV_BLOCK_P_ACTIVATION].u,
     csd_slope(&args->in[CSD_CONV_BLOCK_SLOPE], o, params[CSD_CONV_BLOCK_P_ALPHA].f));
}

/* Adds what one group's codes give to the sums, which stand in the place of y; after the last group
   they become y. */
static void project_codes(const csd_args *args, const csd_input *middle, float *y,
                          const float *residual, uint32_t first, uint32_t last) {
    const csd_input *weight = &args->in[CSD_CONV_BLOCK_PROJECT];
    const float *bias = args->in[CSD_CONV_BLOCK_BIAS].data;
    const float scale = args->params[CSD_CONV_BLOCK_P_Y_SCALE].f;
    const size_t plane = csd_count(&middle->shape, 2, 4);
    const size_t taps = csd_count(&weight->shape, 2, 4), products = csd_count(&weight->shape, 1, 4);
    const uint32_t channels = middle->shape.dims[1];
    for (size_t o = 0; o < weight->shape.dims[0]; o++, y += plane) {
        uint32_t *sums = (uint32_t *)(void *)y;
        for (size_t i = 0; first == 0 && i < plane; i++)
            sums[i] = 0;
        add_codes(sums, middle->data, &middle->shape, channels, weight,
                  o * products + first * taps, args->params + CSD_CONV_BLOCK_P_PAD_TOP_3);
        if (first + channels != last)
            continue;
        for (size_t i = 0; i < plane; i++) {
            const float rest = (bias ? bias[o] : 0.0f) + (residual ? residual[o * plane + i] : 0.0f);
            const float scaled = (float)(int32_t)sums[i] * scale;
            y[i] = scaled + rest;
        }
        finish(args, y, plane, o);
    }
}

/* y += project(middle) of one group, from bias and residual on; after the last one y = act(y). */
static void project(const csd_args *args, const csd_input *middle, float *y, const float *residual,
                    uint32_t first, uint32_t last) {
    const csd_param *params = args->params;
    const csd_input *weight = &args->in[CSD_CONV_BLOCK_PROJECT];
    const float *bias = args->in[CSD_CONV_BLOCK_BIAS].data;
    const size_t plane = csd_count(&middle->shape, 2, 4);
    const size_t taps = csd_count(&weight->shape, 2, 4), products = csd_count(&weight->shape, 1, 4);
    const uint32_t channels = middle->shape.dims[1];
    csd_param p[CSD_CONV2D_P_ALPHA + 1];
    csd_args conv = {.params = p, .in = {[CSD_CONV2D_X] = *middle}};
    csd_input *slice = &conv.in[CSD_CONV2D_WEIGHT];
    set_window(p, params + CSD_CONV_BLOCK_P_PAD_TOP_3, &weight->shape);
    slice->shape = weight->shape;
    slice->shape.dims[0] = 1;
    slice->shape.dims[1] = channels;
    set_image(&conv.out[0].shape, &middle->shape, 1);
    for (size_t o = 0; o < weight->shape.dims[0]; o++, y += plane) {
        slice->data = (const float *)weight->data + o * products + first * taps;
        conv.out[0].data = y;
        conv.in[CSD_CONV2D_RESIDUAL].data = y;
        if (first == 0) {
            conv.in[CSD_CONV2D_RESIDUAL].data = residual ? residual + o * plane : NULL;
            set_vector(&conv.in[CSD_CONV2D_BIAS], bias ? bias + o : NULL, 1);
        }
        CSD_KERNEL(conv2d)(&conv);
        if (first + channels == last)
            finish(args, y, plane, o);
    }
}

/* What one group makes of x, at `planes`, and of that, behind it; with an int8 `middle`. Codes of x
   stand where those of `middle` come, which begins when they are no longer needed. */
static void run_codes(const csd_args *args, const csd_input *x, float *planes, uint32_t first) {
    const csd_input *expand = &args->in[CSD_CONV_BLOCK_EXPAND];
    const csd_input *middle = &args->in[CSD_CONV_BLOCK_MIDDLE];
    const csd_param *p = args->params, *pads = p + CSD_CONV_BLOCK_P_PAD_TOP_1;
    const uint32_t wide = expand->shape.dims[0], channels = middle->shape.dims[1];
    const size_t group = channels * csd_count(&x->shape, 2, 4);
    const float *row = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    const int32_t zero = p[CSD_CONV_BLOCK_P_CODE_ZERO].i;
    const int has_bytes = p[CSD_CONV_BLOCK_P_CODE_BITS].u == 8;
    float *made = planes + group;
    csd_input codes = *x;
    if (expand->shape.dtype == CSD_I16) {
        take_codes(made, x->data, csd_count(&x->shape, 1, 4), p[CSD_CONV_BLOCK_P_X_SCALE].f,
                   INT16_MIN, INT16_MAX);
        codes.data = made;
        convolve_codes(planes, &codes, expand, first, channels, row + 5 * wide, row, row + wide,
                       pads);
    } else {
        convolve(planes, x, (const float *)expand->data + first * csd_count(&expand->shape, 1, 4),
                 &expand->shape, row, row + wide, channels, pads);
    }
    take_codes(planes, planes, group, p[CSD_CONV_BLOCK_P_CODE_SCALE].f,
               has_bytes ? -zero : INT16_MIN, has_bytes ? UINT8_MAX - zero : INT16_MAX);
    codes.data = planes;
    convolve_codes(made, &codes, middle, first, channels, row + 4 * wide, row + 2 * wide,
                   row + 3 * wide, p + CSD_CONV_BLOCK_P_PAD_TOP_2);
}

void CSD_KERNEL(conv_block)(const csd_args *args) {
    const csd_input *expand = &args->in[CSD_CONV_BLOCK_EXPAND];
    const csd_input *middle = &args->in[CSD_CONV_BLOCK_MIDDLE];
    const csd_param *p = args->params;
    const csd_shape *out = &args->out[CSD_CONV_BLOCK_OUT_Y].shape;
    const uint32_t wide = expand->shape.dims[0], channels = middle->shape.dims[1];
    const size_t plane = csd_count(out, 2, 4), group = channels * plane;
    const size_t taken = csd_count(&expand->shape, 1, 4), products = csd_count(&middle->shape, 1, 4);
    const float *row = args->in[CSD_CONV_BLOCK_CHANNELS].data;
    const float *residual = args->in[CSD_CONV_BLOCK_RESIDUAL].data;
    float *y = args->out[CSD_CONV_BLOCK_OUT_Y].data;
    float *first = args->out[CSD_CONV_BLOCK_OUT_SCRATCH].data, *second = first + group;
    csd_input x = args->in[CSD_CONV_BLOCK_X], expanded = {.data = first}, made = {.data = second};
    x.shape.dims[0] = 1;
    set_image(&expanded.shape, &x.shape, channels);
    made.shape = expanded.shape;
    for (size_t n = 0; n < out->dims[0]; n++, y += out->dims[1] * plane) {
        for (uint32_t g = 0; g < wide; g += channels) {
            if (middle->shape.dtype == CSD_I8) {
                run_codes(args, &x, first, g);
            } else {
                convolve(first, &x, (const float *)expand->data + g * taken, &expand->shape,
                         row + g, row + wide + g, channels, p + CSD_CONV_BLOCK_P_PAD_TOP_1);
                convolve(second, &expanded, (const float *)middle->data + g * products,
                         &middle->shape, row + 2 * wide + g, row + 3 * wide + g, channels,
                         p + CSD_CONV_BLOCK_P_PAD_TOP_2);
            }
            if (expand->shape.dtype == CSD_I16) {
                take_codes(second, second, group, p[CSD_CONV_BLOCK_P_M_SCALE].f, INT16_MIN,
                           INT16_MAX);
                project_codes(args, &made, y, residual, g, wide);
            } else {
                project(args, &made, y, residual, g, wide);
            }
        }
        x.data = (const float *)x.data + csd_count(&x.shape, 1, 4);
        residual = residual ? residual + out->dims[1] * plane : NULL;
    }
}
