/* Shared by the sources of the metrics. */
#pragma once

#include "daemon/metrics.h"

enum { KC_METRIC_NUMBER_LEN = 40 };
/* As Go's strconv.FormatFloat(v, 'g', -1, 64): "0.005", "1e+06", "+Inf". */
const char *kc_metric_format(double v, char buf[static KC_METRIC_NUMBER_LEN]);
/* HELP and TYPE lines. */
void kc_metric_write_head(struct kc_buf *out, const char *name, const char *help, const char *type);
/* process_* of this process. */
void kc_metrics_write_process(struct kc_buf *out);
