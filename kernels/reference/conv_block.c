/* Three convolutions, group by group: export/operations.py says what is computed. Each is CONV2D on
   slices. What the groups give to y is added in their order, as CONV2D adds its channels: the first
   group begins with bias and residual, every other with y itself, whose sums are never -0.

   An int8 `middle` runs in float32 as well where codes have 8 bits: the verifier holds its sums of
   products of codes and weights below 2^24, where float32 has all integers. With codes of 16 bits
   they stay below 2^31, and int32 has them. */
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

static int has_wide_codes(const csd_args *args) {
    return args->params[CSD_CONV_BLOCK_P_CODE_BITS].u == 16;
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

/* planes = act(conv(x) + bias) for `outputs` of its outputs, by rows of `channels`. */
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
    if (slopes != NULL) {
        p[CSD_CONV2D_P_ACTIVATION].u = CSD_ACT_PRELU;
        set_vector(&conv.in[CSD_CONV2D_BIAS], bias, outputs);
        set_vector(&conv.in[CSD_CONV2D_SLOPE], slopes, outputs);
    }
    CSD_KERNEL(conv2d)(&conv);
}

/* v[i] = its code of 8 bits - code_zero. */
static void take_codes(float *v, size_t total, const csd_param *params) {
    const int32_t zero = params[CSD_CONV_BLOCK_P_CODE_ZERO].i;
    uint8_t codes[CSD_BLOCK];
    const csd_output made = {.data = codes, .shape = {.dtype = CSD_U8}};
    const csd_input read = {.data = codes, .shape = {.dtype = CSD_U8}};
    for (size_t at = 0; at < total; at += CSD_BLOCK) {
        const size_t count = csd_block(total - at);
        for (size_t i = 0; i < count; i++)
            v[at + i] = v[at + i] / params[CSD_CONV_BLOCK_P_CODE_SCALE].f;
        CSD_KERNEL(saturate_codes)(&made, 0, v + at, count, zero);
        CSD_KERNEL(load_codes)(v + at, &read, 0, count, zero);
    }
}

/* The codes of 16 bits of `total` numbers at v, in their place from v on. A block is read before it
   is written, and what is written ends before what is still to be read. */
static void take_wide_codes(float *v, size_t total, const csd_param *params) {
    float ratio[CSD_BLOCK];
    const csd_output made = {.data = v, .shape = {.dtype = CSD_I16}};
    for (size_t at = 0; at < total; at += CSD_BLOCK) {
        const size_t count = csd_block(total - at);
        for (size_t i = 0; i < count; i++)
            ratio[i] = v[at + i] / params[CSD_CONV_BLOCK_P_CODE_SCALE].f;
        CSD_KERNEL(saturate_codes)(&made, at, ratio, count, 0);
    }
}

/* Those of 0 to size - 1 that a tap meets inside the image, when it reads `pad` before its output. */
static size_t first_inside(size_t tap, size_t pad) { return tap < pad ? pad - tap : 0; }
static size_t end_inside(size_t tap, size_t pad, size_t size) {
    return tap <= pad ? size : tap - pad < size ? size - (tap - pad) : 0;
}

/* One output: sums of codes of 16 bits times weights, tap by tap over the whole plane. */
static void sum_codes(int32_t *sums, const int16_t *codes, const csd_shape *x,
                      const int8_t *weight, const csd_shape *kernel, const csd_param *pads) {
    const size_t height = x->dims[2], width = x->dims[3], top = pads[0].u, left = pads[1].u;
    for (size_t i = 0; i < height * width; i++)
        sums[i] = 0;
    for (size_t c = 0; c < kernel->dims[1]; c++, codes += height * width) {
        for (size_t i = 0; i < kernel->dims[2]; i++) {
            const size_t end_row = end_inside(i, top, height);
            for (size_t j = 0; j < kernel->dims[3]; j++) {
                const int32_t w = *weight++;
                const size_t first = first_inside(j, left), end = end_inside(j, left, width);
                for (size_t row = first_inside(i, top); row < end_row; row++) {
                    int32_t *to = sums + row * width;
                    const int16_t *from = codes + (row + i - top) * width;
                    for (size_t column = first; column < end; column++)
                        to[column] += from[column + j - left] * w;
                }
            }
        }
    }
}

/* The second convolution of a group with int8 weights, which become floats at `room` where the
   codes are floats. */
static void convolve_codes(float *planes, csd_input *x, float *room, const int8_t *weight,
                           const csd_shape *kernel, const float *channels, size_t wide,
                           const csd_args *args) {
    const uint32_t outputs = kernel->dims[1];
    const size_t plane = csd_count(&x->shape, 2, 4), products = csd_count(kernel, 1, 4);
    const float *bias = channels + 2 * wide, *slope = bias + wide, *multiplier = slope + wide;
    const csd_param *pads = args->params + CSD_CONV_BLOCK_P_PAD_TOP_2;
    if (has_wide_codes(args)) {
        for (size_t o = 0; o < outputs; o++) {
            int32_t *sums = (int32_t *)(void *)(planes + o * plane);
            sum_codes(sums, x->data, &x->shape, weight + o * products, kernel, pads);
            for (size_t i = 0; i < plane; i++)
                planes[o * plane + i] = (float)sums[i];
        }
    } else {
        for (size_t i = 0; i < outputs * products; i++)
            room[i] = (float)weight[i];
        convolve(planes, x, room, kernel, NULL, NULL, outputs, pads);
    }
    for (size_t o = 0; o < outputs; o++, planes += plane) {
        for (size_t i = 0; i < plane; i++) {
            const float scaled = planes[i] * multiplier[o];
            planes[i] = scaled + bias[o];
        }
        CSD_KERNEL(activate)(planes, plane, CSD_ACT_PRELU, slope[o]);
    }
}

/* y += project(middle) of one group, from bias and residual on; after the last one y = act(y). */
static void project(const csd_args *args, const csd_input *middle, float *y, const float *residual,
                    uint32_t first, uint32_t last) {
    const csd_param *params = args->params;
    const csd_input *weight = &args->in[CSD_CONV_BLOCK_PROJECT];
    const csd_input *slopes = &args->in[CSD_CONV_BLOCK_SLOPE];
    const float *bias = args->in[CSD_CONV_BLOCK_BIAS].data;
    const size_t plane = csd_count(&middle->shape, 2, 4);
    const size_t taps = csd_count(&weight->shape, 2, 4), products = csd_count(&weight->shape, 1, 4);
    const uint32_t channels = middle->shape.dims[1];
    const uint32_t activation = params[CSD_CONV_BLOCK_P_ACTIVATION].u;
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
            CSD_KERNEL(activate)
            (y, plane, activation, csd_slope(slopes, o, params[CSD_CONV_BLOCK_P_ALPHA].f));
    }
}

void CSD_KERNEL(conv_block)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_CONV_BLOCK_X];
    const csd_input *expand = &args->in[CSD_CONV_BLOCK_EXPAND];
    const csd_input *middle = &args->in[CSD_CONV_BLOCK_MIDDLE];
    const csd_param *pads = args->params + CSD_CONV_BLOCK_P_PAD_TOP_1;
    const csd_shape *out = &args->out[CSD_CONV_BLOCK_OUT_Y].shape;
    const uint32_t wide = expand->shape.dims[0], channels = middle->shape.dims[1];
    const size_t plane = csd_count(out, 2, 4), group = channels * plane;
    const size_t taken = csd_count(&expand->shape, 1, 4), products = csd_count(&middle->shape, 1, 4);
    const float *weight = expand->data, *rows = args->in[CSD_CONV_BLOCK_CHANNELS].data;
    const float *residual = args->in[CSD_CONV_BLOCK_RESIDUAL].data;
    float *y = args->out[CSD_CONV_BLOCK_OUT_Y].data;
    float *first = args->out[CSD_CONV_BLOCK_OUT_SCRATCH].data, *second = first + group;
    csd_input x = *input, expanded = {.data = first}, made = {.data = second};
    x.shape.dims[0] = 1;
    set_image(&expanded.shape, &x.shape, channels);
    made.shape = expanded.shape;
    for (size_t n = 0; n < out->dims[0]; n++, y += out->dims[1] * plane) {
        for (uint32_t g = 0; g < wide; g += channels) {
            convolve(first, &x, weight + g * taken, &expand->shape, rows + g, rows + wide + g,
                     channels, pads);
            if (middle->shape.dtype == CSD_I8) {
                (has_wide_codes(args) ? take_wide_codes : take_codes)(first, group, args->params);
                convolve_codes(second, &expanded, second + group,
                               (const int8_t *)middle->data + g * products, &middle->shape, rows + g,
                               wide, args);
            } else {
                convolve(second, &expanded, (const float *)middle->data + g * products,
                         &middle->shape, rows + 2 * wide + g, rows + 3 * wide + g, channels,
                         args->params + CSD_CONV_BLOCK_P_PAD_TOP_2);
            }
            project(args, &made, y, residual, g, wide);
        }
        x.data = (const float *)x.data + csd_count(&x.shape, 1, 4);
        residual = residual ? residual + out->dims[1] * plane : NULL;
    }
}
