/* The ServiceCIDR controller: a prefix from which addresses are given stays until none of them needs it. Handlers on
 * the loop; sync on the pool. Mirrors upstream's pkg/controller/servicecidrs. */
#include <string.h>

#include "base/ip.h"
#include "base/str.h"
#include "controller-manager/table.h"

#define FINALIZER "networking.k8s.io/service-cidr-finalizer"
#define MANAGED_BY "ipaddress.kubernetes.io/managed-by"
#define ALLOCATOR "ipallocator.k8s.io"
#define BLOCKED                                                                                                        \
        "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
#define DELETION_GRACE (10 * KC_SEC) /* for apiservers that have not heard of the deletion */

struct servicecidr {
        struct kc_rest *rest;
        struct kc_informer *cidrs, *addresses;
        struct kc_controller *controller;
};

/* --- Events */

static void enqueue(struct servicecidr *c, const char *name)
{
        kc_workqueue_add(kc_controller_queue(c->controller), name);
}

/* One that is being deleted may go now, or not any more: another one covers its addresses, or they are gone. */
static void enqueue_deleted(struct servicecidr *c)
{
        struct kc_objects all = {0};

        kc_informer_list(c->cidrs, NULL, NULL, &all);
        for (size_t i = 0; i < all.n; i++)
                if (kc_meta_deleting(kc_object_json(all.v[i])))
                        enqueue(c, kc_object_name(all.v[i]));
        kc_objects_done(&all);
}

static void on_cidr_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_object_name(o));
        enqueue_deleted(arg);
}

static void on_cidr_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_cidr_add(o, false, arg);
}

static void on_cidr_delete(struct kc_object *o, void *arg)
{
        (void)o;
        enqueue_deleted(arg);
}

static void on_address_add(struct kc_object *o, bool initial, void *arg)
{
        (void)o;
        if (!initial)
                enqueue_deleted(arg);
}

static void on_address_delete(struct kc_object *o, void *arg)
{
        (void)o;
        enqueue_deleted(arg);
}

/* --- Who needs it */

static bool contains(const struct json_object *cidr, const struct kc_ip *ip)
{
        const struct json_object *list = kc_json_at(cidr, "spec.cidrs");

        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *text = kc_json_as_str(kc_json_idx(list, i));
                struct kc_cidr prefix;
                if (text && kc_cidr_parse(text, &prefix, NULL) == 0 && kc_cidr_contains(&prefix, ip))
                        return true;
        }
        return false;
}

/* Some other prefix, which stays, has the address, too. */
static bool covered(const struct kc_objects *cidrs, const struct json_object *self, const struct kc_ip *ip)
{
        for (size_t i = 0; i < cidrs->n; i++) {
                const struct json_object *other = kc_object_json(cidrs->v[i]);
                if (!kc_streq(kc_meta_name(other), kc_meta_name(self)) && !kc_meta_deleting(other) &&
                    contains(other, ip))
                        return true;
        }
        return false;
}

static bool is_needed(struct servicecidr *c, const struct json_object *cidr)
{
        struct kc_objects cidrs = {0}, addresses = {0};
        bool needed = false;

        kc_informer_list(c->cidrs, NULL, NULL, &cidrs);
        kc_informer_list(c->addresses, NULL, NULL, &addresses);
        for (size_t i = 0; i < addresses.n && !needed; i++) {
                const struct json_object *a = kc_object_json(addresses.v[i]);
                struct kc_ip ip;
                needed = kc_streq(kc_meta_label(a, MANAGED_BY), ALLOCATOR) && kc_ip_parse(kc_meta_name(a), &ip) == 0 &&
                         contains(cidr, &ip) && !covered(&cidrs, cidr, &ip);
        }
        kc_objects_done(&cidrs);
        kc_objects_done(&addresses);
        return needed;
}

/* --- Sync */

static int set_ready(struct servicecidr *c, const struct json_object *cidr, bool ready, const char *reason,
    const char *message, struct kc_error *err)
{
        const struct json_object *have = kc_condition_get(kc_json_get(cidr, "status"), "Ready");
        const char *value = ready ? "True" : "False";
        char now[KC_TIME_LEN];

        if (kc_streq(kc_json_str(have, "status"), value) && kc_streq(kc_json_str(have, "message"), message))
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'metadata':{'uid':%s},'status':{'conditions':[{'type':'Ready','status':%s,'reason':%s,'message':%s,"
            "'lastTransitionTime':%s}]}}",
            kc_meta_uid(cidr), value, reason, message, kc_time_format(kc_clock_now(NULL), now));
        return kc_rest_patch(
            c->rest, &KC_SERVICECIDRS, NULL, kc_meta_name(cidr), "status", KC_PATCH_STRATEGIC, patch, NULL, err);
}

static int set_finalizer(struct servicecidr *c, const struct json_object *cidr, bool wanted, struct kc_error *err)
{
        if (kc_meta_has_finalizer(cidr, FINALIZER) == wanted)
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build(wanted ? "{'metadata':{'uid':%s,'finalizers':[%s]}}"
                                 : "{'metadata':{'uid':%s,'$deleteFromPrimitiveList/finalizers':[%s]}}",
                kc_meta_uid(cidr), FINALIZER);
        return kc_rest_patch(
            c->rest, &KC_SERVICECIDRS, NULL, kc_meta_name(cidr), NULL, KC_PATCH_STRATEGIC, patch, NULL, err);
}

static int sync_deleted(struct servicecidr *c, const struct json_object *cidr, struct kc_error *err)
{
        kc_time since = 0;
        int64_t left;

        if (is_needed(c, cidr))
                return set_ready(c, cidr, false, "Terminating", BLOCKED, err);
        if (kc_time_parse(kc_json_str_at(cidr, "metadata.deletionTimestamp"), &since) < 0)
                since = 0;
        left = since + DELETION_GRACE - kc_clock_now(NULL);
        if (left > 0) {
                kc_workqueue_add_after(kc_controller_queue(c->controller), kc_meta_name(cidr), left);
                return 0;
        }
        return set_finalizer(c, cidr, false, err);
}

static int sync_cidr(void *arg, const char *key, struct kc_error *err)
{
        struct servicecidr *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->cidrs, key);
        int rc;

        if (!obj)
                return 0;
        const struct json_object *cidr = kc_object_json(obj);
        if (kc_meta_deleting(cidr)) {
                rc = sync_deleted(c, cidr, err);
        } else {
                rc = set_finalizer(c, cidr, true, err);
                if (rc == 0)
                        rc = set_ready(c, cidr, true, "", "Kubernetes Service CIDR is ready", err);
        }
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct servicecidr *c = KC_NEW(struct servicecidr);

        (void)err;
        c->rest = cm->rest;
        c->cidrs = kc_informers_get(cm->informers, &KC_SERVICECIDRS);
        c->addresses = kc_informers_get(cm->informers, &KC_IPADDRESSES);
        c->controller = kc_controller_new(cm->loop, cm->pool, "service-cidr-controller", 5, sync_cidr, c);
        kc_informer_add_handler(
            c->cidrs, &(struct kc_informer_handler){on_cidr_add, on_cidr_update, on_cidr_delete}, c);
        kc_informer_add_handler(
            c->addresses, &(struct kc_informer_handler){on_address_add, NULL, on_address_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct servicecidr *)state)->controller);
}

static void free_state(void *state)
{
        struct servicecidr *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_servicecidr_controller = {
    .name = "service-cidr-controller", .init = init, .start = start, .free = free_state};
