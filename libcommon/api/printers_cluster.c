/* Rows of what the cluster is run with: admission, flow control, certificates, extensions, devices. */
#include "api/object.h"
#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

/* --- admission */

void kc_print_webhook_configuration(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_int(cells, (int64_t)kc_json_len(kc_json_get(obj, "webhooks")));
        kc_cell_age(cells, obj, now);
}

static void admission_policy(
    struct json_object *cells, const struct json_object *obj, kc_time now, const struct json_object *rules)
{
        const struct json_object *kind = kc_json_at(obj, "spec.paramKind");
        const char *version = kc_json_str(kind, "apiVersion"), *name = kc_json_str(kind, "kind");
        kc_cell_name(cells, obj);
        kc_cell_int(cells, (int64_t)kc_json_len(rules));
        kc_cell_str_take(
            cells, kind ? kc_asprintf("%s/%s", version ? version : "", name ? name : "") : kc_strdup("<unset>"));
        kc_cell_age(cells, obj, now);
}

void kc_print_validating_policy(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        admission_policy(cells, obj, now, kc_json_at(obj, "spec.validations"));
}

void kc_print_mutating_policy(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        admission_policy(cells, obj, now, kc_json_at(obj, "spec.mutations"));
}

void kc_print_policy_binding(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *ref = kc_json_at(obj, "spec.paramRef"), *selector = kc_json_get(ref, "selector");
        const char *name = kc_json_str(ref, "name"), *ns = kc_json_str(ref, "namespace");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.policyName"));
        if (!kc_str_empty(name))
                kc_cell_str_take(cells, kc_str_empty(ns) ? kc_strdup(name) : kc_asprintf("%s/%s", ns, name));
        else if (selector)
                kc_cell_str_take(cells, kc_label_selector_format(selector));
        else
                kc_cell_str(cells, "<unset>");
        kc_cell_age(cells, obj, now);
}

/* --- flow control */

void kc_print_flow_schema(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *dangling = kc_json_find(kc_json_at(obj, "status.conditions"), "type", "Dangling");
        const char *missing = kc_json_str(dangling, "status");
        kc_cell_name(cells, obj);
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.priorityLevelConfiguration.name"));
        kc_cell_int(cells, kc_json_int_at(obj, "spec.matchingPrecedence", 0));
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.distinguisherMethod.type"));
        kc_cell_age(cells, obj, now);
        kc_cell_str(cells, dangling ? missing : "?");
}

static void number_or_none(struct json_object *cells, const struct json_object *parent, const char *key)
{
        if (kc_json_get(parent, key))
                kc_cell_int(cells, kc_json_int(parent, key, 0));
        else
                kc_cell_str(cells, "<none>");
}

void kc_print_priority_level(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *limited = kc_json_at(obj, "spec.limited");
        const struct json_object *queuing = kc_json_at(limited, "limitResponse.queuing");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.type"));
        number_or_none(cells, limited, "nominalConcurrencyShares");
        number_or_none(cells, queuing, "queues");
        number_or_none(cells, queuing, "handSize");
        number_or_none(cells, queuing, "queueLengthLimit");
        kc_cell_age(cells, obj, now);
}

/* --- certificates */

static char *request_state(const struct json_object *csr)
{
        const struct json_object *conditions = kc_json_at(csr, "status.conditions");
        const char *state = kc_json_find(conditions, "type", "Denied")     ? "Denied"
                            : kc_json_find(conditions, "type", "Approved") ? "Approved"
                                                                           : "Pending";
        return kc_asprintf("%s%s%s", state, kc_json_find(conditions, "type", "Failed") ? ",Failed" : "",
            kc_str_empty(kc_json_str_at(csr, "status.certificate")) ? "" : ",Issued");
}

void kc_print_signing_request(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        char buf[KC_TIME_LEN];
        int64_t seconds = kc_json_int_at(obj, "spec.expirationSeconds", -1);
        kc_cell_name(cells, obj);
        kc_cell_age(cells, obj, now);
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.signerName"));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.username"));
        kc_cell_str(cells, seconds < 0 ? "<none>" : kc_duration_human(seconds * KC_SEC, buf));
        kc_cell_str_take(cells, request_state(obj));
}

void kc_print_trust_bundle(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        (void)now; /* it shows no age */
        kc_cell_name(cells, obj);
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.signerName"));
}

/* --- extensions */

static char *availability(const struct json_object *obj)
{
        const struct json_object *c = kc_json_find(kc_json_at(obj, "status.conditions"), "type", "Available");
        const char *status = kc_json_str(c, "status"), *reason = kc_json_str(c, "reason");
        if (!c)
                return kc_strdup("Unknown");
        return kc_streq(status, "True") ? kc_strdup(status)
                                        : kc_asprintf("%s (%s)", status ? status : "", reason ? reason : "");
}

void kc_print_api_service(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *service = kc_json_at(obj, "spec.service");
        const char *ns = kc_json_str(service, "namespace"), *name = kc_json_str(service, "name");
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, service ? kc_asprintf("%s/%s", ns ? ns : "", name ? name : "") : kc_strdup("Local"));
        kc_cell_str_take(cells, availability(obj));
        kc_cell_age(cells, obj, now);
}

void kc_print_component_status(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        (void)now; /* it has no age */
        const struct json_object *c = kc_json_find(kc_json_get(obj, "conditions"), "type", "Healthy");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, !c ? "Unknown" : kc_streq(kc_json_str(c, "status"), "True") ? "Healthy" : "Unhealthy");
        kc_cell_str(cells, kc_json_str(c, "message"));
        kc_cell_str(cells, kc_json_str(c, "error"));
}

/* --- runtimes and devices */

void kc_print_runtime_class(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str(obj, "handler"));
        kc_cell_age(cells, obj, now);
}

/* "allocated,reserved". */
static char *claim_state(const struct json_object *obj)
{
        bool deleted = kc_json_at(obj, "metadata.deletionTimestamp"), allocated = kc_json_at(obj, "status.allocation");
        bool reserved = kc_json_len(kc_json_at(obj, "status.reservedFor")) > 0;
        if (!allocated)
                return kc_strdup(deleted ? "deleted" : "pending");
        return kc_asprintf("%sallocated%s", deleted ? "deleted," : "", reserved ? ",reserved" : "");
}

void kc_print_resource_claim(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, claim_state(obj));
        kc_cell_age(cells, obj, now);
}

void kc_print_resource_slice(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.nodeName"));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.driver"));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.pool.name"));
        kc_cell_age(cells, obj, now);
}
