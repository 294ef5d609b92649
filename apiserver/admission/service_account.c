/* ServiceAccount: every pod runs as a service account that exists, and gets its token, the cluster's CA and its
 * namespace mounted. */
#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/status.h"
#include "base/rand.h"
#include "base/str.h"

#define DEFAULT_NAME "default"
#define MOUNT_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define VOLUME_PREFIX "kube-api-access-"

enum {
        TOKEN_EXPIRATION = 3607, /* marks tokens of this volume: WarnOnlyBoundTokenExpirationPeriod */
        LOOKUP_ATTEMPTS = 10,    /* for the default account of a namespace that was made a moment ago */
};

/* The default account comes a moment after its namespace: waits for news of the store a few times before it gives up.
 */
static int lookup(struct kc_admission *adm, const char *ns, const char *name, struct kc_object **ret)
{
        const struct kc_resources *rs = kc_admission_resources(adm);
        if (kc_resources_get(rs, "", "serviceaccounts", ns, name, ret, NULL) == 0)
                return 0;
        int attempts = strcmp(name, DEFAULT_NAME) == 0 ? LOOKUP_ATTEMPTS : 1;
        const struct kc_stored *s = kc_resources_find(rs, "", "serviceaccounts");
        for (int i = 0; i < attempts; i++) {
                struct kc_cache_read next = {
                    .match = KC_CACHE_NOT_OLDER, .revision = kc_cache_revision(kc_resources_cache(rs)) + 1};
                int r = kc_resources_get_live(rs, "", "serviceaccounts", ns, name, ret, NULL);
                if (r != -ENOENT)
                        return r;
                if (i + 1 < attempts && kc_cache_wait(s->cache, &next, NULL) < 0)
                        break;
        }
        return -ENOENT;
}

static bool automount(const struct json_object *sa, const struct json_object *pod)
{
        const struct json_object *of_pod = kc_json_at(pod, "spec.automountServiceAccountToken");
        if (of_pod)
                return kc_json_bool_at(pod, "spec.automountServiceAccountToken", true);
        return kc_json_bool(sa, "automountServiceAccountToken", true);
}

/* Mounts the volume wherever nothing is mounted at the path yet. True if it was mounted at all. */
static bool mount(struct json_object *containers, const char *volume)
{
        bool mounted = false;
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                struct json_object *c = kc_json_idx_mut(containers, i);
                if (kc_json_find(kc_json_get(c, "volumeMounts"), "mountPath", MOUNT_PATH))
                        continue;
                kc_json_push(kc_json_ensure_arr(c, "volumeMounts"),
                    kc_json_build("{'name':%s,'readOnly':true,'mountPath':%s}", volume, MOUNT_PATH));
                mounted = true;
        }
        return mounted;
}

static struct json_object *token_volume(const char *name)
{
        return kc_json_build("{'name':%s,'projected':{'sources':["
                             "{'serviceAccountToken':{'expirationSeconds':%d,'path':'token'}},"
                             "{'configMap':{'name':'kube-root-ca.crt','items':[{'key':'ca.crt','path':'ca.crt'}]}},"
                             "{'downwardAPI':{'items':[{'path':'namespace',"
                             "'fieldRef':{'apiVersion':'v1','fieldPath':'metadata.namespace'}}]}}],"
                             "'defaultMode':420}}",
            name, TOKEN_EXPIRATION);
}

static void mount_token(struct json_object *spec)
{
        char suffix[6];
        kc_rand_suffix(suffix, 5);
        KC_CLEANUP(kc_freep) char *name = NULL;
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes) && !name; i++) {
                const char *v = kc_json_str(kc_json_idx(volumes, i), "name");
                if (v && kc_str_has_prefix(v, VOLUME_PREFIX))
                        name = kc_strdup(v);
        }
        bool there = name != NULL;
        if (!there)
                name = kc_asprintf(VOLUME_PREFIX "%s", suffix);
        bool mounted = mount(kc_json_get_mut(spec, "initContainers"), name);
        mounted = mount(kc_json_get_mut(spec, "containers"), name) || mounted;
        if (mounted && !there)
                kc_json_push(kc_json_ensure_arr(spec, "volumes"), token_volume(name));
}

ADM_ADMIT(adm_service_account)
{
        if (!adm_is(a, "", "pods") || adm_is_mirror_pod(a->obj))
                return 0;
        struct json_object *spec = kc_json_ensure_obj(a->obj, "spec");
        if (kc_str_empty(kc_json_str(spec, "serviceAccountName"))) {
                kc_json_set_str(spec, "serviceAccountName", DEFAULT_NAME);
                kc_json_set_str(spec, "serviceAccount", DEFAULT_NAME);
        }
        const char *name = kc_json_str(spec, "serviceAccountName");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *sa = NULL;
        if (lookup(adm, a->ns, name, &sa) < 0)
                return adm_forbidden(err, a, "error looking up service account %s/%s: serviceaccount \"%s\" not found",
                    a->ns, name, name);
        const struct json_object *account = kc_object_json(sa);
        if (automount(account, a->obj))
                mount_token(spec);
        const struct json_object *pull = kc_json_get(account, "imagePullSecrets");
        if (kc_json_len(kc_json_get(spec, "imagePullSecrets")) == 0 && kc_json_len(pull) > 0)
                kc_json_set(spec, "imagePullSecrets", kc_json_copy(pull));
        return 0;
}

static int validate_mirror(const struct kc_admission_attrs *a, struct kc_error *err)
{
        const struct json_object *spec = kc_json_get(a->obj, "spec");
        if (!kc_str_empty(kc_json_str(spec, "serviceAccountName")))
                return adm_forbidden(err, a, "a mirror pod may not reference service accounts");
        if (adm_pod_refers_to(a->obj, "secrets"))
                return adm_forbidden(err, a, "a mirror pod may not reference secrets");
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *sources = kc_json_at(kc_json_idx(volumes, i), "projected.sources");
                for (size_t j = 0; j < kc_json_len(sources); j++)
                        if (kc_json_get(kc_json_idx(sources, j), "serviceAccountToken"))
                                return adm_forbidden(
                                    err, a, "a mirror pod may not use ServiceAccountToken volume projections");
        }
        return 0;
}

ADM_VALIDATE(adm_service_account_validate)
{
        if (!adm_is(a, "", "pods"))
                return 0;
        if (adm_is_mirror_pod(a->obj))
                return validate_mirror(a, err);
        const char *name = kc_json_str_at(a->obj, "spec.serviceAccountName");
        if (kc_str_empty(name))
                return adm_forbidden(err, a, "no service account specified for pod %s/%s", a->ns, adm_name(a));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *sa = NULL;
        if (lookup(adm, a->ns, name, &sa) < 0)
                return adm_forbidden(err, a, "error looking up service account %s/%s: serviceaccount \"%s\" not found",
                    a->ns, name, name);
        return 0;
}
