#include "tensor.h"

#include "host.h"

static bool has_elements(const ikat_tensor *tensor) {
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        if (tensor->shape[axis] == 0) {
            return false;
        }
    }
    return true;
}

static bool numbers_are_possible(const ikat_tensor *tensor) {
    if (ikat_dtype_size(tensor->dtype) == 0 || tensor->rank > IKAT_MAX_RANK || tensor->offset < 0) {
        return false;
    }
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        if (tensor->shape[axis] < 0 || tensor->strides[axis] < 0) {
            return false;
        }
    }
    return true;
}

// False if the product of the extents overflows; an extent of 0 counts as 1, so that the order of
// axes does not matter.
static bool fill_packed_strides(ikat_tensor *tensor) {
    uint64_t stride = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        tensor->strides[axis] = (int64_t)stride;
        const uint64_t extent = tensor->shape[axis] > 0 ? (uint64_t)tensor->shape[axis] : 1;
        if (!ikati_mul_size(stride, extent, &stride) || stride > INT64_MAX) {
            return false;
        }
    }
    return true;
}

// Bytes from the start of the binding to the end of the last element, computed with checks.
static bool size_fits(const ikat_tensor *tensor, uint64_t *out_size_bytes) {
    uint64_t last = (uint64_t)tensor->offset, count = 1;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        uint64_t reach = 0;
        const uint64_t steps = (uint64_t)tensor->shape[axis] - 1;
        if (!ikati_mul_size(steps, (uint64_t)tensor->strides[axis], &reach) ||
            !ikati_add_size(last, reach, &last) ||
            !ikati_mul_size(count, (uint64_t)tensor->shape[axis], &count)) {
            return false;
        }
    }
    uint64_t num_elements = 0;
    return ikati_add_size(last, 1, &num_elements) && count <= INT64_MAX &&
           ikati_mul_size(num_elements, ikat_dtype_size(tensor->dtype), out_size_bytes) &&
           *out_size_bytes <= INT64_MAX;
}

static bool all_strides_zero(const ikat_tensor *tensor) {
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        if (tensor->strides[axis] != 0) {
            return false;
        }
    }
    return true;
}

// False if the strides given are impossible.
static bool resolve_strides(ikat_tensor *tensor) {
    if (tensor->rank == 0) {
        return true;
    }
    if (all_strides_zero(tensor)) {
        return fill_packed_strides(tensor);
    }
    const uint32_t inner = tensor->rank - 1;
    if (tensor->shape[inner] > 1 && tensor->strides[inner] != 1) {
        return false;
    }
    tensor->strides[inner] = 1;
    return true;
}

ikat_status ikati_tensor_resolve(const ikat_tensor *tensor, ikat_tensor *out_tensor) {
    if (!numbers_are_possible(tensor)) {
        return IKAT_INVALID;
    }
    ikat_tensor resolved = {.dtype = tensor->dtype, .rank = tensor->rank, .offset = tensor->offset};
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        resolved.shape[axis] = tensor->shape[axis];
        resolved.strides[axis] = tensor->strides[axis];
    }
    uint64_t size_bytes = 0;
    if (!resolve_strides(&resolved) ||
        (has_elements(&resolved) && !size_fits(&resolved, &size_bytes))) {
        return IKAT_INVALID;
    }
    *out_tensor = resolved;
    return IKAT_OK;
}

ikat_status ikat_tensor_size_bytes(const ikat_tensor *tensor, uint64_t *out_size_bytes) {
    if (!out_size_bytes) {
        return IKAT_INVALID;
    }
    *out_size_bytes = 0;
    ikat_tensor resolved;
    if (!tensor || ikati_tensor_resolve(tensor, &resolved) != IKAT_OK) {
        return IKAT_INVALID;
    }
    if (has_elements(&resolved)) {
        size_fits(&resolved, out_size_bytes); // checked by resolve
    }
    return IKAT_OK;
}

uint64_t ikati_tensor_count(const ikat_tensor *tensor) {
    if (!has_elements(tensor)) {
        return 0;
    }
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        count *= (uint64_t)tensor->shape[axis];
    }
    return count;
}

uint64_t ikati_tensor_span(const ikat_tensor *tensor) {
    if (!has_elements(tensor)) {
        return 0;
    }
    uint64_t span = 1;
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        span += (uint64_t)(tensor->shape[axis] - 1) * (uint64_t)tensor->strides[axis];
    }
    return span;
}

bool ikati_tensor_is_disjoint(const ikat_tensor *tensor) {
    if (!has_elements(tensor)) {
        return true;
    }
    // From the smallest stride up: each must step over all that the smaller ones cover.
    uint64_t span = 1;
    bool used[IKAT_MAX_RANK] = {false};
    for (uint32_t taken = 0; taken < tensor->rank; taken++) {
        uint32_t axis = IKAT_MAX_RANK;
        for (uint32_t i = 0; i < tensor->rank; i++) {
            if (!used[i] && (axis == IKAT_MAX_RANK || tensor->strides[i] < tensor->strides[axis])) {
                axis = i;
            }
        }
        used[axis] = true;
        if (tensor->shape[axis] > 1) {
            if ((uint64_t)tensor->strides[axis] < span) {
                return false;
            }
            span += (uint64_t)(tensor->shape[axis] - 1) * (uint64_t)tensor->strides[axis];
        }
    }
    return true;
}

bool ikati_tensor_is_packed(const ikat_tensor *tensor) {
    uint64_t stride = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0 && ikati_tensor_count(tensor) > 0;) {
        if (tensor->shape[axis] > 1 && (uint64_t)tensor->strides[axis] != stride) {
            return false;
        }
        stride *= (uint64_t)tensor->shape[axis];
    }
    return true;
}
