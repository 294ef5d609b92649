/* What upstream warns of (Warning headers) in objects that are valid. Each appends to *w. Pure functions: any thread.
 */
#pragma once

#include "json/json.h"

/* path: of the template, "spec.template". */
void kc_warn_pod_template(char ***w, const char *path, const struct json_object *template);
void kc_warn_pod(char ***w, const struct json_object *pod);
/* path: of the spec of the claim. */
void kc_warn_claim_spec(char ***w, const char *path, const struct json_object *spec);
void kc_warn_persistent_volume(char ***w, const struct json_object *pv);
void kc_warn_storage_class(char ***w, const struct json_object *sc);
void kc_warn_service(char ***w, const struct json_object *service);
/* path: of a NodeSelectorTerm. check_values: its values have to be those of labels. */
void kc_warn_node_selector_term(char ***w, const char *path, const struct json_object *term, bool check_values);
/* Why a label of nodes is deprecated, or NULL. */
const char *kc_deprecated_node_label(const char *key);
/* Addresses and prefixes that are not written as they should be. */
void kc_warn_ip(char ***w, const char *path, const char *ip);
void kc_warn_cidr(char ***w, const char *path, const char *cidr);
