#include "npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// A header's text while it is read; it is not terminated.
typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

static void skip_blanks(cursor *text) {
    while (text->at < text->end &&
           (*text->at == ' ' || *text->at == '\t' || *text->at == '\n' || *text->at == '\r')) {
        text->at++;
    }
}

static bool take(cursor *text, char character) {
    skip_blanks(text);
    if (text->at < text->end && *text->at == character) {
        text->at++;
        return true;
    }
    return false;
}

static bool take_word(cursor *text, const char *word) {
    skip_blanks(text);
    size_t length = strlen(word);
    if ((size_t)(text->end - text->at) >= length && memcmp(text->at, word, length) == 0) {
        text->at += length;
        return true;
    }
    return false;
}

// Reads a quoted string of fewer than `capacity` plain characters.
static bool take_string(cursor *text, char *out, size_t capacity) {
    skip_blanks(text);
    if (text->at >= text->end || (*text->at != '\'' && *text->at != '"')) {
        return false;
    }
    char quote = *text->at++;
    size_t length = 0;
    while (text->at < text->end && *text->at != quote) {
        if (length + 1 >= capacity || *text->at == '\\') {
            return false;
        }
        out[length++] = *text->at++;
    }
    out[length] = '\0';
    return take(text, quote);
}

static bool take_extent(cursor *text, int64_t *out) {
    skip_blanks(text);
    const char *start = text->at;
    int64_t value = 0;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9') {
        int digit = *text->at++ - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    bool found = text->at > start;
    // Python 2 wrote long integers so.
    if (found && text->at < text->end && *text->at == 'L') {
        text->at++;
    }
    return found;
}

static bool take_shape(cursor *text, npy_array *array) {
    if (!take(text, '(')) {
        return false;
    }
    while (!take(text, ')')) {
        if (array->rank == NPY_MAX_RANK || !take_extent(text, &array->shape[array->rank])) {
            return false;
        }
        array->rank++;
        if (!take(text, ',')) {
            // "(3)" is a number in Python, not a tuple.
            return array->rank > 1 && take(text, ')');
        }
    }
    return true;
}

// "<f4", "|i1", ">i8", "|b1": byte order, kind, size.
static bool read_type(const char *text, npy_array *array) {
    if (strlen(text) != 3 || !strchr("<>|=", text[0]) || !strchr("fiub", text[1]) ||
        !strchr("1248", text[2])) {
        return false;
    }
    array->kind = text[1];
    array->size = (uint8_t)(text[2] - '0');
    const uint16_t probe = 1;
    bool little_host = *(const uint8_t *)&probe == 1;
    array->swapped = array->size > 1 && (text[0] == '>' || (text[0] == '=' && !little_host));
    if (array->kind == 'f') {
        return array->size >= 2;
    }
    return array->kind != 'b' || array->size == 1;
}

enum { HAS_TYPE = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

// Reads one "key: value" of the dictionary. Returns what was wrong, NULL if nothing was.
static const char *read_entry(cursor *text, npy_array *array, uint32_t *found) {
    char key[32], type[32];
    if (!take_string(text, key, sizeof(key)) || !take(text, ':')) {
        return "its header is no dictionary of descr, fortran_order and shape";
    }
    uint32_t bit = strcmp(key, "descr") == 0           ? HAS_TYPE
                   : strcmp(key, "fortran_order") == 0 ? HAS_ORDER
                   : strcmp(key, "shape") == 0         ? HAS_SHAPE
                                                       : 0;
    if (!bit || (*found & bit)) {
        return "its header has an unknown key or one key twice, expected descr, fortran_order and "
               "shape once each";
    }
    *found |= bit;
    if (bit == HAS_TYPE) {
        bool good = take_string(text, type, sizeof(type)) && read_type(type, array);
        return good ? NULL
                    : "its element type is not supported, expected f2, f4, f8, i1 to i8, u1 to u8 "
                      "or b1";
    }
    if (bit == HAS_ORDER) {
        array->fortran = take_word(text, "True");
        return array->fortran || take_word(text, "False")
                   ? NULL
                   : "its fortran_order is neither True nor False";
    }
    return take_shape(text, array) ? NULL : "its shape is no tuple of at most 32 whole numbers";
}

static const char *read_dictionary(cursor text, npy_array *array) {
    uint32_t found = 0;
    if (!take(&text, '{')) {
        return "its header is no dictionary";
    }
    while (!take(&text, '}')) {
        const char *fault = read_entry(&text, array, &found);
        if (fault) {
            return fault;
        }
        if (!take(&text, ',')) {
            if (!take(&text, '}')) {
                return "its header's dictionary does not end";
            }
            break;
        }
    }
    skip_blanks(&text);
    if (text.at != text.end) {
        return "its header has something after the dictionary";
    }
    return found == HAS_ALL ? NULL : "its header lacks descr, fortran_order or shape";
}

// Multiplies the extents. False if their product does not fit, however the zeros among them lie.
static bool count_elements(npy_array *array) {
    uint64_t product = 1;
    bool empty = false;
    for (uint32_t axis = 0; axis < array->rank; axis++) {
        uint64_t extent = (uint64_t)array->shape[axis];
        if (extent == 0) {
            empty = true;
        } else if (product > (uint64_t)INT64_MAX / extent / 8) {
            return false;
        } else {
            product *= extent;
        }
    }
    array->count = empty ? 0 : product;
    return true;
}

// Finds the header's text and where the data start. Returns what was wrong, NULL if nothing was.
static const char *find_header(const uint8_t *bytes, size_t size, cursor *out_text,
                               size_t *out_data) {
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) {
        return "it is no .npy file";
    }
    if ((bytes[6] != 1 && bytes[6] != 2) || bytes[7] != 0) {
        return "it has another version of the format, expected 1.0 or 2.0";
    }
    size_t start = bytes[6] == 1 ? 10 : 12;
    if (size < start) {
        return "it ends inside its header";
    }
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] == 2) {
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    if (length > size - start) {
        return "it ends inside its header";
    }
    const char *text = (const char *)bytes + start;
    *out_text = (cursor){text, text + length};
    *out_data = start + length;
    return NULL;
}

bool npy_parse(const uint8_t *bytes, size_t size, npy_array *out_array, char *message,
               size_t message_size) {
    *out_array = (npy_array){0};
    cursor text;
    size_t start = 0;
    const char *fault = find_header(bytes, size, &text, &start);
    if (!fault) {
        fault = read_dictionary(text, out_array);
    }
    if (!fault && !count_elements(out_array)) {
        fault = "its shape says more elements than can be";
    }
    if (fault) {
        snprintf(message, message_size, "%s", fault);
        return false;
    }
    uint64_t expected = out_array->count * out_array->size;
    if (expected != size - start) {
        snprintf(message, message_size,
                 "it has %zu bytes of data, expected %" PRIu64 " by its shape and type",
                 size - start, expected);
        return false;
    }
    out_array->data = bytes + start;
    return true;
}

static const char *type_text(ikat_dtype dtype) {
    switch (dtype) {
    case IKAT_FLOAT32: return "<f4";
    case IKAT_FLOAT16: return "<f2";
    case IKAT_INT32: return "<i4";
    case IKAT_INT8: return "|i1";
    default: return "|u1";
    }
}

size_t npy_header(ikat_dtype dtype, uint32_t rank, const int64_t *shape, char out[NPY_MAX_HEADER]) {
    int length = snprintf(out + 10, NPY_MAX_HEADER - 10,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (", type_text(dtype));
    for (uint32_t axis = 0; axis < rank; axis++) {
        length +=
            snprintf(out + 10 + length, NPY_MAX_HEADER - 10 - (size_t)length, "%s%" PRId64 "%s",
                     axis ? " " : "", shape[axis], rank == 1 || axis + 1 < rank ? "," : "");
    }
    length += snprintf(out + 10 + length, NPY_MAX_HEADER - 10 - (size_t)length, "), }");
    // The data start at a multiple of 64 bytes, after a line feed.
    size_t total = (10 + (size_t)length + 1 + 63) / 64 * 64;
    memset(out + 10 + length, ' ', total - 10 - (size_t)length);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 0xff);
    out[9] = (char)((total - 10) >> 8);
    return total;
}

ikat_dtype npy_dtype(const npy_array *array) {
    if (array->swapped) {
        return IKAT_DTYPE_NONE;
    }
    switch (array->kind) {
    case 'f':
        return array->size == 4 ? IKAT_FLOAT32 : array->size == 2 ? IKAT_FLOAT16 : IKAT_DTYPE_NONE;
    case 'i': return array->size == 4 ? IKAT_INT32 : array->size == 1 ? IKAT_INT8 : IKAT_DTYPE_NONE;
    case 'u': return array->size == 1 ? IKAT_UINT8 : IKAT_DTYPE_NONE;
    default: return IKAT_DTYPE_NONE;
    }
}

void npy_type_name(const npy_array *array, char *out) {
    const char *kind = array->kind == 'f'   ? "float"
                       : array->kind == 'i' ? "int"
                       : array->kind == 'u' ? "uint"
                                            : "bool";
    if (array->kind == 'b') {
        snprintf(out, 32, "%s", kind);
    } else {
        snprintf(out, 32, "%s%d%s", kind, array->size * 8, array->swapped ? " (big-endian)" : "");
    }
}
