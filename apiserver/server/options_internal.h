/* Shared by options.c and options_flags.c. */
#pragma once

#include "daemon/flags.h"
#include "server/options.h"

/* All flags, which write to o; ret NULL: only how many there are. */
size_t options_flags(struct kc_apiserver_options *o, struct kc_flag *ret);
