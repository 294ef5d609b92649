/* Warnings about pods and pod templates. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "api/warnings.h"
#include "base/mem.h"
#include "base/str.h"

#define NULL_SELECTOR "a null labelSelector results in matching no pod"

/* Warnings are for people: who gives reasons for more than these gets no more. */
enum { MAX_WARNINGS = 100 };

static const char *const byte_resources[] = {"memory", "ephemeral-storage"};

/* A port of a container, remembered for those that follow. */
struct used {
        char *path;
        const char *host_ip;
        int64_t host_port;
};

struct used_list {
        struct used *v;
        size_t n, cap;
};

/* One pod or template. */
struct subject {
        char ***w;
        const struct kc_vpath *path; /* NULL: a pod itself */
        const struct json_object *spec, *annotations;
        struct kc_map *ports; /* "80/TCP": struct used_list */
};

static bool is_enough(const struct subject *s)
{
        return *s->w && kc_strv_len(*s->w) >= MAX_WARNINGS;
}

static void warn(const struct subject *s, const struct kc_vpath *p, const char *text)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        if (!is_enough(s))
                kc_strv_pushf(s->w, "%s: %s", at, text);
}

static void warn_quoted(
    const struct subject *s, const struct kc_vpath *p, const char *before, const char *value, const char *after)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, before);
        kc_quote_add(&b, value);
        kc_buf_adds(&b, after);
        warn(s, p, kc_buf_str(&b));
}

const char *kc_deprecated_node_label(const char *key)
{
        static const struct {
                const char *key, *why;
        } labels[] = {
            {"beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
            {"beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"},
            {"failure-domain.beta.kubernetes.io/region",
                "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
            {"failure-domain.beta.kubernetes.io/zone",
                "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
            {"beta.kubernetes.io/instance-type",
                "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
            {"app.kubernetes.io/created-by", "deprecated since v1.9"},
            {"scheduler.alpha.kubernetes.io/preferAvoidPods",
                "deprecated since v1.22; use Taints and Tolerations instead"},
            {"node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(labels); i++)
                if (kc_streq(labels[i].key, key))
                        return labels[i].why;
        return NULL;
}

/* --- Where it may run */

static void label_values(char ***w, const char *path, size_t i, const struct json_object *values)
{
        for (size_t j = 0; j < kc_json_len(values); j++) {
                const char *value = kc_json_as_str(kc_json_idx(values, j));
                struct kc_why why = {0};
                kc_name_label_value(value ? value : "", &why);
                for (size_t k = 0; k < why.n; k++)
                        kc_strv_pushf(
                            w, "%s.matchExpressions[%zu].values[%zu]: %s is invalid, %s", path, i, j, value, why.v[k]);
        }
}

void kc_warn_node_selector_term(char ***w, const char *path, const struct json_object *term, bool check_values)
{
        const struct json_object *exprs = kc_json_get(term, "matchExpressions");
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                const struct json_object *expr = kc_json_idx(exprs, i);
                const char *key = kc_v_str(expr, "key"), *why = kc_deprecated_node_label(key);
                if (why)
                        kc_strv_pushf(w, "%s.matchExpressions[%zu].key: %s is %s", path, i, key, why);
                if (check_values)
                        label_values(w, path, i, kc_json_get(expr, "values"));
        }
}

static void node_terms(
    const struct subject *s, const struct kc_vpath *p, const struct json_object *terms, const char *key)
{
        for (size_t i = 0; i < kc_json_len(terms); i++) {
                const struct kc_vpath *at = V_INDEX(p, i);
                const struct json_object *term = kc_json_idx(terms, i);
                KC_CLEANUP(kc_freep) char *text = kc_v_path(key ? V_CHILD(at, key) : at);
                kc_warn_node_selector_term(s->w, text, key ? kc_json_get(term, key) : term, key != NULL);
        }
}

static void pod_terms(const struct subject *s, const char *kind)
{
        static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
        static const char preferred[] = "preferredDuringSchedulingIgnoredDuringExecution";
        const struct json_object *affinity = kc_json_get(kc_json_get(s->spec, "affinity"), kind), *terms;
        const struct kc_vpath *p = V_CHILD3(s->path, "spec", "affinity", kind);
        terms = kc_json_get(affinity, required);
        for (size_t i = 0; i < kc_json_len(terms); i++)
                if (!kc_json_get(kc_json_idx(terms, i), "labelSelector"))
                        warn(s, V_CHILD(V_INDEX(V_CHILD(p, required), i), "labelSelector"), NULL_SELECTOR);
        terms = kc_json_get(affinity, preferred);
        for (size_t i = 0; i < kc_json_len(terms); i++)
                if (!kc_json_get(kc_json_get(kc_json_idx(terms, i), "podAffinityTerm"), "labelSelector"))
                        warn(s, V_CHILD2(V_INDEX(V_CHILD(p, preferred), i), "podAffinityTerm", "labelSelector"),
                            NULL_SELECTOR);
}

static void scheduling(const struct subject *s)
{
        const struct kc_vpath *p = V_CHILD(s->path, "spec");
        const struct kc_vpath *affinity = V_CHILD2(p, "affinity", "nodeAffinity");
        const struct json_object *of_nodes = kc_json_at(s->spec, "affinity.nodeAffinity");
        const struct json_object *spread = kc_json_get(s->spec, "topologySpreadConstraints");
        KC_JSON_FOREACH(kc_json_get(s->spec, "nodeSelector"), key, value)
        {
                if (kc_deprecated_node_label(key))
                        warn(s, V_KEY(V_CHILD(p, "nodeSelector"), key), kc_deprecated_node_label(key));
        }
        node_terms(s, V_CHILD2(affinity, "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"),
            kc_json_at(of_nodes, "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"), NULL);
        node_terms(s, V_CHILD(affinity, "preferredDuringSchedulingIgnoredDuringExecution"),
            kc_json_get(of_nodes, "preferredDuringSchedulingIgnoredDuringExecution"), "preference");
        for (size_t i = 0; i < kc_json_len(spread); i++) {
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "topologySpreadConstraints"), i);
                const char *key = kc_v_str(kc_json_idx(spread, i), "topologyKey"), *why = kc_deprecated_node_label(key);
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s is %s", key, why ? why : "");
                if (why)
                        warn(s, V_CHILD(at, "topologyKey"), text);
                if (!kc_json_get(kc_json_idx(spread, i), "labelSelector"))
                        warn(s, V_CHILD(at, "labelSelector"), NULL_SELECTOR);
        }
}

static void annotations(const struct subject *s)
{
        static const struct {
                const char *key, *why;
        } deprecated[] = {
            {"scheduler.alpha.kubernetes.io/critical-pod",
                "non-functional in v1.16+; use the \"priorityClassName\" field instead"},
            {"security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
            {"security.alpha.kubernetes.io/unsafe-sysctls",
                "non-functional in v1.11+; use the \"sysctls\" field instead"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(deprecated); i++)
                if (kc_json_get(s->annotations, deprecated[i].key))
                        warn(s, V_KEY(V_CHILD2(s->path, "metadata", "annotations"), deprecated[i].key),
                            deprecated[i].why);
}

/* --- Volumes */

static void volume_plugins(const struct subject *s)
{
        static const struct {
                const char *key, *why;
        } deprecated[] = {
            {"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
            {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
            {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
            {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
            {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
            {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
            {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
            {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
            {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
        };
        const struct json_object *volumes = kc_json_get(s->spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *volume = kc_json_idx(volumes, i);
                const struct kc_vpath *p = V_INDEX(V_CHILD2(s->path, "spec", "volumes"), i);
                for (size_t j = 0; j < KC_ARRAY_LEN(deprecated); j++) {
                        const char *key = deprecated[j].key;
                        /* Upstream writes this one as its Go field. */
                        if (kc_json_get(volume, key))
                                warn(s, V_CHILD(p, kc_streq(key, "storageos") ? "storageOS" : key), deprecated[j].why);
                }
                const struct json_object *claim = kc_json_at(volume, "ephemeral.volumeClaimTemplate.spec");
                KC_CLEANUP(kc_freep)
                char *at = kc_v_path(V_CHILD3(p, "ephemeral", "volumeClaimTemplate", "spec"));
                if (claim)
                        kc_warn_claim_spec(s->w, at, claim);
        }
}

/* Files at the path of a token, in the same or another projected volume. */
static void token_paths(const struct subject *s)
{
        static const struct {
                const char *key, *shown;
        } lists[] = {{"configMap", "configMap"}, {"secret", "secrets"}, {"downwardAPI", "downwardAPI"}};
        static const char has[] = "has duplicated path with ServiceAccountToken ";
        const struct json_object *volumes = kc_json_get(s->spec, "volumes");
        KC_CLEANUP(kc_map_freep) struct kc_map *tokens = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *sources = kc_json_at(kc_json_idx(volumes, i), "projected.sources");
                for (size_t j = 0; j < kc_json_len(sources); j++) {
                        const char *path = kc_json_str_at(kc_json_idx(sources, j), "serviceAccountToken.path");
                        if (path)
                                (void)kc_v_first(tokens, path);
                }
        }
        for (size_t i = 0; kc_map_len(tokens) > 0 && i < kc_json_len(volumes); i++) {
                const struct json_object *sources = kc_json_at(kc_json_idx(volumes, i), "projected.sources");
                const struct kc_vpath *volume = V_INDEX(V_CHILD2(s->path, "spec", "volumes"), i);
                const struct kc_vpath *p = V_CHILD2(volume, "projected", "sources");
                for (size_t j = 0; j < kc_json_len(sources) * KC_ARRAY_LEN(lists); j++) {
                        size_t l = j % KC_ARRAY_LEN(lists);
                        const struct json_object *source = kc_json_idx(sources, j / KC_ARRAY_LEN(lists));
                        const struct json_object *items = kc_json_get(kc_json_get(source, lists[l].key), "items");
                        for (size_t k = 0; k < kc_json_len(items); k++) {
                                const char *path = kc_v_str(kc_json_idx(items, k), "path");
                                if (kc_map_has(tokens, path))
                                        warn_quoted(s, V_INDEX(V_CHILD(p, lists[l].shown), k), has, path, "");
                        }
                        const char *bundle = kc_json_str_at(source, "clusterTrustBundle.path");
                        if (l + 1 == KC_ARRAY_LEN(lists) && bundle && kc_map_has(tokens, bundle))
                                warn_quoted(s, V_CHILD(p, "ClusterTrustBundle"), has, bundle, "");
                }
        }
}

/* --- Lists that may not repeat, quantities */

static void repeated(const struct subject *s, const char *list_key, const char *key, const char *what)
{
        const struct json_object *list = kc_json_get(s->spec, list_key);
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *value = kc_v_str(kc_json_idx(list, i), key);
                if (!kc_v_first(seen, value))
                        warn_quoted(s, V_CHILD(V_INDEX(V_CHILD2(s->path, "spec", list_key), i), key), what, value, "");
        }
}

static void fractional(
    const struct subject *s, const struct kc_vpath *p, const struct json_object *list, const char *name)
{
        struct kc_quantity q;
        char buf[KC_QUANTITY_LEN];
        if (kc_v_read_quantity(kc_json_get(list, name), &q) && kc_quantity_milli(&q) % 1000 != 0)
                warn_quoted(s, V_KEY(p, name), "fractional byte value ", kc_quantity_format(&q, buf),
                    " is invalid, must be an integer");
}

static void container_resources(const struct subject *s, const struct kc_vpath *p, const struct json_object *c)
{
        static const char *const lists[] = {"limits", "requests"};
        for (size_t i = 0; i < KC_ARRAY_LEN(byte_resources); i++)
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++)
                        fractional(s, V_CHILD2(p, "resources", lists[l]),
                            kc_json_get(kc_json_get(c, "resources"), lists[l]), byte_resources[i]);
}

/* --- Containers */

static void profiles(const struct subject *s, const struct json_object *c)
{
        const struct kc_vpath *p = V_CHILD2(s->path, "metadata", "annotations");
        const char *name = kc_v_str(c, "name");
        KC_CLEANUP(kc_freep) char *seccomp = kc_asprintf("container.seccomp.security.alpha.kubernetes.io/%s", name);
        KC_CLEANUP(kc_freep) char *armor = kc_asprintf("container.apparmor.security.beta.kubernetes.io/%s", name);
        if (!kc_json_at(c, "securityContext.seccompProfile") && kc_json_get(s->annotations, seccomp))
                warn(s, V_KEY(p, seccomp), "non-functional in v1.27+; use the \"seccompProfile\" field instead");
        bool field =
            kc_json_at(s->spec, "securityContext.appArmorProfile") || kc_json_at(c, "securityContext.appArmorProfile");
        if (s->path && !field && kc_json_get(s->annotations, armor))
                warn(s, V_KEY(p, armor), "deprecated since v1.30; use the \"appArmorProfile\" field instead");
}

static void environment(const struct subject *s, const struct kc_vpath *p, const struct json_object *c)
{
        const struct json_object *env = kc_json_get(c, "env");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(env); i++) {
                const struct json_object *e = kc_json_idx(env, i);
                const char *name = kc_v_str(e, "name"), *value = kc_v_str(e, "value");
                KC_CLEANUP(kc_freep) char *ref = kc_asprintf("$(%s)", name);
                if (kc_v_first(seen, name))
                        continue;
                if (kc_json_get(e, "valueFrom") || kc_streq(value, ref) || !strstr(value, ref))
                        warn_quoted(s, V_INDEX(V_CHILD(p, "env"), i), "hides previous definition of ", name,
                            ", which may be dropped when using apply");
        }
}

static void container(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, void *arg)
{
        const struct subject *s = arg;
        (void)v; /* finds no errors */
        profiles(s, c);
        container_resources(s, p, c);
        environment(s, p, c);
}

static void free_used(void *arg)
{
        struct used_list *l = arg;
        for (size_t i = 0; i < l->n; i++)
                kc_free(l->v[i].path);
        kc_free(l->v);
        kc_free(l);
}

static void compare_port(const struct subject *s, const struct kc_vpath *p, const struct used *a, const struct used *b)
{
        const char *how = NULL;
        bool any_a = !*a->host_ip, any_b = !*b->host_ip;
        if (kc_streq(a->host_ip, b->host_ip) && a->host_port == b->host_port)
                how = "duplicate";
        else if (a->host_port == 0 || b->host_port == 0)
                how = "overlapping";
        else if (a->host_port == b->host_port && any_a != any_b)
                how = "dangerously ambiguous";
        if (!how)
                return;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s port definition with %s", how, b->path);
        warn(s, p, text);
}

static struct used_list *used_ports(const struct subject *s, const struct json_object *port)
{
        KC_CLEANUP(kc_freep)
        char *key =
            kc_asprintf("%lld/%s", (long long)kc_json_int(port, "containerPort", 0), kc_v_str(port, "protocol"));
        struct used_list *l = kc_map_get(s->ports, key);
        if (!l) {
                l = KC_NEW(struct used_list);
                (void)kc_map_set(s->ports, key, l); /* new */
        }
        return l;
}

static void ports(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, void *arg)
{
        const struct subject *s = arg;
        const struct json_object *list = kc_json_get(c, "ports");
        (void)v; /* finds no errors */
        for (size_t i = 0; i < kc_json_len(list) && !is_enough(s); i++) {
                const struct json_object *port = kc_json_idx(list, i);
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "ports"), i);
                struct used_list *l = used_ports(s, port);
                struct used u = {.host_ip = kc_v_str(port, "hostIP"), .host_port = kc_json_int(port, "hostPort", 0)};
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("hostIP set without hostPort: {Name:%s HostPort:0 ContainerPort:%lld "
                                         "Protocol:%s HostIP:%s}",
                    kc_v_str(port, "name"), (long long)kc_json_int(port, "containerPort", 0),
                    kc_v_str(port, "protocol"), u.host_ip);
                if (*u.host_ip && u.host_port == 0)
                        warn(s, at, text);
                for (size_t j = 0; j < l->n && !is_enough(s); j++)
                        compare_port(s, at, &u, &l->v[j]);
                if (l->n == l->cap) {
                        l->cap = l->cap ? l->cap * 2 : 4;
                        l->v = kc_reallocarray(l->v, l->cap, sizeof(*l->v));
                }
                u.path = kc_v_path(at);
                l->v[l->n++] = u;
        }
}

/* --- All of it */

static void addresses(const struct subject *s)
{
        const struct json_object *servers = kc_json_at(s->spec, "dnsConfig.nameservers");
        const struct json_object *aliases = kc_json_get(s->spec, "hostAliases");
        for (size_t i = 0; i < kc_json_len(servers); i++) {
                KC_CLEANUP(kc_freep)
                char *at = kc_v_path(V_INDEX(V_CHILD3(s->path, "spec", "dnsConfig", "nameservers"), i));
                kc_warn_ip(s->w, at, kc_json_as_str(kc_json_idx(servers, i)));
        }
        for (size_t i = 0; i < kc_json_len(aliases); i++) {
                KC_CLEANUP(kc_freep)
                char *at = kc_v_path(V_CHILD(V_INDEX(V_CHILD2(s->path, "spec", "hostAliases"), i), "ip"));
                kc_warn_ip(s->w, at, kc_json_str(kc_json_idx(aliases, i), "ip"));
        }
}

static void pod_level(const struct subject *s)
{
        static const char seccomp[] = "seccomp.security.alpha.kubernetes.io/pod";
        const struct json_object *secrets = kc_json_get(s->spec, "imagePullSecrets");
        repeated(s, "hostAliases", "ip", "duplicate ip ");
        repeated(s, "imagePullSecrets", "name", "duplicate name ");
        for (size_t i = 0; i < kc_json_len(secrets); i++)
                if (!*kc_v_str(kc_json_idx(secrets, i), "name"))
                        warn(s, V_CHILD(V_INDEX(V_CHILD2(s->path, "spec", "imagePullSecrets"), i), "name"),
                            "invalid empty name \"\"");
        for (size_t i = 0; i < KC_ARRAY_LEN(byte_resources); i++)
                fractional(
                    s, V_CHILD2(s->path, "spec", "overhead"), kc_json_get(s->spec, "overhead"), byte_resources[i]);
        if (!kc_json_at(s->spec, "securityContext.seccompProfile") && kc_json_get(s->annotations, seccomp))
                warn(s, V_KEY(V_CHILD2(s->path, "metadata", "annotations"), seccomp),
                    "non-functional in v1.27+; use the \"seccompProfile\" field instead");
}

static void subject(struct subject *s)
{
        struct kc_v none = {0};
        const struct kc_vpath *p = V_CHILD(s->path, "spec");
        KC_CLEANUP(kc_map_freep) struct kc_map *used = kc_map_new(free_used);
        s->ports = used;
        scheduling(s);
        annotations(s);
        volume_plugins(s);
        token_paths(s);
        pod_level(s);
        kc_v_each_container(&none, p, s->spec, container, s);
        kc_v_each_container(&none, p, s->spec, ports, s);
        if (kc_json_int(s->spec, "terminationGracePeriodSeconds", 0) < 0)
                warn(s, V_CHILD(p, "terminationGracePeriodSeconds"),
                    "must be >= 0; negative values are invalid and will be treated as 1");
        pod_terms(s, "podAffinity");
        pod_terms(s, "podAntiAffinity");
        addresses(s);
}

void kc_warn_pod_template(char ***w, const char *path, const struct json_object *template)
{
        struct subject s = {.w = w,
            .path = V_CHILD(NULL, path),
            .spec = kc_json_get(template, "spec"),
            .annotations = kc_json_at(template, "metadata.annotations")};
        if (w && template)
                subject(&s);
}

void kc_warn_pod(char ***w, const struct json_object *pod)
{
        struct subject s = {
            .w = w, .spec = kc_json_get(pod, "spec"), .annotations = kc_json_at(pod, "metadata.annotations")};
        if (w)
                subject(&s);
}
