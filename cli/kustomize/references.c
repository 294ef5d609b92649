/* Names in objects that follow the names of others. Any thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"

/* Where a kind is named. Paths of pods are below the pod spec, wherever a kind has it. */
struct reference {
        const char *target;   /* kind */
        const char *referrer; /* kind; NULL: pods and what has a template of them */
        const char *path;
};
static const struct reference references[] = {
    {"ConfigMap", NULL, "volumes/configMap/name"},
    {"ConfigMap", NULL, "volumes/projected/sources/configMap/name"},
    {"ConfigMap", NULL, "containers/env/valueFrom/configMapKeyRef/name"},
    {"ConfigMap", NULL, "initContainers/env/valueFrom/configMapKeyRef/name"},
    {"ConfigMap", NULL, "containers/envFrom/configMapRef/name"},
    {"ConfigMap", NULL, "initContainers/envFrom/configMapRef/name"},
    {"Secret", NULL, "volumes/secret/secretName"},
    {"Secret", NULL, "volumes/projected/sources/secret/name"},
    {"Secret", NULL, "containers/env/valueFrom/secretKeyRef/name"},
    {"Secret", NULL, "initContainers/env/valueFrom/secretKeyRef/name"},
    {"Secret", NULL, "containers/envFrom/secretRef/name"},
    {"Secret", NULL, "initContainers/envFrom/secretRef/name"},
    {"Secret", NULL, "imagePullSecrets/name"},
    {"Secret", "Ingress", "spec/tls/secretName"},
    {"Secret", "ServiceAccount", "imagePullSecrets/name"},
    {"Secret", "ServiceAccount", "secrets/name"},
    {"ServiceAccount", NULL, "serviceAccountName"},
    {"ServiceAccount", NULL, "serviceAccount"},
    {"PersistentVolumeClaim", NULL, "volumes/persistentVolumeClaim/claimName"},
    {"PersistentVolume", "PersistentVolumeClaim", "spec/volumeName"},
    {"PriorityClass", NULL, "priorityClassName"},
    {"Service", "StatefulSet", "spec/serviceName"},
    {"Service", "Ingress", "spec/rules/http/paths/backend/service/name"},
    {"Service", "Ingress", "spec/defaultBackend/service/name"},
    {"Service", "APIService", "spec/service/name"},
    {"Service", "CustomResourceDefinition", "spec/conversion/webhook/clientConfig/service/name"},
    {"Service", "ValidatingWebhookConfiguration", "webhooks/clientConfig/service/name"},
    {"Service", "MutatingWebhookConfiguration", "webhooks/clientConfig/service/name"},
    {"Deployment", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
    {"ReplicaSet", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
    {"ReplicationController", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
    {"StatefulSet", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
    {"Role", "RoleBinding", "roleRef/name"},
    {"ClusterRole", "RoleBinding", "roleRef/name"},
    {"ClusterRole", "ClusterRoleBinding", "roleRef/name"},
    {"ServiceAccount", "RoleBinding", "subjects/name"},
    {"ServiceAccount", "ClusterRoleBinding", "subjects/name"},
    {"StorageClass", "PersistentVolume", "spec/storageClassName"},
    {"StorageClass", "PersistentVolumeClaim", "spec/storageClassName"},
    {"StorageClass", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"},
    {"IngressClass", "Ingress", "spec/ingressClassName"},
};
static const struct {
        const char *kind, *prefix;
} pods[] = {
    {"Pod", "spec"},
    {"Deployment", "spec/template/spec"},
    {"ReplicaSet", "spec/template/spec"},
    {"ReplicationController", "spec/template/spec"},
    {"DaemonSet", "spec/template/spec"},
    {"StatefulSet", "spec/template/spec"},
    {"Job", "spec/template/spec"},
    {"CronJob", "spec/jobTemplate/spec/template/spec"},
};

struct fixing {
        const struct kustomize_resources *all;
        const struct kustomize_resource *referrer;
        const char *target;
};

/* Are both in one namespace, now or by what they were called at first? */
static bool may_name(const struct kustomize_resource *referrer, const struct kustomize_resource *target,
    const char *kind, const char *ns, const char *name)
{
        if (ns)
                return kustomize_resource_was(target, kind, ns, name);
        if (kustomize_resource_is_cluster_scoped(target) || kustomize_resource_is_cluster_scoped(referrer))
                return kustomize_resource_was(target, kind, NULL, name);
        if (kustomize_resource_was(target, kind, kustomize_resource_namespace(referrer), name))
                return true;
        return referrer->n_ids > 0 && kustomize_resource_was(target, kind, referrer->ids[0].ns, name);
}

static bool is_end_of(char *const *part, char *const *whole)
{
        size_t n = kc_strv_len(part), m = kc_strv_len(whole);
        for (size_t i = 0; i < n && i < m; i++)
                if (!kc_streq(part[i], whole[i]))
                        return false;
        return true;
}

/* Of several of that name, the one of the same kustomization. */
static const struct kustomize_resource *find(const struct fixing *f, const char *ns, const char *name)
{
        const struct kustomize_resource *found = NULL;
        size_t best = 0;
        for (size_t i = 0; i < f->all->n; i++) {
                const struct kustomize_resource *x = f->all->v[i];
                if (strcmp(kustomize_resource_kind(x), f->target) != 0 ||
                    !may_name(f->referrer, x, f->target, ns, name))
                        continue;
                bool same = kc_strv_equal(x->prefixes, f->referrer->prefixes) &&
                            kc_strv_equal(x->suffixes, f->referrer->suffixes);
                bool near =
                    is_end_of(x->prefixes, f->referrer->prefixes) && is_end_of(x->suffixes, f->referrer->suffixes);
                size_t rank = same ? 3 : near ? 2 : 1;
                if (rank > best) {
                        best = rank;
                        found = x;
                }
        }
        return found;
}

static int fix(struct json_object *parent, const char *key, void *arg, struct kc_error *err)
{
        (void)err;
        const struct fixing *f = arg;
        const char *name = kc_json_str(parent, key), *kind = kc_json_str(parent, "kind");
        bool subject = strcmp(key, "name") == 0 && kc_streq(kind, "ServiceAccount");
        if (!name || (kind && strcmp(kind, f->target) != 0))
                return 0;
        const char *ns = subject ? kc_json_str(parent, "namespace") : NULL;
        const struct kustomize_resource *x = find(f, ns, name);
        if (!x)
                return 0;
        if (subject && ns && kustomize_resource_namespace(x)[0])
                kc_json_set_str(parent, "namespace", kustomize_resource_namespace(x));
        KC_CLEANUP(kc_freep) char *now = kc_strdup(kustomize_resource_name(x));
        kc_json_set_str(parent, key, now);
        return 0;
}

/* Roles list the names that they are about. */
static int fix_rules(struct fixing *f, struct json_object *obj)
{
        static const struct {
                const char *resource, *kind;
        } resources[] = {{"configmaps", "ConfigMap"}, {"secrets", "Secret"}, {"services", "Service"},
            {"serviceaccounts", "ServiceAccount"}, {"deployments", "Deployment"}};
        struct json_object *rules = kc_json_get_mut(obj, "rules");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *kinds = kc_json_get(kc_json_idx(rules, i), "resources");
                struct json_object *names = kc_json_get_mut(kc_json_idx_mut(rules, i), "resourceNames");
                for (size_t n = 0; n < kc_json_len(names); n++)
                        for (size_t k = 0; k < kc_json_len(kinds); k++)
                                for (size_t r = 0; r < KC_ARRAY_LEN(resources); r++) {
                                        if (!kc_streq(kc_json_as_str(kc_json_idx(kinds, k)), resources[r].resource))
                                                continue;
                                        f->target = resources[r].kind;
                                        const struct kustomize_resource *x =
                                            find(f, NULL, kc_json_as_str(kc_json_idx(names, n)));
                                        if (x)
                                                json_object_array_put_idx(
                                                    names, n, json_object_new_string(kustomize_resource_name(x)));
                                }
        }
        return 0;
}

int kustomize_fix_references(struct kustomize_resources *r, struct kc_error *err)
{
        for (size_t i = 0; i < r->n; i++) {
                struct fixing f = {.all = r, .referrer = r->v[i]};
                const char *kind = kustomize_resource_kind(r->v[i]), *pod = NULL;
                for (size_t k = 0; k < KC_ARRAY_LEN(pods); k++)
                        if (strcmp(pods[k].kind, kind) == 0)
                                pod = pods[k].prefix;
                for (size_t k = 0; k < KC_ARRAY_LEN(references); k++) {
                        const struct reference *x = &references[k];
                        if (x->referrer ? strcmp(x->referrer, kind) != 0 : !pod)
                                continue;
                        KC_CLEANUP(kc_freep)
                        char *path = x->referrer ? kc_strdup(x->path) : kc_asprintf("%s/%s", pod, x->path);
                        f.target = x->target;
                        int e = kustomize_each_field(r->v[i]->obj, path, false, fix, &f, err);
                        if (e < 0)
                                return e;
                }
                if (strcmp(kind, "Role") == 0 || strcmp(kind, "ClusterRole") == 0)
                        (void)fix_rules(&f, r->v[i]->obj);
        }
        return 0;
}
