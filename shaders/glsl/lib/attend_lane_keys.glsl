// attend_lane.comp with lanes as keys, for few query rows: every lane has the same ROWS rows and
// takes the keys j + LANES * b + lane, each element of which it fetches itself. Nothing is shared
// until join_lanes() adds up the lanes.

#define TILE_ROWS ROWS

// Row `a` of the lane in the tile, and key `b` of its step at j.
uint own_row(int a) { return uint(a); }
int own_key(int j, int b) { return j + LANES * b + int(lane); }

void multiply_keys(bool cut) {
    EACH(b, step_keys(cut)) {
        uint e = key_base + key_at[b] * p.k_row;
        vec4 s[ROWS];
        EACH(a, ROWS) s[a] = vec4(0.0);
        EACH(d, VECTORS) {
            vec4 x = load_k(e, 4 * d, int(p.head_size));
            EACH(a, ROWS) s[a] += query[a][d] * x;
        }
        EACH(a, ROWS) score[a][b] = (s[a].x + s[a].y) + (s[a].z + s[a].w);
    }
}

// A value that a row does not see is replaced by 0, for it may be NaN.
void add_values(bool cut) {
    EACH(d, VECTORS) EACH(b, step_keys(cut)) {
        uint e = value_base + key_at[b] * p.v_row;
        vec4 x = load_v(e, 4 * d, int(p.value_size));
        EACH(a, ROWS) {
            vec4 y = cut ? uintBitsToFloat(floatBitsToUint(x) & seen[a][b]) : x;
            value[a][d] += score[a][b] * y;
        }
    }
}

void scale_row(int a, float factor);

// Every lane gets the state of all keys.
void join_lanes() {
    EACH(a, ROWS) {
        float all = base[a];
        EACH(b, LANE_BITS) all = max(all, subgroupShuffle(all, lane ^ (1u << b)));
        scale_row(a, exp2(base[a] - all));
        base[a] = all;
        EACH(b, LANE_BITS) {
            sum[a] += subgroupShuffle(sum[a], lane ^ (1u << b));
            EACH(d, VECTORS) value[a][d] += subgroupShuffle(value[a][d], lane ^ (1u << b));
        }
    }
}

void store_columns(uint e, int d, vec4 x);

// A lane stores every LANES-th group of columns.
void store_row(uint e, int a) {
    EACH(c, PARTS) {
        vec4 x = value[a][LANES * c];
        EACH(w, LANES) x = int(lane) == w ? value[a][LANES * c + w] : x;
        store_columns(e, LANES * c + int(lane), x);
    }
}

bool owns_lse() { return lane == 0u; }
