/* Security contexts: the pod's and the container's merged, as CRI wants them. Any thread. */
#include <errno.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime_internal.h"

static const char *const masked_paths[] = {"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore",
    "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
    "/sys/firmware", "/sys/devices/virtual/powercap"};
static const char *const readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

Runtime__V1__NamespaceOption *kc_namespace_options_make(
    const struct json_object *pod, const char *target_id, struct kc_arena *arena)
{
        Runtime__V1__NamespaceOption *n = kc_arena_calloc(arena, 1, sizeof(*n));
        runtime__v1__namespace_option__init(n);
        const struct json_object *spec = kc_json_get(pod, "spec");
        n->network = kc_json_bool(spec, "hostNetwork", false) ? RUNTIME__V1__NAMESPACE_MODE__NODE
                                                              : RUNTIME__V1__NAMESPACE_MODE__POD;
        n->ipc =
            kc_json_bool(spec, "hostIPC", false) ? RUNTIME__V1__NAMESPACE_MODE__NODE : RUNTIME__V1__NAMESPACE_MODE__POD;
        n->pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
        if (kc_json_bool(spec, "hostPID", false))
                n->pid = RUNTIME__V1__NAMESPACE_MODE__NODE;
        else if (kc_json_bool(spec, "shareProcessNamespace", false))
                n->pid = RUNTIME__V1__NAMESPACE_MODE__POD;
        if (target_id) {
                n->pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
                n->target_id = (char *)target_id;
        }
        return n;
}

void kc_supplemental_groups_make(const struct json_object *pod, struct kc_arena *arena, int64_t **ret, size_t *ret_n)
{
        const struct json_object *sc = kc_json_at(pod, "spec.securityContext");
        const struct json_object *groups = kc_json_get(sc, "supplementalGroups");
        *ret = kc_arena_calloc(arena, kc_json_len(groups) + 1, sizeof(int64_t));
        *ret_n = 0;
        if (kc_json_get(sc, "fsGroup"))
                (*ret)[(*ret_n)++] = kc_json_int(sc, "fsGroup", 0);
        for (size_t i = 0; i < kc_json_len(groups); i++)
                (*ret)[(*ret_n)++] = json_object_get_int64((struct json_object *)kc_json_idx(groups, i));
}

Runtime__V1__SecurityProfile *kc_seccomp_make(
    struct kc_runtime *r, const struct json_object *pod, const struct json_object *container, struct kc_arena *arena)
{
        const struct json_object *p = kc_json_at(container, "securityContext.seccompProfile");
        if (!p)
                p = kc_json_at(pod, "spec.securityContext.seccompProfile");
        const char *type = kc_json_str(p, "type") ?: r->o.seccomp_default;
        Runtime__V1__SecurityProfile *s = kc_arena_calloc(arena, 1, sizeof(*s));
        runtime__v1__security_profile__init(s);
        s->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
        if (kc_streq(type, "RuntimeDefault")) {
                s->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
        } else if (kc_streq(type, "Localhost")) {
                s->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
                s->localhost_ref =
                    kc_arena_printf(arena, "%s/seccomp/%s", r->o.root_dir, kc_json_str(p, "localhostProfile") ?: "");
        }
        return s;
}

static Runtime__V1__SecurityProfile *apparmor_make(
    const struct json_object *pod, const struct json_object *container, struct kc_arena *arena)
{
        const struct json_object *p = kc_json_at(container, "securityContext.appArmorProfile");
        if (!p)
                p = kc_json_at(pod, "spec.securityContext.appArmorProfile");
        const char *type = kc_json_str(p, "type");
        if (!type)
                return NULL;
        Runtime__V1__SecurityProfile *s = kc_arena_calloc(arena, 1, sizeof(*s));
        runtime__v1__security_profile__init(s);
        s->profile_type = kc_streq(type, "Unconfined")  ? RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined
                          : kc_streq(type, "Localhost") ? RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost
                                                        : RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
        if (kc_streq(type, "Localhost"))
                s->localhost_ref = (char *)(kc_json_str(p, "localhostProfile") ?: "");
        return s;
}

/* The container's value of a field, or the pod's. */
static const struct json_object *effective(const struct kc_container_input *in, const char *key)
{
        const struct json_object *v = kc_json_get(kc_json_get(in->container, "securityContext"), key);
        return v ? v : kc_json_get(kc_json_at(in->pod, "spec.securityContext"), key);
}

static Runtime__V1__Int64Value *effective_id(
    const struct kc_container_input *in, const char *key, struct kc_arena *arena)
{
        const struct json_object *v = effective(in, key);
        if (!v)
                return NULL;
        Runtime__V1__Int64Value *id = kc_arena_calloc(arena, 1, sizeof(*id));
        runtime__v1__int64_value__init(id);
        id->value = json_object_get_int64((struct json_object *)v);
        return id;
}

/* runAsNonRoot against what the container will run as. */
static int check_non_root(
    const struct kc_container_input *in, const Runtime__V1__Int64Value *user, struct kc_error *err)
{
        const struct json_object *non_root = effective(in, "runAsNonRoot");
        if (!non_root || !json_object_get_boolean((struct json_object *)non_root))
                return 0;
        KC_CLEANUP(kc_freep) char *pod = kc_pod_format(in->pod);
        const char *name = kc_json_str(in->container, "name");
        if (user)
                return user->value != 0
                           ? 0
                           : kc_error_set(err, EPERM,
                                 "container's runAsUser breaks non-root policy (pod: \"%s\", container: %s)", pod,
                                 name);
        if (in->image_uid == 0 || (in->image_uid < 0 && kc_str_empty(in->image_user)))
                return kc_error_set(err, EPERM,
                    "container has runAsNonRoot and image will run as root (pod: \"%s\", container: %s)", pod, name);
        if (in->image_uid < 0)
                return kc_error_set(err, EPERM,
                    "container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root "
                    "(pod: "
                    "\"%s\", container: %s)",
                    in->image_user, pod, name);
        return 0;
}

static char **string_array(const struct json_object *array, struct kc_arena *arena, size_t *ret_n)
{
        char **v = kc_arena_calloc(arena, kc_json_len(array) + 1, sizeof(char *));
        *ret_n = 0;
        for (size_t i = 0; i < kc_json_len(array); i++)
                v[(*ret_n)++] = (char *)(kc_json_as_str(kc_json_idx(array, i)) ?: "");
        return v;
}

static Runtime__V1__Capability *capabilities_make(const struct json_object *sc, struct kc_arena *arena)
{
        const struct json_object *caps = kc_json_get(sc, "capabilities");
        if (!caps)
                return NULL;
        Runtime__V1__Capability *c = kc_arena_calloc(arena, 1, sizeof(*c));
        runtime__v1__capability__init(c);
        c->add_capabilities = string_array(kc_json_get(caps, "add"), arena, &c->n_add_capabilities);
        c->drop_capabilities = string_array(kc_json_get(caps, "drop"), arena, &c->n_drop_capabilities);
        return c;
}

static Runtime__V1__SELinuxOption *selinux_make(const struct kc_container_input *in, struct kc_arena *arena)
{
        const struct json_object *o = effective(in, "seLinuxOptions");
        if (!o)
                return NULL;
        Runtime__V1__SELinuxOption *s = kc_arena_calloc(arena, 1, sizeof(*s));
        runtime__v1__selinux_option__init(s);
        s->user = (char *)(kc_json_str(o, "user") ?: "");
        s->role = (char *)(kc_json_str(o, "role") ?: "");
        s->type = (char *)(kc_json_str(o, "type") ?: "");
        s->level = (char *)(kc_json_str(o, "level") ?: "");
        return s;
}

int kc_container_security_make(struct kc_runtime *r, const struct kc_container_input *in, struct kc_arena *arena,
    Runtime__V1__LinuxContainerSecurityContext **ret, struct kc_error *err)
{
        const struct json_object *sc = kc_json_get(in->container, "securityContext");
        Runtime__V1__LinuxContainerSecurityContext *s = kc_arena_calloc(arena, 1, sizeof(*s));
        runtime__v1__linux_container_security_context__init(s);
        s->run_as_user = effective_id(in, "runAsUser", arena);
        s->run_as_group = effective_id(in, "runAsGroup", arena);
        int res = check_non_root(in, s->run_as_user, err);
        if (res < 0)
                return res;
        if (!s->run_as_user && in->image_uid >= 0) {
                s->run_as_user = kc_arena_calloc(arena, 1, sizeof(*s->run_as_user));
                runtime__v1__int64_value__init(s->run_as_user);
                s->run_as_user->value = in->image_uid;
        } else if (!s->run_as_user) {
                s->run_as_username = (char *)(in->image_user ?: "");
        }
        s->namespace_options = kc_namespace_options_make(in->pod, in->target_id, arena);
        kc_supplemental_groups_make(in->pod, arena, &s->supplemental_groups, &s->n_supplemental_groups);
        s->capabilities = capabilities_make(sc, arena);
        s->selinux_options = selinux_make(in, arena);
        s->privileged = kc_json_bool(sc, "privileged", false);
        s->readonly_rootfs = kc_json_bool(sc, "readOnlyRootFilesystem", false);
        s->no_new_privs =
            kc_json_get(sc, "allowPrivilegeEscalation") && !kc_json_bool(sc, "allowPrivilegeEscalation", true);
        s->seccomp = kc_seccomp_make(r, in->pod, in->container, arena);
        s->apparmor = apparmor_make(in->pod, in->container, arena);
        if (!s->privileged && !kc_streq(kc_json_str(sc, "procMount"), "Unmasked")) {
                s->masked_paths = (char **)masked_paths;
                s->n_masked_paths = KC_ARRAY_LEN(masked_paths);
                s->readonly_paths = (char **)readonly_paths;
                s->n_readonly_paths = KC_ARRAY_LEN(readonly_paths);
        }
        *ret = s;
        return 0;
}
