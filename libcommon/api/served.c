/* What of the schema is served. Set on the main thread, then constant: any thread. */
#include "api/served.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "api/schema_internal.h"
#include "base/features.h"
#include "base/mem.h"
#include "base/str.h"

/* Resources that are there only where a feature gate is on. */
static const struct {
        const char *group, *version, *resource;
        enum kc_feature feature;
} gated[] = {
    {"certificates.k8s.io", "v1beta1", "clustertrustbundles", KC_FEATURE_CLUSTER_TRUST_BUNDLE},
};

static const struct kc_group_version **served; /* kept until exit */
static size_t n_served;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const struct kc_group_version *const *kc_schema_all_group_versions(size_t *ret_n)
{
        *ret_n = kc_schema_n_gvs;
        return kc_schema_gv_index;
}

/* --- one key of the configuration */

/* The value of a key; the last one counts. */
static bool lookup(char *const *config, const char *key, bool *ret)
{
        bool found = false;
        size_t len = strlen(key);
        for (; config && *config; config++) {
                const char *rest = strncmp(*config, key, len) == 0 ? *config + len : NULL;
                if (!rest || (*rest && *rest != '='))
                        continue;
                found = true;
                if (!*rest || !rest[1])
                        *ret = true;
                else
                        (void)kc_str_to_bool(rest + 1, ret); /* has been checked */
        }
        return found;
}

static const char *stage_of(const char *version)
{
        return strstr(version, "alpha") ? "api/alpha" : strstr(version, "beta") ? "api/beta" : "api/ga";
}

static bool version_enabled(char *const *config, const struct kc_group_version *gv)
{
        const char *stage = stage_of(gv->version);
        bool on = kc_streq(stage, "api/ga");
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", *gv->group ? gv->group : "api", gv->version);
        (void)lookup(config, "api/all", &on);
        (void)lookup(config, stage, &on);
        if (!*gv->group)
                (void)lookup(config, gv->version, &on);
        (void)lookup(config, key, &on);
        return on;
}

static bool resource_enabled(char *const *config, const struct kc_resource *r, bool version_on)
{
        bool on = version_on;
        KC_CLEANUP(kc_freep)
        char *key = kc_asprintf("%s/%s/%s", *r->group ? r->group : "api", r->version, r->resource);
        (void)lookup(config, key, &on);
        for (size_t i = 0; i < KC_ARRAY_LEN(gated); i++)
                if (kc_streq(gated[i].group, r->group) && kc_streq(gated[i].version, r->version) &&
                    kc_streq(gated[i].resource, r->resource) && !kc_feature_enabled(gated[i].feature))
                        return false;
        return on;
}

/* --- the list */

/* NULL: nothing of it is served. */
static const struct kc_group_version *served_part(char *const *config, const struct kc_group_version *gv)
{
        bool on = version_enabled(config, gv);
        KC_CLEANUP(kc_freep) struct kc_resource *part = kc_calloc(gv->n_resources, sizeof(*part));
        size_t n = 0;
        for (size_t i = 0; i < gv->n_resources; i++)
                if (resource_enabled(config, &gv->resources[i], on))
                        part[n++] = gv->resources[i];
        if (n == 0 || n == gv->n_resources)
                return n == 0 ? NULL : gv;
        struct kc_group_version *copy = KC_NEW(struct kc_group_version);
        *copy = (struct kc_group_version){gv->group, gv->version, KC_TAKE(part), n};
        return copy;
}

/* Not a part that served_part has made. */
static bool whole(const struct kc_group_version *gv)
{
        for (size_t i = 0; i < kc_schema_n_gvs; i++)
                if (kc_schema_gv_index[i] == gv)
                        return true;
        return false;
}

static void serve(char *const *config)
{
        const struct kc_group_version **list = kc_calloc(kc_schema_n_gvs, sizeof(*list));
        size_t n = 0;
        for (size_t i = 0; i < kc_schema_n_gvs; i++) {
                const struct kc_group_version *gv = served_part(config, kc_schema_gv_index[i]);
                if (gv)
                        list[n++] = gv;
        }
        for (size_t i = 0; i < n_served; i++)
                if (!whole(served[i])) {
                        kc_free((struct kc_resource *)served[i]->resources);
                        kc_free((struct kc_group_version *)served[i]);
                }
        kc_free(served);
        served = list;
        n_served = n;
}

static void serve_defaults(void)
{
        serve(NULL);
}

const struct kc_group_version *const *kc_schema_group_versions(size_t *ret_n)
{
        (void)pthread_once(&once, serve_defaults); /* cannot fail for a valid once */
        *ret_n = n_served;
        return served;
}

const struct kc_resource *kc_schema_served_resource(const char *group, const char *version, const char *resource)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++) {
                if (!kc_streq(gvs[i]->group, group) || !kc_streq(gvs[i]->version, version))
                        continue;
                for (size_t j = 0; j < gvs[i]->n_resources; j++)
                        if (kc_streq(gvs[i]->resources[j].resource, resource))
                                return &gvs[i]->resources[j];
        }
        return NULL;
}

/* --- checks */

static bool known_group(const char *group)
{
        for (size_t i = 0; i < kc_schema_n_gvs; i++)
                if (kc_streq(kc_schema_gv_index[i]->group, group))
                        return true;
        return false;
}

static bool known_version(const char *group, const char *version)
{
        for (size_t i = 0; i < kc_schema_n_gvs; i++)
                if (kc_streq(kc_schema_gv_index[i]->group, group) && kc_streq(kc_schema_gv_index[i]->version, version))
                        return true;
        return false;
}

static int check_key(const char *key, struct kc_error *err)
{
        static const char *const special[] = {"api/all", "api/ga", "api/beta", "api/alpha", "api/legacy", "v1", NULL};
        if (kc_strv_has((char *const *)special, key))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(key, '/');
        size_t n = kc_strv_len(parts);
        if (n != 2 && n != 3)
                return kc_error_set(err, EINVAL, "runtime-config invalid key %s", key);
        const char *group = kc_streq(parts[0], "api") ? "" : parts[0];
        if (!known_group(group))
                return kc_error_set(err, EINVAL, "unknown api groups %s", group);
        if (!known_version(group, parts[1]))
                return kc_error_set(
                    err, EINVAL, "group version %s/%s that has not been registered", parts[0], parts[1]);
        return 0;
}

static int check_pair(const char *pair, struct kc_error *err)
{
        size_t len = strcspn(pair, "=");
        KC_CLEANUP(kc_freep) char *key = kc_strndup(pair, len);
        const char *value = pair[len] ? pair + len + 1 : "";
        bool b;
        if (*value && kc_str_to_bool(value, &b) < 0)
                return kc_error_set(err, EINVAL,
                    "invalid value of %s: %s, err: strconv.ParseBool: parsing \"%s\": invalid syntax", key, value,
                    value);
        return check_key(key, err);
}

int kc_schema_serve(char *const *runtime_config, struct kc_error *err)
{
        bool all = true;
        for (char *const *c = runtime_config; c && *c; c++) {
                int r = check_pair(*c, err);
                if (r < 0)
                        return r;
        }
        if (kc_strv_len((char **)runtime_config) == 1 && lookup(runtime_config, "api/all", &all) && !all)
                return kc_error_set(err, EINVAL, "invalid key with only api/all=false");
        (void)pthread_once(&once, serve_defaults); /* so that the defaults do not come later */
        serve(runtime_config);
        return 0;
}
