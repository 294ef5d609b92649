/* Server-side apply: PATCH with application/apply-patch+yaml. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/patch.h"
#include "json/yaml.h"

int apply_read(struct api_req *q, struct patch *ret, struct kc_error *err)
{
        size_t len;
        const char *body = kc_http_req_body(q->http, &len);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (kc_yaml_parse_lax(body, len, NULL, &ret->body, &ret->repeats, &why) < 0)
                return kc_err_bad_request(err, "error decoding YAML: %s", kc_error_message(&why));
        kc_audit_record_request(q->audit, ret->body);
        if (!ret->body)
                ret->body = json_object_new_object();
        if (kc_json_is_obj(ret->body))
                return 0;
        return kc_err_bad_request(err,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal %s into Go "
            "value "
            "of type map[string]interface {}",
            kc_json_is_arr(ret->body)   ? "array"
            : kc_json_as_str(ret->body) ? "string"
                                        : "number");
}

/* Keys that the body has more than once, as the directive says. */
static int check_repeats(const struct patch *p, int field_validation, struct kc_error *err)
{
        if (!p->repeats || field_validation == VALIDATE_IGNORE)
                return 0;
        if (field_validation == VALIDATE_WARN) {
                for (size_t i = 0; p->repeats[i]; i++)
                        kc_strv_push(&p->q->warnings, p->repeats[i]);
                return 0;
        }
        KC_CLEANUP(kc_freep) char *lines = kc_strv_join(p->repeats, "\n  ");
        return kc_err_bad_request(
            err, "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  %s", lines);
}

int apply_to(struct kc_registry_ctx *c, const struct patch *p, const struct kc_fields_target *t,
    const struct json_object *live, int field_validation, struct json_object **ret, struct kc_error *err)
{
        int r = kc_fields_apply(c, t, live, p->body, p->force, ret, err);
        if (r < 0)
                return r;
        c->fields_managed = true;
        r = check_repeats(p, field_validation, err);
        const char *uid = kc_meta_uid(*ret);
        if (r < 0 || live || kc_str_empty(uid))
                return r;
        KC_CLEANUP(kc_freep)
        char *why =
            kc_asprintf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid);
        return kc_err_conflict(err, c->row->group, c->row->resource, c->name, why);
}
