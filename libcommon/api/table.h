/* meta.k8s.io/v1 Table rows: what kubectl get prints. Columns come from the schema, cells from the printer of the kind.
 */
#pragma once

#include "api/schema.h"
#include "base/clock.h"

/* A new Table object without rows:
 * {"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[...]}. Kinds without columns have
 * Name and Age ("Created At"). */
struct json_object *kc_table_new(const struct kc_resource *r);
/* The cells of one object, as upstream's printers compute them (an array with one value per column). */
struct json_object *kc_table_cells(const struct kc_resource *r, const struct json_object *obj, kc_time now);
