/* EndpointSlices of Services with a selector. One slice holds up to --max-endpoints-per-slice endpoints with the same
 * ports; slices change as little as possible: endpoints stay where they are, new ones fill what has room. Handlers on
 * the loop; sync on the pool. */
#include <arpa/inet.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/servicepods.h"
#include "controller-manager/table.h"

static const char managed_by[] = "endpointslice-controller.k8s.io";
static const char trigger_annotation[] = "endpoints.kubernetes.io/last-change-trigger-time";

struct endpointslice {
        struct kc_service_watch watch;
        struct kc_rest *rest;
        struct kc_informer *slices, *nodes;
        struct kc_recorder *recorder;
        int max_per_slice;
};

/* Endpoints that have the same ports, by "<address type>|<ports JSON>". */
struct group {
        struct json_object *ports;
        const char *address_type;
        struct kc_map *wanted; /* address -> endpoint tree */
};

/* What is to be written. */
struct plan {
        struct json_object **updates, **creates;
        size_t n_updates, n_creates;
        struct kc_objects deletes;
};

static void tree_free(void *p)
{
        kc_json_free(p);
}

static void group_free(void *p)
{
        struct group *g = p;
        kc_json_free(g->ports);
        kc_map_free(g->wanted);
        kc_free(g);
}

static void push(struct json_object ***v, size_t *n, struct json_object *take)
{
        *v = kc_reallocarray(*v, *n + 1, sizeof(struct json_object *));
        (*v)[(*n)++] = take;
}

static void plan_done(struct plan *p)
{
        for (size_t i = 0; i < p->n_updates; i++)
                kc_json_free(p->updates[i]);
        for (size_t i = 0; i < p->n_creates; i++)
                kc_json_free(p->creates[i]);
        kc_free(p->updates);
        kc_free(p->creates);
        kc_objects_done(&p->deletes);
}

/* --- What should be */

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
                struct json_object *e = kc_json_build(
                    "{'name':%s,'protocol':%s,'port':%d}", name ? name : "", proto ? proto : "TCP", number);
                kc_json_set_str(e, "appProtocol", kc_json_str(p, "appProtocol"));
                kc_json_push(list, e);
        }
        return list;
}

static struct json_object *pod_endpoint(
    struct endpointslice *c, const struct json_object *service, const struct json_object *pod, const char *ip)
{
        bool deleting = kc_meta_deleting(pod), serving = kc_pod_is_ready(pod);
        bool publish = kc_json_bool_at(service, "spec.publishNotReadyAddresses", false);
        const char *node_name = kc_json_str_at(pod, "spec.nodeName"), *hostname = kc_json_str_at(pod, "spec.hostname");
        struct json_object *e =
            kc_json_build("{'addresses':[%s],'conditions':{'ready':%b,'serving':%b,'terminating':%b}}", ip,
                publish || (serving && !deleting), serving, deleting);

        kc_json_set_str(e, "nodeName", kc_str_empty(node_name) ? NULL : node_name);
        if (!kc_str_empty(node_name)) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_informer_lookup(c->nodes, NULL, node_name);
                if (node)
                        kc_json_set_str(e, "zone", kc_meta_label(kc_object_json(node), "topology.kubernetes.io/zone"));
        }
        if (!kc_str_empty(hostname) && kc_streq(kc_json_str_at(pod, "spec.subdomain"), kc_meta_name(service)))
                kc_json_set_str(e, "hostname", hostname);
        kc_json_set(e, "targetRef",
            kc_json_build("{'kind':'Pod','namespace':%s,'name':%s,'uid':%s}", kc_meta_namespace(pod), kc_meta_name(pod),
                kc_meta_uid(pod)));
        return e;
}

static struct group *group_get(struct kc_map *groups, const char *address_type, struct json_object *take_ports)
{
        KC_CLEANUP(kc_freep) char *ports = kc_json_to_str(take_ports);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s|%s", address_type, ports);
        struct group *g = kc_map_get(groups, key);

        if (g) {
                kc_json_free(take_ports);
                return g;
        }
        g = KC_NEW(struct group);
        g->ports = take_ports;
        g->address_type = address_type;
        g->wanted = kc_map_new(tree_free);
        kc_map_set(groups, key, g);
        return g;
}

static void collect_family(struct endpointslice *c, const struct json_object *service, const struct kc_objects *pods,
    int family, struct kc_map *groups)
{
        const char *type = family == AF_INET ? "IPv4" : "IPv6";
        bool any = false;

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                const char *ip = kc_pod_ip(pod, family);
                struct json_object *ports;
                if (!ip || !kc_service_pod_counts(pod, true))
                        continue;
                ports = pod_ports(service, pod);
                /* A headless Service may have no ports at all; others need one that the pod has. */
                if (kc_json_len(ports) == 0 && !kc_service_is_headless(service)) {
                        kc_json_free(ports);
                        continue;
                }
                struct group *g = group_get(groups, type, ports);
                kc_map_set(g->wanted, ip, pod_endpoint(c, service, pod, ip));
                any = true;
        }
        /* A Service without endpoints has one empty slice, so that watchers learn of it. */
        if (!any)
                (void)group_get(groups, type, NULL);
}

static void collect(
    struct endpointslice *c, const struct json_object *service, const struct kc_objects *pods, struct kc_map *groups)
{
        const struct json_object *families = kc_json_at(service, "spec.ipFamilies");

        for (size_t i = 0; i < kc_json_len(families); i++)
                collect_family(c, service, pods,
                    kc_streq(kc_json_as_str(kc_json_idx(families, i)), "IPv6") ? AF_INET6 : AF_INET, groups);
}

/* --- Metadata of slices */

static void set_metadata(struct json_object *slice, const struct json_object *service, const char *trigger)
{
        struct json_object *labels = json_object_new_object();

        KC_JSON_FOREACH(kc_meta_labels(service), key, value)
        if (!kc_streq(key, "service.kubernetes.io/headless"))
                kc_json_set_str(labels, key, kc_json_as_str(value));
        kc_json_set_str(labels, "kubernetes.io/service-name", kc_meta_name(service));
        kc_json_set_str(labels, "endpointslice.kubernetes.io/managed-by", managed_by);
        if (kc_service_is_headless(service))
                kc_json_set_str(labels, "service.kubernetes.io/headless", "");
        kc_json_set(kc_json_ensure_obj(slice, "metadata"), "labels", labels);
        kc_meta_set_annotation(slice, trigger_annotation, trigger);
}

static struct json_object *new_slice(const struct json_object *service, const struct group *g, const char *trigger)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s-", kc_meta_name(service));
        struct json_object *slice = kc_json_build(
            "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'generateName':%s,'namespace':%s,"
            "'ownerReferences':[%o]},'addressType':%s,'endpoints':[],'ports':%o}",
            prefix, kc_meta_namespace(service), kc_meta_new_controller_ref(service, "v1", "Service"), g->address_type,
            g->ports ? kc_json_copy(g->ports) : json_object_new_array());

        set_metadata(slice, service, trigger);
        return slice;
}

/* --- Differences */

static bool same_ports(const struct json_object *slice, const struct json_object *ports)
{
        const struct json_object *have = kc_json_get(slice, "ports");
        return (kc_json_len(have) == 0 && kc_json_len(ports) == 0) || kc_json_equal(have, ports);
}

static bool labels_differ(const struct json_object *slice, const struct json_object *service)
{
        KC_CLEANUP(kc_json_freep) struct json_object *want = json_object_new_object();
        set_metadata(want, service, NULL);
        return !kc_json_equal(kc_meta_labels(slice), kc_meta_labels(want));
}

/* The slice without what is not wanted any more and with the present state of the rest. True: it differs. Endpoints
 * that it holds are taken out of wanted. */
static bool refresh_slice(struct json_object *slice, struct group *g)
{
        const struct json_object *have = kc_json_get(slice, "endpoints");
        struct json_object *next = json_object_new_array();
        bool changed = false;

        for (size_t i = 0; i < kc_json_len(have); i++) {
                const struct json_object *e = kc_json_idx(have, i);
                const char *ip = kc_json_as_str(kc_json_idx(kc_json_get(e, "addresses"), 0));
                struct json_object *want = ip ? kc_map_steal(g->wanted, ip) : NULL;
                if (!want) {
                        changed = true;
                        continue;
                }
                changed |= !kc_json_equal(e, want);
                kc_json_push(next, want);
        }
        kc_json_set(slice, "endpoints", next);
        return changed;
}

static bool fill_slice(struct endpointslice *c, struct json_object *slice, struct group *g)
{
        struct json_object *list = kc_json_ensure_arr(slice, "endpoints");
        KC_CLEANUP(kc_strv_freep) char **ips = kc_map_sorted_keys(g->wanted);
        bool changed = false;

        for (size_t i = 0; ips && ips[i] && (int)kc_json_len(list) < c->max_per_slice; i++) {
                kc_json_push(list, kc_map_steal(g->wanted, ips[i]));
                changed = true;
        }
        return changed;
}

struct slot {
        struct json_object *tree;
        struct kc_object *obj;
        bool changed;
};

static void plan_group(struct endpointslice *c, const struct json_object *service, struct group *g,
    const struct kc_objects *existing, bool *used, const char *trigger, struct plan *p)
{
        KC_CLEANUP(kc_freep) struct slot *slots = kc_calloc(existing->n + 1, sizeof(*slots));
        size_t n = 0;

        for (size_t i = 0; i < existing->n; i++) {
                const struct json_object *s = kc_object_json(existing->v[i]);
                if (used[i] || !kc_streq(kc_json_str(s, "addressType"), g->address_type) || !same_ports(s, g->ports))
                        continue;
                used[i] = true;
                slots[n] = (struct slot){.tree = kc_json_copy(s), .obj = existing->v[i]};
                slots[n].changed = refresh_slice(slots[n].tree, g) | labels_differ(s, service);
                n++;
        }
        for (size_t i = 0; i < n; i++)
                slots[i].changed |= fill_slice(c, slots[i].tree, g);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
                bool empty = kc_json_len(kc_json_get(slots[i].tree, "endpoints")) == 0;
                /* Empty slices go, but one stays where nothing else is. */
                if (empty && (g->ports || kept)) {
                        kc_objects_push_take(&p->deletes, kc_object_ref(slots[i].obj));
                        kc_json_free(slots[i].tree);
                        continue;
                }
                kept++;
                if (!slots[i].changed) {
                        kc_json_free(slots[i].tree);
                        continue;
                }
                set_metadata(slots[i].tree, service, trigger);
                push(&p->updates, &p->n_updates, slots[i].tree);
        }
        while (kc_map_len(g->wanted) > 0 || (!g->ports && kept == 0)) {
                struct json_object *slice = new_slice(service, g, trigger);
                (void)fill_slice(c, slice, g); /* an empty placeholder stays empty */
                push(&p->creates, &p->n_creates, slice);
                kept++;
        }
}

static int carry_out(struct endpointslice *c, const struct plan *p, const char *ns, struct kc_error *err)
{
        int rc = 0;

        for (size_t i = 0; i < p->n_creates && rc == 0; i++)
                rc = kc_rest_create(c->rest, &KC_ENDPOINTSLICES, ns, p->creates[i], NULL, err);
        for (size_t i = 0; i < p->n_updates && rc == 0; i++)
                rc = kc_rest_update(c->rest, &KC_ENDPOINTSLICES, NULL, p->updates[i], NULL, err);
        for (size_t i = 0; i < p->deletes.n && rc == 0; i++) {
                rc = kc_rest_delete(c->rest, &KC_ENDPOINTSLICES, ns, kc_object_name(p->deletes.v[i]), NULL, NULL, err);
                if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                        kc_error_done(err);
                        rc = 0;
                }
        }
        return rc;
}

/* Slices of ours for the Service, in the cache. */
static void existing_slices(struct endpointslice *c, const char *ns, const char *name, struct kc_objects *ret)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", ns, name);
        kc_informer_by_index(c->slices, "service-managed", key, ret);
}

static void index_managed(const struct kc_object *o, char ***values)
{
        const struct json_object *s = kc_object_json(o);
        const char *service = kc_meta_label(s, "kubernetes.io/service-name");
        if (!kc_str_empty(service) && kc_streq(kc_meta_label(s, "endpointslice.kubernetes.io/managed-by"), managed_by))
                kc_strv_pushf(values, "%s/%s", kc_object_namespace(o), service);
}

static int sync_present(
    struct endpointslice *c, const struct json_object *service, const struct kc_objects *existing, struct kc_error *err)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *groups = kc_map_new(group_free);
        KC_CLEANUP(kc_freep) bool *used = kc_calloc(existing->n + 1, sizeof(*used));
        struct kc_objects pods = {0};
        struct plan p = {0};

        kc_service_pods(&c->watch, service, &pods);
        KC_CLEANUP(kc_freep) char *trigger = kc_service_trigger_time(service, &pods);
        collect(c, service, &pods, groups);
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(groups);
        for (size_t i = 0; keys && keys[i]; i++)
                plan_group(c, service, kc_map_get(groups, keys[i]), existing, used, trigger, &p);
        for (size_t i = 0; i < existing->n; i++)
                if (!used[i])
                        kc_objects_push_take(&p.deletes, kc_object_ref(existing->v[i]));
        int rc = carry_out(c, &p, kc_meta_namespace(service), err);
        if (rc < 0 && !kc_error_is(err, KC_REASON_CONFLICT) && !kc_error_is(err, KC_REASON_NOT_FOUND))
                kc_recorder_event(c->recorder, &KC_SERVICES, service, "Warning", "FailedToUpdateEndpointSlices",
                    "Error updating Endpoint Slices for Service %s/%s: %s", kc_meta_namespace(service),
                    kc_meta_name(service), kc_error_message(err));
        plan_done(&p);
        kc_objects_done(&pods);
        return rc;
}

static int sync_service(void *arg, const char *key, struct kc_error *err)
{
        struct endpointslice *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->watch.services, key);
        KC_CLEANUP(kc_freep) char *ns = NULL, *name = NULL;
        struct kc_objects existing = {0};
        int rc = 0;

        kc_key_split(key, &ns, &name);
        existing_slices(c, ns, name, &existing);
        const struct json_object *service = obj ? kc_object_json(obj) : NULL;
        bool ours = service && !kc_meta_deleting(service) &&
                    !kc_streq(kc_json_str_at(service, "spec.type"), "ExternalName") &&
                    kc_json_n_keys(kc_json_at(service, "spec.selector")) > 0;
        if (ours) {
                rc = sync_present(c, service, &existing, err);
        } else if (!service || kc_streq(kc_json_str_at(service, "spec.type"), "ExternalName")) {
                struct plan p = {.deletes = existing};
                rc = carry_out(c, &p, ns, err);
        }
        kc_objects_done(&existing);
        return rc;
}

/* A slice that someone else changed or removed is put right. */
static void on_slice(struct endpointslice *c, const struct kc_object *o)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        index_managed(o, &keys);
        if (keys)
                kc_workqueue_add(kc_controller_queue(c->watch.controller), keys[0]);
}

/* The sync that made it may have been followed by one that did not know of it yet and made a second: look again. */
static void on_slice_add(struct kc_object *o, bool initial, void *arg)
{
        if (!initial)
                on_slice(arg, o);
}

static void on_slice_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_slice(arg, o);
}

static void on_slice_delete(struct kc_object *o, void *arg)
{
        on_slice(arg, o);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct endpointslice *c = KC_NEW(struct endpointslice);

        (void)err;
        c->rest = cm->rest;
        c->max_per_slice = cm->options->max_endpoints_per_slice;
        c->slices = kc_informers_get(cm->informers, &KC_ENDPOINTSLICES);
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "endpoint-slice-controller", NULL);
        c->watch.services = kc_informers_get(cm->informers, &KC_SERVICES);
        c->watch.pods = kc_informers_get(cm->informers, &KC_PODS);
        c->watch.controller = kc_controller_new(cm->loop, cm->pool, "endpointslice-controller",
            cm->options->concurrent_service_endpoint_syncs, sync_service, c);
        kc_informer_add_index(c->slices, "service-managed", index_managed);
        kc_informer_add_handler(
            c->slices, &(struct kc_informer_handler){on_slice_add, on_slice_update, on_slice_delete}, c);
        kc_service_watch_init(&c->watch);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct endpointslice *)state)->watch.controller);
}

static void free_state(void *state)
{
        struct endpointslice *c = state;
        kc_controller_free(c->watch.controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_endpointslice_controller = {
    .name = "endpointslice-controller", .init = init, .start = start, .free = free_state};
