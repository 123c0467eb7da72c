#include "letters.h"

#include <stdlib.h>
#include <string.h>

static const char *skip(const char *text, const char *characters) {
    return text + strspn(text, characters);
}

// Adds a word of an axis; "or" only stands between two.
static bool add_word(cli_pattern *out, const char *word, size_t length) {
    if (length == 2 && strncmp(word, "or", 2) == 0) {
        return true;
    }
    uint32_t axis = out->rank - 1;
    uint32_t index = out->axes[axis].num_words;
    if (index == 2 || length >= sizeof(out->axes[axis].words[index])) {
        return false;
    }
    memcpy(out->axes[axis].words[index], word, length);
    out->axes[axis].num_words++;
    return true;
}

// Reads one "[...]" and moves *text past it and a following "or".
static bool read_alternative(const char **text, cli_pattern *out) {
    *out = (cli_pattern){0};
    const char *at = skip(*text, " ");
    if (*at++ != '[') {
        return false;
    }
    at = skip(at, " ");
    while (*at && *at != ']') {
        if (out->rank == IKAT_MAX_RANK) {
            return false;
        }
        out->rank++;
        while (*at && *at != ',' && *at != ']') {
            size_t length = strcspn(at, " ,]");
            if (!add_word(out, at, length)) {
                return false;
            }
            at = skip(at + length, " ");
        }
        at = skip(at, ", ");
    }
    at = skip(at, "] ");
    *text = strncmp(at, "or", 2) == 0 ? at + 2 : at;
    return true;
}

bool pattern_read(const char *text, uint32_t rank, cli_pattern *out) {
    while (read_alternative(&text, out)) {
        if (out->rank == rank) {
            return true;
        }
    }
    return false;
}

bool pattern_first(const char *text, cli_pattern *out) { return read_alternative(&text, out); }

static bool has_pattern(const cli_pattern *pattern, const cli_letters *letters,
                        const ikat_tensor *tensor) {
    bool fits = pattern->rank == tensor->rank;
    for (uint32_t axis = 0; axis < pattern->rank && fits; axis++) {
        int64_t extent;
        fits = pattern->axes[axis].num_words > 1 ||
               (letters_get(letters, pattern->axes[axis].words[0], &extent) &&
                extent == tensor->shape[axis]);
    }
    return fits;
}

bool pattern_of(const char *text, const cli_letters *letters, const ikat_tensor *tensor,
                cli_pattern *out) {
    while (read_alternative(&text, out)) {
        if (has_pattern(out, letters, tensor)) {
            return true;
        }
    }
    return false;
}

uint32_t pattern_axis(const cli_pattern *pattern, const char *name) {
    for (uint32_t axis = 0; axis < pattern->rank; axis++) {
        if (pattern->axes[axis].num_words == 1 && strcmp(pattern->axes[axis].words[0], name) == 0) {
            return axis;
        }
    }
    return IKAT_MAX_RANK;
}

void letters_set(cli_letters *letters, const char *name, int64_t extent) {
    for (uint32_t i = 0; i < letters->num; i++) {
        if (strcmp(letters->items[i].name, name) == 0) {
            letters->items[i].extent = extent;
            return;
        }
    }
    size_t length = strlen(name);
    if (letters->num < LETTERS_MAX && length < sizeof(letters->items[0].name)) {
        cli_letter *item = &letters->items[letters->num++];
        memcpy(item->name, name, length + 1);
        item->extent = extent;
    }
}

bool letters_get(const cli_letters *letters, const char *name, int64_t *out_extent) {
    for (uint32_t i = 0; i < letters->num; i++) {
        if (strcmp(letters->items[i].name, name) == 0) {
            *out_extent = letters->items[i].extent;
            return true;
        }
    }
    return false;
}

static bool is_letter(const char *word) {
    return (word[0] >= 'A' && word[0] <= 'Z') || (word[0] >= 'a' && word[0] <= 'z');
}

void letters_learn(cli_letters *letters, const char *text, const ikat_tensor *tensor) {
    cli_pattern found;
    int64_t known;
    if (!pattern_read(text, tensor->rank, &found)) {
        return;
    }
    for (uint32_t axis = 0; axis < found.rank; axis++) {
        const char *word = found.axes[axis].words[0];
        if (found.axes[axis].num_words == 1 && is_letter(word) &&
            !letters_get(letters, word, &known)) {
            letters_set(letters, word, tensor->shape[axis]);
        }
    }
}

// One bound: a number, or a letter with an optional "+1" or "-1". Returns what follows it, NULL if
// it is neither.
static const char *read_bound(const cli_letters *letters, const char *text, double *out) {
    char *end;
    if (!is_letter(text)) {
        *out = strtod(text, &end);
        return end == text ? NULL : end;
    }
    char name[8] = "";
    size_t length = strcspn(text, "+-.");
    int64_t extent;
    if (length >= sizeof(name)) {
        return NULL;
    }
    memcpy(name, text, length);
    if (!letters_get(letters, name, &extent)) {
        return NULL;
    }
    *out = (double)extent;
    text += length;
    if (*text == '+' || *text == '-') {
        *out += (double)strtol(text, &end, 10);
        text = end;
    }
    return text;
}

// One alternative, `length` characters of text.
static bool read_range(const cli_letters *letters, const char *text, size_t length,
                       double *out_minimum, double *out_maximum) {
    char range[32] = "";
    if (length >= sizeof(range)) {
        return false;
    }
    memcpy(range, text, length);
    // "0..M": strtod would take the first point for a decimal one.
    char *dots = strstr(range, "..");
    if (!dots) {
        return false;
    }
    *dots = '\0';
    const char *end = read_bound(letters, range, out_minimum);
    const char *last = read_bound(letters, dots + 2, out_maximum);
    return end && *end == '\0' && last && *last == '\0';
}

bool letters_range(const cli_letters *letters, const char *text, double *out_minimum,
                   double *out_maximum) {
    while (text && *text) {
        const char *next = strstr(text, " or ");
        const size_t length = next ? (size_t)(next - text) : strlen(text);
        if (read_range(letters, text, length, out_minimum, out_maximum)) {
            return true;
        }
        text = next ? next + strlen(" or ") : NULL;
    }
    return false;
}
