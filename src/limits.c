// Lowering a device's limits: by text, and field by field.

#include "limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// One limit that can be lowered: its word, where it is, and what "minimal" makes of it.
typedef struct limit_field {
    const char *word;
    size_t offset;
    bool is_64bit;
    uint64_t minimal;
} limit_field;

#define FIELD(word, name, minimal)                                                               \
    {                                                                                            \
#word, offsetof(ikat_device_limits, name), sizeof(((ikat_device_limits *)0)->name) == 8, \
            minimal                                                                              \
    }

static const limit_field fields[] = {
    FIELD(buffer, max_buffer_bytes, UINT64_MAX),
    FIELD(range, max_storage_range_bytes, 134217728),
    FIELD(texel, max_texel_elements, 0),
    FIELD(shared, shared_memory_bytes, 16384),
    FIELD(group, max_group_size, 128),
    FIELD(groups, max_groups, 65535),
    FIELD(buffers, max_storage_buffers, 8),
    FIELD(subgroup, subgroup_size, 0),
    FIELD(vector, vector_width, 1),
    FIELD(fp16, float16_arithmetic, 0),
    FIELD(storage16, storage_16bit, 0),
    FIELD(storage8, storage_8bit, 0),
    FIELD(timestamps, timestamps, UINT64_MAX),
    FIELD(compiler, runtime_compiler, 0),
};

enum { NUM_FIELDS = sizeof(fields) / sizeof(fields[0]) };

static uint64_t get(const ikat_device_limits *limits, const limit_field *field) {
    const char *at = (const char *)limits + field->offset;
    uint64_t wide;
    uint32_t narrow;
    memcpy(&wide, at, field->is_64bit ? sizeof(wide) : 0);
    memcpy(&narrow, at, field->is_64bit ? 0 : sizeof(narrow));
    return field->is_64bit ? wide : narrow;
}

static void lower(ikat_device_limits *limits, const limit_field *field, uint64_t value) {
    if (value >= get(limits, field)) {
        return;
    }
    char *at = (char *)limits + field->offset;
    uint32_t narrow = (uint32_t)value;
    memcpy(at, field->is_64bit ? (const void *)&value : (const void *)&narrow,
           field->is_64bit ? 8 : 4);
}

void ikati_limits_lower(ikat_device_limits *limits, const ikat_device_limits *to) {
    for (uint32_t i = 0; i < NUM_FIELDS; i++) {
        lower(limits, &fields[i], get(to, &fields[i]));
    }
}

// Parses "word=value" of the given length.
static bool lower_by_word(ikat_device_limits *limits, const char *text, size_t length) {
    for (uint32_t i = 0; i < NUM_FIELDS; i++) {
        size_t word = strlen(fields[i].word);
        if (length <= word + 1 || strncmp(text, fields[i].word, word) != 0 || text[word] != '=') {
            continue;
        }
        const char *number = text + word + 1;
        char *end;
        errno = 0;
        unsigned long long value = strtoull(number, &end, 10);
        if (end != text + length || *number < '0' || *number > '9' || errno) {
            return false;
        }
        lower(limits, &fields[i], value);
        return true;
    }
    return false;
}

ikat_status ikat_device_limits_lower(ikat_device_limits *limits, const char *text) {
    if (!limits || !text) {
        return IKAT_INVALID;
    }
    ikat_device_limits lowered = *limits;
    while (*text) {
        size_t length = strcspn(text, ",");
        if (length == strlen("minimal") && strncmp(text, "minimal", length) == 0) {
            for (uint32_t i = 0; i < NUM_FIELDS; i++) {
                lower(&lowered, &fields[i], fields[i].minimal);
            }
        } else if (!lower_by_word(&lowered, text, length)) {
            return IKAT_INVALID;
        }
        text += length;
        text += *text == ',';
    }
    *limits = lowered;
    return IKAT_OK;
}
