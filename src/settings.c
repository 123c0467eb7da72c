#include "core.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_int(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && *end == 0 && errno == 0 && !isspace((unsigned char)text[0]);
}

// Decimal only: no hexadecimal, no "nan" or "inf" (the range check refuses what overflows to
// infinity).
static bool parse_float(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && text[strspn(text, "+-.0123456789eE")] == 0;
}

static const char *type_words(ikat_setting_type type) {
    return type == IKAT_SETTING_INT     ? "an integer"
           : type == IKAT_SETTING_FLOAT ? "a number"
                                        : "text";
}

static ikat_status fail_type(const ikati_request *request, const ikat_setting_info *info,
                             const char *given) {
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_SYNTAX, "%s is '%s', expected %s",
                      info->name, given, type_words(info->type));
}

// Brings a value of any type to the setting's own type.
static ikat_status convert(const ikati_request *request, const ikat_setting_info *info,
                           const ikat_setting *setting, ikati_call_setting *out) {
    if (setting->type == IKAT_SETTING_TEXT) {
        const char *text = setting->value.text;
        if (!text) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                              "%s has no text", info->name);
        }
        bool good = info->type == IKAT_SETTING_INT ? parse_int(text, &out->integer)
                                                   : parse_float(text, &out->number);
        if (!good) {
            return fail_type(request, info, text);
        }
    } else if (setting->type == IKAT_SETTING_INT) {
        out->integer = setting->value.integer;
        out->number = (double)setting->value.integer;
    } else if (info->type == IKAT_SETTING_FLOAT) {
        out->number = setting->value.number;
    } else {
        return fail_type(request, info, "a floating-point value");
    }
    if (info->type == IKAT_SETTING_INT) {
        out->number = (double)out->integer;
    }
    return IKAT_OK;
}

static ikat_status check_range(const ikati_request *request, const ikat_setting_info *info,
                               const ikati_call_setting *value) {
    if (isfinite(value->number) && value->number >= info->minimum &&
        value->number <= info->maximum) {
        return IKAT_OK;
    }
    char upper[64] = "";
    if (info->maximum < INT32_MAX) {
        snprintf(upper, sizeof(upper), " and <= %g", info->maximum);
    }
    char lower[64] = "finite";
    if (info->minimum > -INT32_MAX) {
        snprintf(lower, sizeof(lower), "finite and >= %g", info->minimum);
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_RANGE, "%s is %g, expected %s%s",
                      info->name, value->number,
                      info->type == IKAT_SETTING_INT ? lower + strlen("finite and ") : lower,
                      upper);
}

static ikat_status resolve_one(ikati_request *request, const ikat_setting *setting) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    if (!setting->name) {
        return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_NULL_ARGUMENT,
                          "a setting has no name");
    }
    for (uint32_t i = 0; i < info->num_settings; i++) {
        if (strcmp(info->settings[i].name, setting->name) != 0) {
            continue;
        }
        if (request->settings[i].given) {
            return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_TWICE,
                              "setting %s is given twice", setting->name);
        }
        ikat_status status = convert(request, &info->settings[i], setting, &request->settings[i]);
        request->settings[i].given = true;
        return status ? status : check_range(request, &info->settings[i], &request->settings[i]);
    }
    return ikati_fail(request->host, IKAT_INVALID, IKAT_MESSAGE_UNKNOWN_NAME,
                      "%s has no setting '%s'", info->name, setting->name);
}

// Plain defaults ("0", "-1") are parsed; those in words ("1/sqrt(D)") are left to the mechanism,
// with given = false.
static void take_default(const ikat_setting_info *info, ikati_call_setting *out) {
    if (info->type == IKAT_SETTING_INT) {
        out->given = parse_int(info->default_text, &out->integer);
        out->number = (double)out->integer;
    } else {
        out->given = parse_float(info->default_text, &out->number);
    }
}

ikat_status ikati_settings_resolve(ikati_request *request, const ikat_setting *settings,
                                   uint32_t num_settings) {
    const ikat_mechanism_info *info = &request->mechanism->info;
    for (uint32_t i = 0; i < info->num_settings; i++) {
        request->settings[i].name = info->settings[i].name;
        request->settings[i].type = info->settings[i].type;
    }
    for (uint32_t i = 0; i < num_settings; i++) {
        ikat_status status = resolve_one(request, &settings[i]);
        if (status) {
            return status;
        }
    }
    for (uint32_t i = 0; i < info->num_settings; i++) {
        if (!request->settings[i].given) {
            take_default(&info->settings[i], &request->settings[i]);
        }
    }
    return IKAT_OK;
}
