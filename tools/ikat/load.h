// A call as the command line gives it: --in, --shape, --set, --out made into a job.

#ifndef LOAD_H
#define LOAD_H

#include "args.h"
#include "job.h"

// converted  what was converted, a line each: said once nothing is wrong with the call
typedef struct cli_load {
    const ikat_mechanism_info *info;
    ikat_setting *settings;
    cli_job job;
    char converted[2048];
} cli_load;

// Reads the call of mechanism `name`. Inputs of --shape (dtype `shape_dtype` where they have the
// call's main type) have no values. Returns an exit code and has said what is wrong; *out_load is
// to be freed only on success.
int load_call(const cli_args *args, const char *name, ikat_dtype shape_dtype, cli_load *out_load);
void load_free(cli_load *load);

// Checks the values of inputs against what their mechanism allows, once the plan has checked their
// shapes; then says what was converted. Inputs handed on to a mechanism inside (attention.lengths) are
// checked as that one's.
int load_check_values(const cli_load *load);

// Element type of an input that is drawn or only described: `main` for those of the call's main
// type.
ikat_dtype load_dtype(const ikat_argument_info *info, ikat_dtype main);
const ikat_argument_info *load_find(const ikat_argument_info *list, uint32_t num, const char *name);

// "float32" or "float16" to a type.
int load_main_dtype(const cli_args *args, ikat_dtype *dtype);

#endif
