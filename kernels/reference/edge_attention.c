/* Attention among users, channel by channel: the semantics stand in export/operations.py. The scores
   of 16 channels, which are lanes of a vector, stay in a register: for each pair of users they are
   summed over the antennas and spent at once. Channels that are left over go one by one, by the
   same roundings. */
#include <math.h>
#include <string.h>

#include "../kernels.h"
#include "../vectors.h"

/* The edges of one user: `step` numbers lie between two antennas. */
static void take_wide(float *y, const float *v, const float *q, const float *k, size_t antennas,
                      size_t step, float scale) {
    csd_wide score = csd_wide_all(0.0f);
    for (size_t m = 0; m < antennas; m++)
        score = csd_wide_fma(csd_wide_load(q + m * step), csd_wide_load(k + m * step), score);
    score = csd_wide_mul(score, csd_wide_all(scale));
    CSD_KEEP(score);
    for (size_t m = 0; m < antennas; m++) {
        float *to = y + m * step;
        csd_wide_store(to, csd_wide_fma(score, csd_wide_load(v + m * step), csd_wide_load(to)));
    }
}

static void take_one(float *y, const float *v, const float *q, const float *k, size_t antennas,
                     size_t step, float scale) {
    float score = 0.0f;
    for (size_t m = 0; m < antennas; m++)
        score = fmaf(q[m * step], k[m * step], score);
    score *= scale;
    for (size_t m = 0; m < antennas; m++)
        y[m * step] = fmaf(score, v[m * step], y[m * step]);
}

void CSD_KERNEL(edge_attention)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_EDGE_ATTENTION_VALUES].shape;
    const float *v = args->in[CSD_EDGE_ATTENTION_VALUES].data;
    const float *q = args->in[CSD_EDGE_ATTENTION_QUERIES].data;
    const float *k = args->in[CSD_EDGE_ATTENTION_KEYS].data;
    const size_t users = shape->dims[1], antennas = shape->dims[2], channels = shape->dims[3];
    const size_t edges = antennas * channels;
    float *y = args->out[0].data;
    float count = (float)antennas;
    if (args->params[CSD_EDGE_ATTENTION_P_AVERAGE].u != 0 && users > 1)
        count *= (float)(users - 1u);
    const float scale = 1.0f / count;
    memset(y, 0, csd_size(shape) * sizeof *y);
    for (size_t n = 0; n < shape->dims[0]; n++) {
        for (size_t i = 0; i < users; i++, y += edges, q += edges) {
            for (size_t j = 0; j < users; j++) {
                const float *own = v + j * edges, *key = k + j * edges;
                size_t c = 0;
                if (j == i)
                    continue;
                for (; c + CSD_WIDE <= channels; c += CSD_WIDE)
                    take_wide(y + c, own + c, q + c, key + c, antennas, channels, scale);
                for (; c < channels; c++)
                    take_one(y + c, own + c, q + c, key + c, antennas, channels, scale);
            }
        }
        v += users * edges;
        k += users * edges;
    }
}
