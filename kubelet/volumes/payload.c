/* Volumes made of API objects: configMap, secret, downwardAPI, and projected, which is all of them and tokens. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

enum { DEFAULT_MODE = 0644 };

struct collecting {
        struct kc_volume_ctx *c;
        struct kc_payload payload;
        mode_t mode; /* defaultMode */
};

static mode_t mode_of(const struct json_object *item, mode_t def)
{
        return (mode_t)kc_json_int(item, "mode", def);
}

static int add_value(
    struct collecting *p, const char *path, const char *value, bool base64, mode_t mode, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!base64) {
                kc_payload_add(&p->payload, path, value, strlen(value), mode, -1);
                return 0;
        }
        if (kc_base64_decode(value, strlen(value), &b) < 0)
                return kc_error_set(err, EINVAL, "illegal base64 data at key of %s", path);
        kc_payload_add(&p->payload, path, b.data, b.len, mode, -1);
        return 0;
}

/* data is text in ConfigMaps and base64 in Secrets; binaryData is base64. */
static const char *value_of(enum kc_objcache_kind kind, const struct json_object *o, const char *key, bool *ret_base64)
{
        const char *s = kc_json_str(kc_json_get(o, "data"), key);
        *ret_base64 = kind == KC_OBJCACHE_SECRET;
        if (!s && kind == KC_OBJCACHE_CONFIGMAP) {
                s = kc_json_str(kc_json_get(o, "binaryData"), key);
                *ret_base64 = true;
        }
        return s;
}

static int add_all(struct collecting *p, enum kc_objcache_kind kind, const struct json_object *o, struct kc_error *err)
{
        static const char *const fields[] = {"data", "binaryData"};
        for (size_t i = 0; i < (kind == KC_OBJCACHE_CONFIGMAP ? 2 : 1); i++) {
                const struct json_object *map = kc_json_get(o, fields[i]);
                KC_JSON_FOREACH(map, key, val)
                {
                        bool base64 = kind == KC_OBJCACHE_SECRET || i == 1;
                        int r = add_value(p, key, kc_json_as_str(val) ?: "", base64, p->mode, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int add_object(struct collecting *p, enum kc_objcache_kind kind, const struct json_object *source,
    const char *name, struct kc_error *err)
{
        bool optional = kc_json_bool(source, "optional", false), base64;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int r = kc_objcache_get(p->c->v->objects, kind, p->c->ns, name ?: "", &o, &why);
        if (r < 0) {
                if (optional && kc_error_is(&why, KC_REASON_NOT_FOUND))
                        return 0;
                if (err)
                        kc_error_move(err, &why);
                return r;
        }
        const struct json_object *items = kc_json_get(source, "items");
        if (kc_json_len(items) == 0)
                return add_all(p, kind, kc_object_json(o), err);
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *item = kc_json_idx(items, i);
                const char *key = kc_json_str(item, "key") ?: "";
                const char *value = value_of(kind, kc_object_json(o), key, &base64);
                if (!value && optional)
                        continue;
                if (!value)
                        return kc_error_set(err, ENOENT,
                            kind == KC_OBJCACHE_CONFIGMAP ? "configmap references non-existent config key: %s"
                                                          : "references non-existent secret key: %s",
                            key);
                r = add_value(p, kc_json_str(item, "path") ?: "", value, base64, mode_of(item, p->mode), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_downward(struct collecting *p, const struct json_object *source, struct kc_error *err)
{
        const struct json_object *items = kc_json_get(source, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *item = kc_json_idx(items, i);
                const struct json_object *ref = kc_json_get(item, "resourceFieldRef");
                KC_CLEANUP(kc_freep) char *text = NULL;
                int r;
                if (ref) {
                        const char *name = kc_json_str(ref, "containerName") ?: "";
                        const struct json_object *container = kc_pod_container(p->c->pod, name, NULL);
                        if (!container)
                                return kc_error_set(err, ENOENT, "container %s not found", name);
                        r = kc_downward_resource(container, kc_json_str(ref, "resource") ?: "",
                            kc_json_str(ref, "divisor"), p->c->facts, &text, err);
                } else {
                        r = kc_downward_field(
                            p->c->pod, kc_json_str_at(item, "fieldRef.fieldPath") ?: "", p->c->facts, &text, err);
                }
                if (r < 0)
                        return r;
                kc_payload_add(
                    &p->payload, kc_json_str(item, "path") ?: "", text, strlen(text), mode_of(item, p->mode), -1);
        }
        return 0;
}

/* The user that all containers run as; -1: they differ, or some do not say. */
static int64_t user_of(const struct json_object *pod)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers"};
        int64_t def = kc_json_int_at(pod, "spec.securityContext.runAsUser", -1), user = -1;
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        int64_t u = kc_json_int_at(kc_json_idx(list, i), "securityContext.runAsUser", def);
                        if (u < 0 || (user >= 0 && u != user))
                                return -1;
                        user = u;
                }
        }
        return user;
}

/* Nobody but the pod's user or group may read it, once there is such. */
static mode_t private_mode(const struct collecting *p, int64_t user)
{
        return user >= 0 || p->c->fs_group >= 0 ? 0600 : p->mode;
}

static int add_trust_bundle(struct collecting *p, const struct json_object *source, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *pem = NULL;
        int64_t user = user_of(p->c->pod);
        int r = kc_trust_bundle(p->c->v->trust_bundles, source, &pem, err);
        if (r == 0)
                kc_payload_add(
                    &p->payload, kc_json_str(source, "path") ?: "", pem, strlen(pem), private_mode(p, user), user);
        return r;
}

static int add_token(struct collecting *p, const struct json_object *source, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *token = NULL;
        int r = kc_tokens_get(p->c->v->tokens, p->c->pod, kc_json_str(source, "audience") ?: "",
            kc_json_int(source, "expirationSeconds", 3600), &token, err);
        if (r < 0)
                return r;
        int64_t user = user_of(p->c->pod);
        kc_payload_add(
            &p->payload, kc_json_str(source, "path") ?: "", token, strlen(token), private_mode(p, user), user);
        size_t len = strlen(token);
        kc_free_secret(KC_TAKE(token), len);
        return 0;
}

static int add_source(struct collecting *p, const struct json_object *source, struct kc_error *err)
{
        const struct json_object *s;
        if ((s = kc_json_get(source, "secret")))
                return add_object(p, KC_OBJCACHE_SECRET, s, kc_json_str(s, "name"), err);
        if ((s = kc_json_get(source, "configMap")))
                return add_object(p, KC_OBJCACHE_CONFIGMAP, s, kc_json_str(s, "name"), err);
        if ((s = kc_json_get(source, "downwardAPI")))
                return add_downward(p, s, err);
        if ((s = kc_json_get(source, "serviceAccountToken")))
                return add_token(p, s, err);
        if ((s = kc_json_get(source, "clusterTrustBundle")))
                return add_trust_bundle(p, s, err);
        return kc_error_set(err, ENOTSUP, "projected volume source is not supported");
}

static struct collecting begin(struct kc_volume_ctx *c)
{
        return (struct collecting){.c = c, .mode = (mode_t)kc_json_int(c->source, "defaultMode", DEFAULT_MODE)};
}

/* r: what collecting ended with. */
static int finish(struct collecting *p, bool in_memory, int r, struct kc_error *err)
{
        if (r == 0)
                r = in_memory ? kc_volume_make_tmpfs(p->c, 0, err) : kc_volume_make_dir(p->c, err);
        if (r == 0)
                r = kc_payload_write(p->c->dir, &p->payload, p->c->fs_group, p->c->v->clock, err);
        kc_payload_done(&p->payload);
        return r;
}

int kc_volume_config_map(struct kc_volume_ctx *c, struct kc_error *err)
{
        struct collecting p = begin(c);
        int r = add_object(&p, KC_OBJCACHE_CONFIGMAP, c->source, kc_json_str(c->source, "name"), err);
        return finish(&p, false, r, err);
}

int kc_volume_secret(struct kc_volume_ctx *c, struct kc_error *err)
{
        struct collecting p = begin(c);
        int r = add_object(&p, KC_OBJCACHE_SECRET, c->source, kc_json_str(c->source, "secretName"), err);
        return finish(&p, true, r, err);
}

int kc_volume_downward_api(struct kc_volume_ctx *c, struct kc_error *err)
{
        struct collecting p = begin(c);
        return finish(&p, true, add_downward(&p, c->source, err), err);
}

int kc_volume_projected(struct kc_volume_ctx *c, struct kc_error *err)
{
        struct collecting p = begin(c);
        const struct json_object *sources = kc_json_get(c->source, "sources");
        int r = 0;
        for (size_t i = 0; r == 0 && i < kc_json_len(sources); i++)
                r = add_source(&p, kc_json_idx(sources, i), err);
        return finish(&p, true, r, err);
}
