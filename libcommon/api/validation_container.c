/* Containers: regular, init and ephemeral ones. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static void container_ports(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ports)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *port = kc_json_idx(ports, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *name = kc_v_str(port, "name");
                int64_t number = kc_json_int(port, "containerPort", 0), host = kc_json_int(port, "hostPort", 0);
                size_t before = v->errors->n;
                if (*name)
                        kc_v_name(v, V_CHILD(at, "name"), name, kc_name_port);
                if (*name && v->errors->n == before && !kc_map_set(names, name, names))
                        kc_v_duplicate(v, V_CHILD(at, "name"), name);
                if (number == 0)
                        kc_v_required(v, V_CHILD(at, "containerPort"), "");
                else
                        kc_v_port_number(v, V_CHILD(at, "containerPort"), number);
                if (host != 0)
                        kc_v_port_number(v, V_CHILD(at, "hostPort"), host);
                kc_v_enum(v, V_CHILD(at, "protocol"), kc_v_str(port, "protocol"), protocols);
        }
}

void kc_v_pull_policy(struct kc_v *v, const struct kc_vpath *p, const char *policy)
{
        static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};
        kc_v_enum(v, p, policy, policies);
}

static void resize_policy(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, const struct json_object *spec)
{
        static const char *const resources[] = {"cpu", "memory", NULL};
        static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_idx(list, i);
                const char *resource = kc_v_str(e, "resourceName"), *policy = kc_v_str(e, "restartPolicy");
                if (!kc_v_first(seen, resource))
                        kc_v_duplicate(v, V_INDEX(p, i), resource);
                kc_v_enum(v, p, resource, resources);
                kc_v_enum(v, p, policy, policies);
                if (kc_streq(kc_v_str(spec, "restartPolicy"), "Never") && !kc_streq(policy, "NotRequired"))
                        kc_v_invalid_str(v, p, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
}

static void restart_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container)
{
        static const char *const policies[] = {"Always", "Never", "OnFailure", NULL};
        const char *policy = kc_json_str(container, "restartPolicy");
        if (policy && !kc_v_in(policy, policies))
                kc_v_not_supported(v, V_CHILD(p, "restartPolicy"), policy, policies);
        if (!policy && kc_json_len(kc_json_get(container, "restartPolicyRules")) > 0)
                kc_v_required(v, V_CHILD(p, "restartPolicy"), "must specify restartPolicy when restart rules are used");
}

/* What holds for containers of every kind. */
static void container(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, const struct json_object *spec)
{
        static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
        const char *name = kc_v_str(c, "name");
        if (!*name)
                kc_v_required(v, V_CHILD(p, "name"), "");
        else
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_dns1123_label);
        if (!*kc_v_str(c, "image"))
                kc_v_required(v, V_CHILD(p, "image"), "");
        kc_v_enum(v, V_CHILD(p, "terminationMessagePolicy"), kc_v_str(c, "terminationMessagePolicy"), message_policies);
        container_ports(v, V_CHILD(p, "ports"), kc_json_get(c, "ports"));
        kc_v_env(v, V_CHILD(p, "env"), kc_json_get(c, "env"));
        kc_v_env_from(v, V_CHILD(p, "envFrom"), kc_json_get(c, "envFrom"));
        kc_v_volume_mounts(v, V_CHILD(p, "volumeMounts"), c);
        kc_v_volume_devices(v, V_CHILD(p, "volumeDevices"), c);
        kc_v_pull_policy(v, V_CHILD(p, "imagePullPolicy"), kc_v_str(c, "imagePullPolicy"));
        kc_v_resources(
            v, V_CHILD(p, "resources"), kc_json_get(c, "resources"), false, kc_json_get(spec, "resourceClaims"));
        resize_policy(v, V_CHILD(p, "resizePolicy"), kc_json_get(c, "resizePolicy"), spec);
        kc_v_security_context(v, V_CHILD(p, "securityContext"), kc_json_get(c, "securityContext"), spec);
}

/* Host ports are unique within a pod; seen is kept by the caller. */
static void host_ports(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, struct kc_map *seen)
{
        const struct json_object *ports = kc_json_get(c, "ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *port = kc_json_idx(ports, i);
                int64_t host = kc_json_int(port, "hostPort", 0);
                if (host == 0)
                        continue;
                KC_CLEANUP(kc_freep)
                char *key =
                    kc_asprintf("%s/%s/%lld", kc_v_str(port, "protocol"), kc_v_str(port, "hostIP"), (long long)host);
                if (!kc_map_set(seen, key, seen))
                        kc_v_duplicate(v, V_CHILD(V_INDEX(V_CHILD(p, "ports"), i), "hostPort"), key);
        }
}

void kc_v_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *list = kc_json_get(spec, "containers");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL), *ports = kc_map_new(NULL);
        if (kc_json_len(list) == 0)
                kc_v_required(v, p, "");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *c = kc_json_idx(list, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                container(v, at, c, spec);
                if (!kc_map_set(names, kc_v_str(c, "name"), names))
                        kc_v_duplicate(v, V_CHILD(at, "name"), kc_v_str(c, "name"));
                kc_v_probes_and_lifecycle(v, at, c, spec);
                restart_policy(v, at, c);
        }
        for (size_t i = 0; i < kc_json_len(list); i++)
                host_ports(v, V_INDEX(p, i), kc_json_idx(list, i), ports);
}

static void forbid(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, const char *const *keys, const char *detail)
{
        for (; *keys; keys++) {
                const struct json_object *value = kc_json_get(c, *keys);
                bool empty = !value ||
                             (kc_json_is_obj(value) && kc_json_n_keys(value) == 0 && kc_streq(*keys, "resources")) ||
                             (kc_json_is_arr(value) && kc_json_len(value) == 0);
                if (!empty)
                        kc_v_forbidden(v, V_CHILD(p, *keys), detail);
        }
}

static void add_names(struct kc_map *names, const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                (void)kc_map_set(names, kc_v_str(kc_json_idx(list, i), "name"), names); /* repeated: found elsewhere */
}

void kc_v_init_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const of_sidecars[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe", NULL};
        const struct json_object *list = kc_json_get(spec, "initContainers");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        add_names(names, kc_json_get(spec, "containers"));
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *c = kc_json_idx(list, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *name = kc_v_str(c, "name");
                container(v, at, c, spec);
                restart_policy(v, at, c);
                if (kc_map_has(names, name))
                        kc_v_duplicate(v, V_CHILD(at, "name"), name);
                else if (*name)
                        (void)kc_map_set(names, name, names); /* new, as we know */
                /* They run one after the other: only their own ports can collide. */
                KC_CLEANUP(kc_map_freep) struct kc_map *ports = kc_map_new(NULL);
                host_ports(v, V_INDEX(p, 0), c, ports);
                if (kc_streq(kc_v_str(c, "restartPolicy"), "Always"))
                        kc_v_probes_and_lifecycle(v, at, c, spec);
                else
                        forbid(
                            v, at, c, of_sidecars, "may not be set for init containers without restartPolicy=Always");
        }
}

static void ephemeral_container(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *c, const struct json_object *spec)
{
        static const char *const fields[] = {"ports", "resources", "resizePolicy", "restartPolicy",
            "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", NULL};
        static const char *const why = "cannot be set for an Ephemeral Container";
        const char *target = kc_v_str(c, "targetContainerName");
        if (*target && !kc_json_find(kc_json_get(spec, "containers"), "name", target) &&
            !kc_json_find(kc_json_get(spec, "initContainers"), "name", target))
                kc_v_not_found(v, V_CHILD(p, "targetContainerName"), target);
        forbid(v, p, c, fields, why);
        const struct json_object *mounts = kc_json_get(c, "volumeMounts");
        for (size_t i = 0; i < kc_json_len(mounts); i++) {
                const struct json_object *m = kc_json_idx(mounts, i);
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "volumeMounts"), i);
                if (*kc_v_str(m, "subPath"))
                        kc_v_forbidden(v, V_CHILD(at, "subPath"), why);
                if (*kc_v_str(m, "subPathExpr"))
                        kc_v_forbidden(v, V_CHILD(at, "subPathExpr"), why);
        }
}

void kc_v_ephemeral_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *list = kc_json_get(spec, "ephemeralContainers");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        add_names(names, kc_json_get(spec, "containers"));
        add_names(names, kc_json_get(spec, "initContainers"));
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *c = kc_json_idx(list, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                container(v, at, c, spec);
                kc_v_container_image_for_pod(v, at, c);
                if (!kc_map_set(names, kc_v_str(c, "name"), names))
                        kc_v_duplicate(v, V_CHILD(at, "name"), kc_v_str(c, "name"));
                ephemeral_container(v, at, c, spec);
        }
}

void kc_v_container_image_for_pod(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c)
{
        const char *image = kc_v_str(c, "image");
        size_t n = strlen(image);
        if (n && (isspace((unsigned char)image[0]) || isspace((unsigned char)image[n - 1])))
                kc_v_invalid_str(v, V_CHILD(p, "image"), image, "must not have leading or trailing whitespace");
}

void kc_v_each_container(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec,
    void (*fn)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg), void *arg)
{
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *list = kc_json_get(spec, lists[i]);
                for (size_t j = 0; j < kc_json_len(list); j++)
                        fn(v, V_INDEX(V_CHILD(spec_path, lists[i]), j), kc_json_idx(list, j), arg);
        }
}
