// What mechanisms there are, and what each takes and gives. All of it is constant data.

#ifndef IKAT_MECHANISM_H
#define IKAT_MECHANISM_H

#include <ikat/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ikat_setting_type {
    IKAT_SETTING_TEXT =
        0, // in ikat_setting: any setting may be given as text and is parsed by its own type
    IKAT_SETTING_INT,
    IKAT_SETTING_FLOAT,
    IKAT_SETTING_INT_LIST, // one or more integers; as text with commas between, "1,2,1,4"
    IKAT_SETTING_WORD,     // one of a few words; typed or not, it is given as text
    IKAT_SETTING_STRING,   // any text, taken as it is: a pattern's expression
    IKAT_SETTING_NUMBER, // an int32 when it is an integer, as text when written as an optional sign
                         // and digits; else a float32
} ikat_setting_type;

// One input or output of a mechanism.
//
// shape     in the letters of types.h, "[B,H,N,D]"; alternatives are separated by " or "
// dtype     in words: "float", the call's main type (float32 or float16); "float32", "int32", ...
// optional  an input that may be absent, an output that is made only when asked for
// values    what every element must be, "0..M" (bounds inclusive: integers or shape letters,
//           letters may carry "+1" or "-1"); of alternatives, "0..R2-1 or 0..R-1", the first whose
//           letters the call has; NULL or empty: anything. Who has the values at hand checks them;
//           kernels stay in bounds whatever a tensor holds
// structure an input that shapes the work itself: a host array given when the plan is made
//           (ikat_argument.values), not bound to a buffer
// max_count of a family, an optional row whose name ends in ".*": how many inputs with names of the
//           caller's choice may be given, "table.NAME" of "table.*"; 0: no family
typedef struct ikat_argument_info {
    const char *name;
    const char *shape;
    const char *dtype;
    const char *help;
    bool optional;
    bool structure;
    const char *values;
    uint32_t max_count;
} ikat_argument_info;

// One setting. `minimum` and `maximum` bound numbers, of lists each element; `default_text` is what
// help shows, and what is parsed where the default is a plain value.
//
// words      of IKAT_SETTING_WORD: those it takes, NULL after the last
// max_count  of IKAT_SETTING_INT_LIST: most elements; the least is one. Of a family, "param.*": most
//            settings of the caller's naming
typedef struct ikat_setting_info {
    const char *name;
    ikat_setting_type type;
    const char *default_text;
    double minimum;
    double maximum;
    const char *help;
    const char *const *words;
    uint32_t max_count;
} ikat_setting_info;

// Whether `name` is that of a row, or belongs to the family that the row is.
static inline bool ikat_name_matches(const char *row, const char *name) {
    while (*row && *row != '*' && *row == *name) {
        row++;
        name++;
    }
    return row[0] == '*' ? row[1] == '\0' && *name != '\0' : *row == *name;
}

// inputs  the mechanism's own; ikat_mechanism_input tells those that the library adds
// bench_inputs, bench_settings  what a call of the usual kind has besides the required inputs, for
//         benches: as in examples (below), with shape letters where sizes are a bench's to choose,
//         "proj_k=1,256,M" (N1 and N2: the nearest two factors of N); NULL: nothing. A required
//         input that is named there has that shape
typedef struct ikat_mechanism_info {
    const char *name;
    const char *title;
    const char *citation;
    const char *family;
    const char *cost; // in words: time and memory
    const ikat_argument_info *inputs;
    uint32_t num_inputs;
    const ikat_argument_info *outputs; // the first is the main one
    uint32_t num_outputs;
    const ikat_setting_info *settings;
    uint32_t num_settings;
    const char *bench_inputs;
    const char *bench_settings;
} ikat_mechanism_info;

// Counts the mechanisms of this build.
//
// Thread-safety: may be called from any thread. So may every function of this header.
IKAT_API uint32_t ikat_mechanism_count(void);

// Returns mechanism `index`, NULL past the last. Constant for the life of the program.
IKAT_API const ikat_mechanism_info *ikat_mechanism_at(uint32_t index);

// Finds a mechanism by name; NULL if there is none.
IKAT_API const ikat_mechanism_info *ikat_mechanism_find(const char *name);

// Returns input `index` of a mechanism: its own inputs first, then what the library takes for every
// mechanism of its kind (head_mask, where the main output is [B,H,N,Dv]). NULL past the last.
IKAT_API const ikat_argument_info *ikat_mechanism_input(const ikat_mechanism_info *info,
                                                        uint32_t index);

// Finds an input, own or added, by name; NULL if there is none.
IKAT_API const ikat_argument_info *ikat_mechanism_find_input(const ikat_mechanism_info *info,
                                                             const char *name);

// An example call of a mechanism, from its own list: what `check`, tests and benches run.
//
// inputs    shapes as numbers, "q=2,3,5,8 k=2,3,7,8 lengths=2@5,0"; values are drawn by the harness
//           from N(0,1), whole numbers from the range that the input's `values` name; or they follow
//           the shape after `@`: a range "0..3" of whole numbers to draw from, or a list that is
//           repeated as often as needed ("inf", "-inf" and "nan" too; "0*9" is nine zeros). dtypes
//           as in the mechanism's inputs; where a row allows int32 and others, int32, or float32 if
//           the name is followed by ":float", "table.slope:float=4". A last word "!lse" names an
//           output that the call does not make
// settings  "causal=1 softcap=5"
// notes     what makes this case worth having
// name      begins with "large_" where only sampled rows can be compared with the reference
typedef struct ikat_mechanism_case {
    const char *name;
    const char *inputs;
    const char *settings;
    const char *notes;
} ikat_mechanism_case;

// Returns the example calls of a mechanism and their number.
IKAT_API const ikat_mechanism_case *ikat_mechanism_cases(const char *name, uint32_t *out_num_cases);

#ifdef __cplusplus
}
#endif

#endif
