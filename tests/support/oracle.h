// For tests of the references: puts one call together from plain arrays, runs it on the device
// "cpu" through the public API, and compares.
//
// An identity is a function that returns by how much two ways of computing the same thing differ.
// The same identities are built a second time with a reference made wrong on purpose: those marked
// `notices` must differ then.

#ifndef ORACLE_H
#define ORACLE_H

#include <ikat/ikat.h>

typedef struct oracle_identity {
    const char *name;
    double (*deviation)(void); // see oracle_deviation
    bool notices;
} oracle_identity;

// Runs all identities as tests; returns what main returns.
//
// broken  ORACLE_BROKEN, which the build sets to 1 in the second program
int oracle_main(const char *group, const oracle_identity *identities, size_t num_identities,
                bool broken);

#ifndef ORACLE_BROKEN
#define ORACLE_BROKEN 0
#endif

// Runs all calls from now on on a device other than "cpu", opened once. False (said why) if it cannot
// be opened.
//
// limits  lowered so (ikat_device_limits_lower); NULL: its own
bool oracle_use_device(const char *name, const char *limits);
void oracle_leave_device(void);

// One call. Any failure fails the running test.
typedef struct oracle oracle;

oracle *oracle_begin(const char *mechanism);
void oracle_end(oracle *call);

// Adds a packed input of zeros, to be filled by the caller. Extents are a list that ends with -1.
float *oracle_floats(oracle *call, const char *name, const int64_t *extents);
int32_t *oracle_ints(oracle *call, const char *name, const int64_t *extents);
#define EXTENTS(...) ((const int64_t[]){__VA_ARGS__, -1})
// Adds lengths of two batch entries.
void oracle_set_lengths(oracle *call, int32_t first, int32_t second);
// Adds an input that lies anywhere in `data`, of size_bytes, which is copied when the call runs.
void oracle_input(oracle *call, const char *name, const ikat_tensor *tensor, const void *data,
                  size_t size_bytes);
void oracle_set(oracle *call, const char *name, const char *text);
void oracle_set_number(oracle *call, const char *name, double value);

// The values of a packed input, to be changed between runs.
float *oracle_values(oracle *call, const char *name);

// Computes outputs `first` and, unless NULL, `second`.
void oracle_run(oracle *call, const char *first, const char *second);
void oracle_run_outputs(oracle *call, const char *const *outputs, uint32_t num_outputs);

// Runs the call whole, then for some rows of axis N, and ends it: how far those rows of out and lse
// are from the whole's. The other rows must have been left alone.
double oracle_run_rows(oracle *call, int64_t num_positions, const int64_t *rows, uint32_t num_rows);

// Makes the plan of one output and nothing else; returns what that gives.
ikat_status oracle_try(oracle *call, const char *output);

// Results of the last run as floats, and their number.
const float *oracle_result(const oracle *call, const char *name, size_t *out_count);

// Largest |a - b| / max(1, |b|). Infinities must be equal; a NaN in either gives infinity.
double oracle_deviation(const float *a, const float *b, size_t count);
// The same between two calls' results.
double oracle_compare(const oracle *a, const oracle *b, const char *name);
double oracle_larger(double a, double b);

// The usual pair of outputs, "out" and "lse".
void oracle_run_both(oracle *call);
// Runs both calls, compares out and lse, ends both.
double oracle_run_and_compare(oracle *a, oracle *b);
// Runs both calls, compares out, ends both.
double oracle_run_and_compare_out(oracle *a, oracle *b);
// Runs the call, compares out and lse with what is expected, ends it.
double oracle_run_and_expect(oracle *call, const float *out, const float *lse);

// Fills with numbers that look normal(0, 1); the same for the same seed.
void oracle_fill(float *values, size_t count, uint32_t seed);

#endif
