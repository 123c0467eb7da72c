#include "shape.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One alternative of a pattern, parsed: for each axis up to two words (a letter or a number).
enum { MAX_WORDS = 2, MAX_ALTERNATIVES = 2 };

typedef struct axis_pattern {
    char words[MAX_WORDS][8];
    uint32_t num_words;
} axis_pattern;

typedef struct shape_pattern {
    axis_pattern axes[IKAT_MAX_RANK];
    uint32_t rank;
} shape_pattern;

static const char *skip(const char *text, const char *characters) {
    return text + strspn(text, characters);
}

// Parses one "[...]" and returns what follows it. Patterns are constants of this library, so faults
// are asserted.
static const char *parse_alternative(const char *text, shape_pattern *out) {
    *out = (shape_pattern){0};
    text = skip(text, " ");
    assert(*text == '[');
    text++;
    while (*text && *text != ']') {
        assert(out->rank < IKAT_MAX_RANK);
        axis_pattern *axis = &out->axes[out->rank++];
        while (*text && *text != ',' && *text != ']') {
            text = skip(text, " ");
            size_t length = strcspn(text, " ,]");
            if (length == 2 && strncmp(text, "or", 2) == 0) {
                text += length;
                continue;
            }
            assert(length < sizeof(axis->words[0]) && axis->num_words < MAX_WORDS);
            memcpy(axis->words[axis->num_words++], text, length);
            text = skip(text + length, " ");
        }
        text = skip(text, ",");
    }
    return *text ? text + 1 : text;
}

static uint32_t parse_pattern(const char *pattern, shape_pattern out[MAX_ALTERNATIVES]) {
    uint32_t count = 0;
    while (*pattern) {
        assert(count < MAX_ALTERNATIVES);
        pattern = skip(parse_alternative(pattern, &out[count++]), " ");
        if (strncmp(pattern, "or", 2) == 0) {
            pattern += 2;
        }
    }
    return count;
}

static const ikati_letter *find_letter(const ikati_request *request, const char *name) {
    for (uint32_t i = 0; i < request->num_letters; i++) {
        if (strcmp(request->letters[i].name, name) == 0) {
            return &request->letters[i];
        }
    }
    return NULL;
}

// The extent of a word: a number, or a letter that is bound. False if it is a free letter.
static bool word_extent(const ikati_request *request, const char *word, int64_t *out_extent) {
    if (word[0] >= '0' && word[0] <= '9') {
        *out_extent = strtoll(word, NULL, 10);
        return true;
    }
    const ikati_letter *letter = find_letter(request, word);
    *out_extent = letter ? letter->extent : 0;
    return letter != NULL;
}

static void bind_letter(ikati_request *request, const char *name, int64_t extent,
                        const char *argument) {
    assert(request->num_letters < IKATI_MAX_LETTERS &&
           strlen(name) < sizeof(((ikati_letter *)0)->name));
    ikati_letter *letter = &request->letters[request->num_letters++];
    *letter = (ikati_letter){.extent = extent, .argument = argument};
    memcpy(letter->name, name, strlen(name));
}

// Whether an extent fits an axis; binds the axis' letter if it was free.
static bool match_axis(ikati_request *request, const char *argument, const axis_pattern *axis,
                       int64_t extent) {
    const char *free_word = NULL;
    for (uint32_t w = 0; w < axis->num_words; w++) {
        int64_t expected;
        if (!word_extent(request, axis->words[w], &expected)) {
            free_word = axis->words[w];
        } else if (expected == extent) {
            return true;
        }
    }
    if (free_word) {
        bind_letter(request, free_word, extent, argument);
    }
    return free_word != NULL;
}

static void append(char *text, size_t capacity, const char *format, ...) IKATI_PRINTF(3, 4);
static void append(char *text, size_t capacity, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, capacity - length, format, arguments);
    va_end(arguments);
}

// "q has shape [2,3,4], expected [B,H,N,D] with B = 2, H = 8"
static ikat_status fail_shape(const ikati_request *request, const char *argument,
                              const char *pattern, const ikat_tensor *tensor) {
    char text[512] = "";
    append(text, sizeof(text), "%s has shape [", argument);
    for (uint32_t axis = 0; axis < tensor->rank; axis++) {
        append(text, sizeof(text), "%s%" PRId64, axis ? "," : "", tensor->shape[axis]);
    }
    append(text, sizeof(text), "], expected %s", pattern);
    const char *separator = " with ";
    for (uint32_t i = 0; i < request->num_letters; i++) {
        const ikati_letter *letter = &request->letters[i];
        const char *found = strstr(pattern, letter->name);
        size_t length = strlen(letter->name);
        // Only letters of this pattern, and "D" is not part of "Dv".
        if (found && strchr(" ,]", found[length]) &&
            strchr(" ,[", found == pattern ? ' ' : found[-1])) {
            append(text, sizeof(text), "%s%s = %" PRId64, separator, letter->name, letter->extent);
            separator = ", ";
        }
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE, "%s", text);
}

// "1 to 4 axes", of any extent.
static ikat_status match_rank(const ikati_request *request, const char *argument,
                              const char *pattern, const ikat_tensor *tensor) {
    const char *to = strstr(pattern, " to ");
    assert(to);
    const bool fits = tensor->rank >= strtoul(pattern, NULL, 10) &&
                      tensor->rank <= strtoul(to + strlen(" to "), NULL, 10);
    return fits ? IKAT_OK : fail_shape(request, argument, pattern, tensor);
}

ikat_status ikati_shape_match(ikati_request *request, const char *argument, const char *pattern,
                              const ikat_tensor *tensor) {
    if (pattern[0] != '[') {
        return match_rank(request, argument, pattern, tensor);
    }
    shape_pattern alternatives[MAX_ALTERNATIVES];
    uint32_t count = parse_pattern(pattern, alternatives);
    for (uint32_t a = 0; a < count; a++) {
        if (alternatives[a].rank != tensor->rank) {
            continue;
        }
        uint32_t num_letters = request->num_letters;
        bool fits = true;
        for (uint32_t axis = 0; fits && axis < tensor->rank; axis++) {
            fits = match_axis(request, argument, &alternatives[a].axes[axis], tensor->shape[axis]);
        }
        if (fits) {
            return IKAT_OK;
        }
        request->num_letters = num_letters;
    }
    return fail_shape(request, argument, pattern, tensor);
}

// The shape of an alternative; false if a letter of it is free.
static bool infer_alternative(const ikati_request *request, const shape_pattern *alternative,
                              ikat_tensor *tensor) {
    bool bound = true;
    tensor->rank = alternative->rank;
    for (uint32_t axis = 0; axis < tensor->rank && bound; axis++) {
        bound = word_extent(request, alternative->axes[axis].words[0], &tensor->shape[axis]);
    }
    return bound;
}

void ikati_shape_infer(const ikati_request *request, const char *pattern, ikat_tensor *tensor) {
    shape_pattern alternatives[MAX_ALTERNATIVES];
    const uint32_t count = parse_pattern(pattern, alternatives);
    bool bound = false;
    for (uint32_t a = 0; a < count && !bound; a++) {
        bound = infer_alternative(request, &alternatives[a], tensor);
    }
    assert(bound);
}

// Where the first alternative of "0..R2-1 or 0..R-1" begins whose letters are bound; the last one if
// none is.
static const char *find_range(const ikati_request *request, const char *range) {
    const char *next;
    while ((next = strstr(range, " or ")) != NULL) {
        const char *last = strstr(range, "..") + strlen("..");
        char word[8] = "";
        int64_t extent;
        const size_t length = strcspn(last, "+- ");
        assert(length < sizeof(word));
        memcpy(word, last, length);
        if (word_extent(request, word, &extent)) {
            return range;
        }
        range = next + strlen(" or ");
    }
    return range;
}

// A number, or a letter that may carry "+1" or "-1", up to "..", a blank or the end.
static int64_t read_bound(const ikati_request *request, const char *text) {
    char word[8] = "";
    char *end;
    const int64_t number = strtoll(text, &end, 10);
    if (end != text) {
        return number;
    }
    const size_t length = strcspn(text, "+-. ");
    assert(length < sizeof(word));
    memcpy(word, text, length);
    const char sign = text[length];
    return ikati_extent(request, word) +
           (sign == '+' || sign == '-' ? strtoll(text + length, NULL, 10) : 0);
}

void ikati_shape_range(const ikati_request *request, const char *range, int64_t *out_minimum,
                       int64_t *out_maximum) {
    range = find_range(request, range);
    const char *dots = strstr(range, "..");
    assert(dots);
    *out_minimum = read_bound(request, range);
    *out_maximum = read_bound(request, dots + 2);
}

ikat_status ikati_shape_fix(ikati_request *request, const char *letter, int64_t extent) {
    const ikati_letter *bound = find_letter(request, letter);
    if (!bound) {
        bind_letter(request, letter, extent, NULL);
        return IKAT_OK;
    }
    return bound->extent == extent ? IKAT_OK
                                   : ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SHAPE,
                                                "%s has %s = %" PRId64 ", expected %" PRId64,
                                                bound->argument ? bound->argument : "the call",
                                                letter, bound->extent, extent);
}
