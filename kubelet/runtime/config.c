/* CRI configurations of sandboxes and containers. Thread: the pod's worker (makes directories of the pod). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime_internal.h"

#define DEFAULT_MESSAGE_PATH "/dev/termination-log"

/* Every map<string, string> entry of the generated code looks like this. */
struct map_entry {
        ProtobufCMessage base;
        char *key, *value;
};

struct map {
        struct map_entry **v;
        size_t n;
};

static struct map map_new(struct kc_arena *arena, size_t cap)
{
        return (struct map){.v = kc_arena_calloc(arena, cap + 1, sizeof(struct map_entry *))};
}

static void map_add(
    struct map *m, struct kc_arena *arena, const ProtobufCMessageDescriptor *desc, const char *key, const char *value)
{
        struct map_entry *e = kc_arena_calloc(arena, 1, sizeof(*e));
        protobuf_c_message_init(desc, e);
        e->key = (char *)key;
        e->value = (char *)value;
        m->v[m->n++] = e;
}

/* The entries of an object of strings. */
static void map_add_all(
    struct map *m, struct kc_arena *arena, const ProtobufCMessageDescriptor *desc, const struct json_object *strings)
{
        KC_JSON_FOREACH(strings, key, value)
        {
                const char *s = kc_json_as_str(value);
                if (s)
                        map_add(m, arena, desc, key, s);
        }
}

static void set_labels(kc_cri_sandbox_config *config, const struct json_object *pod, struct kc_arena *arena)
{
        const ProtobufCMessageDescriptor *d = &runtime__v1__pod_sandbox_config__labels_entry__descriptor;
        const struct json_object *labels = kc_meta_labels(pod);
        struct map m = map_new(arena, kc_json_n_keys(labels) + 3);
        map_add_all(&m, arena, d, labels);
        map_add(&m, arena, d, KC_LABEL_POD_NAME, kc_meta_name(pod));
        map_add(&m, arena, d, KC_LABEL_POD_NAMESPACE, kc_meta_namespace(pod) ?: "default");
        map_add(&m, arena, d, KC_LABEL_POD_UID, kc_meta_uid(pod));
        config->labels = (void *)m.v;
        config->n_labels = m.n;
        const struct json_object *annotations = kc_json_at(pod, "metadata.annotations");
        m = map_new(arena, kc_json_n_keys(annotations));
        map_add_all(&m, arena, &runtime__v1__pod_sandbox_config__annotations_entry__descriptor, annotations);
        config->annotations = (void *)m.v;
        config->n_annotations = m.n;
}

static void set_ports(kc_cri_sandbox_config *config, const struct json_object *pod, struct kc_arena *arena)
{
        const struct json_object *containers = kc_json_at(pod, "spec.containers");
        size_t n = 0;
        for (size_t i = 0; i < kc_json_len(containers); i++)
                n += kc_json_len(kc_json_get(kc_json_idx(containers, i), "ports"));
        config->port_mappings = kc_arena_calloc(arena, n + 1, sizeof(void *));
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *ports = kc_json_get(kc_json_idx(containers, i), "ports");
                for (size_t k = 0; k < kc_json_len(ports); k++) {
                        const struct json_object *p = kc_json_idx(ports, k);
                        Runtime__V1__PortMapping *m = kc_arena_calloc(arena, 1, sizeof(*m));
                        runtime__v1__port_mapping__init(m);
                        const char *proto = kc_json_str(p, "protocol");
                        m->protocol = kc_streq(proto, "UDP")    ? RUNTIME__V1__PROTOCOL__UDP
                                      : kc_streq(proto, "SCTP") ? RUNTIME__V1__PROTOCOL__SCTP
                                                                : RUNTIME__V1__PROTOCOL__TCP;
                        m->container_port = (int32_t)kc_json_int(p, "containerPort", 0);
                        m->host_port = (int32_t)kc_json_int(p, "hostPort", 0);
                        m->host_ip = (char *)(kc_json_str(p, "hostIP") ?: "");
                        config->port_mappings[config->n_port_mappings++] = m;
                }
        }
}

static Runtime__V1__Int64Value *int64_value(const struct json_object *o, const char *key, struct kc_arena *arena)
{
        if (!kc_json_get(o, key))
                return NULL;
        Runtime__V1__Int64Value *v = kc_arena_calloc(arena, 1, sizeof(*v));
        runtime__v1__int64_value__init(v);
        v->value = kc_json_int(o, key, 0);
        return v;
}

static bool any_privileged(const struct json_object *pod)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        if (kc_json_bool_at(kc_json_idx(list, i), "securityContext.privileged", false))
                                return true;
        }
        return false;
}

static Runtime__V1__LinuxPodSandboxConfig *sandbox_linux(
    struct kc_runtime *r, const struct json_object *pod, struct kc_arena *arena)
{
        Runtime__V1__LinuxPodSandboxConfig *l = kc_arena_calloc(arena, 1, sizeof(*l));
        runtime__v1__linux_pod_sandbox_config__init(l);
        char *cgroup = kc_arena_add(arena, kc_pod_cgroup(r, kc_meta_uid(pod), kc_pod_qos(pod)));
        l->cgroup_parent = cgroup;
        Runtime__V1__LinuxSandboxSecurityContext *s = kc_arena_calloc(arena, 1, sizeof(*s));
        runtime__v1__linux_sandbox_security_context__init(s);
        l->security_context = s;
        s->namespace_options = kc_namespace_options_make(pod, NULL, arena);
        const struct json_object *sc = kc_json_at(pod, "spec.securityContext");
        s->run_as_user = int64_value(sc, "runAsUser", arena);
        s->run_as_group = int64_value(sc, "runAsGroup", arena);
        s->privileged = any_privileged(pod);
        kc_supplemental_groups_make(pod, arena, &s->supplemental_groups, &s->n_supplemental_groups);
        s->seccomp = kc_arena_calloc(arena, 1, sizeof(*s->seccomp));
        runtime__v1__security_profile__init(s->seccomp);
        s->seccomp->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
        const struct json_object *sysctls = kc_json_get(sc, "sysctls");
        struct map m = map_new(arena, kc_json_len(sysctls));
        for (size_t i = 0; i < kc_json_len(sysctls); i++)
                map_add(&m, arena, &runtime__v1__linux_pod_sandbox_config__sysctls_entry__descriptor,
                    kc_json_str(kc_json_idx(sysctls, i), "name") ?: "",
                    kc_json_str(kc_json_idx(sysctls, i), "value") ?: "");
        l->sysctls = (void *)m.v;
        l->n_sysctls = m.n;
        return l;
}

static int set_dns(struct kc_runtime *r, kc_cri_sandbox_config *config, const struct json_object *pod,
    struct kc_arena *arena, struct kc_error *err)
{
        struct kc_pod_dns dns = {0};
        int res = kc_pod_dns_make(&r->o.dns, pod, &dns, err);
        if (res < 0)
                return res;
        if (dns.fell_back)
                kc_kubelet_event_pod(r->o.events, pod, NULL, KC_EVENT_WARNING, "MissingClusterDNS",
                    "pod: %s/%s. kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                    "\"ClusterFirst\" "
                    "policy. Falling back to \"Default\" policy.",
                    kc_meta_namespace(pod) ?: "default", kc_meta_name(pod));
        Runtime__V1__DNSConfig *d = kc_arena_calloc(arena, 1, sizeof(*d));
        runtime__v1__dnsconfig__init(d);
        char **const from[] = {dns.servers, dns.searches, dns.options};
        char ***const to[] = {&d->servers, &d->searches, &d->options};
        size_t *const n[] = {&d->n_servers, &d->n_searches, &d->n_options};
        for (size_t i = 0; i < KC_ARRAY_LEN(from); i++) {
                *n[i] = kc_strv_len(from[i]);
                *to[i] = kc_arena_calloc(arena, *n[i] + 1, sizeof(char *));
                for (size_t k = 0; k < *n[i]; k++)
                        (*to[i])[k] = kc_arena_add(arena, kc_strdup(from[i][k]));
        }
        config->dns_config = d;
        kc_pod_dns_done(&dns);
        return 0;
}

int kc_sandbox_config_make(struct kc_runtime *r, const struct json_object *pod, uint32_t attempt,
    struct kc_arena *arena, kc_cri_sandbox_config **ret, struct kc_error *err)
{
        kc_cri_sandbox_config *config = kc_arena_calloc(arena, 1, sizeof(*config));
        runtime__v1__pod_sandbox_config__init(config);
        Runtime__V1__PodSandboxMetadata *meta = kc_arena_calloc(arena, 1, sizeof(*meta));
        runtime__v1__pod_sandbox_metadata__init(meta);
        meta->name = (char *)kc_meta_name(pod);
        meta->uid = (char *)kc_meta_uid(pod);
        meta->namespace_ = (char *)(kc_meta_namespace(pod) ?: "default");
        meta->attempt = attempt;
        config->metadata = meta;
        set_labels(config, pod, arena);
        int res = set_dns(r, config, pod, arena, err);
        if (res < 0)
                return res;
        char *hostname = NULL, *domain = NULL;
        if (!kc_pod_is_host_network(pod)) {
                res = kc_pod_hostname(pod, r->o.node_name, r->o.dns.cluster_domain, &hostname, &domain, err);
                if (res < 0)
                        return res;
                config->hostname = kc_arena_add(arena, hostname);
                kc_arena_add(arena, domain);
                set_ports(config, pod, arena);
        }
        config->log_directory = kc_arena_add(arena, kc_pod_log_dir(r->o.pod_logs_dir, pod));
        config->linux = sandbox_linux(r, pod, arena);
        *ret = config;
        return 0;
}

/* --- Containers */

static void set_container_annotations(
    const struct kc_container_input *in, kc_cri_container_config *config, struct kc_arena *arena)
{
        const ProtobufCMessageDescriptor *d = &runtime__v1__container_config__labels_entry__descriptor;
        struct map m = map_new(arena, 4);
        map_add(&m, arena, d, KC_LABEL_POD_NAME, kc_meta_name(in->pod));
        map_add(&m, arena, d, KC_LABEL_POD_NAMESPACE, kc_meta_namespace(in->pod) ?: "default");
        map_add(&m, arena, d, KC_LABEL_POD_UID, kc_meta_uid(in->pod));
        map_add(&m, arena, d, KC_LABEL_CONTAINER_NAME, kc_json_str(in->container, "name"));
        config->labels = (void *)m.v;
        config->n_labels = m.n;
        d = &runtime__v1__container_config__annotations_entry__descriptor;
        m = map_new(arena, 8);
        map_add(&m, arena, d, KC_ANNOTATION_HASH, kc_arena_printf(arena, "%x", kc_container_hash(in->container)));
        map_add(&m, arena, d, KC_ANNOTATION_RESTART_COUNT, kc_arena_printf(arena, "%d", in->restart_count));
        map_add(&m, arena, d, KC_ANNOTATION_MESSAGE_PATH, kc_json_str(in->container, "terminationMessagePath") ?: "");
        map_add(
            &m, arena, d, KC_ANNOTATION_MESSAGE_POLICY, kc_json_str(in->container, "terminationMessagePolicy") ?: "");
        map_add(&m, arena, d, KC_ANNOTATION_GRACE,
            kc_arena_printf(
                arena, "%lld", (long long)kc_json_int_at(in->pod, "spec.terminationGracePeriodSeconds", 30)));
        const struct json_object *ports = kc_json_get(in->container, "ports");
        if (ports)
                map_add(&m, arena, d, "io.kubernetes.container.ports", kc_arena_add(arena, kc_json_to_str(ports)));
        const struct json_object *hook = kc_json_at(in->container, "lifecycle.preStop");
        if (hook)
                map_add(
                    &m, arena, d, "io.kubernetes.container.preStopHandler", kc_arena_add(arena, kc_json_to_str(hook)));
        config->annotations = (void *)m.v;
        config->n_annotations = m.n;
}

static void set_command(const struct kc_container_input *in, kc_cri_container_config *config, struct kc_arena *arena)
{
        char **command = kc_env_expand_array(kc_json_get(in->container, "command"), in->env);
        char **args = kc_env_expand_array(kc_json_get(in->container, "args"), in->env);
        config->n_command = kc_strv_len(command);
        config->n_args = kc_strv_len(args);
        for (size_t i = 0; i < config->n_command; i++)
                kc_arena_add(arena, command[i]);
        for (size_t i = 0; i < config->n_args; i++)
                kc_arena_add(arena, args[i]);
        config->command = kc_arena_add(arena, command);
        config->args = kc_arena_add(arena, args);
        config->envs = kc_arena_calloc(arena, in->env->n + 1, sizeof(void *));
        for (size_t i = 0; i < in->env->n; i++) {
                Runtime__V1__KeyValue *kv = kc_arena_calloc(arena, 1, sizeof(*kv));
                runtime__v1__key_value__init(kv);
                kv->key = in->env->names[i];
                kv->value.data = (uint8_t *)in->env->values[i];
                kv->value.len = strlen(in->env->values[i]);
                config->envs[config->n_envs++] = kv;
        }
}

static Runtime__V1__Mount *add_mount(
    kc_cri_container_config *config, struct kc_arena *arena, const char *container_path, const char *host_path)
{
        Runtime__V1__Mount *m = kc_arena_calloc(arena, 1, sizeof(*m));
        runtime__v1__mount__init(m);
        m->container_path = (char *)container_path;
        m->host_path = (char *)host_path;
        config->mounts[config->n_mounts++] = m;
        return m;
}

/* The file for the container's last words, a new one for each instance. */
static int add_termination_log(struct kc_runtime *r, const struct kc_container_input *in,
    kc_cri_container_config *config, struct kc_arena *arena, struct kc_error *err)
{
        const char *path = kc_json_str(in->container, "terminationMessagePath") ?: DEFAULT_MESSAGE_PATH;
        if (kc_str_empty(path))
                return 0;
        const char *name = kc_json_str(in->container, "name");
        char *dir = kc_arena_add(arena, kc_pod_container_dir(r->o.root_dir, kc_meta_uid(in->pod), name));
        int res = kc_mkdir_p(dir, 0750, err);
        if (res < 0)
                return res;
        uint32_t id;
        kc_rand_bytes(&id, sizeof(id));
        char *file = kc_arena_printf(arena, "%s/%08x", dir, id);
        KC_CLEANUP(kc_closep) int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0)
                return kc_error_set(err, errno, "error while creating termination-log file %s", file);
        /* The process may have any user. */
        if (fchmod(fd, 0666) < 0)
                return kc_error_set(err, errno, "error while setting mode of termination-log file %s", file);
        add_mount(config, arena, path, file);
        return 0;
}

static int set_mounts(struct kc_runtime *r, const struct kc_container_input *in, kc_cri_container_config *config,
    struct kc_arena *arena, struct kc_error *err)
{
        config->mounts = kc_arena_calloc(arena, in->mounts->n + 3, sizeof(void *));
        bool has_hosts = false;
        for (size_t i = 0; i < in->mounts->n; i++) {
                const struct kc_volume_mount *v = &in->mounts->v[i];
                Runtime__V1__Mount *m = add_mount(config, arena, v->container_path, v->host_path);
                m->readonly = v->read_only;
                m->recursive_read_only = v->recursive_read_only;
                m->propagation = (Runtime__V1__MountPropagation)v->propagation;
                has_hosts |= kc_streq(v->container_path, "/etc/hosts");
        }
        char *hosts = kc_arena_add(arena, kc_pod_hosts_path(r->o.root_dir, kc_meta_uid(in->pod)));
        if (!has_hosts && kc_path_exists(hosts))
                add_mount(config, arena, "/etc/hosts", hosts);
        return add_termination_log(r, in, config, arena, err);
}

static void set_stop_signal(const struct kc_container_input *in, kc_cri_container_config *config)
{
        const char *name = kc_json_str_at(in->container, "lifecycle.stopSignal");
        const ProtobufCEnumValue *v =
            name ? protobuf_c_enum_descriptor_get_value_by_name(&runtime__v1__signal__descriptor, name) : NULL;
        if (v)
                config->stop_signal = (Runtime__V1__Signal)v->value;
}

int kc_container_config_make(struct kc_runtime *r, const struct kc_container_input *in, struct kc_arena *arena,
    kc_cri_container_config **ret, struct kc_error *err)
{
        kc_cri_container_config *config = kc_arena_calloc(arena, 1, sizeof(*config));
        runtime__v1__container_config__init(config);
        const char *name = kc_json_str(in->container, "name");
        config->metadata = kc_arena_calloc(arena, 1, sizeof(*config->metadata));
        runtime__v1__container_metadata__init(config->metadata);
        config->metadata->name = (char *)name;
        config->metadata->attempt = (uint32_t)in->restart_count;
        config->image = kc_arena_calloc(arena, 1, sizeof(*config->image));
        runtime__v1__image_spec__init(config->image);
        config->image->image = (char *)in->image_ref;
        config->image->user_specified_image = (char *)(kc_json_str(in->container, "image") ?: "");
        set_command(in, config, arena);
        config->working_dir = (char *)(kc_json_str(in->container, "workingDir") ?: "");
        set_container_annotations(in, config, arena);
        config->log_path = kc_arena_add(arena, kc_container_log_path(name, in->restart_count));
        config->stdin = kc_json_bool(in->container, "stdin", false);
        config->stdin_once = kc_json_bool(in->container, "stdinOnce", false);
        config->tty = kc_json_bool(in->container, "tty", false);
        set_stop_signal(in, config);
        KC_CLEANUP(kc_freep) char *log_dir = kc_pod_log_dir(r->o.pod_logs_dir, in->pod);
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(log_dir, name);
        int res = kc_mkdir_p(dir, 0755, err);
        if (res < 0)
                return kc_error_wrap(err, "create container log directory for container %s failed", name);
        config->linux = kc_arena_calloc(arena, 1, sizeof(*config->linux));
        runtime__v1__linux_container_config__init(config->linux);
        config->linux->resources = kc_container_resources_make(r, in->pod, in->container, arena);
        res = kc_container_security_make(r, in, arena, &config->linux->security_context, err);
        if (res < 0)
                return res;
        res = set_mounts(r, in, config, arena, err);
        if (res < 0)
                return res;
        *ret = config;
        return 0;
}
