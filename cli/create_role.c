/* Roles and ClusterRoles from verbs and resources. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/create.h"

#define RBAC "rbac.authorization.k8s.io"

static const char *const resource_verbs[] = {"*", "get", "delete", "list", "create", "update", "patch", "watch",
    "proxy", "deletecollection", "use", "bind", "escalate", "impersonate", NULL};
static const char *const url_verbs[] = {"*", "get", "post", "put", "delete", "patch", "head", "options", NULL};

/* Verbs that mean something for some resources only. */
static const struct {
        const char *verb, *group, *resource;
} special[] = {
    {"use", "policy", "podsecuritypolicies"},
    {"use", "extensions", "podsecuritypolicies"},
    {"bind", RBAC, "roles"},
    {"bind", RBAC, "clusterroles"},
    {"escalate", RBAC, "roles"},
    {"escalate", RBAC, "clusterroles"},
    {"impersonate", "", "users"},
    {"impersonate", "", "serviceaccounts"},
    {"impersonate", "", "groups"},
    {"impersonate", "authentication.k8s.io", "userextras"},
};

static bool is_one_of(const char *const *v, const char *s)
{
        for (; *v; v++)
                if (strcmp(*v, s) == 0)
                        return true;
        return false;
}

/* "resource[.group][/subresource]" */
struct wanted {
        char *resource, *group, *sub;
        bool mapped; /* the server has it, by these names */
};

static void wanted_done(struct wanted *x)
{
        kc_free(x->resource);
        kc_free(x->group);
        kc_free(x->sub);
}

static void parse(const char *text, struct wanted *ret)
{
        const char *slash = strchr(text, '/');
        KC_CLEANUP(kc_freep) char *full = kc_strndup(text, slash ? (size_t)(slash - text) : strlen(text));
        const char *dot = strchr(full, '.');
        *ret = (struct wanted){.resource = kc_strndup(full, strcspn(full, ".")),
            .group = kc_strdup(dot ? dot + 1 : ""),
            .sub = slash ? kc_strdup(slash + 1) : NULL};
}

/* The server's names for it. */
static int map_resource(struct kc_cli *c, struct wanted *x, struct kc_error *err)
{
        struct kc_resource_map *map;
        const struct kc_api_resource *r;
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep)
        char *full = x->group[0] ? kc_asprintf("%s.%s", x->resource, x->group) : kc_strdup(x->resource);
        e = kc_resource_map_find(map, full, &r, err);
        if (e < 0)
                return e;
        kc_str_set(&x->resource, r->resource);
        kc_str_set(&x->group, r->group);
        x->mapped = true;
        return 0;
}

static int check_special_verbs(char *const *verbs, const struct wanted *x, bool *ret_special, struct kc_error *err)
{
        *ret_special = false;
        for (char *const *v = verbs; v && *v; v++) {
                bool is_special = false, matches = false;
                for (size_t i = 0; i < KC_ARRAY_LEN(special); i++) {
                        if (strcmp(special[i].verb, *v) != 0)
                                continue;
                        is_special = true;
                        matches = matches ||
                                  (kc_streq(special[i].resource, x->resource) && kc_streq(special[i].group, x->group));
                }
                if (is_special && !matches)
                        return kc_error_set(
                            err, EINVAL, "can not perform '%s' on '%s' in group '%s'", *v, x->resource, x->group);
                *ret_special = *ret_special || is_special;
        }
        return 0;
}

static int check_resource(struct kc_cli *c, char *const *verbs, struct wanted *x, struct kc_error *err)
{
        bool is_special;
        struct kc_error unknown = KC_ERROR_INIT;
        if (!x->resource[0])
                return kc_error_set(err, EINVAL, "resource must be specified if apiGroup/subresource specified");
        if (kc_streq(x->resource, "*"))
                return 0;
        int found = map_resource(c, x, &unknown);
        int e = check_special_verbs(verbs, x, &is_special, err);
        if (e == 0 && found < 0 && !is_special) {
                (void)fprintf(c->err, "%s\n", kc_error_message(&unknown));
                e = KC_CLI_FAILED;
        }
        kc_error_done(&unknown);
        return e;
}

static void push_once(struct json_object *array, const char *s)
{
        for (size_t i = 0; i < kc_json_len(array); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(array, i)), s))
                        return;
        kc_json_push_str(array, s);
}

/* Each once; "*" stands for all. */
static struct json_object *array_of(char *const *v)
{
        struct json_object *a = json_object_new_array();
        if (kc_strv_has(v, "*")) {
                kc_json_push_str(a, "*");
                return a;
        }
        for (; v && *v; v++)
                push_once(a, *v);
        return a;
}

static const char *group_of(const struct json_object *rule)
{
        return kc_json_as_str(kc_json_idx(kc_json_get(rule, "apiGroups"), 0));
}

/* One rule for each group. */
static void add_to_group(struct json_object *rules, const struct kc_create_role *r, const struct wanted *x)
{
        KC_CLEANUP(kc_freep) char *full = x->sub ? kc_asprintf("%s/%s", x->resource, x->sub) : kc_strdup(x->resource);
        struct json_object *rule = NULL;
        for (size_t i = 0; i < kc_json_len(rules) && !rule; i++)
                if (kc_streq(group_of(kc_json_idx(rules, i)), x->group))
                        rule = kc_json_idx_mut(rules, i);
        if (!rule) {
                rule = kc_json_build("{'verbs':%o,'apiGroups':[%s],'resources':[]}", array_of(r->verbs), x->group);
                if (r->resource_names)
                        kc_json_set(rule, "resourceNames", array_of(r->resource_names));
                kc_json_push(rules, rule);
        }
        push_once(kc_json_get_mut(rule, "resources"), full);
}

static int compare_groups(const void *a, const void *b)
{
        return strcmp(group_of(*(struct json_object *const *)a), group_of(*(struct json_object *const *)b));
}

static int add_resources(
    struct kc_cli *c, const struct kc_create_role *r, struct json_object *rules, struct kc_error *err)
{
        char *everything[] = {NULL, NULL};
        for (char **text = r->resources; text && *text; text++)
                if (kc_streq(*text, "*"))
                        everything[0] = *text;
        for (char **text = everything[0] ? everything : r->resources; text && *text; text++) {
                KC_CLEANUP(wanted_done) struct wanted x;
                parse(*text, &x);
                int e = check_resource(c, r->verbs, &x, err);
                if (e != 0)
                        return e;
                add_to_group(rules, r, &x);
        }
        json_object_array_sort(rules, compare_groups);
        return 0;
}

static int add_urls(const struct kc_create_role *r, struct json_object *rules, struct kc_error *err)
{
        if (!r->urls)
                return 0;
        for (char **v = r->verbs; v && *v; v++)
                if (!is_one_of(url_verbs, *v))
                        return kc_error_set(err, EINVAL, "invalid verb: '%s' for nonResourceURL", *v);
        for (char **u = r->urls; *u; u++) {
                const char *star = strchr(*u, '*');
                if (kc_streq(*u, "*"))
                        continue;
                if ((*u)[0] != '/')
                        return kc_error_set(err, EINVAL, "nonResourceURL should start with /");
                if (star && star[1])
                        return kc_error_set(
                            err, EINVAL, "nonResourceURL only supports wildcard matches when '*' is at the end");
        }
        kc_json_push(rules, kc_json_build("{'verbs':%o,'nonResourceURLs':%o}", array_of(r->verbs), array_of(r->urls)));
        return 0;
}

static int check(struct kc_cli *c, const struct kc_create_role *r, struct kc_error *err)
{
        bool resources = r->resources && (r->resources[1] || r->resources[0][0]);
        if (r->aggregation && (r->urls || r->verbs || r->resources || r->resource_names))
                return kc_error_set(err, EINVAL,
                    "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames");
        if (r->aggregation)
                return 0;
        if (!r->verbs)
                return kc_error_set(err, EINVAL, "at least one verb must be specified");
        if (!resources && !r->cluster)
                return kc_error_set(err, EINVAL, "at least one resource must be specified");
        if (!resources && !r->urls)
                return kc_error_set(err, EINVAL, "one of resource or nonResourceURL must be specified");
        for (char **v = r->verbs; r->resources && *v; v++)
                if (!is_one_of(resource_verbs, *v))
                        (void)fprintf(c->err, "Warning: '%s' is not a standard resource verb\n", *v);
        return 0;
}

int kc_create_role(struct kc_cli *c, const struct kc_create_role *r, struct json_object **ret, struct kc_error *err)
{
        struct json_object *rules = json_object_new_array();
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj =
            kc_json_build("{'apiVersion':'" RBAC "/v1','kind':%s,'metadata':{'name':%s},'rules':%o}",
                r->cluster ? "ClusterRole" : "Role", r->name, rules);
        int e = check(c, r, err);
        if (e == 0)
                e = add_resources(c, r, rules, err);
        if (e == 0)
                e = add_urls(r, rules, err);
        if (e != 0)
                return e;
        if (r->aggregation) {
                struct json_object *labels = json_object_new_object();
                for (char **p = r->aggregation; *p; p++) {
                        KC_CLEANUP(kc_freep) char *key = kc_strndup(*p, strcspn(*p, "="));
                        kc_json_set_str(labels, key, strchr(*p, '=') + 1);
                }
                kc_json_del(obj, "rules");
                kc_json_set(
                    obj, "aggregationRule", kc_json_build("{'clusterRoleSelectors':[{'matchLabels':%o}]}", labels));
        }
        *ret = KC_TAKE(obj);
        return 0;
}
