/* Secrets of type kubernetes.io/service-account-token: each gets a token of its account, the CA and the namespace, and
 * goes with the account. Keys are "secret|<ns>|<name>", "account|<ns>|<name>|<uid>" (it is gone) and
 * "reference|<ns>|<account>|<uid>|<secret>" (the secret is gone). Handlers on the loop; sync on the pool. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"
#include "tls/jwt.h"

#define TYPE "kubernetes.io/service-account-token"
#define NAME_ANNOTATION "kubernetes.io/service-account.name"
#define UID_ANNOTATION "kubernetes.io/service-account.uid"
#define ISSUER "kubernetes/serviceaccount"

enum { MAX_CA_BYTES = 1 << 20, WORKERS = 5 };

struct tokens {
        struct kc_rest *rest;
        struct kc_informer *accounts, *secrets;
        struct kc_controller *controller;
        const char *key_file;
        char *root_ca; /* base64 of PEM; NULL: none */
};

static void enqueue(struct tokens *t, char *take_key)
{
        kc_workqueue_add(kc_controller_queue(t->controller), take_key);
        kc_free(take_key);
}

static void on_secret(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_asprintf("secret|%s|%s", kc_object_namespace(o), kc_object_name(o)));
}

static void on_secret_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_secret(o, false, arg);
}

static const char *annotation(const struct kc_object *o, const char *name)
{
        const char *v = kc_meta_annotation(kc_object_json(o), name);
        return v ? v : "";
}

static void on_secret_delete(struct kc_object *o, void *arg)
{
        enqueue(arg, kc_asprintf("reference|%s|%s|%s|%s", kc_object_namespace(o), annotation(o, NAME_ANNOTATION),
                         annotation(o, UID_ANNOTATION), kc_object_name(o)));
}

static void on_account_delete(struct kc_object *o, void *arg)
{
        enqueue(arg, kc_asprintf("account|%s|%s|%s", kc_object_namespace(o), kc_object_name(o), kc_object_uid(o)));
}

static void on_account_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_streq(kc_object_uid(old), kc_object_uid(o)))
                on_account_delete(old, arg); /* deleted and made again between two looks of the watch */
}

/* What is gone already is as wanted. */
static int forgive_absence(int r, struct kc_error *err)
{
        if (r == 0 || (!kc_error_is(err, KC_REASON_NOT_FOUND) && !kc_error_is(err, KC_REASON_CONFLICT)))
                return r;
        kc_error_done(err);
        return 0;
}

static int delete_secret(struct tokens *t, const struct json_object *secret, struct kc_error *err)
{
        const struct kc_delete_opts opts = {
            .grace_period_seconds = -1, .precondition_uid = kc_json_str_at(secret, "metadata.uid")};
        const char *ns = kc_json_str_at(secret, "metadata.namespace"), *name = kc_json_str_at(secret, "metadata.name");
        int r = kc_rest_delete(t->rest, &KC_SECRETS, ns, name, &opts, NULL, err);
        r = forgive_absence(r, err);
        return r < 0 ? kc_error_wrap(err, "error deleting secret %s/%s", ns, name) : 0;
}

/* *ret: the account, NULL: it is not there, or is another. A miss in the cache is asked of the API server, which may
 * know more. */
static int find_account(struct tokens *t, const char *ns, const char *name, const char *uid, bool ask,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(t->accounts, ns, name);
        *ret = NULL;
        if (o && (kc_str_empty(uid) || kc_streq(kc_object_uid(o), uid))) {
                *ret = kc_object_copy_json(o);
                return 0;
        }
        if (!ask)
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL;
        int r = forgive_absence(kc_rest_get(t->rest, &KC_SERVICEACCOUNTS, ns, name, &live, err), err);
        if (live && (kc_str_empty(uid) || kc_streq(kc_json_str_at(live, "metadata.uid"), uid)))
                *ret = KC_TAKE(live);
        return r;
}

/* --- Tokens */

static struct json_object *claims_of(const struct json_object *account, const struct json_object *secret)
{
        const char *ns = kc_json_str_at(secret, "metadata.namespace");
        const char *name = kc_json_str_at(account, "metadata.name");
        KC_CLEANUP(kc_freep) char *subject = kc_asprintf("system:serviceaccount:%s:%s", ns, name);
        struct json_object *claims = kc_json_build("{'iss':'" ISSUER "'}");
        kc_json_set_str(claims, "kubernetes.io/serviceaccount/namespace", ns);
        kc_json_set_str(claims, "kubernetes.io/serviceaccount/secret.name", kc_json_str_at(secret, "metadata.name"));
        kc_json_set_str(claims, "kubernetes.io/serviceaccount/service-account.name", name);
        kc_json_set_str(
            claims, "kubernetes.io/serviceaccount/service-account.uid", kc_json_str_at(account, "metadata.uid"));
        kc_json_set_str(claims, "sub", subject);
        return claims;
}

/* The key is read for each token: they are few, and a new key counts at once. */
static int make_token(struct tokens *t, const struct json_object *account, const struct json_object *secret,
    char **ret_base64, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *claims = claims_of(account, secret);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(claims);
        struct kc_jwt_key **keys = NULL;
        char *token = NULL;
        size_t n = 0;
        int r = kc_jwt_keys_load(t->key_file, &keys, &n, err);
        if (r == 0)
                r = kc_jwt_sign(keys[0], text, &token, err);
        kc_jwt_keys_free(keys, n);
        if (r < 0)
                return kc_error_wrap(err, "generating a token");
        *ret_base64 = kc_base64_encode(token, strlen(token));
        kc_free_secret_str(token);
        return 0;
}

static bool needs(const struct tokens *t, const struct json_object *secret, const char *key)
{
        const char *have = kc_json_str(kc_json_get(secret, "data"), key);
        if (kc_streq(key, "ca.crt"))
                return t->root_ca && !kc_streq(have, t->root_ca);
        return kc_str_empty(have);
}

static bool complete(const struct tokens *t, const struct json_object *secret)
{
        return !needs(t, secret, "ca.crt") && !needs(t, secret, "namespace") && !needs(t, secret, "token");
}

static int fill(struct tokens *t, const struct json_object *account, struct json_object *secret, struct kc_error *err)
{
        struct json_object *data = kc_json_ensure_obj(secret, "data");
        struct json_object *metadata = kc_json_get_mut(secret, "metadata");
        const char *ns = kc_json_str(metadata, "namespace");
        if (needs(t, secret, "ca.crt"))
                kc_json_set_str(data, "ca.crt", t->root_ca);
        if (needs(t, secret, "namespace")) {
                KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(ns, strlen(ns));
                kc_json_set_str(data, "namespace", base64);
        }
        if (needs(t, secret, "token")) {
                char *token = NULL;
                int r = make_token(t, account, secret, &token, err);
                if (r < 0)
                        return r;
                kc_json_set_str(data, "token", token);
                kc_free_secret_str(token);
        }
        struct json_object *annotations = kc_json_get_mut(metadata, "annotations");
        if (!annotations) {
                annotations = json_object_new_object();
                kc_json_set(metadata, "annotations", annotations);
        }
        kc_json_set_str(annotations, NAME_ANNOTATION, kc_json_str_at(account, "metadata.name"));
        kc_json_set_str(annotations, UID_ANNOTATION, kc_json_str_at(account, "metadata.uid"));
        return forgive_absence(kc_rest_update(t->rest, &KC_SECRETS, NULL, secret, NULL, err), err);
}

static int sync_secret(struct tokens *t, const char *ns, const char *name, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(t->secrets, ns, name);
        KC_CLEANUP(kc_json_freep) struct json_object *account = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL;
        if (!o)
                return 0;
        int r = find_account(t, ns, annotation(o, NAME_ANNOTATION), annotation(o, UID_ANNOTATION), true, &account, err);
        if (r < 0)
                return r;
        if (!account) {
                kc_log_info("Deleting secret because service account does not exist", "secret", name, "account",
                    annotation(o, NAME_ANNOTATION));
                return delete_secret(t, kc_object_json(o), err);
        }
        if (complete(t, kc_object_json(o)))
                return 0;
        r = forgive_absence(kc_rest_get(t->rest, &KC_SECRETS, ns, name, &live, err), err);
        /* A change on the way comes as an event. */
        if (r < 0 || !live || !kc_streq(kc_json_str_at(live, "metadata.uid"), kc_object_uid(o)) || complete(t, live))
                return r;
        return fill(t, account, live, err);
}

/* --- Ends */

static int sync_account(struct tokens *t, const char *ns, const char *name, const char *uid, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *account = NULL;
        struct kc_objects list = {0};
        int r = find_account(t, ns, name, uid, true, &account, err);
        if (r < 0 || account)
                return r;
        kc_informer_list(t->secrets, ns, NULL, &list);
        for (size_t i = 0; r == 0 && i < list.n; i++)
                if (kc_streq(annotation(list.v[i], NAME_ANNOTATION), name) &&
                    (kc_str_empty(annotation(list.v[i], UID_ANNOTATION)) ||
                        kc_streq(annotation(list.v[i], UID_ANNOTATION), uid)))
                        r = delete_secret(t, kc_object_json(list.v[i]), err);
        kc_objects_done(&list);
        return r;
}

/* The account does not name a secret that is gone. */
static int sync_reference(
    struct tokens *t, const char *ns, const char *name, const char *uid, const char *secret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *account = NULL;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *again = kc_informer_lookup(t->secrets, ns, secret);
        int r = again || kc_str_empty(name) ? 0 : find_account(t, ns, name, uid, false, &account, err);
        const struct json_object *refs = kc_json_get(account, "secrets");
        if (r < 0 || !kc_json_find(refs, "name", secret))
                return r;
        struct json_object *kept = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (!kc_streq(kc_json_str(kc_json_idx(refs, i), "name"), secret))
                        kc_json_push(kept, kc_json_copy(kc_json_idx(refs, i)));
        kc_json_set(account, "secrets", kept);
        r = kc_rest_update(t->rest, &KC_SERVICEACCOUNTS, NULL, account, NULL, err);
        if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

static int sync(void *arg, const char *key, struct kc_error *err)
{
        struct tokens *t = arg;
        KC_CLEANUP(kc_strv_freep) char **part = kc_strv_split(key, '|');
        if (kc_streq(part[0], "secret"))
                return sync_secret(t, part[1], part[2], err);
        if (kc_streq(part[0], "account"))
                return sync_account(t, part[1], part[2], part[3], err);
        return sync_reference(t, part[1], part[2], part[3], part[4], err);
}

/* --- Life */

/* --root-ca-file, else the CA that the controller manager itself trusts. */
static int read_root_ca(struct tokens *t, const struct kc_cm_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        struct kc_client_config config = {0};
        const char *file = o->root_ca_file;
        int r = 0;
        if (kc_str_empty(file)) {
                r = kc_client_config_for_daemon(o->component.kubeconfig, &config, err);
                file = config.ca_file;
        }
        if (r == 0 && config.ca_pem)
                kc_buf_adds(&pem, config.ca_pem);
        else if (r == 0 && !kc_str_empty(file))
                r = kc_file_read(file, MAX_CA_BYTES, &pem, err);
        kc_client_config_done(&config);
        if (r < 0)
                return kc_error_wrap(err, "error reading root-ca-file");
        if (pem.len)
                t->root_ca = kc_base64_encode(pem.data, pem.len);
        return 0;
}

static int check_key(const char *file, struct kc_error *err)
{
        struct kc_jwt_key **keys = NULL;
        size_t n = 0;
        int r = kc_jwt_keys_load(file, &keys, &n, err);
        if (r == 0 && !kc_jwt_key_is_private(keys[0]))
                r = kc_error_set(err, EINVAL, "\"%s\" has no private key", file);
        kc_jwt_keys_free(keys, n);
        return r < 0 ? kc_error_wrap(err, "error reading key for service account token controller") : 0;
}

static void free_state(void *state)
{
        struct tokens *t = state;
        kc_controller_free(t->controller);
        kc_free(t->root_ca);
        kc_free(t);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler secrets = {on_secret, on_secret_update, on_secret_delete};
        static const struct kc_informer_handler accounts = {NULL, on_account_update, on_account_delete};
        const char *key_file = cm->options->sa_private_key_file;
        *ret = NULL;
        if (kc_str_empty(key_file)) {
                kc_log_info("Controller is disabled because there is no private key", "controller",
                    "serviceaccount-token-controller");
                return 0;
        }
        struct tokens *t = KC_NEW(struct tokens);
        int r = check_key(key_file, err);
        if (r == 0)
                r = read_root_ca(t, cm->options, err);
        if (r < 0) {
                free_state(t);
                return r;
        }
        t->rest = cm->rest;
        t->key_file = key_file;
        t->accounts = kc_informers_get(cm->informers, &KC_SERVICEACCOUNTS);
        t->secrets = kc_informers_get_filtered(cm->informers, &KC_SECRETS, NULL, NULL, "type=" TYPE);
        t->controller = kc_controller_new(cm->loop, cm->pool, "serviceaccount-token-controller", WORKERS, sync, t);
        kc_informer_add_handler(t->secrets, &secrets, t);
        kc_informer_add_handler(t->accounts, &accounts, t);
        *ret = t;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct tokens *)state)->controller);
}

const struct kc_controller_def kc_serviceaccounttoken_controller = {.name = "serviceaccount-token-controller",
    .alias = "serviceaccount-token",
    .init = init,
    .start = start,
    .free = free_state};
