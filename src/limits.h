#ifndef IKATI_LIMITS_H
#define IKATI_LIMITS_H

#include <ikat/device.h>

// Lowers each of `limits` to that of `to`, where it is lower.
void ikati_limits_lower(ikat_device_limits *limits, const ikat_device_limits *to);

#endif
