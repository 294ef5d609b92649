/* Defaults of pods and pod templates. What holds for a template too is in kc_default_pod_spec; what upstream sets only
 * on pods themselves (requests from limits, host ports, ...) in kc_default_pod. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/defaults.h"
#include "api/defaults_internal.h"
#include "api/pod_internal.h"
#include "api/quantity.h"
#include "base/mem.h"
#include "base/str.h"

/* What stands before the first slash is a registry's host if it looks like one. */
static bool is_registry_host(const char *s, size_t len)
{
        if (len == 9 && strncmp(s, "localhost", 9) == 0)
                return true;
        for (size_t i = 0; i < len; i++) {
                if (s[i] == '.' || s[i] == ':' || isupper((unsigned char)s[i]))
                        return true;
        }
        return false;
}

/* "latest" is meant by an image reference: it is the tag, or there is neither tag nor digest. A reference that does not
 * parse has no tag. */
static bool tag_is_latest(const char *image)
{
        size_t host = strcspn(image, "/");
        const char *path = image[host] && is_registry_host(image, host) ? image + host + 1 : image;
        size_t len = strcspn(path, ":@");
        if (len == 0)
                return false;
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)path[i];
                if (!islower(c) && !isdigit(c) && !strchr("._-/", c))
                        return false;
        }
        if (path[len] == ':') {
                const char *tag = path + len + 1;
                return strcspn(tag, "@") == 6 && strncmp(tag, "latest", 6) == 0;
        }
        return path[len] == '\0';
}

static const char *pull_policy(const char *image)
{
        return image && tag_is_latest(image) ? "Always" : "IfNotPresent";
}

static void default_probe(struct json_object *probe)
{
        if (!probe)
                return;
        kc_default_int(probe, "timeoutSeconds", 1);
        kc_default_int(probe, "periodSeconds", 10);
        kc_default_int(probe, "successThreshold", 1);
        kc_default_int(probe, "failureThreshold", 3);
        struct json_object *grpc = kc_json_get_mut(probe, "grpc");
        if (grpc)
                kc_default_missing(grpc, "service", json_object_new_string(""));
}

static void default_http_get(struct json_object *action)
{
        struct json_object *http = kc_json_get_mut(action, "httpGet");
        if (!http)
                return;
        kc_default_str(http, "path", "/");
        kc_default_str(http, "scheme", "HTTP");
}

static void default_env(struct json_object *env)
{
        for (size_t i = 0; i < kc_json_len(env); i++) {
                struct json_object *ref = kc_json_at_mut(kc_json_idx_mut(env, i), "valueFrom.fieldRef");
                if (ref)
                        kc_default_str(ref, "apiVersion", "v1");
        }
}

void kc_default_resource_list(struct json_object *list)
{
        char buf[KC_QUANTITY_LEN];
        KC_JSON_FOREACH(list, name, value)
        {
                struct kc_quantity q;
                if (!kc_json_as_str(value) || kc_quantity_parse(kc_json_as_str(value), &q) < 0)
                        continue;
                if (q.nano % 1000000 == 0)
                        continue;
                q = kc_quantity_from_milli(kc_quantity_milli(&q), q.format);
                json_object_set_string(kc_json_get_mut(list, name), kc_quantity_format(&q, buf));
        }
}

static void default_resources(struct json_object *resources)
{
        kc_default_resource_list(kc_json_get_mut(resources, "limits"));
        kc_default_resource_list(kc_json_get_mut(resources, "requests"));
}

static void default_container(struct json_object *c)
{
        static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
        static const char *const hooks[] = {"postStart", "preStop"};
        kc_default_str(c, "imagePullPolicy", pull_policy(kc_json_str(c, "image")));
        kc_default_str(c, "terminationMessagePath", "/dev/termination-log");
        kc_default_str(c, "terminationMessagePolicy", "File");
        for (size_t i = 0; i < KC_ARRAY_LEN(probes); i++) {
                default_probe(kc_json_get_mut(c, probes[i]));
                default_http_get(kc_json_get_mut(c, probes[i]));
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(hooks); i++)
                default_http_get(kc_json_get_mut(kc_json_get_mut(c, "lifecycle"), hooks[i]));
        struct json_object *ports = kc_json_get_mut(c, "ports");
        for (size_t i = 0; i < kc_json_len(ports); i++)
                kc_default_str(kc_json_idx_mut(ports, i), "protocol", "TCP");
        default_env(kc_json_get_mut(c, "env"));
        default_resources(kc_json_get_mut(c, "resources"));
}

static void default_downward_items(struct json_object *items)
{
        for (size_t i = 0; i < kc_json_len(items); i++) {
                struct json_object *ref = kc_json_get_mut(kc_json_idx_mut(items, i), "fieldRef");
                if (ref)
                        kc_default_str(ref, "apiVersion", "v1");
        }
}

static void default_projected(struct json_object *projected)
{
        struct json_object *sources = kc_json_get_mut(projected, "sources");
        for (size_t i = 0; i < kc_json_len(sources); i++) {
                struct json_object *s = kc_json_idx_mut(sources, i);
                struct json_object *token = kc_json_get_mut(s, "serviceAccountToken");
                if (token)
                        kc_default_missing(token, "expirationSeconds", json_object_new_int64(3600));
                default_downward_items(kc_json_get_mut(kc_json_get_mut(s, "downwardAPI"), "items"));
        }
}

static void default_volume(struct json_object *v)
{
        static const char *const with_mode[] = {"secret", "configMap", "downwardAPI", "projected"};
        enum { MODE = 0644 };
        bool has_source = false;
        KC_JSON_FOREACH(v, key, value)
        {
                if (strcmp(key, "name") != 0 && value)
                        has_source = true;
        }
        if (!has_source)
                kc_json_set(v, "emptyDir", json_object_new_object());
        for (size_t i = 0; i < KC_ARRAY_LEN(with_mode); i++) {
                struct json_object *source = kc_json_get_mut(v, with_mode[i]);
                if (source)
                        kc_default_missing(source, "defaultMode", json_object_new_int64(MODE));
        }
        struct json_object *host_path = kc_json_get_mut(v, "hostPath"), *image = kc_json_get_mut(v, "image");
        if (host_path)
                kc_default_missing(host_path, "type", json_object_new_string(""));
        if (image)
                kc_default_str(image, "pullPolicy", pull_policy(kc_json_str(image, "reference")));
        default_downward_items(kc_json_get_mut(kc_json_get_mut(v, "downwardAPI"), "items"));
        default_projected(kc_json_get_mut(v, "projected"));
        struct json_object *claim = kc_json_at_mut(v, "ephemeral.volumeClaimTemplate.spec");
        if (claim)
                kc_default_missing(claim, "volumeMode", json_object_new_string("Filesystem"));
}

static void each(struct json_object *list, void (*set)(struct json_object *o))
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                set(kc_json_idx_mut(list, i));
}

void kc_default_pod_spec(struct json_object *spec)
{
        enum { GRACE_SECONDS = 30 };
        if (!spec)
                return;
        kc_default_str(spec, "dnsPolicy", "ClusterFirst");
        kc_default_str(spec, "restartPolicy", "Always");
        kc_default_missing(spec, "securityContext", json_object_new_object());
        kc_default_missing(spec, "terminationGracePeriodSeconds", json_object_new_int64(GRACE_SECONDS));
        kc_default_str(spec, "schedulerName", "default-scheduler");
        each(kc_json_get_mut(spec, "volumes"), default_volume);
        each(kc_json_get_mut(spec, "initContainers"), default_container);
        each(kc_json_get_mut(spec, "containers"), default_container);
        each(kc_json_get_mut(spec, "ephemeralContainers"), default_container);
        kc_default_resource_list(kc_json_get_mut(spec, "overhead"));
        default_resources(kc_json_get_mut(spec, "resources"));
}

static void requests_from_limits(struct json_object *c)
{
        const struct json_object *limits = kc_json_at(c, "resources.limits");
        KC_JSON_FOREACH(limits, name, value)
        kc_default_missing(kc_json_ensure_obj(c, "resources.requests"), name, kc_json_copy(value));
}

/* Limits of the pod as a whole: what its containers ask for is its request, else the limit is. */
static void pod_level_requests(const struct json_object *pod, struct json_object *spec)
{
        static const char *const overcommitted[] = {"cpu", "memory"};
        if (kc_json_n_keys(kc_json_at(spec, "resources.limits")) == 0)
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(overcommitted); i++) {
                char buf[KC_QUANTITY_LEN];
                struct kc_quantity q = kc_pod_containers_request(pod, overcommitted[i]);
                if (q.nano > 0)
                        kc_default_missing(kc_json_ensure_obj(spec, "resources.requests"), overcommitted[i],
                            json_object_new_string(kc_quantity_format(&q, buf)));
        }
        requests_from_limits(spec);
}

static void host_ports(struct json_object *c)
{
        struct json_object *ports = kc_json_get_mut(c, "ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                struct json_object *p = kc_json_idx_mut(ports, i);
                kc_default_int(p, "hostPort", kc_json_int(p, "containerPort", 0));
        }
}

void kc_default_pod(struct json_object *pod)
{
        struct json_object *spec = kc_json_ensure_obj(pod, "spec");
        kc_default_pod_spec(spec);
        each(kc_json_get_mut(spec, "containers"), requests_from_limits);
        each(kc_json_get_mut(spec, "initContainers"), requests_from_limits);
        pod_level_requests(pod, spec);
        kc_default_first(kc_json_get_mut(pod, "status"), "podIP", "podIPs", "ip");
        kc_default_missing(spec, "enableServiceLinks", json_object_new_boolean(true));
        if (kc_json_bool(spec, "hostNetwork", false)) {
                each(kc_json_get_mut(spec, "containers"), host_ports);
                each(kc_json_get_mut(spec, "initContainers"), host_ports);
        }
}
