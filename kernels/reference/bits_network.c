/* Packed bits -> hidden codes -> codes -> floats: two QLINEAR one behind the other, row by row. Nothing
   is rounded before the end of a sum, so that its order does not matter; a sum without its bias fits
   32 bits (512 x 255 x 128). */
#include "../codes.h"

#define MOST 512u  /* the verifier's most bits of a row, and most hidden units */
#define OUTPUTS 32u

static void take_bits(int16_t *words, const uint8_t *payload, size_t at, size_t count) {
    for (size_t i = 0; i < count; i++, at++)
        words[i] = (int16_t)((unsigned)payload[at / 8u] >> (7u - at % 8u) & 1u);
}

static int32_t dot(const int16_t *x, const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
}

/* codes[m] of the rows of a weight (outputs, inputs), whose `p` are zero, low and high. */
static void layer(uint8_t *codes, const int16_t *words, const csd_input *weight,
                  const int32_t *bias, const float *multiplier, size_t from, size_t count,
                  const csd_param *p) {
    const size_t inputs = weight->shape.dims[1];
    const int8_t *w = (const int8_t *)weight->data + from * inputs;
    const csd_output made = {.data = codes, .shape = {.dtype = CSD_U8}};
    float scaled[OUTPUTS];
    for (size_t i = 0; i < count; i++, w += inputs) {
        const int64_t sum = (int64_t)dot(words, w, inputs) + (bias ? bias[from + i] : 0);
        scaled[i] = (float)sum * multiplier[from + i];
    }
    CSD_KERNEL(store_codes)(&made, 0, scaled, count, p[0].i, p[1].i, p[2].i);
}

void CSD_KERNEL(bits_network)(const csd_args *args) {
    const csd_input *first = &args->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT];
    const csd_input *second = &args->in[CSD_BITS_NETWORK_WEIGHT];
    const csd_shape *out = &args->out[0].shape;
    const size_t bits = first->shape.dims[1], hidden = first->shape.dims[0];
    const size_t outputs = out->dims[2], length = args->in[CSD_BITS_NETWORK_PAYLOAD].shape.dims[1];
    const csd_param *p = args->params;
    const int16_t zero = (int16_t)p[CSD_BITS_NETWORK_P_HIDDEN_ZERO].i;
    const uint8_t *payload = args->in[CSD_BITS_NETWORK_PAYLOAD].data;
    float *y = args->out[0].data;
    uint8_t codes[OUTPUTS];
    int16_t words[MOST];
    uint8_t held[MOST];
    for (size_t n = 0; n < out->dims[0]; n++, payload += length)
        for (size_t row = 0; row < out->dims[1]; row++, y += outputs) {
            take_bits(words, payload, row * bits, bits);
            for (size_t m = 0; m < hidden; m += OUTPUTS) {
                const size_t count = hidden - m < OUTPUTS ? hidden - m : OUTPUTS;
                layer(held + m, words, first, args->in[CSD_BITS_NETWORK_HIDDEN_BIAS].data,
                      args->in[CSD_BITS_NETWORK_HIDDEN_MULTIPLIER].data, m, count,
                      p + CSD_BITS_NETWORK_P_HIDDEN_ZERO);
            }
            for (size_t k = 0; k < hidden; k++)
                words[k] = (int16_t)(held[k] - zero);
            for (size_t m = 0; m < outputs; m += OUTPUTS) {
                const size_t count = outputs - m < OUTPUTS ? outputs - m : OUTPUTS;
                layer(codes, words, second, args->in[CSD_BITS_NETWORK_BIAS].data,
                      args->in[CSD_BITS_NETWORK_MULTIPLIER].data, m, count,
                      p + CSD_BITS_NETWORK_P_Y_ZERO);
                for (size_t i = 0; i < count; i++)
                    y[m + i] = (float)(codes[i] - p[CSD_BITS_NETWORK_P_Y_ZERO].i) *
                               p[CSD_BITS_NETWORK_P_Y_SCALE].f;
            }
        }
}
