/* From requests and limits to the kernel's units. Pure: any thread. */
#pragma once

#include <stdint.h>

#include "json/json.h"

/* Weight for a CPU request: 2 (none) to 262144. */
int64_t kc_cpu_shares(int64_t milli_cpu);
/* Microseconds of each period for a CPU limit; 0: none. */
int64_t kc_cpu_quota(int64_t milli_cpu, int64_t period_usec);
/* -997 (guaranteed, or node-critical) to 1000 (best effort), in between by memory request. */
int kc_oom_score_adj(const struct json_object *pod, const struct json_object *container, int64_t memory_capacity);
