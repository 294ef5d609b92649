/* Security contexts of pods and containers, the profiles named in annotations, and what depends on the operating
 * system. Any thread. */
#include <ctype.h>
#include <stdatomic.h>
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static atomic_bool allow_privileged = true;

void kc_validation_set_allow_privileged(bool allow)
{
        atomic_store(&allow_privileged, allow);
}

static void unix_id(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        struct kc_why why = {0};
        int64_t id = kc_json_int(o, key, 0);
        kc_name_unix_id(id, &why);
        if (why.n)
                kc_v_invalid_int(v, V_CHILD(p, key), id, why.v[0]);
}

static void optional_enum(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key, const char *const *valid)
{
        const char *s = kc_json_str(o, key);
        if (s && !kc_v_in(s, valid))
                kc_v_not_supported(v, V_CHILD(p, key), s, valid);
}

static const char *const profile_types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};

static void seccomp(struct kc_v *v, const struct kc_vpath *p, const struct json_object *profile)
{
        const char *type = kc_v_str(profile, "type"), *local = kc_json_str(profile, "localhostProfile");
        const struct kc_vpath *local_path = V_CHILD(p, "localhostProfile");
        if (!profile)
                return;
        if (!*type)
                kc_v_required(v, V_CHILD(p, "type"), "type is required when seccompProfile is set");
        else if (!kc_v_in(type, profile_types))
                kc_v_not_supported(v, V_CHILD(p, "type"), type, profile_types);
        if (!kc_streq(type, "Localhost")) {
                if (local)
                        kc_v_invalid(v, local_path, profile, "can only be set when seccomp type is Localhost");
        } else if (!local) {
                kc_v_required(v, local_path, "must be set when seccomp type is Localhost");
        } else {
                kc_v_path_relative(v, local_path, local);
        }
}

static void app_armor(struct kc_v *v, const struct kc_vpath *p, const struct json_object *profile)
{
        enum { MAX_PROFILE = 4095 };
        const char *type = kc_v_str(profile, "type"), *local = kc_json_str(profile, "localhostProfile");
        const struct kc_vpath *local_path = V_CHILD(p, "localhostProfile");
        if (!profile)
                return;
        if (!*type) {
                kc_v_required(v, V_CHILD(p, "type"), "type is required when appArmorProfile is set");
        } else if (!kc_v_in(type, profile_types)) {
                kc_v_not_supported(v, V_CHILD(p, "type"), type, profile_types);
        } else if (!kc_streq(type, "Localhost")) {
                if (local)
                        kc_v_invalid_str(v, local_path, local, "can only be set when AppArmor type is Localhost");
        } else if (!local || !*local) {
                kc_v_required(v, local_path, "must be set when AppArmor type is Localhost");
        } else {
                size_t n = strlen(local);
                if (isspace((unsigned char)local[0]) || isspace((unsigned char)local[n - 1]))
                        kc_v_invalid_str(v, local_path, local, "must not be padded with whitespace");
                if (n > MAX_PROFILE)
                        kc_v_too_long(v, local_path, MAX_PROFILE);
        }
}

static void windows_options(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        enum { MAX_SPEC = 64 << 10 };
        const char *name = kc_json_str(o, "gmsaCredentialSpecName"), *spec = kc_json_str(o, "gmsaCredentialSpec");
        const char *user = kc_json_str(o, "runAsUserName");
        const struct kc_vpath *user_path = V_CHILD(p, "runAsUserName");
        if (name)
                kc_v_name(v, V_CHILD(p, "gmsaCredentialSpecName"), name, kc_name_dns1123_subdomain);
        if (spec && !*spec)
                kc_v_invalid_str(
                    v, V_CHILD(p, "gmsaCredentialSpec"), spec, "gmsaCredentialSpec cannot be an empty string");
        else if (spec && strlen(spec) > MAX_SPEC)
                kc_v_invalid_str(
                    v, V_CHILD(p, "gmsaCredentialSpec"), spec, "gmsaCredentialSpec size must be under 64 KiB");
        if (!user)
                return;
        const char *slash = strchr(user, '\\');
        const char *account = slash ? slash + 1 : user;
        if (!*user)
                kc_v_invalid_str(v, user_path, user, "runAsUserName cannot be an empty string");
        else if (strchr(account, '\\'))
                kc_v_invalid_str(v, user_path, user, "runAsUserName cannot contain more than one backslash");
        else if (!*account)
                kc_v_invalid_str(v, user_path, user, "runAsUserName's User cannot be empty");
        else if (account[strcspn(account, "\"/\\:;|=,+*?<>@[]")])
                kc_v_invalid_str(v, user_path, user,
                    "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
}

static bool users_of_host(const struct json_object *spec)
{
        return kc_json_bool(spec, "hostUsers", true);
}

void kc_v_security_context(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *sc, const struct json_object *spec)
{
        static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};
        bool privileged = kc_json_bool(sc, "privileged", false);
        if (!sc)
                return;
        if (privileged && !atomic_load(&allow_privileged))
                kc_v_forbidden(v, V_CHILD(p, "privileged"), "disallowed by cluster policy");
        unix_id(v, p, sc, "runAsUser");
        unix_id(v, p, sc, "runAsGroup");
        optional_enum(v, p, sc, "procMount", proc_mounts);
        if (users_of_host(spec) && kc_streq(kc_json_str(sc, "procMount"), "Unmasked"))
                kc_v_invalid_str(v, V_CHILD(p, "procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
        seccomp(v, V_CHILD(p, "seccompProfile"), kc_json_get(sc, "seccompProfile"));
        if (!kc_json_bool(sc, "allowPrivilegeEscalation", true)) {
                if (privileged)
                        kc_v_invalid(
                            v, p, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
                const struct json_object *added = kc_json_at(sc, "capabilities.add");
                for (size_t i = 0; i < kc_json_len(added); i++) {
                        if (kc_streq(kc_json_as_str(kc_json_idx(added, i)), "CAP_SYS_ADMIN"))
                                kc_v_invalid(v, p, sc,
                                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                                    "CAP_SYS_ADMIN");
                }
        }
        windows_options(v, V_CHILD(p, "windowsOptions"), kc_json_get(sc, "windowsOptions"));
        app_armor(v, V_CHILD(p, "appArmorProfile"), kc_json_get(sc, "appArmorProfile"));
}

/* Segments of lower case letters, digits, '-' and '_' between dots or slashes. */
static bool is_sysctl(const char *s)
{
        if (strlen(s) > 253)
                return false;
        for (;;) {
                size_t n = strcspn(s, "./");
                if (n == 0 || s[0] == '-' || s[0] == '_' || s[n - 1] == '-' || s[n - 1] == '_' ||
                    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") < n)
                        return false;
                if (!s[n])
                        return true;
                s += n + 1;
        }
}

static void sysctls(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, const struct json_object *spec)
{
        static const char *const of_ipc[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_v_str(kc_json_idx(list, i), "name");
                const struct kc_vpath *at = V_CHILD(V_INDEX(p, i), "name");
                if (!*name)
                        kc_v_required(v, at, "");
                else if (!is_sysctl(name))
                        kc_v_invalid_str(v, at, name,
                            "must have at most 253 characters and match regex "
                            "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
                else if (!kc_map_set(names, name, names))
                        kc_v_duplicate(v, at, name);
                bool ipc = kc_streq(name, "kernel.sem");
                for (size_t j = 0; j < KC_ARRAY_LEN(of_ipc); j++)
                        ipc |= kc_str_has_prefix(name, of_ipc[j]);
                if (kc_str_has_prefix(name, "net.") && kc_json_bool(spec, "hostNetwork", false))
                        kc_v_invalid_str(v, at, name, "may not be specified when 'hostNetwork' is true");
                if (ipc && kc_json_bool(spec, "hostIPC", false))
                        kc_v_invalid_str(v, at, name, "may not be specified when 'hostIPC' is true");
        }
}

void kc_v_pod_security_context(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec)
{
        static const char *const change_policies[] = {"Always", "OnRootMismatch", NULL};
        static const char *const group_policies[] = {"Merge", "Strict", NULL};
        static const char *const selinux_policies[] = {"MountOption", "Recursive", NULL};
        const struct json_object *sc = kc_json_get(spec, "securityContext");
        const struct kc_vpath *p = V_CHILD(spec_path, "securityContext");
        const struct json_object *groups = kc_json_get(sc, "supplementalGroups");
        unix_id(v, p, sc, "fsGroup");
        unix_id(v, p, sc, "runAsUser");
        unix_id(v, p, sc, "runAsGroup");
        for (size_t i = 0; i < kc_json_len(groups); i++) {
                struct kc_why why = {0};
                int64_t id = json_object_get_int64(kc_json_idx(groups, i));
                kc_name_unix_id(id, &why);
                if (why.n)
                        kc_v_invalid_int(v, V_INDEX(V_CHILD(p, "supplementalGroups"), i), id, why.v[0]);
        }
        if (kc_json_bool(spec, "shareProcessNamespace", false) && kc_json_bool(spec, "hostPID", false))
                kc_v_invalid(v, V_CHILD(p, "shareProcessNamespace"), kc_json_get(spec, "shareProcessNamespace"),
                    "ShareProcessNamespace and HostPID cannot both be enabled");
        sysctls(v, V_CHILD(p, "sysctls"), kc_json_get(sc, "sysctls"), spec);
        optional_enum(v, p, sc, "fsGroupChangePolicy", change_policies);
        seccomp(v, V_CHILD(p, "seccompProfile"), kc_json_get(sc, "seccompProfile"));
        windows_options(v, V_CHILD(p, "windowsOptions"), kc_json_get(sc, "windowsOptions"));
        app_armor(v, V_CHILD(p, "appArmorProfile"), kc_json_get(sc, "appArmorProfile"));
        optional_enum(v, p, sc, "supplementalGroupsPolicy", group_policies);
        optional_enum(v, p, sc, "seLinuxChangePolicy", selinux_policies);
}

/* --- What depends on the operating system */

struct host_process {
        const struct json_object *of_pod;
        size_t containers, n;
};

static void count_host_process(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg)
{
        struct host_process *h = arg;
        const struct json_object *own = kc_json_at(container, "securityContext.windowsOptions.hostProcess");
        h->containers++;
        if (h->of_pod && own && !kc_json_equal(h->of_pod, own)) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("pod hostProcess value must be identical if both are specified, was %s",
                    json_object_get_boolean(h->of_pod) ? "true" : "false");
                kc_v_invalid(v, V_CHILD3(p, "securityContext", "windowsOptions", "hostProcess"), own, detail);
        }
        h->n += json_object_get_boolean(own ? own : h->of_pod) ? 1 : 0;
}

void kc_v_windows_host_process(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec)
{
        struct host_process h = {.of_pod = kc_json_at(spec, "securityContext.windowsOptions.hostProcess")};
        kc_v_each_container(v, spec_path, spec, count_host_process, &h);
        if (h.n == 0)
                return;
        if (h.n != h.containers)
                kc_v_invalid_str(v, spec_path, "",
                    "If pod contains any hostProcess containers then all containers must be HostProcess containers");
        if (!kc_json_bool(spec, "hostNetwork", false)) {
                KC_CLEANUP(kc_json_freep) struct json_object *no = json_object_new_boolean(false);
                kc_v_invalid(v, V_CHILD(spec_path, "hostNetwork"), no,
                    "hostNetwork must be true if pod contains any hostProcess containers");
        }
        if (!atomic_load(&allow_privileged))
                kc_v_forbidden(v, spec_path, "hostProcess containers are disallowed by cluster policy");
}

static void forbid_set(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *const *keys, const char *detail)
{
        for (; *keys; keys++) {
                if (kc_json_get(o, *keys))
                        kc_v_forbidden(v, V_CHILD(p, *keys), detail);
        }
}

static void os_of_container(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg)
{
        static const char *const not_linux[] = {"windowsOptions", NULL};
        static const char *const not_windows[] = {"appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities",
            "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
            NULL};
        bool windows = *(bool *)arg;
        forbid_set(v, V_CHILD(p, "securityContext"), kc_json_get(container, "securityContext"),
            windows ? not_windows : not_linux,
            windows ? "cannot be set for a windows pod" : "windows options cannot be set for a linux pod");
}

void kc_v_pod_os(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec)
{
        static const char *const systems[] = {"linux", "windows", NULL};
        static const char *const not_linux[] = {"windowsOptions", NULL};
        static const char *const not_windows[] = {"appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup",
            "fsGroupChangePolicy", "sysctls", "runAsUser", "runAsGroup", "supplementalGroups",
            "supplementalGroupsPolicy", "seLinuxChangePolicy", NULL};
        static const char *const not_windows_spec[] = {
            "hostUsers", "hostPID", "hostIPC", "shareProcessNamespace", NULL};
        const struct json_object *os = kc_json_get(spec, "os");
        const char *name = kc_v_str(os, "name");
        const struct kc_vpath *p = V_CHILD(spec_path, "os");
        bool windows = kc_streq(name, "windows");
        if (!os)
                return;
        if (!*name) {
                kc_v_required(v, V_CHILD(p, "name"), "cannot be empty");
                return;
        }
        if (!kc_v_in(name, systems)) {
                kc_v_not_supported(v, p, name, systems);
                return;
        }
        forbid_set(v, V_CHILD(spec_path, "securityContext"), kc_json_get(spec, "securityContext"),
            windows ? not_windows : not_linux,
            windows ? "cannot be set for a windows pod" : "windows options cannot be set for a linux pod");
        if (windows)
                forbid_set(v, spec_path, spec, not_windows_spec, "cannot be set for a windows pod");
        kc_v_each_container(v, spec_path, spec, os_of_container, &windows);
}

/* --- Annotations */

#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APP_ARMOR "container.apparmor.security.beta.kubernetes.io/"

static void seccomp_annotation(struct kc_v *v, const struct kc_vpath *p, const char *profile)
{
        static const char *const plain[] = {"runtime/default", "docker/default", "unconfined", NULL};
        if (kc_v_in(profile, plain))
                return;
        if (kc_str_has_prefix(profile, "localhost/"))
                kc_v_path_relative(v, p, profile + strlen("localhost/"));
        else
                kc_v_invalid_str(v, p, profile, "must be a valid seccomp profile");
}

struct find_container {
        const char *name;
        bool found;
};

static void find_container(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg)
{
        struct find_container *f = arg;
        (void)v; /* nothing to say */
        (void)p;
        f->found |= kc_streq(kc_v_str(container, "name"), f->name);
}

static void app_armor_annotation(
    struct kc_v *v, const struct kc_vpath *p, const char *key, const char *profile, const struct json_object *spec)
{
        struct find_container f = {.name = key + strlen(APP_ARMOR)};
        kc_v_each_container(v, NULL, spec, find_container, &f);
        if (!f.found)
                kc_v_invalid_str(v, V_KEY(p, key), f.name, "container not found");
        if (*profile && !kc_streq(profile, "runtime/default") && !kc_streq(profile, "unconfined") &&
            !kc_str_has_prefix(profile, "localhost/")) {
                struct kc_buf b = KC_BUF_INIT;
                kc_buf_adds(&b, "invalid AppArmor profile name: ");
                kc_quote_add(&b, profile);
                kc_v_invalid_str(v, V_KEY(p, key), profile, kc_buf_str(&b));
                kc_buf_done(&b);
        }
}

void kc_v_pod_annotations(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *annotations, const struct json_object *spec)
{
        static const char *const cost_key = "controller.kubernetes.io/pod-deletion-cost";
        const char *mirror = kc_json_str(annotations, "kubernetes.io/config.mirror");
        const char *cost = kc_json_str(annotations, cost_key);
        int64_t n;
        if (mirror && !*kc_v_str(spec, "nodeName"))
                kc_v_invalid_str(v, V_KEY(p, "kubernetes.io/config.mirror"), mirror,
                    "must set spec.nodeName if mirror pod annotation is set");
        if (cost && (*cost == '+' || (*cost == '0' && cost[1]) || kc_str_to_i64(cost, &n) < 0 || n < INT32_MIN ||
                        n > INT32_MAX))
                kc_v_invalid_str(v, V_KEY(p, cost_key), cost, "must be a 32bit integer");
        if (kc_json_str(annotations, SECCOMP_POD))
                seccomp_annotation(v, V_CHILD(p, SECCOMP_POD), kc_json_str(annotations, SECCOMP_POD));
        KC_JSON_FOREACH(annotations, key, value)
        {
                if (kc_str_has_prefix(key, SECCOMP_CONTAINER))
                        seccomp_annotation(v, V_CHILD(p, key), kc_v_str(annotations, key));
        }
        KC_JSON_FOREACH(annotations, key, value)
        {
                if (kc_str_has_prefix(key, APP_ARMOR))
                        app_armor_annotation(v, p, key, kc_v_str(annotations, key), spec);
        }
}

/* The field wins, but an annotation beside it must say the same. */
static void match_profile(struct kc_v *v, const struct kc_vpath *p, const struct json_object *profile,
    const char *annotation, const char *what)
{
        const char *type = kc_v_str(profile, "type"), *local = kc_v_str(profile, "localhostProfile");
        bool is_local = kc_str_has_prefix(annotation, "localhost/"), same = true;
        if (kc_streq(type, "Unconfined"))
                same = kc_streq(annotation, "unconfined");
        else if (kc_streq(type, "RuntimeDefault"))
                same = kc_streq(annotation, "runtime/default") ||
                       (kc_streq(what, "seccomp") && kc_streq(annotation, "docker/default"));
        else if (kc_streq(type, "Localhost"))
                same = is_local;
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("%s %s in annotation and field must match", what, same ? "profile" : "type");
        if (!same)
                kc_v_forbidden(v, V_CHILD(p, "type"), detail);
        else if (kc_streq(type, "Localhost") && !kc_streq(annotation + strlen("localhost/"), local))
                kc_v_forbidden(v, V_CHILD(p, "localhostProfile"), detail);
}

struct profile_context {
        const struct json_object *annotations, *spec;
};

static void container_seccomp(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg)
{
        struct profile_context *c = arg;
        const struct json_object *profile = kc_json_at(container, "securityContext.seccompProfile");
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s%s", SECCOMP_CONTAINER, kc_v_str(container, "name"));
        const char *annotation = kc_json_str(c->annotations, key);
        if (profile && annotation)
                match_profile(v, V_CHILD2(p, "securityContext", "seccompProfile"), profile, annotation, "seccomp");
}

static void container_app_armor(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg)
{
        struct profile_context *c = arg;
        const struct json_object *profile = kc_json_at(container, "securityContext.appArmorProfile");
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s%s", APP_ARMOR, kc_v_str(container, "name"));
        const char *annotation = kc_json_str(c->annotations, key);
        if (!profile)
                profile = kc_json_at(c->spec, "securityContext.appArmorProfile");
        if (profile && annotation)
                match_profile(v, V_CHILD2(p, "securityContext", "appArmorProfile"), profile, annotation, "apparmor");
}

void kc_v_profile_annotations(
    struct kc_v *v, const struct json_object *meta, const struct kc_vpath *spec_path, const struct json_object *spec)
{
        struct profile_context c = {.annotations = kc_json_get(meta, "annotations"), .spec = spec};
        const struct json_object *profile = kc_json_at(spec, "securityContext.seccompProfile");
        const char *annotation = kc_json_str(c.annotations, SECCOMP_POD);
        if (profile && annotation)
                match_profile(
                    v, V_CHILD2(spec_path, "securityContext", "seccompProfile"), profile, annotation, "seccomp");
        kc_v_each_container(v, spec_path, spec, container_seccomp, &c);
        if (!kc_streq(kc_json_str_at(spec, "os.name"), "windows"))
                kc_v_each_container(v, spec_path, spec, container_app_armor, &c);
}
