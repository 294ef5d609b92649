/* Endpoints (the older form) of Services with a selector: subsets of addresses that share ports. At most 1000
 * addresses. Handlers on the loop; sync on the pool. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/servicepods.h"
#include "controller-manager/table.h"

enum { MAX_ADDRESSES = 1000 };

static const char trigger_annotation[] = "endpoints.kubernetes.io/last-change-trigger-time";

struct endpoints {
        struct kc_service_watch watch;
        struct kc_rest *rest;
        struct kc_informer *endpoints;
        struct kc_recorder *recorder;
};

static int address_cmp(const void *a, const void *b)
{
        const char *x = kc_json_str(*(struct json_object *const *)a, "ip"),
                   *y = kc_json_str(*(struct json_object *const *)b, "ip");
        return strcmp(x ? x : "", y ? y : "");
}

static void sort_list(struct json_object *subset, const char *key)
{
        struct json_object *list = kc_json_get_mut(subset, key);
        if (list)
                json_object_array_sort(list, address_cmp);
}

static struct json_object *pod_address(const struct json_object *service, const struct json_object *pod, const char *ip)
{
        const char *node = kc_json_str_at(pod, "spec.nodeName"), *hostname = kc_json_str_at(pod, "spec.hostname");
        struct json_object *a = kc_json_build("{'ip':%s,'targetRef':{'kind':'Pod','namespace':%s,'name':%s,'uid':%s}}",
            ip, kc_meta_namespace(pod), kc_meta_name(pod), kc_meta_uid(pod));

        kc_json_set_str(a, "nodeName", kc_str_empty(node) ? NULL : node);
        if (!kc_str_empty(hostname) && kc_streq(kc_json_str_at(pod, "spec.subdomain"), kc_meta_name(service)))
                kc_json_set_str(a, "hostname", hostname);
        return a;
}

static struct json_object *pod_ports(const struct json_object *service, const struct json_object *pod)
{
        const struct json_object *ports = kc_json_at(service, "spec.ports");
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                const char *name = kc_json_str(p, "name"), *proto = kc_json_str(p, "protocol");
                int number = kc_service_target_port(p, pod);
                if (!number)
                        continue;
                struct json_object *e = json_object_new_object();
                kc_json_set_str(e, "name", kc_str_empty(name) ? NULL : name);
                kc_json_set_int(e, "port", number);
                kc_json_set_str(e, "protocol", proto ? proto : "TCP");
                kc_json_set_str(e, "appProtocol", kc_json_str(p, "appProtocol"));
                kc_json_push(list, e);
        }
        return list;
}

/* Subsets by their ports, in the order of the ports' text: the same pods always give the same object. */
static struct json_object *subsets_of(
    const struct json_object *service, const struct kc_objects *pods, bool *ret_truncated)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *by_ports = kc_map_new(NULL);
        const struct json_object *families = kc_json_at(service, "spec.ipFamilies");
        int family = kc_streq(kc_json_as_str(kc_json_idx(families, 0)), "IPv6") ? AF_INET6 : AF_INET;
        bool publish = kc_json_bool_at(service, "spec.publishNotReadyAddresses", false);
        struct json_object *subsets = json_object_new_array();
        int n = 0;

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                const char *ip = kc_pod_ip(pod, family);
                struct json_object *ports, *subset;
                if (!ip || !kc_service_pod_counts(pod, publish))
                        continue;
                if (n == MAX_ADDRESSES) {
                        *ret_truncated = true;
                        break;
                }
                ports = pod_ports(service, pod);
                if (kc_json_len(ports) == 0 && !kc_service_is_headless(service)) {
                        kc_json_free(ports);
                        continue;
                }
                KC_CLEANUP(kc_freep) char *key = kc_json_to_str(ports);
                subset = kc_map_get(by_ports, key);
                if (!subset) {
                        subset = json_object_new_object();
                        if (kc_json_len(ports))
                                kc_json_set(subset, "ports", kc_json_copy(ports));
                        kc_map_set(by_ports, key, subset);
                }
                kc_json_free(ports);
                kc_json_push(
                    kc_json_ensure_arr(subset, publish || kc_pod_is_ready(pod) ? "addresses" : "notReadyAddresses"),
                    pod_address(service, pod, ip));
                n++;
        }
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(by_ports);
        for (size_t i = 0; keys && keys[i]; i++) {
                struct json_object *subset = kc_map_get(by_ports, keys[i]);
                sort_list(subset, "addresses");
                sort_list(subset, "notReadyAddresses");
                kc_json_push(subsets, subset);
        }
        return subsets;
}

static void set_metadata(struct json_object *ep, const struct json_object *service, const char *trigger, bool truncated)
{
        struct json_object *labels = json_object_new_object();

        KC_JSON_FOREACH(kc_meta_labels(service), key, value)
        kc_json_set_str(labels, key, kc_json_as_str(value));
        if (kc_service_is_headless(service))
                kc_json_set_str(labels, "service.kubernetes.io/headless", "");
        else
                kc_json_del(labels, "service.kubernetes.io/headless");
        kc_json_set_str(labels, "endpoints.kubernetes.io/managed-by", "endpoint-controller");
        kc_json_set(kc_json_ensure_obj(ep, "metadata"), "labels", labels);
        kc_meta_set_annotation(ep, trigger_annotation, trigger);
        kc_meta_set_annotation(ep, "endpoints.kubernetes.io/over-capacity", truncated ? "truncated" : NULL);
}

static bool same(const struct json_object *have, const struct json_object *want)
{
        const struct json_object *a = kc_json_get(have, "subsets"), *b = kc_json_get(want, "subsets");
        return (kc_json_equal(a, b) || (kc_json_len(a) == 0 && kc_json_len(b) == 0)) &&
               kc_json_equal(kc_meta_labels(have), kc_meta_labels(want));
}

static int sync_present(struct endpoints *c, const struct json_object *service, struct kc_error *err)
{
        const char *ns = kc_meta_namespace(service), *name = kc_meta_name(service);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(c->endpoints, ns, name);
        struct json_object *tree = have ? kc_object_copy_json(have)
                                        : kc_json_build("{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':%s,"
                                                        "'namespace':%s}}",
                                              name, ns);
        KC_CLEANUP(kc_json_freep) struct json_object *ep = tree;
        struct kc_objects pods = {0};
        bool truncated = false;
        int rc = 0;

        kc_service_pods(&c->watch, service, &pods);
        KC_CLEANUP(kc_freep) char *trigger = kc_service_trigger_time(service, &pods);
        struct json_object *subsets = subsets_of(service, &pods, &truncated);
        if (kc_json_len(subsets)) {
                kc_json_set(ep, "subsets", subsets);
        } else {
                kc_json_del(ep, "subsets");
                kc_json_free(subsets);
        }
        set_metadata(ep, service, trigger, truncated);
        if (!have)
                rc = kc_rest_create(c->rest, &KC_ENDPOINTS, ns, ep, NULL, err);
        else if (!same(kc_object_json(have), ep))
                rc = kc_rest_update(c->rest, &KC_ENDPOINTS, NULL, ep, NULL, err);
        if (rc < 0 && !kc_error_is(err, KC_REASON_CONFLICT) && !kc_error_is(err, KC_REASON_ALREADY_EXISTS) &&
            !kc_error_is(err, KC_REASON_NOT_FOUND))
                kc_recorder_event(c->recorder, &KC_SERVICES, service, "Warning", "FailedToUpdateEndpoint",
                    "Failed to update endpoint %s/%s: %s", ns, name, kc_error_message(err));
        kc_objects_done(&pods);
        return rc;
}

static int sync_service(void *arg, const char *key, struct kc_error *err)
{
        struct endpoints *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *service = kc_informer_lookup_key(c->watch.services, key);

        if (!service) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *left = kc_informer_lookup_key(c->endpoints, key);
                int rc;
                /* Leases of leader election once lived in Endpoints without a Service: only ours go. */
                if (!left || !kc_streq(kc_meta_label(kc_object_json(left), "endpoints.kubernetes.io/managed-by"),
                                 "endpoint-controller"))
                        return 0;
                rc = kc_rest_delete(
                    c->rest, &KC_ENDPOINTS, kc_object_namespace(left), kc_object_name(left), NULL, NULL, err);
                if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                        kc_error_done(err);
                        rc = 0;
                }
                return rc;
        }
        const struct json_object *s = kc_object_json(service);
        if (kc_meta_deleting(s) || kc_streq(kc_json_str_at(s, "spec.type"), "ExternalName") ||
            kc_json_n_keys(kc_json_at(s, "spec.selector")) == 0)
                return 0;
        return sync_present(c, s, err);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct endpoints *c = KC_NEW(struct endpoints);

        (void)err;
        c->rest = cm->rest;
        c->endpoints = kc_informers_get(cm->informers, &KC_ENDPOINTS);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "endpoint-controller", NULL);
        c->watch.services = kc_informers_get(cm->informers, &KC_SERVICES);
        c->watch.pods = kc_informers_get(cm->informers, &KC_PODS);
        c->watch.controller = kc_controller_new(
            cm->loop, cm->pool, "endpoints-controller", cm->options->concurrent_endpoint_syncs, sync_service, c);
        kc_service_watch_init(&c->watch);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct endpoints *)state)->watch.controller);
}

static void free_state(void *state)
{
        struct endpoints *c = state;
        kc_controller_free(c->watch.controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_endpoints_controller = {
    .name = "endpoints-controller", .init = init, .start = start, .free = free_state};
