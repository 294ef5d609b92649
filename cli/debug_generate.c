/* What kubectl debug makes, and its profiles. Any thread. */
#include "cli/debug_generate.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"

/* --- profiles */

enum style { EPHEMERAL, COPY, NODE, N_STYLES };

struct kc_debug_profile {
        const char *name;
        bool clear[N_STYLES]; /* the security context */
        bool restrict_it;
        const char *capabilities[N_STYLES][2];
        bool privileged, host_namespaces, host_root; /* the last two: of nodes */
        bool strip;                                  /* copies: what --keep-* does not name; and processes are shared */
};

static const struct kc_debug_profile profiles[] = {
    {.name = "legacy", .host_namespaces = true, .host_root = true},
    {.name = "general",
        .clear = {[NODE] = true},
        .capabilities = {[EPHEMERAL] = {"SYS_PTRACE"}, [COPY] = {"SYS_PTRACE"}},
        .host_namespaces = true,
        .host_root = true,
        .strip = true},
    {.name = "baseline", .clear = {true, true, true}, .strip = true},
    {.name = "restricted", .clear = {true, true, true}, .restrict_it = true, .strip = true},
    {.name = "netadmin",
        .capabilities = {{"NET_ADMIN", "NET_RAW"}, {"NET_ADMIN", "NET_RAW"}, {"NET_ADMIN", "NET_RAW"}},
        .host_namespaces = true,
        .strip = true},
    {.name = "sysadmin", .privileged = true, .host_namespaces = true, .host_root = true, .strip = true},
};

static const struct kc_debug_profile *find_profile(const char *name)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(profiles); i++)
                if (kc_streq(profiles[i].name, name))
                        return &profiles[i];
        return NULL;
}

int kc_debug_check_profile(const char *name, struct kc_error *err)
{
        return find_profile(name) ? 0 : kc_error_set(err, EINVAL, "unknown profile: %s", name);
}

static void apply_to_container(const struct kc_debug_profile *p, enum style style, struct json_object *container)
{
        if (p->clear[style])
                kc_json_del(container, "securityContext");
        if (p->restrict_it)
                kc_json_set(container, "securityContext",
                    kc_json_build("{'runAsNonRoot':%b,'capabilities':{'drop':['ALL']},'allowPrivilegeEscalation':%b,"
                                  "'seccompProfile':{'type':'RuntimeDefault'}}",
                        true, false));
        for (size_t i = 0; i < 2 && p->capabilities[style][i]; i++)
                kc_json_push_str(
                    kc_json_ensure_arr(container, "securityContext.capabilities.add"), p->capabilities[style][i]);
        if (p->privileged)
                kc_json_set_bool(kc_json_ensure_obj(container, "securityContext"), "privileged", true);
}

static void apply_to_node_pod(const struct kc_debug_profile *p, struct json_object *pod, struct json_object *container)
{
        static const char *const host[] = {"hostNetwork", "hostPID", "hostIPC"};
        struct json_object *spec = kc_json_ensure_obj(pod, "spec");
        for (size_t i = 0; p->host_namespaces && i < KC_ARRAY_LEN(host); i++)
                kc_json_set_bool(spec, host[i], true);
        if (!p->host_root)
                return;
        kc_json_set(spec, "volumes", kc_json_build("[{'name':'host-root','hostPath':{'path':'/'}}]"));
        kc_json_set(container, "volumeMounts", kc_json_build("[{'mountPath':'/host','name':'host-root'}]"));
}

static void strip_copy(const struct kc_debug_spec *s, const struct kc_debug_profile *p, struct json_object *pod)
{
        const struct {
                const char *probe;
                bool keep;
        } probes[] = {{"livenessProbe", s->keep_liveness}, {"readinessProbe", s->keep_readiness},
            {"startupProbe", s->keep_startup}};
        struct json_object *metadata = kc_json_get_mut(pod, "metadata"), *spec = kc_json_get_mut(pod, "spec");
        if (!s->keep_labels || !p->strip)
                kc_json_del(metadata, "labels");
        if (!p->strip)
                return;
        if (!s->keep_annotations)
                kc_json_del(metadata, "annotations");
        if (!s->keep_init)
                kc_json_del(spec, "initContainers");
        struct json_object *containers = kc_json_get_mut(spec, "containers");
        for (size_t i = 0; i < kc_json_len(containers); i++)
                for (size_t k = 0; k < KC_ARRAY_LEN(probes); k++)
                        if (!probes[k].keep)
                                kc_json_del(kc_json_idx_mut(containers, i), probes[k].probe);
        if (!kc_json_get(spec, "shareProcessNamespace"))
                kc_json_set_bool(spec, "shareProcessNamespace", true);
}

/* --custom: a strategic merge patch of the container, as one of a pod. */
static int apply_custom(const struct json_object *custom, struct json_object **container, struct kc_error *err)
{
        if (!custom)
                return 0;
        struct json_object *patch = kc_json_copy(custom);
        kc_json_set_str(patch, "name", kc_json_str(*container, "name"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *wrapped = kc_json_build("{'spec':{'containers':[%o]}}", patch);
        KC_CLEANUP(kc_json_freep)
        struct json_object *doc = kc_json_build("{'spec':{'containers':[%o]}}", kc_json_copy(*container));
        int e = kc_patch_strategic(&doc, wrapped, kc_schema_kind("", "v1", "Pod")->type, err);
        if (e < 0)
                return kc_error_wrap(err, "error creating three way patch to add debug container");
        kc_json_free(*container);
        *container = kc_json_copy(kc_json_idx(kc_json_at(doc, "spec.containers"), 0));
        return 0;
}

/* --- containers */

static void set_args(const struct kc_debug_spec *s, struct json_object *container)
{
        struct json_object *list = json_object_new_array();
        for (char *const *a = s->args; a && *a; a++)
                kc_json_push_str(list, *a);
        kc_json_set(container, s->args_only ? "args" : "command", list);
        if (!s->args_only)
                kc_json_del(container, "args");
}

/* What the command line says about a container that is there. */
static void fill(const struct kc_debug_spec *s, struct json_object *container)
{
        if (s->args && s->args[0])
                set_args(s, container);
        if (s->env && s->env[0]) {
                struct json_object *env = json_object_new_array();
                for (char *const *v = s->env; *v; v++) {
                        KC_CLEANUP(kc_freep) char *name = kc_strndup(*v, strcspn(*v, "="));
                        kc_json_push(env, kc_json_build("{'name':%s,'value':%s}", name, *v + strcspn(*v, "=") + 1));
                }
                kc_json_set(container, "env", env);
        }
        if (!kc_str_empty(s->image))
                kc_json_set_str(container, "image", s->image);
        if (!kc_str_empty(s->pull_policy))
                kc_json_set_str(container, "imagePullPolicy", s->pull_policy);
        kc_json_set_bool(container, "stdin", s->in);
        kc_json_set_bool(container, "tty", s->tty);
}

static struct json_object *new_container(const char *name)
{
        return kc_json_build("{'name':%s,'resources':{},'terminationMessagePolicy':'File'}", name);
}

int kc_debug_ephemeral(const struct kc_debug_spec *s, const char *name, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *c = new_container(name);
        fill(s, c);
        apply_to_container(find_profile(s->profile), EPHEMERAL, c);
        int e = apply_custom(s->custom, &c, err);
        if (!kc_str_empty(s->target))
                kc_json_set_str(c, "targetContainerName", s->target);
        if (e == 0)
                *ret = KC_TAKE(c);
        return e;
}

int kc_debug_node_pod(const struct kc_debug_spec *s, const char *name, const char *container, const char *node,
    struct json_object **ret, struct kc_error *err)
{
        const struct kc_debug_profile *p = find_profile(s->profile);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build(
            "{'apiVersion':'v1','kind':'Pod','metadata':{'name':%s,'labels':{'app.kubernetes.io/managed-by':"
            "'kubectl-debug'}},'spec':{'nodeName':%s,'restartPolicy':'Never','tolerations':[{'operator':'Exists'}]}}",
            name, node);
        KC_CLEANUP(kc_json_freep) struct json_object *c = new_container(container);
        fill(s, c);
        apply_to_container(p, NODE, c);
        apply_to_node_pod(p, pod, c);
        int e = apply_custom(s->custom, &c, err);
        if (e < 0)
                return e;
        kc_json_push(kc_json_ensure_arr(pod, "spec.containers"), KC_TAKE(c));
        *ret = KC_TAKE(pod);
        return 0;
}

/* --- copies */

static const char *image_for(char *const *set_images, const char *container)
{
        const char *any = NULL;
        for (char *const *s = set_images; s && *s; s++) {
                const char *eq = strchr(*s, '=');
                size_t len = eq ? (size_t)(eq - *s) : 0;
                if (eq && len == strlen(container) && strncmp(*s, container, len) == 0)
                        return eq + 1;
                if (eq && len == 1 && **s == '*')
                        any = eq + 1;
        }
        return any;
}

static struct json_object *base_copy(const struct kc_debug_spec *s, const struct json_object *pod)
{
        struct json_object *copy =
            kc_json_build("{'apiVersion':'v1','kind':'Pod','metadata':{'name':%s,'namespace':%s},'spec':%o}",
                s->copy_to, kc_meta_namespace(pod), kc_json_copy(kc_json_get(pod, "spec")));
        struct json_object *metadata = kc_json_get_mut(copy, "metadata"), *spec = kc_json_get_mut(copy, "spec");
        static const char *const kept[] = {"labels", "annotations"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++) {
                const struct json_object *v = kc_json_get(kc_json_get(pod, "metadata"), kept[i]);
                if (v)
                        kc_json_set(metadata, kept[i], kc_json_copy(v));
        }
        kc_json_del(spec, "ephemeralContainers");
        if (s->share_given)
                kc_json_set_bool(spec, "shareProcessNamespace", s->share);
        if (!s->same_node)
                kc_json_del(spec, "nodeName");
        struct json_object *containers = kc_json_get_mut(spec, "containers");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                struct json_object *c = kc_json_idx_mut(containers, i);
                const char *image = image_for(s->set_images, kc_json_str(c, "name"));
                if (!kc_str_empty(image))
                        kc_json_set_str(c, "image", image);
        }
        return copy;
}

static int64_t index_of(const struct json_object *containers, const char *name)
{
        for (size_t i = 0; i < kc_json_len(containers); i++)
                if (kc_streq(kc_json_str(kc_json_idx(containers, i), "name"), name))
                        return (int64_t)i;
        return -1;
}

int kc_debug_copy(const struct kc_debug_spec *s, const struct json_object *pod, const char *name,
    struct json_object **ret, struct kc_error *err)
{
        const struct kc_debug_profile *p = find_profile(s->profile);
        KC_CLEANUP(kc_json_freep) struct json_object *copy = base_copy(s, pod);
        if (!name) {
                *ret = KC_TAKE(copy);
                return 0;
        }
        struct json_object *spec = kc_json_get_mut(copy, "spec");
        const char *list =
            kc_json_find(kc_json_get(spec, "initContainers"), "name", name) ? "initContainers" : "containers";
        struct json_object *containers = kc_json_ensure_arr(spec, list);
        int64_t at = index_of(containers, name);
        KC_CLEANUP(kc_json_freep)
        struct json_object *c = at >= 0 ? kc_json_copy(kc_json_idx(containers, (size_t)at)) : new_container(name);
        fill(s, c);
        apply_to_container(p, COPY, c);
        int e = apply_custom(s->custom, &c, err);
        if (e < 0)
                return e;
        if (at >= 0)
                json_object_array_put_idx(containers, (size_t)at, KC_TAKE(c));
        else
                kc_json_push(containers, KC_TAKE(c));
        strip_copy(s, p, copy);
        *ret = KC_TAKE(copy);
        return 0;
}

bool kc_debug_needs_root(const struct json_object *pod, const struct json_object *container)
{
        const struct json_object *context = kc_json_get(container, "securityContext");
        if (kc_json_int_at(pod, "spec.securityContext.runAsUser", 0) == 0 || !context)
                return false;
        if (kc_json_int(context, "runAsUser", -1) == 0)
                return false;
        return kc_json_bool(context, "privileged", false) || kc_json_len(kc_json_at(context, "capabilities.add")) > 0;
}
