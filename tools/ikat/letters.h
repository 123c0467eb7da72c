// The extents that shape letters have in a call, by the patterns of a mechanism's arguments:
// "[B,H,N,D]", "[B or 1,H or 1,N,M]", "[H] or [B,H]".

#ifndef LETTERS_H
#define LETTERS_H

#include "tool.h"

enum { LETTERS_MAX = 32 };

typedef struct cli_letter {
    char name[8];
    int64_t extent;
} cli_letter;

typedef struct cli_letters {
    cli_letter items[LETTERS_MAX];
    uint32_t num;
} cli_letters;

// The words of a pattern's axes; "B or 1" is two.
typedef struct cli_pattern {
    uint32_t rank;
    struct {
        char words[2][8];
        uint32_t num_words;
    } axes[IKAT_MAX_RANK];
} cli_pattern;

// Reads the alternative of `text` with `rank` axes. False if there is none.
bool pattern_read(const char *text, uint32_t rank, cli_pattern *out);
// Reads the first alternative.
bool pattern_first(const char *text, cli_pattern *out);
// Reads the first alternative that a tensor has, its letters being known.
bool pattern_of(const char *text, const cli_letters *letters, const ikat_tensor *tensor,
                cli_pattern *out);
// The axis whose only word is `name`, IKAT_MAX_RANK if there is none.
uint32_t pattern_axis(const cli_pattern *pattern, const char *name);

void letters_set(cli_letters *letters, const char *name, int64_t extent);
bool letters_get(const cli_letters *letters, const char *name, int64_t *out_extent);
// Learns the extents of a tensor's plain axes ("N", not "B or 1").
void letters_learn(cli_letters *letters, const char *text, const ikat_tensor *tensor);

// Reads a range of values "0..M", letters with their extents; of alternatives, "0..R2-1 or 0..R-1", the
// first whose letters are known. False if `text` is NULL or empty, or none is.
bool letters_range(const cli_letters *letters, const char *text, double *out_minimum,
                   double *out_maximum);

#endif
