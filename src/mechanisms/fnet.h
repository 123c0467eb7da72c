// Between the files of mechanism `fnet`: what it is, and how it is lowered.

#ifndef IKATI_FNET_H
#define IKATI_FNET_H

#include "../attention.h"
#include "../lowering.h"

// What results are multiplied by.
double ikati_fnet_scale(const ikati_request *request);

ikat_status ikati_fnet_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
