/* Containers of pods and of their templates. */
#include <ctype.h>
#include <string.h>

#include "api/quantity.h"
#include "cli/describe/internal.h"

static void describe_ports(struct kc_describing *d, const struct json_object *ports)
{
        static const struct {
                const char *one, *many, *field;
        } rows[] = {{"Port", "Ports", "containerPort"}, {"Host Port", "Host Ports", "hostPort"}};
        for (size_t r = 0; r < KC_ARRAY_LEN(rows); r++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                for (size_t i = 0; i < kc_json_len(ports); i++) {
                        const struct json_object *p = kc_json_idx(ports, i);
                        kc_buf_addf(&b, "%s%lld/%s", i ? ", " : "", (long long)kc_json_int(p, rows[r].field, 0),
                            kc_text(p, "protocol"));
                }
                kc_line(d, 2, "%s:\t%s\n", kc_json_len(ports) > 1 ? rows[r].many : rows[r].one,
                    b.len ? kc_buf_str(&b) : "<none>");
        }
}

static void describe_basics(struct kc_describing *d, const struct json_object *c, const struct json_object *status)
{
        const struct json_object *seccomp = kc_json_at(c, "securityContext.seccompProfile");
        if (status)
                kc_line(d, 2, "Container ID:\t%s\n", kc_text(status, "containerID"));
        kc_line(d, 2, "Image:\t%s\n", kc_text(c, "image"));
        if (status)
                kc_line(d, 2, "Image ID:\t%s\n", kc_text(status, "imageID"));
        describe_ports(d, kc_json_get(c, "ports"));
        if (seccomp)
                kc_line(d, 2, "SeccompProfile:\t%s\n", kc_text(seccomp, "type"));
        if (seccomp && kc_streq(kc_json_str(seccomp, "type"), "Localhost"))
                kc_line(d, 2, "LocalhostProfile:\t%s\n", kc_text(seccomp, "localhostProfile"));
}

static void describe_words(struct kc_describing *d, const char *title, const struct json_object *words)
{
        if (kc_json_len(words) > 0)
                kc_line(d, 2, "%s:\n", title);
        for (size_t i = 0; i < kc_json_len(words); i++) {
                KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_json_as_str(kc_json_idx(words, i)), '\n');
                if (!*lines)
                        kc_line(d, 3, "\n");
                for (char **l = lines; *l; l++)
                        kc_line(d, 3, "%s\n", *l);
        }
}

static void describe_state(struct kc_describing *d, const char *title, const struct json_object *state)
{
        const struct json_object *running = kc_json_get(state, "running"),
                                 *terminated = kc_json_get(state, "terminated");
        if (running) {
                KC_CLEANUP(kc_freep) char *started = kc_time_words(kc_json_str(running, "startedAt"));
                kc_line(d, 2, "%s:\tRunning\n", title);
                kc_line(d, 3, "Started:\t%s\n", started);
        } else if (terminated && !kc_json_get(state, "waiting")) {
                KC_CLEANUP(kc_freep) char *started = kc_time_words(kc_json_str(terminated, "startedAt"));
                KC_CLEANUP(kc_freep) char *finished = kc_time_words(kc_json_str(terminated, "finishedAt"));
                kc_line(d, 2, "%s:\tTerminated\n", title);
                if (kc_text(terminated, "reason")[0])
                        kc_line(d, 3, "Reason:\t%s\n", kc_text(terminated, "reason"));
                if (kc_text(terminated, "message")[0])
                        kc_line(d, 3, "Message:\t%s\n", kc_text(terminated, "message"));
                kc_line(d, 3, "Exit Code:\t%lld\n", (long long)kc_json_int(terminated, "exitCode", 0));
                if (kc_json_int(terminated, "signal", 0) > 0)
                        kc_line(d, 3, "Signal:\t%lld\n", (long long)kc_json_int(terminated, "signal", 0));
                kc_line(d, 3, "Started:\t%s\n", started);
                kc_line(d, 3, "Finished:\t%s\n", finished);
        } else {
                const char *reason = kc_text(state, "waiting.reason");
                kc_line(d, 2, "%s:\tWaiting\n", title);
                if (reason[0])
                        kc_line(d, 3, "Reason:\t%s\n", reason);
        }
}

static void describe_status(struct kc_describing *d, const struct json_object *status)
{
        describe_state(d, "State", kc_json_get(status, "state"));
        if (kc_json_at(status, "lastState.terminated"))
                describe_state(d, "Last State", kc_json_get(status, "lastState"));
        kc_line(d, 2, "Ready:\t%s\n", kc_bool_title(kc_json_bool(status, "ready", false)));
        kc_line(d, 2, "Restart Count:\t%lld\n", (long long)kc_json_int(status, "restartCount", 0));
}

void kc_describe_resources(struct kc_describing *d, const struct json_object *resources, int level)
{
        static const char *const titles[][2] = {{"Limits", "limits"}, {"Requests", "requests"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(titles); i++) {
                const struct json_object *list = kc_json_get(resources, titles[i][1]);
                KC_CLEANUP(kc_strv_freep) char **names = kc_sorted_keys(list);
                if (names)
                        kc_line(d, level, "%s:\n", titles[i][0]);
                for (char **n = names; n && *n; n++) {
                        KC_CLEANUP(kc_freep) char *q = kc_quantity_words(list, *n);
                        kc_line(d, level + 1, "%s:\t%s\n", *n, q);
                }
        }
}

/* --- probes */

/* As Go escapes the path of a URL. */
static void add_path(struct kc_buf *b, const char *path)
{
        if (path[0] != '/' && path[0])
                kc_buf_addc(b, '/');
        for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
                if (isalnum(*p) || strchr("-_.~$&+,/:;=@!'()*", *p))
                        kc_buf_addc(b, (char)*p);
                else
                        kc_buf_addf(b, "%%%02X", *p);
        }
}

static void add_action(struct kc_buf *b, const struct json_object *probe)
{
        const struct json_object *exec = kc_json_get(probe, "exec"), *http = kc_json_get(probe, "httpGet"),
                                 *tcp = kc_json_get(probe, "tcpSocket"), *grpc = kc_json_get(probe, "grpc");
        if (exec) {
                KC_CLEANUP(kc_freep) char *command = kc_bracketed(kc_json_get(exec, "command"));
                kc_buf_addf(b, "exec %s", command);
        } else if (http) {
                KC_CLEANUP(kc_freep) char *port = kc_scalar(kc_json_get(http, "port"));
                const char *host = kc_text(http, "host");
                kc_buf_adds(b, "http-get ");
                for (const char *s = kc_text(http, "scheme"); *s; s++)
                        kc_buf_addc(b, (char)tolower((unsigned char)*s));
                kc_buf_addf(b, strchr(host, ':') ? "://[%s]:%s" : "://%s:%s", host, port);
                add_path(b, kc_text(http, "path"));
        } else if (tcp) {
                KC_CLEANUP(kc_freep) char *port = kc_scalar(kc_json_get(tcp, "port"));
                kc_buf_addf(b, "tcp-socket %s:%s", kc_text(tcp, "host"), port);
        } else if (grpc) {
                kc_buf_addf(b, "grpc <pod>:%lld %s", (long long)kc_json_int(grpc, "port", 0), kc_text(grpc, "service"));
        } else {
                kc_buf_adds(b, "unknown");
        }
}

static void describe_probes(struct kc_describing *d, const struct json_object *c)
{
        static const char *const probes[][2] = {
            {"Liveness", "livenessProbe"}, {"Readiness", "readinessProbe"}, {"Startup", "startupProbe"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(probes); i++) {
                const struct json_object *p = kc_json_get(c, probes[i][1]);
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                if (!p)
                        continue;
                add_action(&b, p);
                kc_line(d, 2, "%s:\t%s delay=%llds timeout=%llds period=%llds #success=%lld #failure=%lld\n",
                    probes[i][0], kc_buf_str(&b), (long long)kc_json_int(p, "initialDelaySeconds", 0),
                    (long long)kc_json_int(p, "timeoutSeconds", 0), (long long)kc_json_int(p, "periodSeconds", 0),
                    (long long)kc_json_int(p, "successThreshold", 0), (long long)kc_json_int(p, "failureThreshold", 0));
        }
}

/* --- environment */

static void describe_env_from(struct kc_describing *d, const struct json_object *list)
{
        if (kc_json_len(list) > 0)
                kc_line(d, 2, "Environment Variables from:\n");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_idx(list, i), *map = kc_json_get(e, "configMapRef"),
                                         *ref = map ? map : kc_json_get(e, "secretRef");
                const char *prefix = kc_text(e, "prefix"), *from = map ? "ConfigMap" : ref ? "Secret" : "";
                const char *optional = kc_bool_word(kc_json_bool(ref, "optional", false));
                if (prefix[0])
                        kc_line(d, 3, "%s\t%s with prefix '%s'\tOptional: %s\n", kc_text(ref, "name"), from, prefix,
                            optional);
                else
                        kc_line(d, 3, "%s\t%s\tOptional: %s\n", kc_text(ref, "name"), from, optional);
        }
}

/* "key="value"" lines, as the downward API writes maps. Heap. */
static char *map_text(const struct json_object *map)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(map);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (char **k = keys; k && *k; k++) {
                const char *v = kc_json_str(map, *k);
                kc_buf_addf(&b, "%s%s=", k == keys ? "" : "\n", *k);
                kc_json_write_string(&b, v ? v : "", v ? strlen(v) : 0);
        }
        return kc_buf_take_str(&b);
}

/* What the pod's metadata says; other fields are known on the node only. Heap. */
static char *field_text(const struct json_object *pod, const char *path)
{
        static const char *const plain[] = {"metadata.name", "metadata.namespace", "metadata.uid"};
        static const char *const maps[] = {"metadata.annotations", "metadata.labels"};
        for (size_t i = 0; pod && i < KC_ARRAY_LEN(plain); i++)
                if (kc_streq(path, plain[i]))
                        return kc_strdup(kc_text(pod, path));
        for (size_t i = 0; pod && i < KC_ARRAY_LEN(maps); i++) {
                size_t n = strlen(maps[i]), len = strlen(path);
                if (kc_streq(path, maps[i]))
                        return map_text(kc_json_at(pod, maps[i]));
                if (!kc_str_has_prefix(path, maps[i]) || path[n] != '[' || len < n + 4)
                        continue;
                KC_CLEANUP(kc_freep) char *key = kc_strndup(path + n + 2, len - n - 4);
                const char *v = kc_json_str(kc_json_at(pod, maps[i]), key);
                return kc_strdup(v ? v : "");
        }
        return kc_strdup("");
}

/* In units of the divisor, rounded up. Heap. */
static char *resource_text(const struct json_object *c, const struct json_object *ref)
{
        const char *resource = kc_text(ref, "resource"), *dot = strchr(resource, '.');
        KC_CLEANUP(kc_freep) char *of = dot ? kc_strndup(resource, (size_t)(dot - resource)) : NULL;
        const char *value = dot ? kc_json_str(kc_json_get(kc_json_get(c, "resources"), of), dot + 1) : NULL;
        struct kc_quantity q, divisor;
        if (!dot)
                return kc_strdup("");
        if (!value || kc_quantity_parse(value, &q) < 0)
                q = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
        if (kc_quantity_parse(kc_text(ref, "divisor"), &divisor) < 0 || divisor.nano <= 0)
                divisor = kc_quantity_from_int(1, KC_QUANTITY_DECIMAL_SI);
        long long n = (long long)((q.nano + divisor.nano - 1) / divisor.nano);
        bool limit = kc_streq(resource, "limits.cpu") || kc_streq(resource, "limits.memory");
        return n == 0 && limit ? kc_strdup("node allocatable") : kc_asprintf("%lld", n);
}

static void describe_value(struct kc_describing *d, const char *name, const char *value)
{
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(value, '\n');
        kc_line(d, 3, "%s:\t%s\n", name, *lines ? *lines : "");
        for (char **l = lines; *l && l[1]; l++)
                kc_line(d, 3, "\t%s\n", l[1]);
}

static void describe_variable(
    struct kc_describing *d, const struct json_object *c, const struct json_object *e, const struct json_object *pod)
{
        const char *name = kc_text(e, "name");
        const struct json_object *from = kc_json_get(e, "valueFrom"), *field = kc_json_get(from, "fieldRef"),
                                 *resource = kc_json_get(from, "resourceFieldRef"),
                                 *secret = kc_json_get(from, "secretKeyRef"),
                                 *map = kc_json_get(from, "configMapKeyRef");
        if (!from) {
                describe_value(d, name, kc_text(e, "value"));
        } else if (field) {
                KC_CLEANUP(kc_freep) char *value = field_text(pod, kc_text(field, "fieldPath"));
                kc_line(
                    d, 3, "%s:\t%s (%s:%s)\n", name, value, kc_text(field, "apiVersion"), kc_text(field, "fieldPath"));
        } else if (resource) {
                KC_CLEANUP(kc_freep) char *value = resource_text(c, resource);
                kc_line(d, 3, "%s:\t%s (%s)\n", name, value, kc_text(resource, "resource"));
        } else if (secret) {
                kc_line(d, 3, "%s:\t<set to the key '%s' in secret '%s'>\tOptional: %s\n", name, kc_text(secret, "key"),
                    kc_text(secret, "name"), kc_bool_word(kc_json_bool(secret, "optional", false)));
        } else if (map) {
                kc_line(d, 3, "%s:\t<set to the key '%s' of config map '%s'>\tOptional: %s\n", name,
                    kc_text(map, "key"), kc_text(map, "name"), kc_bool_word(kc_json_bool(map, "optional", false)));
        }
}

static void describe_env(struct kc_describing *d, const struct json_object *c, const struct json_object *pod)
{
        const struct json_object *env = kc_json_get(c, "env");
        describe_env_from(d, kc_json_get(c, "envFrom"));
        kc_line(d, 2, "Environment:%s\n", kc_json_len(env) ? "" : "\t<none>");
        for (size_t i = 0; i < kc_json_len(env); i++)
                describe_variable(d, c, kc_json_idx(env, i), pod);
}

static void describe_mounts(struct kc_describing *d, const struct json_object *c)
{
        const struct json_object *mounts = kc_json_get(c, "volumeMounts"), *devices = kc_json_get(c, "volumeDevices");
        const char *none = kc_json_len(mounts) ? "" : "\t<none>";
        KC_CLEANUP(kc_freep) size_t *order = kc_order_by(mounts, "mountPath");
        KC_CLEANUP(kc_freep) size_t *device_order = kc_order_by(devices, "devicePath");
        kc_line(d, 2, "Mounts:%s\n", none);
        for (size_t i = 0; i < kc_json_len(mounts); i++) {
                const struct json_object *m = kc_json_idx(mounts, order[i]);
                const char *sub = kc_text(m, "subPath");
                KC_CLEANUP(kc_buf_done) struct kc_buf quoted = KC_BUF_INIT;
                if (sub[0]) {
                        kc_buf_adds(&quoted, ",path=");
                        kc_json_write_string(&quoted, sub, strlen(sub));
                }
                kc_line(d, 3, "%s from %s (%s%s)\n", kc_text(m, "mountPath"), kc_text(m, "name"),
                    kc_json_bool(m, "readOnly", false) ? "ro" : "rw", kc_buf_str(&quoted));
        }
        /* kubectl takes the word of the mounts for the devices, and people compare. */
        if (kc_json_len(devices) > 0)
                kc_line(d, 2, "Devices:%s\n", none);
        for (size_t i = 0; i < kc_json_len(devices); i++) {
                const struct json_object *m = kc_json_idx(devices, device_order[i]);
                kc_line(d, 3, "%s from %s\n", kc_text(m, "devicePath"), kc_text(m, "name"));
        }
}

void kc_describe_containers(struct kc_describing *d, const char *label, const struct json_object *containers,
    const struct json_object *statuses, const struct json_object *pod, const char *indent)
{
        kc_line(d, 0, "%s%s:%s\n", indent, label, kc_json_len(containers) ? "" : " <none>");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *c = kc_json_idx(containers, i);
                const struct json_object *status = kc_json_find(statuses, "name", kc_text(c, "name"));
                kc_line(d, 1, "%s%s:\n", indent[0] ? " " : "", kc_text(c, "name"));
                describe_basics(d, c, status);
                describe_words(d, "Command", kc_json_get(c, "command"));
                describe_words(d, "Args", kc_json_get(c, "args"));
                if (status)
                        describe_status(d, status);
                kc_describe_resources(d, kc_json_get(c, "resources"), 2);
                describe_probes(d, c);
                describe_env(d, c, pod);
                describe_mounts(d, c);
        }
}
