/* FlowSchemas: which requests they are about. Objects have passed validation; what is missing matches nothing. Pure. */
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "flowcontrol/flow_internal.h"

#define SERVICE_ACCOUNT "system:serviceaccount:"

struct flow_schema *flow_schema_new(const struct json_object *obj)
{
        struct flow_schema *s = KC_NEW(struct flow_schema);
        atomic_init(&s->refs, 1);
        const char *uid = kc_meta_uid(obj), *level = kc_json_str_at(obj, "spec.priorityLevelConfiguration.name");
        const char *method = kc_json_str_at(obj, "spec.distinguisherMethod.type");
        s->name = kc_strdup(kc_meta_name(obj) ? kc_meta_name(obj) : "");
        s->uid = kc_strdup(uid ? uid : "");
        s->level = kc_strdup(level ? level : "");
        s->precedence = (int)kc_json_int_at(obj, "spec.matchingPrecedence", 1000);
        s->distinguisher = kc_streq(method, "ByUser")        ? BY_USER
                           : kc_streq(method, "ByNamespace") ? BY_NAMESPACE
                                                             : BY_NOTHING;
        s->rules = kc_json_copy(kc_json_at(obj, "spec.rules"));
        return s;
}

struct flow_schema *flow_schema_ref(struct flow_schema *s)
{
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        return s;
}

void flow_schema_unref(struct flow_schema *s)
{
        if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
                return;
        kc_free(s->name);
        kc_free(s->uid);
        kc_free(s->level);
        kc_json_free(s->rules);
        kc_free(s);
}

int flow_schema_compare(const void *a, const void *b)
{
        const struct flow_schema *x = *(struct flow_schema *const *)a, *y = *(struct flow_schema *const *)b;
        if (x->precedence != y->precedence)
                return x->precedence < y->precedence ? -1 : 1;
        return strcmp(x->name, y->name);
}

/* A list of words has the value, or "*". */
static bool has(const struct json_object *rule, const char *key, const char *value)
{
        const struct json_object *list = kc_json_get(rule, key);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *v = kc_json_as_str(kc_json_idx(list, i));
                if (kc_streq(v, "*") || kc_streq(v, value))
                        return true;
        }
        return false;
}

static bool name_fits(const char *wanted, const char *name)
{
        return kc_streq(wanted, "*") || kc_streq(wanted, name);
}

static bool service_account_fits(const struct json_object *sa, const char *user)
{
        const char *ns = kc_json_str(sa, "namespace"), *name = kc_json_str(sa, "name");
        if (!ns || !name || !kc_str_has_prefix(user, SERVICE_ACCOUNT))
                return false;
        const char *rest = user + strlen(SERVICE_ACCOUNT), *colon = strchr(rest, ':');
        if (!colon || strlen(ns) != (size_t)(colon - rest) || strncmp(ns, rest, strlen(ns)) != 0)
                return false;
        return name_fits(name, colon + 1);
}

static bool group_fits(const char *wanted, const struct kc_user *u)
{
        return wanted && (strcmp(wanted, "*") == 0 || kc_user_in_group(u, wanted));
}

static bool subject_fits(const struct json_object *s, const struct kc_user *u)
{
        const char *kind = kc_json_str(s, "kind");
        if (kc_streq(kind, "User"))
                return name_fits(kc_json_str_at(s, "user.name"), u->name);
        if (kc_streq(kind, "Group"))
                return group_fits(kc_json_str_at(s, "group.name"), u);
        return kc_streq(kind, "ServiceAccount") && service_account_fits(kc_json_get(s, "serviceAccount"), u->name);
}

static bool any_subject_fits(const struct json_object *rule, const struct kc_user *u)
{
        const struct json_object *subjects = kc_json_get(rule, "subjects");
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                if (subject_fits(kc_json_idx(subjects, i), u))
                        return true;
        return false;
}

static bool resource_fits(const struct json_object *r, const struct kc_flow_attrs *a, const char *resource)
{
        if (!has(r, "verbs", a->verb) || !has(r, "apiGroups", a->group) || !has(r, "resources", resource))
                return false;
        return a->ns[0] ? has(r, "namespaces", a->ns) : kc_json_bool(r, "clusterScope", false);
}

static bool any_resource_fits(const struct json_object *rule, const struct kc_flow_attrs *a)
{
        const struct json_object *rules = kc_json_get(rule, "resourceRules");
        KC_CLEANUP(kc_freep)
        char *resource = a->subresource[0] ? kc_asprintf("%s/%s", a->resource, a->subresource) : kc_strdup(a->resource);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                if (resource_fits(kc_json_idx(rules, i), a, resource))
                        return true;
        return false;
}

static bool path_fits(const struct json_object *r, const char *path)
{
        const struct json_object *urls = kc_json_get(r, "nonResourceURLs");
        for (size_t i = 0; i < kc_json_len(urls); i++) {
                const char *url = kc_json_as_str(kc_json_idx(urls, i));
                size_t len = url ? strlen(url) : 0;
                if (len == 0)
                        continue;
                /* "/x/" "*" is about what lies below it. */
                if (url[len - 1] == '*' ? strncmp(url, path, len - 1) == 0 : strcmp(url, path) == 0)
                        return true;
        }
        return false;
}

static bool any_path_fits(const struct json_object *rule, const struct kc_flow_attrs *a)
{
        const struct json_object *rules = kc_json_get(rule, "nonResourceRules");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *r = kc_json_idx(rules, i);
                if (has(r, "verbs", a->verb) && path_fits(r, a->path))
                        return true;
        }
        return false;
}

bool flow_schema_matches(const struct flow_schema *s, const struct kc_flow_attrs *a)
{
        for (size_t i = 0; i < kc_json_len(s->rules); i++) {
                const struct json_object *rule = kc_json_idx(s->rules, i);
                if (any_subject_fits(rule, a->user) &&
                    (a->resource_request ? any_resource_fits(rule, a) : any_path_fits(rule, a)))
                        return true;
        }
        return false;
}

const char *flow_distinguisher(const struct flow_schema *s, const struct kc_flow_attrs *a)
{
        if (s->distinguisher == BY_USER)
                return a->user->name;
        return s->distinguisher == BY_NAMESPACE && a->resource_request ? a->ns : "";
}
