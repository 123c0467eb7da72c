// attend_lane.comp with lanes as query rows: row `a` of a lane is the tile's row LANES * a + lane.
//
// The lanes fetch a key, then a value, together, 4 elements each; a shuffle brings every element to
// all lanes and serves ROWS rows there. A row's softmax is its lane's own affair.

#define TILE_ROWS (LANES * ROWS)

// Element x of lane `from`. The index is not quite a constant: drivers spend two instructions on a
// constant one.
#define SHARED(x, from) subgroupShuffle(x, uint(from) + p.unroll_guard)

// Row `a` of the lane in the tile, and key `b` of its step at j.
uint own_row(int a) { return uint(LANES * a) + lane; }
int own_key(int j, int b) { return j + b; }

void multiply_keys(bool cut) {
    vec4 key[KEYS][PARTS];
    EACH(b, step_keys(cut)) {
        uint e = key_base + key_at[b] * p.k_row;
        EACH(c, PARTS) key[b][c] = load_k(e, 4 * (LANES * c + int(lane)), int(p.head_size));
    }
    EACH(b, step_keys(cut)) {
        vec4 s[ROWS];
        EACH(a, ROWS) s[a] = vec4(0.0);
        EACH(c, PARTS) EACH(w, LANES) {
            vec4 x = SHARED(key[b][c], w);
            EACH(a, ROWS) s[a] += query[a][LANES * c + w] * x;
        }
        EACH(a, ROWS) score[a][b] = (s[a].x + s[a].y) + (s[a].z + s[a].w);
    }
}

// A value that a row does not see is replaced by 0, for it may be NaN.
void add_values(bool cut) {
    EACH(c, PARTS) {
        vec4 part[KEYS];
        EACH(b, step_keys(cut)) {
            uint e = value_base + key_at[b] * p.v_row;
            part[b] = load_v(e, 4 * (LANES * c + int(lane)), int(p.value_size));
        }
        EACH(w, LANES) EACH(b, step_keys(cut)) {
            vec4 x = SHARED(part[b], w);
            EACH(a, ROWS) {
                vec4 y = cut ? uintBitsToFloat(floatBitsToUint(x) & seen[a][b]) : x;
                value[a][LANES * c + w] += score[a][b] * y;
            }
        }
    }
}

void join_lanes() {}

void store_columns(uint e, int d, vec4 x);

void store_row(uint e, int a) { EACH(d, VECTORS) store_columns(e, d, value[a][d]); }

bool owns_lse() { return true; }
