// What every variant of `gemm` shares: element types, which tile a work-group owns.
#if OPTIONS & GEMM_A_HALF
typedef half AElement;
#define load_a load_half
#define load4_a(x, e) vload_half4(0, (x) + (e))
#define load16_a load16_half
#else
typedef float AElement;
#define load_a load_float
#define load4_a(x, e) vload4(0, (x) + (e))
#define load16_a load16_float
#endif
#if OPTIONS & GEMM_B_HALF
typedef half BElement;
#define load_b load_half
#define load4_b(x, e) vload_half4(0, (x) + (e))
#define load16_b load16_half
#else
typedef float BElement;
#define load_b load_float
#define load4_b(x, e) vload4(0, (x) + (e))
#define load16_b load16_float
#endif

typedef struct Tile {
    uint batch, head, split;
    uint row, column; // first of the tile
    uint begin, end;  // of the depth
    uint a, b;        // elements where the two matrices begin
    uint bias, c;     // and where column 0 of the bias and element 0, 0 of c lie
} Tile;

static inline Tile tile_of_group(const Params *p, __global const int *depths, uint group,
                                 uint tile_rows, uint tile_columns) {
    Tile t;
    t.column = group % p->num_column_tiles * tile_columns;
    group /= p->num_column_tiles;
    if (p->a_head == 0u) { // heads that share rows of a come one after the other
        t.head = group % p->num_heads;
        group /= p->num_heads;
        t.row = group % p->num_row_tiles * tile_rows;
        group /= p->num_row_tiles;
        t.split = group % p->num_splits;
        t.batch = group / p->num_splits;
    } else {
        t.row = group % p->num_row_tiles * tile_rows;
        group /= p->num_row_tiles;
        t.split = group % p->num_splits;
        group /= p->num_splits;
        t.head = group % p->num_heads;
        t.batch = group / p->num_heads;
    }
    uint depth = p->depth;
    if (has(GEMM_DEPTHS)) {
        const int left = depths[p->base_depths + t.batch] - (int)p->depth_begin;
        depth = (uint)clamp(left, 0, (int)depth);
    }
    t.begin = min(t.split * p->depth_per_split, depth);
    t.end = min(t.begin + p->depth_per_split, depth);
    t.a = p->base_a + t.batch * p->a_batch + t.head * p->a_head;
    t.b = p->base_b + t.batch * p->b_batch + t.head * p->b_head;
    t.bias = p->base_bias + t.batch * p->bias_batch + t.head * p->bias_head;
    t.c = p->base_c + t.split * p->c_split + t.batch * p->c_batch + t.head * p->c_head;
    return t;
}
