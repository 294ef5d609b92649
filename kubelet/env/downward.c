/* Downward API: fields and resources of the pod as text. Pure. */
#include <errno.h>
#include <string.h>

#include "api/quantity.h"
#include "api/status.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/env/env.h"

/* key="value" lines in order of keys (fieldpath.FormatMap). */
static char *format_map(const struct json_object *map)
{
        char **keys = NULL;
        KC_JSON_FOREACH(map, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        if (keys)
                kc_strv_sort(keys);
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; keys && keys[i]; i++) {
                kc_buf_addf(&b, "%s%s=", i ? "\n" : "", keys[i]);
                kc_quote_add(&b, kc_json_str(map, keys[i]));
        }
        kc_strv_free(keys);
        return kc_buf_take_str(&b);
}

/* metadata.labels['k'] -> k; NULL when path is not of that form. Heap. */
static char *subscript(const char *path, const char *base)
{
        if (!kc_str_has_prefix(path, base) || !kc_str_has_prefix(path + strlen(base), "['") ||
            !kc_str_has_suffix(path, "']"))
                return NULL;
        size_t skip = strlen(base) + 2, len = strlen(path);
        return len < skip + 2 ? NULL : kc_strndup(path + skip, len - skip - 2);
}

static char *join(char *const *v)
{
        return v ? kc_strv_join(v, ",") : kc_strdup("");
}

static const char *first(char *const *v)
{
        return v && v[0] ? v[0] : "";
}

int kc_downward_field(
    const struct json_object *pod, const char *path, const struct kc_pod_facts *facts, char **ret, struct kc_error *err)
{
        static const char *const plain[] = {"metadata.name", "metadata.namespace", "metadata.uid"};
        static const char *const maps[] = {"metadata.labels", "metadata.annotations"};
        for (size_t i = 0; i < KC_ARRAY_LEN(plain); i++)
                if (kc_streq(path, plain[i])) {
                        *ret = kc_strdup(kc_json_str_at(pod, path) ?: "");
                        return 0;
                }
        for (size_t i = 0; i < KC_ARRAY_LEN(maps); i++) {
                const struct json_object *map = kc_json_at(pod, maps[i]);
                if (kc_streq(path, maps[i])) {
                        *ret = format_map(map);
                        return 0;
                }
                KC_CLEANUP(kc_freep) char *key = subscript(path, maps[i]);
                if (key) {
                        *ret = kc_strdup(kc_json_str(map, key) ?: "");
                        return 0;
                }
        }
        if (kc_streq(path, "spec.nodeName"))
                *ret = kc_strdup(kc_json_str_at(pod, path) ?: (facts->node_name ?: ""));
        else if (kc_streq(path, "spec.serviceAccountName"))
                *ret = kc_strdup(kc_json_str_at(pod, path) ?: "");
        else if (kc_streq(path, "spec.restartPolicy") || kc_streq(path, "spec.schedulerName"))
                *ret = kc_strdup(kc_json_str_at(pod, path) ?: "");
        else if (kc_streq(path, "status.phase"))
                *ret = kc_strdup(kc_json_str_at(pod, path) ?: "");
        else if (kc_streq(path, "status.hostIP"))
                *ret = kc_strdup(first(facts->host_ips));
        else if (kc_streq(path, "status.hostIPs"))
                *ret = join(facts->host_ips);
        else if (kc_streq(path, "status.podIP"))
                *ret = kc_strdup(first(facts->pod_ips));
        else if (kc_streq(path, "status.podIPs"))
                *ret = join(facts->pod_ips);
        else
                return kc_error_set(err, EINVAL, "unsupported fieldPath: %s", path);
        return 0;
}

/* The quantity of that name in the list, zero if absent. */
static struct kc_quantity quantity_of(const struct json_object *list, const char *name)
{
        struct kc_quantity q = {0};
        const char *s = kc_json_str(list, name);
        if (!s || kc_quantity_parse(s, &q) < 0)
                return (struct kc_quantity){0};
        return q;
}

static int64_t divide_up(int64_t v, int64_t by)
{
        if (by <= 0)
                by = 1;
        return v / by + (v % by > 0);
}

int kc_downward_resource(const struct json_object *container, const char *resource, const char *divisor,
    const struct kc_pod_facts *facts, char **ret, struct kc_error *err)
{
        bool limits = kc_str_has_prefix(resource, "limits.");
        const char *name = strchr(resource, '.');
        bool known = name && (limits || kc_str_has_prefix(resource, "requests.")) &&
                     (kc_streq(name, ".cpu") || kc_streq(name, ".memory") || kc_streq(name, ".ephemeral-storage") ||
                         kc_str_has_prefix(name, ".hugepages-"));
        if (!known)
                return kc_error_set(err, EINVAL, "unsupported container resource : %s", resource);
        name++;
        const struct json_object *list = kc_json_at(container, limits ? "resources.limits" : "resources.requests");
        struct kc_quantity q = quantity_of(list, name);
        /* No limit: the node's allocatable is one. */
        if (limits && q.nano == 0 && !kc_str_has_prefix(name, "hugepages-"))
                q = quantity_of(facts->allocatable, name);
        struct kc_quantity by = {0};
        if (!kc_str_empty(divisor) && kc_quantity_parse(divisor, &by) < 0)
                return kc_error_set(err, EINVAL, "unable to parse divisor %s", divisor);
        if (by.nano == 0)
                by = kc_quantity_from_int(1, KC_QUANTITY_DECIMAL_SI);
        int64_t v = kc_streq(name, "cpu") ? divide_up(kc_quantity_milli(&q), kc_quantity_milli(&by))
                                          : divide_up(kc_quantity_value(&q), kc_quantity_value(&by));
        *ret = kc_asprintf("%lld", (long long)v);
        return 0;
}
