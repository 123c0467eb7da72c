// What every variant of `gemm` shares: which tile a workgroup owns, and how results are written.

struct Tile {
    uint batch, head, split;
    uint row, column;     // first of the tile
    uint begin, end;      // of the depth
    uint a, b;            // elements where the two matrices begin
};

bool has(uint option) { return (OPTIONS & option) != 0u; }

Tile tile_of_group(uint group, uint tile_rows, uint tile_columns) {
    Tile t;
    t.column = group % p.num_column_tiles * tile_columns;
    group /= p.num_column_tiles;
    if (p.a_head == 0u) { // heads that share rows of a come one after the other
        t.head = group % p.num_heads;
        group /= p.num_heads;
        t.row = group % p.num_row_tiles * tile_rows;
        group /= p.num_row_tiles;
        t.split = group % p.num_splits;
        t.batch = group / p.num_splits;
    } else {
        t.row = group % p.num_row_tiles * tile_rows;
        group /= p.num_row_tiles;
        t.split = group % p.num_splits;
        group /= p.num_splits;
        t.head = group % p.num_heads;
        t.batch = group / p.num_heads;
    }
    uint depth = p.depth;
    if (has(GEMM_DEPTHS))
        depth = uint(clamp(depths[p.base_depths + t.batch] - int(p.depth_begin), 0, int(p.depth)));
    t.begin = min(t.split * p.depth_per_split, depth);
    t.end = min(t.begin + p.depth_per_split, depth);
    t.a = p.base_a + t.batch * p.a_batch + t.head * p.a_head;
    t.b = p.base_b + t.batch * p.b_batch + t.head * p.b_head;
    return t;
}

// Columns `column` .. `column` + 3 of a row, of those that exist: from the sum to c.
void store_columns(Tile t, uint row, uint column, vec4 x) {
    if (row >= p.num_rows || column >= p.num_columns) return;
    uint e = p.base_c + t.split * p.c_split + t.batch * p.c_batch + t.head * p.c_head + row * p.c_row + column;
    uint bias_at = p.base_bias + t.batch * p.bias_batch + t.head * p.bias_head + row * p.bias_row + column;
    finish_columns(e, bias_at, p.num_columns - column, x * p.scale);
}
