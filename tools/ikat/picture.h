// Pictures of who sees whom: queries down, keys across, a tone a pair, borders around tiles.

#ifndef PICTURE_H
#define PICTURE_H

#include "tool.h"

// One matrix of pairs.
//
// pairs  of ikat_pair; tiles: as ikat_plan_get_row; both [num_queries, num_keys]
typedef struct cli_panel {
    char caption[128];
    uint32_t num_queries, num_keys;
    uint8_t *pairs;
    uint32_t *tiles;
} cli_panel;

typedef struct cli_picture {
    cli_panel *panels;
    uint32_t num;
} cli_picture;

// Adds a panel without caption, its arrays zeroed. Valid until the next one is added.
cli_panel *picture_add(cli_picture *picture, uint32_t num_queries, uint32_t num_keys);
// Takes the last panel away again.
void picture_drop(cli_picture *picture);
void picture_free(cli_picture *picture);

// Pairs [y, y + height) x [x, x + width): a tile whose rows and keys are neighbours.
typedef struct cli_box {
    uint32_t x, y, width, height;
} cli_box;

// The tiles of a panel that are boxes; to be freed.
cli_box *panel_boxes(const cli_panel *panel, uint32_t *out_num);

// Panels are laid out in rows, left to right.
enum { PICTURE_COLUMNS = 4 };

// The bytes of a file while it grows.
typedef struct cli_bytes {
    uint8_t *bytes;
    size_t size, capacity;
} cli_bytes;

void bytes_add(cli_bytes *out, const void *bytes, size_t size);
void bytes_print(cli_bytes *out, const char *format, ...) TOOL_PRINTF(2, 3);

// The three formats. Each returns an exit code and says what is wrong; `out` is the caller's to free.
typedef int (*cli_painter)(const cli_picture *picture, cli_bytes *out);
int picture_text(const cli_picture *picture, cli_bytes *out);
int picture_svg(const cli_picture *picture, cli_bytes *out);
int picture_png(const cli_picture *picture, cli_bytes *out);

#endif
