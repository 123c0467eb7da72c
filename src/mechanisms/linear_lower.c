#include "linear.h"
ikat_status ikati_linear_lower(const ikati_request *request, ikati_lowering *lowering) { (void)lowering; return ikati_fail(request->host, IKAT_UNSUPPORTED, IKAT_MESSAGE_DEVICE, "not yet"); }
