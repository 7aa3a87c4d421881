/* The mean or the largest element of each window: x (n, C, H, W), y (n, C, H', W').

   A mean is the sum, by kernel row and column in order, divided by the number of elements: those of
   x in the window, with `count_pad` those of the pads too. Windows may reach beyond the pads, where
   nothing counts. A window that meets no element gives 0, or -infinity as its maximum. NaN is the
   largest. The innermost loop runs along a row of y. */
#include "../elementary.h"
#include "../kernels.h"
#include "../window.h"

/* One axis of the pooling. */
typedef struct axis_window {
    size_t in, out, kernel, stride, dilation, before, after;
} axis_window;

/* Taps [first, end) that meet an element of x in some window; a kernel may be far larger than x. */
static csd_span meeting_taps(const axis_window *w) {
    const ptrdiff_t least = (ptrdiff_t)w->before - (ptrdiff_t)((w->out - 1) * w->stride);
    const size_t most = w->in - 1 + w->before;
    csd_span taps = {0, most / w->dilation + 1};
    if (least > 0)
        taps.first = ((size_t)least + w->dilation - 1) / w->dilation;
    if (taps.end > w->kernel)
        taps.end = w->kernel;
    return taps;
}

static csd_span outputs_of(const axis_window *w, size_t tap) {
    return csd_inside(w->in, w->out, w->stride,
                      (ptrdiff_t)(tap * w->dilation) - (ptrdiff_t)w->before);
}

/* Elements that count in window `o`: taps whose place, from the first pad on, is in [low, high). */
static size_t counted(const axis_window *w, size_t o, int count_pad) {
    const size_t low = count_pad ? 0 : w->before;
    const size_t high = w->before + w->in + (count_pad ? w->after : 0);
    const size_t start = o * w->stride;
    const size_t reach = (w->kernel - 1) * w->dilation;
    if (start >= low && start + reach < high)
        return w->kernel;
    const size_t first = start < low ? (low - start + w->dilation - 1) / w->dilation : 0;
    const size_t end = start < high ? (high - 1 - start) / w->dilation + 1 : 0;
    const size_t last = end < w->kernel ? end : w->kernel;
    return first < last ? last - first : 0;
}

static void join_row(float *restrict y, const float *restrict x, size_t count, size_t stride,
                     int largest) {
    if (largest)
        for (size_t i = 0; i < count; i++)
            y[i] = csd_max(y[i], x[i * stride]);
    else
        for (size_t i = 0; i < count; i++)
            y[i] += x[i * stride];
}

static void pool_plane(float *y, const float *x, const axis_window *h, const axis_window *w,
                       int largest) {
    const csd_span rows = meeting_taps(h), columns = meeting_taps(w);
    const float start = largest ? csd_float(0xFF800000u) : 0.0f;
    for (size_t i = 0; i < h->out * w->out; i++)
        y[i] = start;
    for (size_t i = rows.first; i < rows.end; i++) {
        const csd_span down = outputs_of(h, i);
        for (size_t j = columns.first; j < columns.end; j++) {
            const csd_span right = outputs_of(w, j);
            const size_t at = right.first * w->stride + j * w->dilation - w->before;
            for (size_t o = down.first; o < down.end && right.first < right.end; o++) {
                const size_t row = o * h->stride + i * h->dilation - h->before;
                join_row(y + o * w->out + right.first, x + row * w->in + at,
                         right.end - right.first, w->stride, largest);
            }
        }
    }
}

static void divide_plane(float *y, const axis_window *h, const axis_window *w, int count_pad) {
    for (size_t o = 0; o < h->out; o++) {
        const size_t rows = counted(h, o, count_pad);
        for (size_t i = 0; i < w->out; i++, y++) {
            const size_t count = rows * counted(w, i, count_pad);
            *y /= (float)(count > 0 ? count : 1); /* the sum of nothing is 0 */
        }
    }
}

void CSD_KERNEL(pool2d)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_POOL2D_X].shape, *out = &args->out[0].shape;
    const csd_param *p = args->params;
    const axis_window h = {in->dims[2],
                           out->dims[2],
                           p[CSD_POOL2D_P_KERNEL_H].u,
                           p[CSD_POOL2D_P_STRIDE_H].u,
                           p[CSD_POOL2D_P_DILATION_H].u,
                           p[CSD_POOL2D_P_PAD_TOP].u,
                           p[CSD_POOL2D_P_PAD_BOTTOM].u};
    const axis_window w = {in->dims[3],
                           out->dims[3],
                           p[CSD_POOL2D_P_KERNEL_W].u,
                           p[CSD_POOL2D_P_STRIDE_W].u,
                           p[CSD_POOL2D_P_DILATION_W].u,
                           p[CSD_POOL2D_P_PAD_LEFT].u,
                           p[CSD_POOL2D_P_PAD_RIGHT].u};
    const int largest = p[CSD_POOL2D_P_FUNCTION].u == CSD_REDUCTION_MAX;
    const int count_pad = p[CSD_POOL2D_P_COUNT_PAD].u == 1;
    const size_t planes = csd_count(out, 0, 2);
    const float *x = args->in[CSD_POOL2D_X].data;
    float *y = args->out[0].data;
    for (size_t i = 0; i < planes; i++, x += h.in * w.in, y += h.out * w.out) {
        pool_plane(y, x, &h, &w, largest);
        if (!largest)
            divide_plane(y, &h, &w, count_pad);
    }
}
