/* The environment of one container, in upstream's order: envFrom, env, then services. Blocks on the object cache. */
#include "kubelet/env/env.h"

#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/env/env_internal.h"
#include "kubelet/pod/pod.h"

struct making {
        const struct kc_env_sources *s;
        const struct json_object *pod, *container;
        const struct kc_pod_facts *facts;
        const char *ns;
        struct kc_env env, services;
        char **invalid;
};

/* What IsRelaxedEnvVarName takes: printable ASCII but '='. */
static bool is_valid_name(const char *name)
{
        if (!*name)
                return false;
        for (const char *c = name; *c; c++)
                if (*c < 0x20 || *c > 0x7e || *c == '=')
                        return false;
        return true;
}

/* Returns 1 when it is not there and may be missing. */
static int get_object(struct making *m, enum kc_objcache_kind kind, const struct json_object *ref,
    struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int r = kc_objcache_get(m->s->objects, kind, m->ns, kc_json_str(ref, "name") ?: "", ret, &why);
        if (r == 0)
                return 0;
        if (kc_error_is(&why, KC_REASON_NOT_FOUND) && kc_json_bool(ref, "optional", false))
                return 1;
        if (err)
                kc_error_move(err, &why);
        return r;
}

/* The text of a value of a ConfigMap or Secret. Heap. */
static int decode(enum kc_objcache_kind kind, const char *value, char **ret, struct kc_error *err)
{
        if (kind == KC_OBJCACHE_CONFIGMAP) {
                *ret = kc_strdup(value);
                return 0;
        }
        struct kc_buf b = KC_BUF_INIT;
        if (kc_base64_decode(value, strlen(value), &b) < 0) {
                kc_buf_done(&b);
                return kc_error_set(err, EINVAL, "illegal base64 data in a secret");
        }
        *ret = kc_buf_take_str(&b);
        return 0;
}

static int add_from(struct making *m, const struct json_object *from, struct kc_error *err)
{
        static const char *const refs[] = {
            [KC_OBJCACHE_CONFIGMAP] = "configMapRef", [KC_OBJCACHE_SECRET] = "secretRef"};
        const char *prefix = kc_json_str(from, "prefix") ?: "";
        for (size_t kind = 0; kind < KC_ARRAY_LEN(refs); kind++) {
                const struct json_object *ref = kc_json_get(from, refs[kind]);
                KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
                if (!ref)
                        continue;
                int r = get_object(m, (enum kc_objcache_kind)kind, ref, &o, err);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                const struct json_object *data = kc_json_get(kc_object_json(o), "data");
                KC_JSON_FOREACH(data, key, val)
                {
                        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s", prefix, key);
                        KC_CLEANUP(kc_freep) char *value = NULL;
                        if (!is_valid_name(name)) {
                                kc_strv_push(&m->invalid, name);
                                continue;
                        }
                        r = decode((enum kc_objcache_kind)kind, kc_json_as_str(val) ?: "", &value, err);
                        if (r < 0)
                                return r;
                        kc_env_set(&m->env, name, value);
                }
        }
        return 0;
}

/* Returns 1 when the variable is left out. */
static int from_key(
    struct making *m, enum kc_objcache_kind kind, const struct json_object *ref, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        int r = get_object(m, kind, ref, &o, err);
        if (r != 0)
                return r;
        const char *key = kc_json_str(ref, "key") ?: "";
        const char *value = kc_json_str(kc_json_get(kc_object_json(o), "data"), key);
        if (!value && kc_json_bool(ref, "optional", false))
                return 1;
        if (!value)
                return kc_error_set(err, ENOENT, "couldn't find key %s in %s %s/%s", key,
                    kind == KC_OBJCACHE_CONFIGMAP ? "ConfigMap" : "Secret", m->ns, kc_json_str(ref, "name") ?: "");
        return decode(kind, value, ret, err);
}

static int from_resource(struct making *m, const struct json_object *ref, char **ret, struct kc_error *err)
{
        const char *name = kc_json_str(ref, "containerName");
        const struct json_object *c = m->container;
        if (!kc_str_empty(name)) {
                c = kc_pod_container(m->pod, name, NULL);
                if (!c)
                        return kc_error_set(err, ENOENT, "container %s not found", name);
        }
        return kc_downward_resource(
            c, kc_json_str(ref, "resource") ?: "", kc_json_str(ref, "divisor"), m->facts, ret, err);
}

static int add_var(struct making *m, const struct json_object *var, struct kc_error *err)
{
        const char *value = kc_json_str(var, "value");
        const struct json_object *from = kc_json_get(var, "valueFrom"), *ref;
        KC_CLEANUP(kc_freep) char *text = NULL;
        int r = 0;
        if (!kc_str_empty(value))
                text = kc_env_expand_two(value, &m->env, &m->services, NULL);
        else if ((ref = kc_json_get(from, "fieldRef")))
                r = kc_downward_field(m->pod, kc_json_str(ref, "fieldPath") ?: "", m->facts, &text, err);
        else if ((ref = kc_json_get(from, "resourceFieldRef")))
                r = from_resource(m, ref, &text, err);
        else if ((ref = kc_json_get(from, "configMapKeyRef")))
                r = from_key(m, KC_OBJCACHE_CONFIGMAP, ref, &text, err);
        else if ((ref = kc_json_get(from, "secretKeyRef")))
                r = from_key(m, KC_OBJCACHE_SECRET, ref, &text, err);
        else if (from)
                return kc_error_set(
                    err, ENOTSUP, "environment variable %s: source is not supported", kc_json_str(var, "name") ?: "");
        if (r < 0)
                return r;
        if (r == 0)
                kc_env_set(&m->env, kc_json_str(var, "name") ?: "", text ?: "");
        return 0;
}

static int add_services(struct making *m, struct kc_error *err)
{
        if (!m->s->services)
                return 0;
        /* A pod of the API server's is worth waiting for; static pods may be what brings the server up. */
        if (!kc_pod_is_static(m->pod) && !kc_informer_synced(m->s->services))
                return kc_error_set(
                    err, EAGAIN, "services have not yet been read at least once, cannot construct envvars");
        kc_env_services(m->s->services, m->ns, kc_json_bool_at(m->pod, "spec.enableServiceLinks", true), &m->services);
        return 0;
}

static int make(struct making *m, struct kc_error *err)
{
        int r = add_services(m, err);
        const struct json_object *from = kc_json_get(m->container, "envFrom");
        for (size_t i = 0; r == 0 && i < kc_json_len(from); i++)
                r = add_from(m, kc_json_idx(from, i), err);
        const struct json_object *vars = kc_json_get(m->container, "env");
        for (size_t i = 0; r == 0 && i < kc_json_len(vars); i++)
                r = add_var(m, kc_json_idx(vars, i), err);
        for (size_t i = 0; r == 0 && i < m->services.n; i++)
                if (!kc_env_get(&m->env, m->services.names[i]))
                        kc_env_set(&m->env, m->services.names[i], m->services.values[i]);
        return r;
}

int kc_env_make(const struct kc_env_sources *s, const struct json_object *pod, const struct json_object *container,
    const struct kc_pod_facts *facts, struct kc_env *ret, char ***ret_invalid, struct kc_error *err)
{
        struct making m = {
            .s = s, .pod = pod, .container = container, .facts = facts, .ns = kc_meta_namespace(pod) ?: "default"};
        int r = make(&m, err);
        kc_env_done(&m.services);
        if (r < 0) {
                kc_env_done(&m.env);
                kc_strv_free(m.invalid);
                return r;
        }
        *ret = m.env;
        if (ret_invalid) {
                if (m.invalid)
                        kc_strv_sort(m.invalid);
                *ret_invalid = m.invalid;
        } else {
                kc_strv_free(m.invalid);
        }
        return 0;
}
