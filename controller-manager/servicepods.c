/* Services and the pods behind them. Handlers on the loop; the rest on any thread. */
#include "controller-manager/servicepods.h"

#include <string.h>

#include "base/ip.h"
#include "base/str.h"

static void enqueue(struct kc_service_watch *w, const struct json_object *service)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(service);
        kc_workqueue_add(kc_controller_queue(w->controller), key);
}

static void on_service_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_object_json(o));
}

static void on_service_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, kc_object_json(o));
}

static void on_service_delete(struct kc_object *o, void *arg)
{
        enqueue(arg, kc_object_json(o));
}

static bool selects(const struct json_object *service, const struct json_object *labels)
{
        const struct json_object *sel = kc_json_at(service, "spec.selector");

        if (kc_json_n_keys(sel) == 0)
                return false;
        KC_JSON_FOREACH(sel, key, value)
        if (!kc_streq(kc_json_as_str(value), kc_json_str(labels, key)))
                return false;
        return true;
}

/* Services that selected the pod by its old labels are concerned as well. */
static void enqueue_services(struct kc_service_watch *w, const struct json_object *old, const struct json_object *pod)
{
        struct kc_objects services = {0};

        kc_informer_list(w->services, kc_meta_namespace(pod), NULL, &services);
        for (size_t i = 0; i < services.n; i++) {
                const struct json_object *s = kc_object_json(services.v[i]);
                if (selects(s, kc_meta_labels(pod)) || (old && selects(s, kc_meta_labels(old))))
                        enqueue(w, s);
        }
        kc_objects_done(&services);
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue_services(arg, NULL, kc_object_json(o));
}

/* Only what endpoints are made of matters. */
static bool endpoint_changed(const struct json_object *a, const struct json_object *b)
{
        static const char *const paths[] = {
            "status.podIPs", "metadata.labels", "spec.nodeName", "spec.hostname", "spec.subdomain"};

        for (size_t i = 0; i < KC_ARRAY_LEN(paths); i++)
                if (!kc_json_equal(kc_json_at(a, paths[i]), kc_json_at(b, paths[i])))
                        return true;
        return kc_pod_is_ready(a) != kc_pod_is_ready(b) || kc_pod_is_terminal(a) != kc_pod_is_terminal(b) ||
               kc_meta_deleting(a) != kc_meta_deleting(b);
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (endpoint_changed(kc_object_json(old), kc_object_json(o)))
                enqueue_services(arg, kc_object_json(old), kc_object_json(o));
}

static void on_pod_delete(struct kc_object *o, void *arg)
{
        enqueue_services(arg, NULL, kc_object_json(o));
}

void kc_service_watch_init(struct kc_service_watch *w)
{
        kc_informer_add_handler(
            w->services, &(struct kc_informer_handler){on_service_add, on_service_update, on_service_delete}, w);
        kc_informer_add_handler(w->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, on_pod_delete}, w);
}

void kc_service_pods(const struct kc_service_watch *w, const struct json_object *service, struct kc_objects *ret)
{
        const struct json_object *sel = kc_json_at(service, "spec.selector");

        if (kc_json_n_keys(sel) == 0)
                return;
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = kc_selector_from_map(sel);
        kc_informer_list(w->pods, kc_meta_namespace(service), s, ret);
}

bool kc_service_pod_counts(const struct json_object *pod, bool terminating)
{
        if (kc_pod_is_terminal(pod) || (kc_meta_deleting(pod) && !terminating))
                return false;
        return kc_json_len(kc_json_at(pod, "status.podIPs")) > 0 || !kc_str_empty(kc_json_str_at(pod, "status.podIP"));
}

static int named_port(const struct json_object *containers, const char *name, const char *proto, bool sidecars_only)
{
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *c = kc_json_idx(containers, i), *ports = kc_json_get(c, "ports");
                if (sidecars_only && !kc_streq(kc_json_str(c, "restartPolicy"), "Always"))
                        continue;
                for (size_t j = 0; j < kc_json_len(ports); j++) {
                        const struct json_object *p = kc_json_idx(ports, j);
                        const char *pr = kc_json_str(p, "protocol");
                        if (kc_streq(kc_json_str(p, "name"), name) && kc_streq(pr ? pr : "TCP", proto ? proto : "TCP"))
                                return (int)kc_json_int(p, "containerPort", 0);
                }
        }
        return 0;
}

int kc_service_target_port(const struct json_object *service_port, const struct json_object *pod)
{
        const struct json_object *target = kc_json_get(service_port, "targetPort");
        const char *name = kc_json_as_str(target), *proto = kc_json_str(service_port, "protocol");

        if (name) {
                int port = named_port(kc_json_at(pod, "spec.containers"), name, proto, false);
                return port ? port : named_port(kc_json_at(pod, "spec.initContainers"), name, proto, true);
        }
        int port = (int)kc_json_int(service_port, "targetPort", 0);
        return port ? port : (int)kc_json_int(service_port, "port", 0);
}

const char *kc_pod_ip(const struct json_object *pod, int family)
{
        const struct json_object *ips = kc_json_at(pod, "status.podIPs");
        struct kc_ip ip;

        for (size_t i = 0; i < kc_json_len(ips); i++) {
                const char *text = kc_json_str(kc_json_idx(ips, i), "ip");
                if (text && kc_ip_parse(text, &ip) == 0 && ip.family == family)
                        return text;
        }
        const char *text = kc_json_str_at(pod, "status.podIP");
        return text && kc_ip_parse(text, &ip) == 0 && ip.family == family ? text : NULL;
}

bool kc_service_is_headless(const struct json_object *service)
{
        return kc_streq(kc_json_str_at(service, "spec.clusterIP"), "None");
}

static void later(const char *text, kc_time *latest)
{
        kc_time t;
        if (text && kc_time_parse(text, &t) == 0 && t > *latest)
                *latest = t;
}

char *kc_service_trigger_time(const struct json_object *service, const struct kc_objects *pods)
{
        kc_time latest = kc_meta_creation_time(service);
        char text[KC_TIME_LEN];

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                later(
                    kc_json_str(kc_condition_get(kc_json_get(pod, "status"), "Ready"), "lastTransitionTime"), &latest);
                later(kc_json_str_at(pod, "metadata.deletionTimestamp"), &latest);
        }
        return latest ? kc_strdup(kc_time_format(latest, text)) : NULL;
}
