// Blocks of 16 x 16 elements in registers: rows of a tensor in, columns of a tile out, and back. For
// LANES 16; after storage.cl.

// Fetches cache lines ahead of their use, where the compiler knows how: rows that
// lie far apart are not found by the processor itself.
#if defined(__has_builtin)
#if __has_builtin(__builtin_prefetch)
#define CAN_FETCH 1
#endif
#endif
static inline void fetch_bytes(uintptr_t first, uint size_bytes) {
#ifdef CAN_FETCH
    for (uint i = 0; i < size_bytes; i += 64) __builtin_prefetch((const void *)(first + i));
#endif
}
static inline void fetch_row(__global const Storage *from, uint e, uint count) {
    fetch_bytes((uintptr_t)(from + e), count * (uint)sizeof(Storage));
}

// The transpose: element i of x[j] and element j of x[i] change places. A round deals the vectors out
// as if they were cards: the number of an element's vector and that of its lane, 8 bits one behind
// the other, are rotated by one.
static inline void transpose_block(float16 x[16]) {
    float16 y[16];
    _Pragma("unroll") for (int round = 0; round < 2; round++) {
        _Pragma("unroll") for (int i = 0; i < 8; i++) {
            y[i] = (float16)(x[2 * i].even, x[2 * i + 1].even);
            y[i + 8] = (float16)(x[2 * i].odd, x[2 * i + 1].odd);
        }
        _Pragma("unroll") for (int i = 0; i < 8; i++) {
            x[i] = (float16)(y[2 * i].even, y[2 * i + 1].even);
            x[i + 8] = (float16)(y[2 * i].odd, y[2 * i + 1].odd);
        }
    }
}
