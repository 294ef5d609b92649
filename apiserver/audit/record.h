/* What is known of one request for the audit: grows while the request goes its way, and becomes an Event at each stage.
 * One thread at a time. */
#pragma once

#include "audit/audit.h"
#include "base/clock.h"

struct kc_audit_record;

struct kc_audit_request {
        const char *id, *uri, *verb, *user_agent;
        char *const *source_ips;            /* strv */
        const struct kc_authz_attrs *attrs; /* the user, and what is asked for; looked at in the call only */
        kc_time received;
};

/* NULL: the policy wants nothing of it. */
struct kc_audit_record *kc_audit_record_new(struct kc_audit *a, const struct kc_audit_request *r);
void kc_audit_record_free(struct kc_audit_record *r);
/* All of these accept a NULL record. */
void kc_audit_record_impersonated(struct kc_audit_record *r, const struct kc_user *u);
/* The first value of a key stays. */
void kc_audit_record_annotate(struct kc_audit_record *r, const char *key, const char *value);
bool kc_audit_record_wants_request(const struct kc_audit_record *r);
bool kc_audit_record_wants_response(const struct kc_audit_record *r);
/* Copies obj (level Request and above), and fills in what the path did not say of the object: name, uid. */
void kc_audit_record_request(struct kc_audit_record *r, const struct json_object *obj);
/* A Status goes into responseStatus, too, at every level; other objects are copied at level RequestResponse. */
void kc_audit_record_response(struct kc_audit_record *r, const struct json_object *obj);
/* Sends the event of a stage, unless the policy omits it; code 0: no response yet. False as kc_audit_send. */
bool kc_audit_record_stage(struct kc_audit_record *r, enum kc_audit_stage stage, int code);
