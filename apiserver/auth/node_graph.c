/* The graph of the Node authorizer (plugin/pkg/auth/authorizer/node/graph.go of upstream), as counts of references.
 *
 *   refs:         "<node>\n<resource>/<namespace>/<name>" -> how many pods there refer to it
 *   volumes:      "/<name>" -> its claim, its secrets
 *   volume_secrets: "<namespace>/<name>" -> the claims of the volumes that refer to the secret
 *   others:       "<resource>/<name>" -> the node that it names */
#include "auth/node_graph.h"

#include <stdint.h>
#include <string.h>

#include "api/object.h"
#include "base/map.h"
#include "base/str.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

struct pod {
        char *node;
        char **refs;     /* strv: keys in refs, each once */
        bool has_claims; /* of resources: its status tells their names */
};

struct volume {
        char *claim;    /* "ns/name" */
        char **secrets; /* strv: "ns/name" */
};

struct node_graph {
        struct kc_map *pods; /* "ns/name" -> pod */
        struct kc_map *refs; /* -> count as a pointer */
        struct kc_map *volumes, *volume_secrets, *others;
};

static void pod_free(void *p)
{
        struct pod *pod = p;
        kc_free(pod->node);
        kc_strv_free(pod->refs);
        kc_free(pod);
}

static void volume_free(void *p)
{
        struct volume *v = p;
        kc_free(v->claim);
        kc_strv_free(v->secrets);
        kc_free(v);
}

static void strv_free(void *p)
{
        kc_strv_free(p);
}

struct node_graph *node_graph_new(void)
{
        struct node_graph *g = KC_NEW(struct node_graph);
        g->pods = kc_map_new(pod_free);
        g->refs = kc_map_new(NULL);
        g->volumes = kc_map_new(volume_free);
        g->volume_secrets = kc_map_new(strv_free);
        g->others = kc_map_new(kc_free);
        return g;
}

void node_graph_free(struct node_graph *g)
{
        if (!g)
                return;
        struct kc_map *const maps[] = {g->pods, g->refs, g->volumes, g->volume_secrets, g->others};
        for (size_t i = 0; i < KC_ARRAY_LEN(maps); i++)
                kc_map_free(maps[i]);
        kc_free(g);
}

/* --- what a pod refers to (podutil.VisitPod*) */

struct visitor {
        const char *node, *ns;
        char ***refs;
};

static void add_ref(const struct visitor *v, const char *resource, const char *name)
{
        if (!kc_str_empty(name))
                kc_strv_pushf(v->refs, "%s\n%s/%s/%s", v->node, resource, v->ns, name);
}

static void visit_env(const struct visitor *v, const struct json_object *container)
{
        const struct json_object *env = kc_json_get(container, "env"), *from = kc_json_get(container, "envFrom");
        for (size_t i = 0; i < kc_json_len(env); i++) {
                const struct json_object *e = kc_json_idx(env, i);
                add_ref(v, "secrets", kc_json_str_at(e, "valueFrom.secretKeyRef.name"));
                add_ref(v, "configmaps", kc_json_str_at(e, "valueFrom.configMapKeyRef.name"));
        }
        for (size_t i = 0; i < kc_json_len(from); i++) {
                const struct json_object *e = kc_json_idx(from, i);
                add_ref(v, "secrets", kc_json_str_at(e, "secretRef.name"));
                add_ref(v, "configmaps", kc_json_str_at(e, "configMapRef.name"));
        }
}

/* pod: its name, which the claims of its ephemeral volumes begin with. */
static void visit_volume(const struct visitor *v, const char *pod, const struct json_object *volume)
{
        static const struct {
                const char *path, *resource;
        } refs[] = {
            {"secret.secretName", "secrets"},
            {"configMap.name", "configmaps"},
            {"persistentVolumeClaim.claimName", "persistentvolumeclaims"},
            {"csi.nodePublishSecretRef.name", "secrets"},
            {"azureFile.secretName", "secrets"},
            {"cephfs.secretRef.name", "secrets"},
            {"cinder.secretRef.name", "secrets"},
            {"flexVolume.secretRef.name", "secrets"},
            {"iscsi.secretRef.name", "secrets"},
            {"rbd.secretRef.name", "secrets"},
            {"scaleIO.secretRef.name", "secrets"},
            {"storageos.secretRef.name", "secrets"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(refs); i++)
                add_ref(v, refs[i].resource, kc_json_str_at(volume, refs[i].path));
        if (kc_json_get(volume, "ephemeral")) {
                KC_CLEANUP(kc_freep) char *claim = kc_asprintf("%s-%s", pod, kc_json_str(volume, "name"));
                add_ref(v, "persistentvolumeclaims", claim);
        }
        const struct json_object *sources = kc_json_at(volume, "projected.sources");
        for (size_t i = 0; i < kc_json_len(sources); i++) {
                add_ref(v, "secrets", kc_json_str_at(kc_json_idx(sources, i), "secret.name"));
                add_ref(v, "configmaps", kc_json_str_at(kc_json_idx(sources, i), "configMap.name"));
        }
}

/* Claims by name, and those made of templates, whose names the status tells. */
static void visit_resource_claims(const struct visitor *v, const struct json_object *pod)
{
        const struct json_object *claims = kc_json_at(pod, "spec.resourceClaims"),
                                 *made = kc_json_at(pod, "status.resourceClaimStatuses");
        for (size_t i = 0; i < kc_json_len(claims); i++)
                add_ref(v, "resourceclaims", kc_json_str(kc_json_idx(claims, i), "resourceClaimName"));
        for (size_t i = 0; i < kc_json_len(made); i++)
                add_ref(v, "resourceclaims", kc_json_str(kc_json_idx(made, i), "resourceClaimName"));
        add_ref(v, "resourceclaims", kc_json_str_at(pod, "status.extendedResourceClaimStatus.resourceClaimName"));
}

static void visit_pod(const struct visitor *v, const struct json_object *pod)
{
        const struct json_object *spec = kc_json_get(pod, "spec");
        /* The pod itself; a mirror pod gives no access to anything else. */
        add_ref(v, "pods", kc_meta_name(pod));
        if (kc_meta_annotation(pod, MIRROR_ANNOTATION))
                return;
        add_ref(v, "serviceaccounts", kc_json_str(spec, "serviceAccountName"));
        static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *containers = kc_json_get(spec, lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++)
                        visit_env(v, kc_json_idx(containers, i));
        }
        const struct json_object *pull = kc_json_get(spec, "imagePullSecrets");
        for (size_t i = 0; i < kc_json_len(pull); i++)
                add_ref(v, "secrets", kc_json_str(kc_json_idx(pull, i), "name"));
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++)
                visit_volume(v, kc_meta_name(pod), kc_json_idx(volumes, i));
        visit_resource_claims(v, pod);
}

/* --- pods */

static void count(struct node_graph *g, char **refs, int by)
{
        for (; refs && *refs; refs++) {
                uintptr_t c = (uintptr_t)kc_map_get(g->refs, *refs) + (uintptr_t)by;
                if (c == 0)
                        (void)kc_map_remove(g->refs, *refs);
                else
                        (void)kc_map_set(g->refs, *refs, (void *)c);
        }
}

static void set_pod(struct node_graph *g, const char *key, const struct json_object *pod)
{
        struct pod *old = kc_map_get(g->pods, key);
        if (old) {
                count(g, old->refs, -1);
                (void)kc_map_remove(g->pods, key);
        }
        const char *node = pod ? kc_json_str_at(pod, "spec.nodeName") : NULL;
        if (kc_str_empty(node))
                return;
        struct pod *p = KC_NEW(struct pod);
        const struct visitor v = {.node = node, .ns = kc_meta_namespace(pod), .refs = &p->refs};
        p->node = kc_strdup(node);
        p->has_claims = kc_json_len(kc_json_at(pod, "spec.resourceClaims")) > 0;
        visit_pod(&v, pod);
        kc_strv_sort_uniq(p->refs);
        count(g, p->refs, 1);
        (void)kc_map_set(g->pods, key, p);
}

bool node_graph_knows_pod(const struct node_graph *g, const char *key, const char *node_name)
{
        const struct pod *p = kc_map_get(g->pods, key);
        return p ? !p->has_claims && kc_streq(p->node, node_name) : kc_str_empty(node_name);
}

/* --- volumes */

/* Secrets that a kubelet needs of a volume (VisitPVSecretNames): in a namespace of their own, or the claim's. */
static void add_volume_secrets(struct volume *v, const char *claim_ns, const struct json_object *pv)
{
        static const struct {
                const char *ref, *name, *ns;
        } refs[] = {
            {"azureFile", "secretName", "secretNamespace"},
            {"cephfs.secretRef", "name", "namespace"},
            {"cinder.secretRef", "name", "namespace"},
            {"flexVolume.secretRef", "name", "namespace"},
            {"rbd.secretRef", "name", "namespace"},
            {"scaleIO.secretRef", "name", "namespace"},
            {"iscsi.secretRef", "name", "namespace"},
            {"storageos.secretRef", "name", "namespace"},
            {"csi.nodePublishSecretRef", "name", "namespace"},
            {"csi.nodeStageSecretRef", "name", "namespace"},
            {"csi.nodeExpandSecretRef", "name", "namespace"},
        };
        const struct json_object *spec = kc_json_get(pv, "spec");
        for (size_t i = 0; i < KC_ARRAY_LEN(refs); i++) {
                const struct json_object *ref = kc_json_at(spec, refs[i].ref);
                const char *name = kc_json_str(ref, refs[i].name), *ns = kc_json_str(ref, refs[i].ns);
                if (!kc_str_empty(name))
                        kc_strv_pushf(&v->secrets, "%s/%s", kc_str_empty(ns) ? claim_ns : ns, name);
        }
}

static void set_volume(struct node_graph *g, const char *key, const struct json_object *pv)
{
        const struct volume *old = kc_map_get(g->volumes, key);
        for (char **s = old ? old->secrets : NULL; s && *s; s++) {
                char **claims = kc_map_steal(g->volume_secrets, *s);
                if (claims)
                        (void)kc_strv_remove(claims, old->claim);
                if (claims && claims[0])
                        (void)kc_map_set(g->volume_secrets, *s, claims);
                else
                        kc_strv_free(claims);
        }
        (void)kc_map_remove(g->volumes, key);
        const char *ns = kc_json_str_at(pv, "spec.claimRef.namespace"),
                   *name = kc_json_str_at(pv, "spec.claimRef.name");
        if (!pv || kc_str_empty(ns) || kc_str_empty(name))
                return;
        struct volume *v = KC_NEW(struct volume);
        v->claim = kc_asprintf("%s/%s", ns, name);
        add_volume_secrets(v, ns, pv);
        if (v->secrets)
                kc_strv_sort_uniq(v->secrets);
        for (char **s = v->secrets; s && *s; s++) {
                char **claims = kc_map_steal(g->volume_secrets, *s);
                kc_strv_push(&claims, v->claim);
                (void)kc_map_set(g->volume_secrets, *s, claims);
        }
        (void)kc_map_set(g->volumes, key, v);
}

/* --- all */

void node_graph_set(struct node_graph *g, const char *resource, const char *key, const struct json_object *obj)
{
        if (strcmp(resource, "pods") == 0) {
                set_pod(g, key, obj);
                return;
        }
        if (strcmp(resource, "persistentvolumes") == 0) {
                set_volume(g, key, obj);
                return;
        }
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s%s", resource, key);
        const char *node = kc_json_str_at(obj, "spec.nodeName");
        if (obj && !kc_str_empty(node))
                (void)kc_map_set(g->others, at, kc_strdup(node));
        else
                (void)kc_map_remove(g->others, at);
}

/* A pod of the node refers to it. what: "secrets/ns/name". */
static bool pods_refer(const struct node_graph *g, const char *node, const char *resource, const char *ns_and_name)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s\n%s/%s", node, resource, ns_and_name);
        return kc_map_has(g->refs, key);
}

bool node_graph_has(
    const struct node_graph *g, const char *node, const char *resource, const char *ns, const char *name)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", ns, name);
        if (strcmp(resource, "volumeattachments") == 0 || strcmp(resource, "resourceslices") == 0) {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s/%s", resource, name);
                return kc_streq(kc_map_get(g->others, at), node);
        }
        if (strcmp(resource, "persistentvolumes") == 0) {
                const struct volume *v = kc_map_get(g->volumes, key);
                return v && pods_refer(g, node, "persistentvolumeclaims", v->claim);
        }
        if (pods_refer(g, node, resource, key))
                return true;
        if (strcmp(resource, "secrets") == 0)
                for (char **c = kc_map_get(g->volume_secrets, key); c && *c; c++)
                        if (pods_refer(g, node, "persistentvolumeclaims", *c))
                                return true;
        return false;
}
