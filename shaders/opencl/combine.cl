// combine: to = scale x, x + y, x y or x sigmoid(y), element by element. An item, one a work-item, is 4 neighbouring
// columns of a row. See params/combine.h.
#define LANES 1
#include "params/combine.h"
#define KERNEL_PARAMS COMBINE_PARAMS
#include "lib/kernel.cl"
#include "lib/storage.cl"
#include "lib/numbers.cl"

#define TAKES_Y (COMBINE_ADD | COMBINE_GATE | COMBINE_MULTIPLY)

#if OPTIONS & COMBINE_X_HALF
typedef half XElement;
#define load_x load_half
#define load4_x(x, e) vload_half4(0, (x) + (e))
#else
typedef float XElement;
#define load_x load_float
#define load4_x(x, e) vload4(0, (x) + (e))
#endif
#if OPTIONS & COMBINE_Y_HALF
typedef half YElement;
#define load_y load_half
#define load4_y(x, e) vload_half4(0, (x) + (e))
#else
typedef float YElement;
#define load_y load_float
#define load4_y(x, e) vload4(0, (x) + (e))
#endif
#if OPTIONS & COMBINE_TO_HALF
typedef half ToElement;
#define store_to store_half
#define store4_to(to, e, x) vstore_half4(x, 0, (to) + (e))
#else
typedef float ToElement;
#define store_to store_float
#define store4_to(to, e, x) vstore4(x, 0, (to) + (e))
#endif

__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void
combine(__global const XElement *x, __global const YElement *y, __global const int *lengths,
        __global ToElement *to, const Params params, uint first_group) {
    const Params *p = &params;
    const uint items_a_row = (p->num_columns + 3u) / 4u;
    const uint item = group_index(first_group) * 128u + (uint)get_local_id(0);
    const uint column = item % items_a_row * 4u;
    const uint row = item / items_a_row % p->num_rows;
    const uint matrix = item / items_a_row / p->num_rows;
    const uint head = matrix % p->num_heads, batch = matrix / p->num_heads;
    if (batch >= p->num_batches) return;

    const uint count = min(p->num_columns - column, 4u);
    const uint x_at = p->base_x + batch * p->x_batch + head * p->x_head + row * p->x_row +
                      column * p->x_column;
    const uint y_at = p->base_y + batch * p->y_batch + head * p->y_head + row * p->y_row +
                      column * p->y_column;
    const uint e = p->base_to + batch * p->to_batch + head * p->to_head + row * p->to_row + column;
    float4 result = 0.0f, other = 0.0f;
    if (!has(COMBINE_LENGTHS) || (int)(p->row_begin + row) < lengths[p->base_lengths + batch]) {
        float a[4] = {0.0f}, b[4] = {0.0f};
        if (count == 4u && p->x_column == 1u) {
            result = load4_x(x, x_at);
        } else {
            _Pragma("unroll") for (uint i = 0; i < 4u; i++) if (i < count) a[i] =
                load_x(x, x_at + i * p->x_column);
            result = (float4)(a[0], a[1], a[2], a[3]);
        }
        if (!has(TAKES_Y)) {
            other = 0.0f;
        } else if (count == 4u && p->y_column == 1u) {
            other = load4_y(y, y_at);
        } else {
            _Pragma("unroll") for (uint i = 0; i < 4u; i++) if (i < count) b[i] =
                load_y(y, y_at + i * p->y_column);
            other = (float4)(b[0], b[1], b[2], b[3]);
        }
        if (has(COMBINE_ADD)) result += other;
        if (has(COMBINE_MULTIPLY)) result *= other;
        if (has(COMBINE_GATE)) result /= 1.0f + exp2(other * -LOG2_E);
        result *= p->scale;
    }
    if (count == 4u) {
        store4_to(to, e, result);
        return;
    }
    store_to(to, e, result.x);
    if (count > 1u) store_to(to, e + 1u, result.y);
    if (count > 2u) store_to(to, e + 2u, result.z);
}
