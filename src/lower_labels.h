// What labelled attention (ikati_attend_labels) needs before it: the scores of labels and the words of
// pairs, made by kernels `label_scores` and `edges`.

#ifndef IKATI_LOWER_LABELS_H
#define IKATI_LOWER_LABELS_H

#include "lower_attend.h"

// scale (q_i . vector_l + bias_l), for all rows and labels.
//
// q        [B,H,N,D]
// vectors  [1,H,R,D], the type of q
// biases   [1,H,R,1], the type of q; may be none
typedef struct ikati_label_scores {
    ikati_view q, vectors, biases;
    double scale;
} ikati_label_scores;

// Adds the steps. out_scores is a view of scratch for ikati_attend_labels, out_tensor its description.
//
// IKAT_UNSUPPORTED (logged) if the device binds fewer bytes than the vectors have
ikat_status ikati_lower_label_scores(ikati_lowering *lowering, const ikati_label_scores *source,
                                     ikat_tensor *out_tensor, ikati_view *out_scores);

// Edges of pairs.
//
// shape     batches, rows, columns
// labels    [B or 1,1,rows,columns] int32; none: `like` tells labels by position
// mask      the same, 0: the pair is hidden; may be none
// like      segments and all that edges have in common with the attention that reads them
typedef struct ikati_edges {
    uint32_t shape[3];
    ikati_view labels, mask;
    const ikati_attend_labels *like;
} ikati_edges;

// Adds the steps. out_edges is a view of scratch for ikati_attend_labels, which then needs no segments.
ikat_status ikati_lower_edges(ikati_lowering *lowering, const ikati_edges *source,
                              ikat_tensor *out_tensor, ikati_view *out_edges);

#endif
