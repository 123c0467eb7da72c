// Pictures as PNG: a palette, whole pixels a pair, captions in letters of 3 x 5 dots.

#include "picture.h"

#ifdef IKAT_HAVE_PNG

#include <png.h>
#include <stdlib.h>
#include <string.h>

// Sizes in pixels. PANEL: what the longer side of a panel comes close to.
enum { PANEL = 256, GAP = 12, DOT = 2, CAPTION = 5 * DOT + 6, MAX_CELL = 16, MIN_BORDERED = 3 };

enum { COLOUR_PAPER = IKAT_PAIR_VISIBLE + 1, COLOUR_BORDER, COLOUR_TEXT, NUM_COLOURS };
static const png_color palette[NUM_COLOURS] = {
    {0xee, 0xf1, 0xf5}, {0xa9, 0xc4, 0xe4}, {0x1f, 0x4e, 0x8c},
    {0xff, 0xff, 0xff}, {0xe0, 0x7b, 0x39}, {0x33, 0x33, 0x33},
};

// Five rows of three dots each, a digit of base 8 a row.
static const struct {
    char letter;
    const char *rows;
} glyphs[] = {
    {'a', "25755"}, {'b', "65656"}, {'c', "34443"}, {'d', "65556"}, {'e', "74647"}, {'f', "74644"},
    {'g', "34553"}, {'h', "55755"}, {'i', "72227"}, {'j', "11152"}, {'k', "55655"}, {'l', "44447"},
    {'m', "57755"}, {'n', "65555"}, {'o', "25552"}, {'p', "65644"}, {'q', "25573"}, {'r', "65655"},
    {'s', "34216"}, {'t', "72222"}, {'u', "55557"}, {'v', "55552"}, {'w', "55775"}, {'x', "55255"},
    {'y', "55222"}, {'z', "71247"}, {'0', "75557"}, {'1', "26227"}, {'2', "71747"}, {'3', "71317"},
    {'4', "55711"}, {'5', "74717"}, {'6', "74757"}, {'7', "71122"}, {'8', "75757"}, {'9', "75717"},
    {',', "00024"}, {'-', "00700"}, {'.', "00002"}, {'_', "00007"},
};

typedef struct cli_canvas {
    uint32_t width, height;
    uint8_t *pixels; // colours
} cli_canvas;

static void fill(cli_canvas *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                 uint8_t colour) {
    for (uint32_t row = y; row < y + height && row < image->height; row++) {
        const uint32_t end = x + width < image->width ? x + width : image->width;
        for (uint32_t column = x; column < end; column++) {
            image->pixels[(size_t)row * image->width + column] = colour;
        }
    }
}

static void draw_letter(cli_canvas *image, uint32_t x, uint32_t y, char letter) {
    for (size_t i = 0; i < sizeof(glyphs) / sizeof(glyphs[0]); i++) {
        for (uint32_t dot = 0; dot < 15 && glyphs[i].letter == letter; dot++) {
            if ((glyphs[i].rows[dot / 3] - '0') >> (2 - dot % 3) & 1) {
                fill(image, x + dot % 3 * DOT, y + dot / 3 * DOT, DOT, DOT, COLOUR_TEXT);
            }
        }
    }
}

static void draw_boxes(cli_canvas *image, const cli_panel *panel, uint32_t x, uint32_t y,
                       uint32_t cell) {
    uint32_t num;
    cli_box *boxes = panel_boxes(panel, &num);
    for (uint32_t i = 0; i < num; i++) {
        const cli_box *box = &boxes[i];
        const uint32_t left = x + box->x * cell, top = y + box->y * cell;
        const uint32_t width = box->width * cell, height = box->height * cell;
        fill(image, left, top, width, 1, COLOUR_BORDER);
        fill(image, left, top, 1, height, COLOUR_BORDER);
        fill(image, left, top + height - 1, width, 1, COLOUR_BORDER);
        fill(image, left + width - 1, top, 1, height, COLOUR_BORDER);
    }
    free(boxes);
}

static void draw_panel(cli_canvas *image, const cli_panel *panel, uint32_t x, uint32_t y,
                       uint32_t cell) {
    for (uint32_t i = 0; panel->caption[i]; i++) {
        draw_letter(image, x + i * 4 * DOT, y, panel->caption[i]);
    }
    for (uint32_t query = 0; query < panel->num_queries; query++) {
        for (uint32_t key = 0; key < panel->num_keys; key++) {
            fill(image, x + key * cell, y + CAPTION + query * cell, cell, cell,
                 panel->pairs[(size_t)query * panel->num_keys + key]);
        }
    }
    if (cell >= MIN_BORDERED) {
        draw_boxes(image, panel, x, y + CAPTION, cell);
    }
}

static void write_bytes(png_structp png, png_bytep bytes, png_size_t size) {
    bytes_add(png_get_io_ptr(png), bytes, size);
}

static void flush_bytes(png_structp png) { (void)png; }

// libpng leaves by longjmp where it fails.
static bool encode(const cli_canvas *image, cli_bytes *out) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, out, write_bytes, flush_bytes);
    png_set_IHDR(png, info, image->width, image->height, 4, PNG_COLOR_TYPE_PALETTE,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, palette, NUM_COLOURS);
    png_write_info(png, info);
    png_set_packing(png);
    for (uint32_t y = 0; y < image->height; y++) {
        png_write_row(png, image->pixels + (size_t)y * image->width);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

static uint32_t cell_of(const cli_panel *panel) {
    const uint32_t most =
        panel->num_keys > panel->num_queries ? panel->num_keys : panel->num_queries;
    const uint32_t cell = PANEL / most;
    return cell < 1 ? 1 : cell > MAX_CELL ? MAX_CELL : cell;
}

// Columns and rows are as wide and high as the largest panel.
int picture_png(const cli_picture *picture, cli_bytes *out) {
    const uint32_t columns = picture->num < PICTURE_COLUMNS ? picture->num : PICTURE_COLUMNS;
    const uint32_t rows = (picture->num + columns - 1) / columns;
    uint32_t width = 0, height = 0;
    for (uint32_t i = 0; i < picture->num; i++) {
        const cli_panel *panel = &picture->panels[i];
        const uint32_t across = panel->num_keys * cell_of(panel);
        const uint32_t down = panel->num_queries * cell_of(panel);
        const uint32_t caption = (uint32_t)strlen(panel->caption) * 4 * DOT;
        width = across > width ? across : width;
        width = caption > width ? caption : width;
        height = down > height ? down : height;
    }
    cli_canvas image = {.width = GAP + columns * (width + GAP),
                        .height = GAP + rows * (CAPTION + height + GAP)};
    image.pixels = tool_alloc(image.height, image.width);
    memset(image.pixels, COLOUR_PAPER, (size_t)image.height * image.width);
    for (uint32_t i = 0; i < picture->num; i++) {
        draw_panel(&image, &picture->panels[i], GAP + i % columns * (width + GAP),
                   GAP + i / columns * (CAPTION + height + GAP), cell_of(&picture->panels[i]));
    }
    bool good = encode(&image, out);
    free(image.pixels);
    return good ? TOOL_OK : tool_fail("libpng cannot encode the picture");
}

#else

int picture_png(const cli_picture *picture, cli_bytes *out) {
    (void)picture;
    (void)out;
    return tool_fail("this build is without libpng (IKAT_PNG), expected -o with a name that ends "
                     "in .svg");
}

#endif
