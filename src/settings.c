#include "core.h"

#include "expression/expression.h"
#include "expression/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A whole number up to `end`, its value as a double besides. What exceeds an int64 but not a uint64
// keeps its bits: seeds have 64 of them.
static bool parse_int(const char *text, size_t length, int64_t *out, double *out_number) {
    char *end;
    if (length == 0 || isspace((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    *out = strtoll(text, &end, 10);
    *out_number = (double)*out;
    if (errno == ERANGE && text[0] != '-') {
        errno = 0;
        const uint64_t bits = strtoull(text, &end, 10);
        *out = (int64_t)bits;
        *out_number = (double)bits;
    }
    return end == text + length && errno == 0;
}

// Decimal only: no hexadecimal, no "nan" or "inf" (the range check refuses what overflows to
// infinity). Not strtod, which follows the host's locale.
static bool parse_float(const char *text, double *out) {
    const bool has_sign = text[0] == '-' || text[0] == '+';
    const size_t length = ikati_read_float(text + has_sign, out);
    *out = text[0] == '-' ? -*out : *out;
    return length > 0 && text[has_sign + length] == '\0';
}

static bool find_word(const ikat_setting_info *info, const char *text, ikati_call_setting *out) {
    for (int64_t i = 0; info->words[i]; i++) {
        if (strcmp(info->words[i], text) == 0) {
            out->integer = i;
            out->word = info->words[i];
            return true;
        }
    }
    return false;
}

// "an integer", "one of strided, fixed"
static void describe_type(const ikat_setting_info *info, char *out, size_t capacity) {
    static const char *const names[] = {
        "text",    "an integer of 64 bits", "a number", "integers with commas between", "", "text",
        "a number"};
    if (info->type != IKAT_SETTING_WORD) {
        snprintf(out, capacity, "%s", names[info->type]);
        return;
    }
    size_t length = (size_t)snprintf(out, capacity, "one of ");
    for (uint32_t i = 0; info->words[i] && length < capacity; i++) {
        length += (size_t)snprintf(out + length, capacity - length, "%s%s", i ? ", " : "",
                                   info->words[i]);
    }
}

static ikat_status fail_type(const ikati_request *request, const ikat_setting_info *info,
                             const char *given) {
    char expected[128];
    describe_type(info, expected, sizeof(expected));
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SYNTAX, "%s is '%s', expected %s",
                      info->name, given, expected);
}

static ikat_status check_range(const ikati_request *request, const ikat_setting_info *info,
                               double value) {
    if (isfinite(value) && value >= info->minimum && value <= info->maximum) {
        return IKAT_OK;
    }
    char upper[64] = "";
    if (isfinite(info->maximum)) {
        snprintf(upper, sizeof(upper), " and <= %.16g", info->maximum);
    }
    char lower[64] = "finite";
    if (info->minimum > -INT32_MAX) {
        snprintf(lower, sizeof(lower), "finite and >= %g", info->minimum);
    }
    return ikati_fail(
        request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE, "%s is %.16g, expected %s%s", info->name,
        value, info->type == IKAT_SETTING_FLOAT ? lower : lower + strlen("finite and "), upper);
}

// Makes room for a list of the request's own.
static ikat_status make_list(const ikati_request *request, const ikat_setting_info *info,
                             uint32_t count, ikati_call_setting *out, int64_t **out_items) {
    *out_items = NULL;
    if (count == 0 || count > info->max_count) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "%s has %" PRIu32 " elements, expected 1 to %" PRIu32, info->name, count,
                          info->max_count);
    }
    *out_items = ikati_alloc(request->host, count, sizeof(**out_items));
    out->integers = *out_items;
    out->num_integers = count;
    return *out_items ? IKAT_OK : IKAT_NO_MEMORY;
}

static ikat_status parse_list(const ikati_request *request, const ikat_setting_info *info,
                              const char *text, ikati_call_setting *out) {
    uint32_t count = 1;
    int64_t *items;
    for (const char *at = text; (at = strchr(at, ',')) != NULL; at++) {
        count++;
    }
    ikat_status status = make_list(request, info, count, out, &items);
    const char *at = text;
    for (uint32_t i = 0; i < count && !status; i++) {
        const size_t length = strcspn(at, ",");
        double number;
        status = parse_int(at, length, &items[i], &number) ? check_range(request, info, number)
                                                           : fail_type(request, info, text);
        at += length + 1;
    }
    return status;
}

static ikat_status copy_list(const ikati_request *request, const ikat_setting_info *info,
                             const int64_t *given, uint32_t count, ikati_call_setting *out) {
    int64_t *items;
    if (!given && count) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "%s has no integers, expected %" PRIu32, info->name, count);
    }
    ikat_status status = make_list(request, info, count, out, &items);
    for (uint32_t i = 0; i < count && !status; i++) {
        items[i] = given[i];
        status = check_range(request, info, (double)given[i]);
    }
    return status;
}

static ikat_status copy_text(const ikati_request *request, const char *text,
                             ikati_call_setting *out) {
    out->text = ikati_copy_text(request->host, text);
    return out->text ? IKAT_OK : IKAT_NO_MEMORY;
}

static ikat_status fail_number(const ikati_request *request, const ikati_call_setting *setting,
                               ikat_message_id id, const char *expected) {
    return ikati_fail(request->host, IKAT_INVALID, id,
                      "%s is out of range or no number, expected "
                      "%s",
                      setting->name, expected);
}

static ikat_status take_int32(const ikati_request *request, int64_t integer,
                              ikati_call_setting *out) {
    out->type = IKAT_SETTING_INT;
    out->integer = integer;
    out->number = (double)integer;
    return integer >= INT32_MIN && integer <= INT32_MAX
               ? IKAT_OK
               : fail_number(request, out, IKAT_MESSAGE_RANGE,
                             "an integer from -2147483648 to 2147483647");
}

static ikat_status take_float32(const ikati_request *request, double number,
                                ikati_call_setting *out) {
    out->type = IKAT_SETTING_FLOAT;
    out->number = number;
    return fabs(number) <= (double)FLT_MAX // false for NaN
               ? IKAT_OK
               : fail_number(request, out, IKAT_MESSAGE_RANGE,
                             "a finite float, at most 3.4028235e38");
}

// An integer when written as an optional sign and digits, else a float.
static ikat_status parse_number(const ikati_request *request, const char *text,
                                ikati_call_setting *out) {
    ikati_expression_param number;
    const ikat_status status = ikati_expression_param_read(request->host, out->name, text, &number);
    if (status) {
        return status;
    }
    const bool whole = number.type == IKATI_TYPE_INT;
    out->type = whole ? IKAT_SETTING_INT : IKAT_SETTING_FLOAT;
    out->integer = whole ? number.integer : 0;
    out->number = whole ? (double)number.integer : (double)number.number;
    return IKAT_OK;
}

static ikat_status convert_text(const ikati_request *request, const ikat_setting_info *info,
                                const char *text, ikati_call_setting *out) {
    bool good = false;
    if (!text) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT, "%s has no text",
                          info->name);
    }
    switch (info->type) {
    case IKAT_SETTING_INT: good = parse_int(text, strlen(text), &out->integer, &out->number); break;
    case IKAT_SETTING_FLOAT: good = parse_float(text, &out->number); break;
    case IKAT_SETTING_WORD: good = find_word(info, text, out); break;
    case IKAT_SETTING_INT_LIST: return parse_list(request, info, text, out);
    case IKAT_SETTING_STRING: return copy_text(request, text, out);
    case IKAT_SETTING_NUMBER: return parse_number(request, text, out);
    case IKAT_SETTING_TEXT: break;
    }
    if (!good) {
        return fail_type(request, info, text);
    }
    return info->type == IKAT_SETTING_WORD ? IKAT_OK : check_range(request, info, out->number);
}

static ikat_status convert_int(const ikati_request *request, const ikat_setting_info *info,
                               int64_t integer, ikati_call_setting *out) {
    if (info->type == IKAT_SETTING_INT_LIST) {
        return copy_list(request, info, &integer, 1, out);
    }
    if (info->type == IKAT_SETTING_NUMBER) {
        return take_int32(request, integer, out);
    }
    if (info->type != IKAT_SETTING_INT && info->type != IKAT_SETTING_FLOAT) {
        return fail_type(request, info, "an integer");
    }
    out->integer = integer;
    out->number = (double)integer;
    return check_range(request, info, out->number);
}

// Brings a value of any type to the setting's own type.
static ikat_status convert(const ikati_request *request, const ikat_setting_info *info,
                           const ikat_setting *setting, ikati_call_setting *out) {
    switch (setting->type) {
    case IKAT_SETTING_TEXT:
    case IKAT_SETTING_STRING:
    case IKAT_SETTING_WORD: return convert_text(request, info, setting->value.text, out);
    case IKAT_SETTING_INT: return convert_int(request, info, setting->value.integer, out);
    case IKAT_SETTING_INT_LIST:
        if (info->type == IKAT_SETTING_INT_LIST) {
            return copy_list(request, info, setting->value.integers.items,
                             setting->value.integers.count, out);
        }
        return fail_type(request, info, "a list");
    case IKAT_SETTING_NUMBER:
    case IKAT_SETTING_FLOAT: break;
    }
    if (info->type == IKAT_SETTING_NUMBER) {
        return take_float32(request, setting->value.number, out);
    }
    if (info->type != IKAT_SETTING_FLOAT) {
        return fail_type(request, info, "a floating-point value");
    }
    out->number = setting->value.number;
    return check_range(request, info, out->number);
}

// Makes a place for a setting of a family.
static ikat_status add_member(ikati_request *request, const ikat_setting_info *family,
                              const char *name, ikati_call_setting **out) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    uint32_t count = 0;
    for (uint32_t i = info->num_settings; i < request->num_settings; i++) {
        count += ikat_name_matches(family->name, request->settings[i].name);
    }
    if (count >= family->max_count || request->num_settings == IKATI_MAX_SETTINGS) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE,
                          "%s is one too many, expected at most %" PRIu32 " settings %s", name,
                          family->max_count, family->name);
    }
    *out = &request->settings[request->num_settings];
    **out = (ikati_call_setting){.name = ikati_copy_text(request->host, name)};
    request->num_settings += (*out)->name != NULL;
    return (*out)->name ? IKAT_OK : IKAT_NO_MEMORY;
}

static bool is_family(const ikat_setting_info *info) { return strchr(info->name, '*') != NULL; }

// The place of a setting; NULL if there is none. A family itself is no setting.
static ikati_call_setting *find_setting(ikati_request *request, const char *name) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < request->num_settings; i++) {
        const bool family = i < info->num_settings && is_family(&info->settings[i]);
        if (!family && strcmp(request->settings[i].name, name) == 0) {
            return &request->settings[i];
        }
    }
    return NULL;
}

// Converts a setting into its place. place: NULL if the setting is the first of its name in a
// family.
static ikat_status place_setting(ikati_request *request, const ikat_setting_info *info,
                                 ikati_call_setting *place, const ikat_setting *setting) {
    if (place && place->given) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_TWICE,
                          "setting %s is given twice", setting->name);
    }
    ikat_status status = place ? IKAT_OK : add_member(request, info, setting->name, &place);
    if (status) {
        return status;
    }
    place->given = place->chosen = true;
    return convert(request, info, setting, place);
}

static ikat_status resolve_one(ikati_request *request, const ikat_setting *setting) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    if (!setting->name) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "a setting has no name");
    }
    for (uint32_t i = 0; i < info->num_settings; i++) {
        if (strcmp(info->settings[i].name, setting->name) != 0 &&
            !(is_family(&info->settings[i]) &&
              ikat_name_matches(info->settings[i].name, setting->name))) {
            continue;
        }
        return place_setting(request, &info->settings[i], find_setting(request, setting->name),
                             setting);
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                      "%s has no setting '%s'", info->name, setting->name);
}

// Plain defaults ("0", "-1", "strided"; of a list one element) are parsed; those in words
// ("1/sqrt(D)") are left to the mechanism, with given = false.
static ikat_status take_default(const ikati_request *request, const ikat_setting_info *info,
                                ikati_call_setting *out) {
    const char *text = info->default_text;
    int64_t integer;
    if (info->type == IKAT_SETTING_FLOAT) {
        out->given = parse_float(text, &out->number);
    } else if (info->type == IKAT_SETTING_WORD) {
        out->given = find_word(info, text, out);
    } else if (info->type == IKAT_SETTING_STRING) {
        out->given = true;
        return copy_text(request, text, out);
    } else {
        out->given = parse_int(text, strlen(text), &integer, &out->number);
        out->integer = out->given ? integer : 0;
    }
    if (out->given && info->type == IKAT_SETTING_INT_LIST) {
        return copy_list(request, info, &integer, 1, out);
    }
    return IKAT_OK;
}

ikat_status ikati_settings_resolve(ikati_request *request, const ikat_setting *settings,
                                   uint32_t num_settings) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < info->num_settings; i++) {
        request->settings[i].name = info->settings[i].name;
        request->settings[i].type = info->settings[i].type;
    }
    request->num_settings = info->num_settings;
    ikat_status status = IKAT_OK;
    for (uint32_t i = 0; i < num_settings && !status; i++) {
        status = resolve_one(request, &settings[i]);
    }
    for (uint32_t i = 0; i < info->num_settings && !status; i++) {
        if (!request->settings[i].given && !is_family(&info->settings[i])) {
            status = take_default(request, &info->settings[i], &request->settings[i]);
        }
    }
    return status;
}
