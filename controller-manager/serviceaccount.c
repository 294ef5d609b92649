/* Two small controllers of namespaces: every active one has the ServiceAccount "default" and the ConfigMap
 * "kube-root-ca.crt". Handlers on the loop; sync on the pool. */
#include "base/file.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { MAX_CA_BYTES = 1 << 20 };

static const char ca_configmap[] = "kube-root-ca.crt";

struct per_namespace {
        struct kc_rest *rest;
        struct kc_informer *namespaces, *objects; /* objects: ServiceAccounts or ConfigMaps */
        struct kc_controller *controller;
        const char *name; /* of the object that must be there */
        char *root_ca;    /* PEM; NULL for service accounts */
};

static void enqueue(struct per_namespace *c, const char *ns)
{
        kc_workqueue_add(kc_controller_queue(c->controller), ns);
}

static void on_namespace_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_object_name(o));
}

static void on_namespace_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, kc_object_name(o));
}

static void on_object(struct per_namespace *c, const struct kc_object *o)
{
        if (kc_streq(kc_object_name(o), c->name))
                enqueue(c, kc_object_namespace(o));
}

static void on_object_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_object(arg, o);
}

static void on_object_delete(struct kc_object *o, void *arg)
{
        on_object(arg, o);
}

/* A namespace that goes away meanwhile, or somebody who was faster, is no failure. */
static int forgive(int rc, struct kc_error *err)
{
        if (rc == 0 || (!kc_error_is(err, KC_REASON_NOT_FOUND) && !kc_error_is(err, KC_REASON_ALREADY_EXISTS)))
                return rc;
        kc_error_done(err);
        return 0;
}

static bool is_active(struct per_namespace *c, const char *ns)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(c->namespaces, NULL, ns);
        return o && !kc_meta_deleting(kc_object_json(o)) &&
               !kc_streq(kc_json_str_at(kc_object_json(o), "status.phase"), "Terminating");
}

static int sync_serviceaccount(void *arg, const char *ns, struct kc_error *err)
{
        struct per_namespace *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(c->objects, ns, c->name);

        if (have || !is_active(c, ns))
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *sa = kc_json_build(
            "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':%s,'namespace':%s}}", c->name, ns);
        return forgive(kc_rest_create(c->rest, &KC_SERVICEACCOUNTS, ns, sa, NULL, err), err);
}

static int sync_root_ca(void *arg, const char *ns, struct kc_error *err)
{
        struct per_namespace *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(c->objects, ns, c->name);
        KC_CLEANUP(kc_json_freep) struct json_object *map = NULL;

        if (!is_active(c, ns))
                return 0;
        if (!have) {
                map = kc_json_build(
                    "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':%s,'namespace':%s,'annotations':"
                    "{'kubernetes.io/description':%s}},'data':{'ca.crt':%s}}",
                    c->name, ns,
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
                    "such as "
                    "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
                    "distributions of "
                    "Kubernetes clusters.",
                    c->root_ca);
                return forgive(kc_rest_create(c->rest, &KC_CONFIGMAPS, ns, map, NULL, err), err);
        }
        const struct json_object *data = kc_json_get(kc_object_json(have), "data");
        if (kc_json_n_keys(data) == 1 && kc_streq(kc_json_str(data, "ca.crt"), c->root_ca))
                return 0;
        map = kc_object_copy_json(have);
        kc_json_set(map, "data", kc_json_build("{'ca.crt':%s}", c->root_ca));
        return forgive(kc_rest_update(c->rest, &KC_CONFIGMAPS, NULL, map, NULL, err), err);
}

static struct per_namespace *make(
    const struct kc_cm_context *cm, const struct kc_gvr *gvr, const char *name, const char *controller, kc_sync_fn sync)
{
        struct per_namespace *c = KC_NEW(struct per_namespace);
        KC_CLEANUP(kc_freep) char *field = kc_asprintf("metadata.name=%s", name);

        c->rest = cm->rest;
        c->name = name;
        c->namespaces = kc_informers_get(cm->informers, &KC_NAMESPACES);
        /* Only the one object of each namespace is kept in memory. */
        c->objects = kc_informers_get_filtered(cm->informers, gvr, NULL, NULL, field);
        c->controller = kc_controller_new(cm->loop, cm->pool, controller, 1, sync, c);
        kc_informer_add_handler(
            c->namespaces, &(struct kc_informer_handler){on_namespace_add, on_namespace_update, NULL}, c);
        kc_informer_add_handler(c->objects, &(struct kc_informer_handler){NULL, on_object_update, on_object_delete}, c);
        return c;
}

static int init_serviceaccount(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        (void)err;
        *ret = make(cm, &KC_SERVICEACCOUNTS, "default", "serviceaccount-controller", sync_serviceaccount);
        return 0;
}

static int init_root_ca(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct kc_buf pem = KC_BUF_INIT;
        int rc;

        /* Without --root-ca-file there is nothing to publish, as upstream. */
        if (kc_str_empty(cm->options->root_ca_file)) {
                *ret = NULL;
                return 0;
        }
        rc = kc_file_read(cm->options->root_ca_file, MAX_CA_BYTES, &pem, err);
        if (rc < 0) {
                kc_buf_done(&pem);
                return kc_error_wrap(err, "--root-ca-file");
        }
        struct per_namespace *c =
            make(cm, &KC_CONFIGMAPS, ca_configmap, "root-ca-certificate-publisher-controller", sync_root_ca);
        c->root_ca = kc_buf_take_str(&pem);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct per_namespace *)state)->controller);
}

static void free_state(void *state)
{
        struct per_namespace *c = state;
        kc_controller_free(c->controller);
        kc_free(c->root_ca);
        kc_free(c);
}

const struct kc_controller_def kc_serviceaccount_controller = {
    .name = "serviceaccount-controller", .init = init_serviceaccount, .start = start, .free = free_state};
const struct kc_controller_def kc_root_ca_controller = {
    .name = "root-ca-certificate-publisher-controller", .init = init_root_ca, .start = start, .free = free_state};
