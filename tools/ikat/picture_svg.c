// Pictures as SVG: whole numbers only, so that the same picture is the same file everywhere.

#include "picture.h"

#include <stdlib.h>

// Sizes in pixels.
enum { PANEL = 200, GAP = 16, CAPTION = 18, LEGEND = 24, LINE = 12 };

static const char style[] = "<style>"
                            ".n{fill:#eef1f5}"
                            ".m{stroke:#a9c4e4}"
                            ".v{stroke:#1f4e8c}"
                            ".t{stroke:#e07b39}"
                            "path{fill:none;shape-rendering:crispEdges}"
                            "text{font:12px sans-serif;fill:#333}"
                            "</style>\n";

// Keys [x, end) of one row: all of a kind, or with `gap`, dashes of it that are `gap` apart.
typedef struct svg_stroke {
    uint32_t x, end, dash, gap;
} svg_stroke;

// The dashes that strokes of one kind have; the first is none.
typedef struct svg_dashes {
    svg_stroke *items;
    uint32_t num;
} svg_dashes;

static bool find_run(const uint8_t *row, uint32_t num_keys, uint8_t kind, uint32_t from,
                     svg_stroke *out) {
    uint32_t x = from;
    while (x < num_keys && row[x] != kind) {
        x++;
    }
    *out = (svg_stroke){.x = x, .end = x};
    while (out->end < num_keys && row[out->end] == kind) {
        out->end++;
    }
    return out->end > x;
}

// The next stroke of a row: a run, or three and more that are alike.
static bool find_stroke(const uint8_t *row, uint32_t num_keys, uint8_t kind, uint32_t from,
                        svg_stroke *out) {
    svg_stroke first, next;
    if (!find_run(row, num_keys, kind, from, &first)) {
        return false;
    }
    uint32_t num = 1;
    *out = first;
    out->dash = first.end - first.x;
    while (find_run(row, num_keys, kind, out->end, &next) && next.end - next.x == out->dash &&
           (num == 1 || next.x - out->end == out->gap)) {
        out->gap = next.x - out->end;
        out->end = next.end;
        num++;
    }
    if (num < 3) {
        *out = first;
    }
    return true;
}

static bool has_dash(const svg_stroke *stroke, const svg_stroke *dash) {
    return stroke->dash == dash->dash && stroke->gap == dash->gap;
}

static void find_dashes(const cli_panel *panel, uint8_t kind, svg_dashes *out) {
    out->items = tool_alloc(1, sizeof(*out->items));
    out->num = 1;
    for (uint32_t y = 0; y < panel->num_queries; y++) {
        const uint8_t *row = panel->pairs + (size_t)y * panel->num_keys;
        svg_stroke stroke = {0};
        while (find_stroke(row, panel->num_keys, kind, stroke.end, &stroke)) {
            uint32_t i = 0;
            while (i < out->num && !has_dash(&stroke, &out->items[i])) {
                i++;
            }
            if (i == out->num) {
                out->items = tool_resize(out->items, i + 1u, sizeof(*out->items));
                out->items[out->num++] = stroke;
            }
        }
    }
}

// All strokes with one dash, of width 1, each from the end of the one before.
static void add_strokes(const cli_panel *panel, uint8_t kind, const char *name,
                        const svg_stroke *dash, cli_bytes *out) {
    int64_t at_x = 0, at_y = 0;
    bytes_print(out, "<path class=\"%s\"", name);
    if (dash->dash) {
        bytes_print(out, " stroke-dasharray=\"%u %u\"", dash->dash, dash->gap);
    }
    bytes_print(out, " d=\"M0 .5");
    for (uint32_t y = 0; y < panel->num_queries; y++) {
        const uint8_t *row = panel->pairs + (size_t)y * panel->num_keys;
        svg_stroke stroke = {0};
        while (find_stroke(row, panel->num_keys, kind, stroke.end, &stroke)) {
            if (has_dash(&stroke, dash)) {
                bytes_print(out, "m%lld %lldh%u", (long long)(stroke.x - at_x),
                            (long long)(y - at_y), stroke.end - stroke.x);
                at_x = stroke.end;
                at_y = y;
            }
        }
    }
    bytes_print(out, "\"/>\n");
}

static void add_pairs(const cli_panel *panel, uint8_t kind, const char *name, cli_bytes *out) {
    svg_dashes dashes;
    find_dashes(panel, kind, &dashes);
    for (uint32_t i = 0; i < dashes.num; i++) {
        add_strokes(panel, kind, name, &dashes.items[i], out);
    }
    free(dashes.items);
}

// `width` of a line: a pixel, in thousandths of a pair.
static void add_boxes(const cli_panel *panel, uint32_t width, cli_bytes *out) {
    uint32_t num;
    cli_box *boxes = panel_boxes(panel, &num);
    bytes_print(out, "<path class=\"t\" stroke-width=\"%u.%03u\" d=\"M0 0", width / 1000,
                width % 1000);
    for (uint32_t i = 0; i < num; i++) {
        const cli_box *box = &boxes[i];
        bytes_print(out, "M%u %uh%uv%uh-%uz", box->x, box->y, box->width, box->height, box->width);
    }
    bytes_print(out, "\"/>\n");
    free(boxes);
}

static void add_panel(const cli_panel *panel, uint32_t x, uint32_t y, cli_bytes *out) {
    const uint32_t most =
        panel->num_keys > panel->num_queries ? panel->num_keys : panel->num_queries;
    const uint32_t scale = 1000u * PANEL / most; // in thousandths
    bytes_print(out, "<text x=\"%u\" y=\"%u\">%s</text>\n", x, y + LINE, panel->caption);
    bytes_print(out, "<g transform=\"translate(%u %u) scale(%u.%03u)\">\n", x, y + CAPTION,
                scale / 1000, scale % 1000);
    bytes_print(out, "<rect class=\"n\" width=\"%u\" height=\"%u\"/>\n", panel->num_keys,
                panel->num_queries);
    add_pairs(panel, IKAT_PAIR_MASKED, "m", out);
    add_pairs(panel, IKAT_PAIR_VISIBLE, "v", out);
    add_boxes(panel, 1000u * most / PANEL, out);
    bytes_print(out, "</g>\n");
}

static void add_legend(uint32_t y, cli_bytes *out) {
    static const char *const words[] = {"visible", "masked", "a tile"};
    static const char names[] = "vmt";
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t x = GAP + 66 * i;
        bytes_print(out, "<path class=\"%c\" stroke-width=\"8\" d=\"M%u %uh8\"/>", names[i], x,
                    y + LINE - 4);
        bytes_print(out, "<text x=\"%u\" y=\"%u\">%s</text>\n", x + 12, y + LINE, words[i]);
    }
}

int picture_svg(const cli_picture *picture, cli_bytes *out) {
    const uint32_t columns = picture->num < PICTURE_COLUMNS ? picture->num : PICTURE_COLUMNS;
    const uint32_t rows = (picture->num + columns - 1) / columns;
    const uint32_t width = GAP + columns * (PANEL + GAP);
    const uint32_t height = rows * (CAPTION + PANEL + GAP / 2) + LEGEND + GAP / 2;
    bytes_print(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
                "viewBox=\"0 0 %u %u\">\n",
                width, height, width, height);
    bytes_print(out, "%s<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n", style, width, height);
    for (uint32_t i = 0; i < picture->num; i++) {
        add_panel(&picture->panels[i], GAP + i % columns * (PANEL + GAP),
                  GAP / 2 + i / columns * (CAPTION + PANEL + GAP / 2), out);
    }
    add_legend(height - LEGEND, out);
    bytes_print(out, "</svg>\n");
    return TOOL_OK;
}
