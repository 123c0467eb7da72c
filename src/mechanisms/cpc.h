// Between the files of mechanism `cpc`: what it is, and how it is lowered.

#ifndef IKATI_CPC_H
#define IKATI_CPC_H

#include "../attention.h"
#include "../lowering.h"

ikat_status ikati_cpc_lower(const ikati_request *request, ikati_lowering *lowering);

#endif
