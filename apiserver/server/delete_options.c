/* How an object is to be deleted: metav1.DeleteOptions with upstream's checks. Worker threads. */
#include "server/delete_options.h"

#include <string.h>

#include "api/codec.h"
#include "base/str.h"

static const char TYPE[] = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/* metav1/validation.ValidateDeleteOptions */
static int validate(const struct json_object *o, struct kc_error *err)
{
        static const char *const policies[] = {"Foreground", "Background", "Orphan", "nil", NULL};
        static const char *const all[] = {"All", NULL};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors e = {0};
        const char *policy = kc_json_str(o, "propagationPolicy");
        if (policy && kc_json_get(o, "orphanDependents"))
                kc_field_invalid_str(
                    &e, "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set");
        if (policy && (strcmp(policy, "nil") == 0 || !kc_strv_has((char *const *)policies, policy)))
                kc_field_not_supported(&e, "propagationPolicy", policy, policies);
        const struct json_object *dry = kc_json_get(o, "dryRun");
        for (size_t i = 0; i < kc_json_len(dry); i++) {
                const char *v = kc_json_as_str(kc_json_idx(dry, i));
                if (!kc_streq(v, "All"))
                        kc_field_not_supported(&e, "dryRun", v ? v : "", all);
        }
        return e.n == 0 ? 0 : kc_err_invalid(err, "meta.k8s.io", "DeleteOptions", "", &e);
}

int delete_options_of(struct json_object *tree, struct delete_options *ret, struct kc_error *err)
{
        int r = validate(tree, err);
        if (r < 0)
                return r;
        int64_t grace = kc_json_int(tree, "gracePeriodSeconds", -1);
        /* A negative period is one second, as upstream has it. */
        if (kc_json_get(tree, "gracePeriodSeconds") && grace < 0)
                grace = 1;
        ret->request = (struct kc_delete_request){
            .grace_period_seconds = grace,
            .propagation = kc_json_str(tree, "propagationPolicy"),
            .orphan_dependents_set = kc_json_get(tree, "orphanDependents") != NULL,
            .orphan_dependents = kc_json_bool(tree, "orphanDependents", false),
            .uid = kc_json_str_at(tree, "preconditions.uid"),
            .resource_version = kc_json_str_at(tree, "preconditions.resourceVersion"),
            .options = tree,
        };
        return 0;
}

static int from_query(const struct api_req *q, struct json_object *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *grace = api_req_param(q, "gracePeriodSeconds");
        KC_CLEANUP(kc_freep) char *policy = api_req_param(q, "propagationPolicy");
        KC_CLEANUP(kc_freep) char *orphan = api_req_param(q, "orphanDependents");
        KC_CLEANUP(kc_strv_freep) char **dry = kc_query_get_all(kc_http_req_query(q->http), "dryRun");
        int64_t seconds;
        if (!kc_str_empty(grace)) {
                if (kc_str_to_i64(grace, &seconds) < 0)
                        return kc_err_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", grace);
                kc_json_set_int(o, "gracePeriodSeconds", seconds);
        }
        if (!kc_str_empty(policy))
                kc_json_set_str(o, "propagationPolicy", policy);
        if (!kc_str_empty(orphan))
                kc_json_set_bool(o, "orphanDependents", api_req_param_bool(q, "orphanDependents", false));
        for (size_t i = 0; dry && dry[i]; i++)
                kc_json_push_str(kc_json_ensure_arr(o, "dryRun"), dry[i]);
        return 0;
}

/* Any group may carry it: every version of every group registers the kind. */
static int from_body(struct api_req *q, struct json_object **ret, struct kc_error *err)
{
        struct decode_target t = {
            .type = kc_schema_type(TYPE), .group = "meta.k8s.io", .version = "v1", .kind = "DeleteOptions"};
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = decode_untyped(q, &t, &tree, err);
        if (r < 0)
                return r;
        const char *kind = kc_json_str(tree, "kind");
        if (!kc_str_empty(kind) && strcmp(kind, "DeleteOptions") != 0)
                return kc_err_bad_request(err, "decoded object cannot be converted to DeleteOptions");
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (kc_codec_decode(tree, t.type, &unknown, &why) < 0)
                return kc_err_bad_request(err, "%s", kc_error_message(&why));
        kc_audit_record_request(q->audit, tree);
        *ret = KC_TAKE(tree);
        return 0;
}

int delete_options_parse(struct api_req *q, struct delete_options *ret, struct kc_error *err)
{
        *ret = (struct delete_options){0};
        size_t len;
        (void)kc_http_req_body(q->http, &len);
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = 0;
        if (len > 0) {
                r = from_body(q, &tree, err);
        } else {
                tree = json_object_new_object();
                r = from_query(q, tree, err);
        }
        if (r == 0)
                r = delete_options_of(tree, ret, err);
        if (r < 0)
                return r;
        ret->tree = KC_TAKE(tree);
        q->dry_run = kc_json_len(kc_json_get(ret->tree, "dryRun")) > 0;
        return 0;
}

void delete_options_done(struct delete_options *o)
{
        kc_json_free(o->tree);
        *o = (struct delete_options){0};
}
