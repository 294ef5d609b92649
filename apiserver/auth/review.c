/* The kinds that ask: who is this token, what may this user do. Answered at once, never stored. Any thread. */
#include "auth/review.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "api/status.h"
#include "base/str.h"

#define AUTHORIZATION_GROUP "authorization.k8s.io"

struct review {
        struct kc_authn *authn;
        struct kc_authz *authz;
        const struct kc_user *user;
        const struct kc_resource *row;
        const char *ns;
        struct json_object *obj;
};

static const char *str_or_empty(const struct json_object *o, const char *key)
{
        const char *s = kc_json_str(o, key);
        return s ? s : "";
}

/* --- authentication */

static int token_review(struct review *rv, struct kc_error *err)
{
        const struct json_object *spec = kc_json_get(rv->obj, "spec");
        const char *token = str_or_empty(spec, "token");
        if (token[0] == '\0')
                return kc_err_bad_request(err, "token is required for TokenReview in authentication");
        if (kc_meta_namespace(rv->obj))
                return kc_err_bad_request(err, "namespace is not allowed on this type: %s", kc_meta_namespace(rv->obj));
        KC_CLEANUP(kc_strv_freep) char **audiences = NULL;
        const struct json_object *wanted = kc_json_get(spec, "audiences");
        for (size_t i = 0; i < kc_json_len(wanted); i++)
                if (kc_json_as_str(kc_json_idx(wanted, i)))
                        kc_strv_push(&audiences, kc_json_as_str(kc_json_idx(wanted, i)));
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = NULL;
        KC_CLEANUP(kc_strv_freep) char **good_for = NULL;
        KC_CLEANUP(kc_freep) char *why = NULL;
        int r = kc_authn_token(rv->authn, token, audiences, &u, &good_for, &why, err);
        if (r < 0)
                return r;
        struct json_object *status = json_object_new_object();
        kc_json_set(rv->obj, "status", status);
        if (u) {
                kc_json_set_bool(status, "authenticated", true);
                kc_json_set(status, "user", kc_user_to_json(u));
                struct json_object *a = kc_json_ensure_arr(status, "audiences");
                for (char **g = good_for; g && *g; g++)
                        kc_json_push_str(a, *g);
        } else {
                kc_json_set(status, "user", json_object_new_object());
                if (why)
                        kc_json_set_str(status, "error", why);
        }
        return 0;
}

static int self_subject_review(struct review *rv, struct kc_error *err)
{
        (void)err; /* cannot fail */
        char now[KC_TIME_LEN];
        kc_json_set_str(
            kc_json_ensure_obj(rv->obj, "metadata"), "creationTimestamp", kc_time_format(kc_clock_now(NULL), now));
        kc_json_set(rv->obj, "status", kc_json_build("{'userInfo':%o}", kc_user_to_json(rv->user)));
        return 0;
}

/* --- authorization */

/* Requirements with one value each as a selector; others say nothing that an authorizer looks at. */
static struct kc_field_selector *field_selector_of(const struct json_object *attrs)
{
        const struct json_object *reqs = kc_json_at(attrs, "fieldSelector.requirements");
        const char *raw = kc_json_str_at(attrs, "fieldSelector.rawSelector");
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(reqs); i++) {
                const struct json_object *r = kc_json_idx(reqs, i);
                const char *op = str_or_empty(r, "operator");
                const char *value = kc_json_as_str(kc_json_idx(kc_json_get(r, "values"), 0));
                bool in = strcmp(op, "In") == 0;
                if (!value || kc_json_len(kc_json_get(r, "values")) != 1 || (!in && strcmp(op, "NotIn") != 0))
                        continue;
                kc_buf_addf(&b, "%s%s%s", b.len > 0 ? "," : "", str_or_empty(r, "key"), in ? "=" : "!=");
                for (; *value; value++) {
                        if (strchr("\\,=", *value))
                                kc_buf_addc(&b, '\\');
                        kc_buf_addc(&b, *value);
                }
        }
        struct kc_field_selector *s = NULL;
        if (!kc_str_empty(raw))
                kc_buf_adds(&b, raw);
        /* One that does not parse narrows nothing. */
        if (b.len == 0 || kc_field_selector_parse(kc_buf_str(&b), &s, NULL) < 0)
                return NULL;
        return s;
}

static struct json_object *label_requirements_of(const struct json_object *attrs)
{
        const struct json_object *reqs = kc_json_at(attrs, "labelSelector.requirements");
        const char *raw = kc_json_str_at(attrs, "labelSelector.rawSelector");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        if (!kc_str_empty(raw) && kc_selector_parse(raw, &s, NULL) == 0)
                return kc_selector_requirements(s);
        return reqs ? kc_json_copy(reqs) : NULL;
}

static void answer(struct review *rv, const struct kc_user *user)
{
        const struct json_object *spec = kc_json_get(rv->obj, "spec");
        const struct json_object *res = kc_json_get(spec, "resourceAttributes");
        const struct json_object *from = res ? res : kc_json_get(spec, "nonResourceAttributes");
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *fields = res ? field_selector_of(res) : NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *labels = res ? label_requirements_of(res) : NULL;
        const struct kc_authz_attrs attrs = {
            .user = user,
            .verb = str_or_empty(from, "verb"),
            .resource_request = res != NULL,
            .ns = str_or_empty(res, "namespace"),
            .group = str_or_empty(res, "group"),
            .version = str_or_empty(res, "version"),
            .resource = str_or_empty(res, "resource"),
            .subresource = str_or_empty(res, "subresource"),
            .name = str_or_empty(res, "name"),
            .path = res ? "" : str_or_empty(from, "path"),
            .field_selector = fields,
            .label_requirements = labels,
        };
        KC_CLEANUP(kc_freep) char *reason = NULL;
        enum kc_decision d = kc_authz_authorize(rv->authz, &attrs, &reason);
        struct json_object *status = kc_json_build("{'allowed':%b}", d == KC_ALLOW);
        if (d == KC_DENY)
                kc_json_set_bool(status, "denied", true);
        if (!kc_str_empty(reason))
                kc_json_set_str(status, "reason", reason);
        kc_json_set(rv->obj, "status", status);
}

/* metadata may hold nothing but what the server itself keeps there (and a namespace, of the local review). */
static bool meta_is_empty(const struct json_object *obj, bool local)
{
        const struct json_object *meta = kc_json_get(obj, "metadata");
        KC_JSON_FOREACH(meta, key, val)
        {
                if (val && strcmp(key, "managedFields") != 0 && strcmp(key, "creationTimestamp") != 0 &&
                    !(local && strcmp(key, "namespace") == 0))
                        return false;
        }
        return true;
}

/* requirements or rawSelector, one of them. */
static void validate_selector(struct kc_field_errors *errors, const struct json_object *res, const char *name)
{
        const struct json_object *sel = kc_json_get(res, name);
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.resourceAttributes.%s", name);
        KC_CLEANUP(kc_freep) char *raw_path = kc_asprintf("%s.rawSelector", path);
        KC_CLEANUP(kc_freep) char *reqs_path = kc_asprintf("%s.requirements", path);
        bool raw = !kc_str_empty(kc_json_str(sel, "rawSelector")),
             reqs = kc_json_len(kc_json_get(sel, "requirements")) > 0;
        if (sel && raw && reqs)
                kc_field_invalid_str(errors, raw_path, kc_json_str(sel, "rawSelector"),
                    "may not specified at the same time as requirements");
        if (sel && !raw && !reqs) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("when %s is specified, requirements or rawSelector is required", path);
                kc_field_required(errors, reqs_path, why);
        }
}

static int validate(struct review *rv, bool subject, bool local, struct kc_error *err)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        const struct json_object *spec = kc_json_get(rv->obj, "spec");
        const struct json_object *res = kc_json_get(spec, "resourceAttributes");
        const struct json_object *non = kc_json_get(spec, "nonResourceAttributes");
        if (res && non)
                kc_field_invalid(&errors, "spec.nonResourceAttributes", non,
                    "cannot be specified in combination with resourceAttributes");
        if (!res && !non)
                kc_field_invalid(&errors, "spec.resourceAttributes", NULL,
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified");
        validate_selector(&errors, res, "fieldSelector");
        validate_selector(&errors, res, "labelSelector");
        if (subject && str_or_empty(spec, "user")[0] == '\0' && kc_json_len(kc_json_get(spec, "groups")) == 0)
                kc_field_invalid_str(&errors, "spec.user", "", "at least one of user or group must be specified");
        if (!meta_is_empty(rv->obj, local))
                kc_field_invalid(&errors, "metadata", kc_json_get(rv->obj, "metadata"), "must be empty");
        if (local && res && !kc_streq(str_or_empty(res, "namespace"), rv->ns))
                kc_field_invalid_str(&errors, "spec.resourceAttributes.namespace", str_or_empty(res, "namespace"),
                    "must match metadata.namespace");
        if (local && non)
                kc_field_invalid(&errors, "spec.nonResourceAttributes", non, "disallowed on this kind of request");
        return errors.n == 0 ? 0 : kc_err_invalid(err, AUTHORIZATION_GROUP, rv->row->kind, "", &errors);
}

/* The user that a spec describes. */
static struct kc_user *subject_of(const struct json_object *spec)
{
        struct kc_user *u = kc_user_new(str_or_empty(spec, "user"), kc_json_str(spec, "uid"), NULL);
        const struct json_object *groups = kc_json_get(spec, "groups");
        for (size_t i = 0; i < kc_json_len(groups); i++)
                if (kc_json_as_str(kc_json_idx(groups, i)))
                        kc_user_add_group(u, kc_json_as_str(kc_json_idx(groups, i)));
        const struct json_object *extra = kc_json_get(spec, "extra");
        KC_JSON_FOREACH(extra, key, values)
        {
                for (size_t i = 0; i < kc_json_len(values); i++)
                        if (kc_json_as_str(kc_json_idx(values, i)))
                                kc_user_add_extra(u, key, kc_json_as_str(kc_json_idx(values, i)));
        }
        return u;
}

static int subject_access_review(struct review *rv, struct kc_error *err)
{
        int r = validate(rv, true, false, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = subject_of(kc_json_get(rv->obj, "spec"));
        answer(rv, u);
        return 0;
}

static int local_subject_access_review(struct review *rv, struct kc_error *err)
{
        int r = validate(rv, true, true, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = subject_of(kc_json_get(rv->obj, "spec"));
        answer(rv, u);
        return 0;
}

static int self_subject_access_review(struct review *rv, struct kc_error *err)
{
        int r = validate(rv, false, false, err);
        if (r == 0)
                answer(rv, rv->user);
        return r;
}

static int self_subject_rules_review(struct review *rv, struct kc_error *err)
{
        const char *ns = str_or_empty(kc_json_get(rv->obj, "spec"), "namespace");
        if (ns[0] == '\0')
                return kc_err_bad_request(err, "no namespace on request");
        kc_json_set(rv->obj, "status", kc_authz_rules(rv->authz, rv->user, ns));
        return 0;
}

static const struct {
        const char *group, *kind;
        int (*answer)(struct review *rv, struct kc_error *err);
} kinds[] = {
    {"authentication.k8s.io", "TokenReview", token_review},
    {"authentication.k8s.io", "SelfSubjectReview", self_subject_review},
    {AUTHORIZATION_GROUP, "SubjectAccessReview", subject_access_review},
    {AUTHORIZATION_GROUP, "LocalSubjectAccessReview", local_subject_access_review},
    {AUTHORIZATION_GROUP, "SelfSubjectAccessReview", self_subject_access_review},
    {AUTHORIZATION_GROUP, "SelfSubjectRulesReview", self_subject_rules_review},
};

bool kc_review_create(struct kc_authn *authn, struct kc_authz *authz, const struct kc_user *user,
    const struct kc_resource *row, const char *ns, struct json_object *obj, int *ret_r, struct kc_error *err)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++) {
                if (strcmp(kinds[i].group, row->group) != 0 || strcmp(kinds[i].kind, row->kind) != 0)
                        continue;
                struct review rv = {authn, authz, user, row, ns ? ns : "", obj};
                *ret_r = kinds[i].answer(&rv, err);
                return true;
        }
        return false;
}
