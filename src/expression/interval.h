// Interval arithmetic of the page `custom`: from intervals that hold the operands, one that holds
// the result, in 64 bits. For the files of this folder.

#ifndef IKATI_INTERVAL_H
#define IKATI_INTERVAL_H

#include "expression.h"

ikati_interval ikati_interval_point(int64_t value);
// The smallest interval around both.
ikati_interval ikati_interval_hull(ikati_interval a, ikati_interval b);
// [0,0], [1,1] or [0,1]: is a value other than 0?
ikati_interval ikati_interval_truth(ikati_interval a);

// An operation on ints, other than reading a value or a table.
ikati_interval ikati_interval_unary(ikati_operation operation, ikati_interval a);
ikati_interval ikati_interval_binary(ikati_operation operation, ikati_interval a, ikati_interval b);
ikati_interval ikati_interval_select(ikati_interval condition, ikati_interval a, ikati_interval b);

#endif
