/* One request's audit record. One thread at a time. */
#include "audit/record.h"

#include <string.h>

#include "base/str.h"

struct kc_audit_record {
        struct kc_audit *audit;
        struct kc_audit_decision decision;
        struct json_object *event; /* all but stage, stageTimestamp and annotations */
        struct json_object *status, *request, *response, *annotations;
};

static void add_object_ref(struct json_object *event, const struct kc_authz_attrs *a)
{
        if (!a->resource_request)
                return;
        struct json_object *ref = kc_json_ensure_obj(event, "objectRef");
        const char *const pairs[][2] = {{"resource", a->resource}, {"namespace", a->ns}, {"name", a->name},
            {"apiGroup", a->group}, {"apiVersion", a->version}, {"subresource", a->subresource}};
        for (size_t i = 0; i < KC_ARRAY_LEN(pairs); i++)
                if (!kc_str_empty(pairs[i][1]))
                        kc_json_set_str(ref, pairs[i][0], pairs[i][1]);
}

static struct json_object *user_json(const struct kc_user *u)
{
        return u ? kc_user_to_json(u) : json_object_new_object();
}

struct kc_audit_record *kc_audit_record_new(struct kc_audit *a, const struct kc_audit_request *q)
{
        struct kc_audit_decision d = kc_audit_policy_decide(kc_audit_policy(a), q->attrs);
        kc_audit_count_level(d.level);
        if (d.level == KC_AUDIT_NONE)
                return NULL;
        char received[KC_TIME_LEN];
        struct kc_audit_record *r = KC_NEW(struct kc_audit_record);
        r->audit = a;
        r->decision = d;
        r->event = kc_json_build("{'kind':'Event','apiVersion':'audit.k8s.io/v1','level':%s,'auditID':%s,'stage':'',"
                                 "'requestURI':%s,'verb':%s,'user':%o}",
            kc_audit_levels[d.level], q->id, q->uri, q->verb, user_json(q->attrs->user));
        for (size_t i = 0; q->source_ips && q->source_ips[i]; i++)
                kc_json_push_str(kc_json_ensure_arr(r->event, "sourceIPs"), q->source_ips[i]);
        if (!kc_str_empty(q->user_agent))
                kc_json_set_str(r->event, "userAgent", q->user_agent);
        add_object_ref(r->event, q->attrs);
        kc_json_set_str(r->event, "requestReceivedTimestamp", kc_time_format_micro(q->received, received));
        return r;
}

void kc_audit_record_free(struct kc_audit_record *r)
{
        if (!r)
                return;
        kc_json_free(r->event);
        kc_json_free(r->status);
        kc_json_free(r->request);
        kc_json_free(r->response);
        kc_json_free(r->annotations);
        kc_free(r);
}

void kc_audit_record_impersonated(struct kc_audit_record *r, const struct kc_user *u)
{
        if (r)
                kc_json_set(r->event, "impersonatedUser", user_json(u));
}

void kc_audit_record_annotate(struct kc_audit_record *r, const char *key, const char *value)
{
        if (!r)
                return;
        if (!r->annotations)
                r->annotations = json_object_new_object();
        if (!kc_json_get(r->annotations, key))
                kc_json_set_str(r->annotations, key, value ? value : "");
}

bool kc_audit_record_wants_request(const struct kc_audit_record *r)
{
        return r && r->decision.level >= KC_AUDIT_REQUEST;
}

bool kc_audit_record_wants_response(const struct kc_audit_record *r)
{
        return r && r->decision.level >= KC_AUDIT_REQUEST_RESPONSE;
}

static struct json_object *copy_of(const struct kc_audit_record *r, const struct json_object *obj)
{
        struct json_object *copy = kc_json_copy(obj);
        if (!r->decision.omit_managed_fields)
                return copy;
        struct json_object *meta = kc_json_get_mut(copy, "metadata"), *items = kc_json_get_mut(copy, "items");
        if (kc_json_is_obj(meta))
                kc_json_del(meta, "managedFields");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                struct json_object *of_item = kc_json_get_mut(kc_json_idx_mut(items, i), "metadata");
                if (kc_json_is_obj(of_item))
                        kc_json_del(of_item, "managedFields");
        }
        return copy;
}

void kc_audit_record_request(struct kc_audit_record *r, const struct json_object *obj)
{
        if (!r || !obj)
                return;
        struct json_object *ref = kc_json_get_mut(r->event, "objectRef");
        static const char *const fields[] = {"name", "uid", "resourceVersion"};
        for (size_t i = 0; ref && i < KC_ARRAY_LEN(fields); i++) {
                const char *value = kc_json_str(kc_json_get(obj, "metadata"), fields[i]);
                if (!kc_str_empty(value) && !kc_json_get(ref, fields[i]))
                        kc_json_set_str(ref, fields[i], value);
        }
        if (!kc_audit_record_wants_request(r))
                return;
        kc_json_free(r->request);
        r->request = copy_of(r, obj);
}

void kc_audit_record_response(struct kc_audit_record *r, const struct json_object *obj)
{
        if (!r || !obj)
                return;
        if (kc_streq(kc_json_str(obj, "kind"), "Status")) {
                kc_json_free(r->status);
                r->status = kc_json_copy(obj);
                kc_json_del(r->status, "kind");
                kc_json_del(r->status, "apiVersion");
        }
        if (!kc_audit_record_wants_response(r))
                return;
        kc_json_free(r->response);
        r->response = copy_of(r, obj);
}

static struct json_object *status_of(const struct kc_audit_record *r, int code)
{
        struct json_object *s = r->status ? kc_json_copy(r->status) : kc_json_build("{'metadata':{}}");
        kc_json_set_int(s, "code", code);
        return s;
}

bool kc_audit_record_stage(struct kc_audit_record *r, enum kc_audit_stage stage, int code)
{
        if (!r || (r->decision.omitted_stages & (1U << (unsigned)stage)))
                return true;
        char now[KC_TIME_LEN];
        KC_CLEANUP(kc_json_freep) struct json_object *e = kc_json_copy(r->event);
        kc_json_set_str(e, "stage", kc_audit_stages[stage]);
        if (code) {
                /* Times come after the response, as in upstream's events. */
                KC_CLEANUP(kc_freep) char *received = kc_strdup(kc_json_str(e, "requestReceivedTimestamp"));
                kc_json_del(e, "requestReceivedTimestamp");
                kc_json_set(e, "responseStatus", status_of(r, code));
                if (r->request)
                        kc_json_set(e, "requestObject", kc_json_copy(r->request));
                if (r->response)
                        kc_json_set(e, "responseObject", kc_json_copy(r->response));
                kc_json_set_str(e, "requestReceivedTimestamp", received);
        }
        kc_json_set_str(e, "stageTimestamp", kc_time_format_micro(kc_clock_now(NULL), now));
        if (r->annotations)
                kc_json_set(e, "annotations", kc_json_copy(r->annotations));
        return kc_audit_send(r->audit, e);
}
