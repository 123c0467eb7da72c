#include "picture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cli_panel *picture_add(cli_picture *picture, uint32_t num_queries, uint32_t num_keys) {
    const size_t count = (size_t)num_queries * num_keys;
    picture->panels = tool_resize(picture->panels, picture->num + 1u, sizeof(*picture->panels));
    cli_panel *panel = &picture->panels[picture->num++];
    *panel = (cli_panel){.num_queries = num_queries, .num_keys = num_keys};
    panel->pairs = tool_alloc(count, sizeof(*panel->pairs));
    panel->tiles = tool_alloc(count, sizeof(*panel->tiles));
    return panel;
}

void picture_drop(cli_picture *picture) {
    cli_panel *panel = &picture->panels[--picture->num];
    free(panel->pairs);
    free(panel->tiles);
}

void picture_free(cli_picture *picture) {
    while (picture->num) {
        picture_drop(picture);
    }
    free(picture->panels);
    *picture = (cli_picture){0};
}

// A tile's corners and pairs while a panel is looked through.
typedef struct tile_extent {
    uint32_t first_x, first_y, last_x, last_y;
    uint64_t count;
} tile_extent;

static void extend(tile_extent *extent, uint32_t x, uint32_t y) {
    if (!extent->count++) {
        *extent = (tile_extent){x, y, x, y, 1};
    }
    extent->first_x = x < extent->first_x ? x : extent->first_x;
    extent->last_x = x > extent->last_x ? x : extent->last_x;
    extent->last_y = y;
}

cli_box *panel_boxes(const cli_panel *panel, uint32_t *out_num) {
    const size_t count = (size_t)panel->num_queries * panel->num_keys;
    uint32_t num_tiles = 0, num = 0;
    for (size_t i = 0; i < count; i++) {
        num_tiles = panel->tiles[i] > num_tiles ? panel->tiles[i] : num_tiles;
    }
    tile_extent *extents = tool_alloc(num_tiles + 1u, sizeof(*extents));
    cli_box *boxes = tool_alloc(num_tiles + 1u, sizeof(*boxes));
    for (size_t i = 0; i < count; i++) {
        extend(&extents[panel->tiles[i]], (uint32_t)(i % panel->num_keys),
               (uint32_t)(i / panel->num_keys));
    }
    for (uint32_t i = 1; i <= num_tiles; i++) {
        const tile_extent *e = &extents[i];
        const cli_box box = {e->first_x, e->first_y, e->last_x - e->first_x + 1,
                             e->last_y - e->first_y + 1};
        if (e->count > 1 && e->count == (uint64_t)box.width * box.height) {
            boxes[num++] = box;
        }
    }
    free(extents);
    *out_num = num;
    return boxes;
}

void bytes_add(cli_bytes *out, const void *bytes, size_t size) {
    if (out->size + size > out->capacity) {
        out->capacity = 2 * (out->size + size);
        out->bytes = tool_resize(out->bytes, out->capacity, 1);
    }
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

void bytes_print(cli_bytes *out, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bytes_add(out, text, size < (int)sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

// A line of text ends where its last panel does.
static void pad_line(cli_bytes *out, size_t width) {
    for (size_t i = 0; i < width; i++) {
        bytes_add(out, " ", 1);
    }
}

static void add_captions(const cli_panel *panels, uint32_t num, cli_bytes *out) {
    for (uint32_t i = 0; i < num; i++) {
        const size_t length = strlen(panels[i].caption), width = panels[i].num_keys;
        bytes_print(out, "%s", panels[i].caption);
        pad_line(out, i + 1 == num ? 0 : length < width ? width - length + 2 : 2);
    }
    bytes_add(out, "\n", 1);
}

static void add_row(const cli_panel *panel, uint32_t query, cli_bytes *out) {
    static const char tones[] = {'.', '+', '#'};
    for (uint32_t key = 0; key < panel->num_keys; key++) {
        const uint8_t pair =
            query < panel->num_queries ? panel->pairs[(size_t)query * panel->num_keys + key] : 0;
        bytes_add(out, query < panel->num_queries ? &tones[pair] : " ", 1);
    }
}

// How many panels from the first on fit side by side on a terminal; at least one.
static uint32_t count_beside(const cli_panel *panels, uint32_t num) {
    const size_t columns = 160;
    size_t used = 0;
    uint32_t beside = 0;
    while (beside < num) {
        const size_t caption = strlen(panels[beside].caption), keys = panels[beside].num_keys;
        used += 2 + (caption > keys ? caption : keys);
        if (beside && used > columns) {
            break;
        }
        beside++;
    }
    return beside;
}

int picture_text(const cli_picture *picture, cli_bytes *out) {
    uint32_t num = 0;
    for (uint32_t first = 0; first < picture->num; first += num) {
        const cli_panel *panels = picture->panels + first;
        uint32_t num_rows = 0;
        num = count_beside(panels, picture->num - first);
        add_captions(panels, num, out);
        for (uint32_t i = 0; i < num; i++) {
            num_rows = panels[i].num_queries > num_rows ? panels[i].num_queries : num_rows;
        }
        for (uint32_t query = 0; query < num_rows; query++) {
            for (uint32_t i = 0; i < num; i++) {
                const size_t caption = strlen(panels[i].caption), keys = panels[i].num_keys;
                add_row(&panels[i], query, out);
                pad_line(out, i + 1 == num ? 0 : caption > keys ? caption - keys + 2 : 2);
            }
            bytes_add(out, "\n", 1);
        }
        bytes_add(out, "\n", 1);
    }
    bytes_print(out,
                "queries down, keys across: # visible, + computed and masked, . not computed\n");
    return TOOL_OK;
}
