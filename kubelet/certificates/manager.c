/* Asking for certificates and renewing them. Thread: the loop; requests are made on the pool. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/str.h"
#include "client/informer.h"
#include "kubelet/certificates/certificates.h"
#include "tls/csr.h"

#define WAIT_LIMIT (15 * 60 * KC_SEC)
#define FIRST_RETRY (2 * KC_SEC)
#define LAST_RETRY (32 * KC_SEC)
/* After a certificate, which may not be what was asked for: then the next request is not made at once. */
#define PAUSE KC_SEC
/* Timers of a year and more are armed in parts. */
#define LONGEST_SLEEP (24 * 3600 * KC_SEC)

#define WATCH_PERIOD (10 * KC_SEC)

enum { MAX_PEM = 1 << 20 };

struct kc_kubelet_certs {
        struct kc_kubelet_cert_opts o;
        char *dir, *pair, *signer, *common_name, *path;
        struct kc_timer *timer, *watchdog;
        bool server_healthy; /* the last request was taken, or refused for want of credentials */
        char **names;        /* strv */
        bool stopped;
        /* The current certificate; not_after 0: none. */
        struct kc_cert_info current;
        kc_time deadline;
        _Atomic int64_t expiry; /* current.not_after, for other threads */
        int64_t retry;          /* the next pause after a failure */
        /* The request under way. */
        bool asking; /* on the pool */
        char *key;
        struct kc_informers *watch; /* NULL: no request is waited for */
        struct kc_informer *requests;
};

/* One request, for the pool. */
struct ask {
        struct kc_kubelet_certs *c;
        char *key, *name; /* results */
        struct kc_error err;
};

static void decide(struct kc_kubelet_certs *c);
static void read_current(struct kc_kubelet_certs *c);

static void forget_request(struct kc_kubelet_certs *c)
{
        kc_informers_free(KC_TAKE(c->watch));
        kc_free_secret_str(KC_TAKE(c->key));
}

static void failed(struct kc_kubelet_certs *c, const struct kc_error *err)
{
        kc_log_error(err, "Failed while requesting a signed certificate from the control plane, retrying", "pair",
            c->pair, "seconds", kc_log_i64(c->retry / KC_SEC));
        if (c->o.errors)
                kc_metric_add(c->o.errors, 1, NULL);
        forget_request(c);
        kc_timer_arm(c->timer, c->retry + (int64_t)((double)c->retry * 0.1 * kc_rand_double()));
        c->retry = KC_MIN(c->retry * 2, LAST_RETRY);
}

/* --- The answer */

static void take_certificate(struct kc_kubelet_certs *c, const struct json_object *csr)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const char *text = kc_json_str_at(csr, "status.certificate");
        int r = kc_base64_decode(text, strlen(text), &pem);
        if (r == 0) {
                size_t len = pem.len + strlen(c->key);
                char *both = kc_asprintf("%s%s", kc_buf_str(&pem), c->key);
                r = kc_cert_has_key(both, len) ? 0 : -EINVAL;
                kc_free_secret(both, len);
        }
        if (r < 0)
                r = kc_error_set(&err, EINVAL, "the certificate in \"%s\" is not for the key that was asked for",
                    kc_json_str_at(csr, "metadata.name"));
        else
                r = kc_kubelet_cert_store(c->dir, c->pair, kc_buf_str(&pem), c->key, kc_clock_now(NULL), &err);
        if (r < 0) {
                failed(c, &err);
                return;
        }
        kc_log_info("Certificate is issued", "csr", kc_json_str_at(csr, "metadata.name"), "pair", c->pair);
        forget_request(c);
        c->retry = FIRST_RETRY;
        read_current(c);
        kc_timer_arm(c->timer, PAUSE);
        if (c->o.on_new)
                c->o.on_new(c->o.arg);
}

static const struct json_object *condition(const struct json_object *csr, const char *type)
{
        return kc_json_find(kc_json_at(csr, "status.conditions"), "type", type);
}

/* The state of the awaited request; not from the informer's own callback. */
static void on_answer(void *arg)
{
        struct kc_kubelet_certs *c = arg;
        struct kc_objects list = {0};
        if (c->stopped || !c->watch)
                return;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        kc_informer_list(c->requests, NULL, NULL, &list);
        const struct json_object *csr = list.n ? kc_object_json(list.v[0]) : NULL;
        static const char *const bad[] = {"Denied", "Failed"};
        const struct json_object *no = NULL;
        for (size_t i = 0; !no && csr && i < KC_ARRAY_LEN(bad); i++)
                if ((no = condition(csr, bad[i])))
                        kc_error_set(&err, EACCES, "certificate signing request is %s, reason: %s, message: %s", bad[i],
                            kc_json_str(no, "reason") ?: "", kc_json_str(no, "message") ?: "");
        if (no)
                failed(c, &err);
        else if (csr && condition(csr, "Approved") && !kc_str_empty(kc_json_str_at(csr, "status.certificate")))
                take_certificate(c, csr);
        kc_objects_done(&list);
}

static void on_request_add(struct kc_object *o, bool initial, void *arg)
{
        struct kc_kubelet_certs *c = arg;
        (void)o;
        (void)initial;
        kc_loop_defer(c->o.loop, on_answer, c);
}

static void on_request_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_request_add(o, false, arg);
}

/* --- The question */

static int ask_on_pool(struct ask *a, struct kc_error *err)
{
        struct kc_kubelet_certs *c = a->c;
        static char *const organizations[] = {(char *)"system:nodes", NULL};
        KC_CLEANUP(kc_freep) char *pem = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int r = kc_key_generate(&a->key, err);
        if (r == 0)
                r = kc_csr_make(a->key, c->common_name, organizations, c->names, &pem, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(pem, strlen(pem));
        /* An elliptic key enciphers no other keys, so that usage is left out, as upstream. */
        KC_CLEANUP(kc_json_freep)
        struct json_object *csr =
            kc_json_build("{'kind':'CertificateSigningRequest','apiVersion':'certificates.k8s.io/v1',"
                          "'metadata':{'generateName':'csr-'},'spec':{'request':%s,'signerName':%s,"
                          "'usages':['digital signature',%s]}}",
                base64, c->signer, c->o.server ? "server auth" : "client auth");
        r = kc_rest_create(c->o.rest, &KC_CERTIFICATESIGNINGREQUESTS, NULL, csr, &answer, err);
        if (r < 0)
                return kc_error_wrap(err, "cannot create certificate signing request");
        a->name = kc_strdup(kc_json_str_at(answer, "metadata.name"));
        return 0;
}

static void free_ask(struct ask *a)
{
        kc_free_secret_str(a->key);
        kc_free(a->name);
        kc_error_done(&a->err);
        kc_free(a);
}

static void wait_for(struct kc_kubelet_certs *c, const char *name)
{
        static const struct kc_informer_handler handler = {.on_add = on_request_add, .on_update = on_request_update};
        KC_CLEANUP(kc_freep) char *field = kc_asprintf("metadata.name=%s", name);
        kc_log_info("Waiting for the certificate signing request to be approved and signed", "csr", name);
        c->watch = kc_informers_new(c->o.rest);
        c->requests = kc_informers_get_filtered(c->watch, &KC_CERTIFICATESIGNINGREQUESTS, NULL, NULL, field);
        kc_informer_add_handler(c->requests, &handler, c);
        kc_informers_start(c->watch);
        kc_timer_arm(c->timer, WAIT_LIMIT);
}

static void on_asked(void *arg)
{
        struct ask *a = arg;
        struct kc_kubelet_certs *c = a->c;
        c->asking = false;
        c->server_healthy = a->name || kc_error_is(&a->err, KC_REASON_UNAUTHORIZED);
        if (!c->stopped && a->name) {
                c->key = KC_TAKE(a->key);
                wait_for(c, a->name);
        } else if (!c->stopped) {
                failed(c, &a->err);
        }
        free_ask(a);
}

static void do_ask(void *arg)
{
        struct ask *a = arg;
        (void)ask_on_pool(a, &a->err); /* on_asked sees that there is no name */
        kc_loop_post(a->c->o.loop, on_asked, a);
}

static void ask(struct kc_kubelet_certs *c)
{
        struct ask *a = KC_NEW(struct ask);
        a->c = c;
        c->asking = true;
        kc_log_info("Rotating certificates", "pair", c->pair);
        if (kc_pool_submit(c->o.pool, do_ask, a) == 0)
                return;
        c->asking = false;
        kc_error_set(&a->err, EAGAIN, "no worker");
        failed(c, &a->err);
        free_ask(a);
}

/* --- The current certificate */

static void read_current(struct kc_kubelet_certs *c)
{
        struct kc_buf pem = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        kc_cert_info_done(&c->current);
        int r = kc_file_read(c->path, MAX_PEM, &pem, &err);
        if (r == 0 && !kc_cert_has_key(kc_buf_str(&pem), pem.len))
                r = kc_error_set(&err, EINVAL, "it holds no certificate with its key");
        if (r == 0)
                r = kc_cert_info(kc_buf_str(&pem), pem.len, &c->current, &err);
        if (r < 0 && err.errnum != ENOENT)
                kc_log_error(&err, "The current certificate is of no use, asking for another", "file", c->path);
        kc_buf_wipe(&pem);
        c->expiry = c->current.not_after;
        c->deadline = c->current.not_after
                          ? kc_kubelet_cert_deadline(c->current.not_before, c->current.not_after, kc_rand_double())
                          : 0;
}

static bool contains_all(char *const *have, char *const *want)
{
        for (; want && *want; want++)
                if (!kc_strv_has(have, *want))
                        return false;
        return true;
}

/* The certificate is for the names that are wanted. */
static bool satisfies(const struct kc_cert_info *cert, char *const *names)
{
        KC_CLEANUP(kc_strv_freep) char **have = kc_strv_copy(cert->dns_names);
        for (char **ip = cert->ip_addresses; ip && *ip; ip++)
                kc_strv_push(&have, *ip);
        return contains_all(have, names);
}

static void decide(struct kc_kubelet_certs *c)
{
        kc_time left = c->deadline - kc_clock_now(NULL);
        if (left <= 0 || !kc_streq(c->current.common_name, c->common_name) || !satisfies(&c->current, c->names)) {
                ask(c);
                return;
        }
        char when[KC_TIME_LEN];
        kc_log_info(
            "Certificate rotation deadline determined", "pair", c->pair, "deadline", kc_time_format(c->deadline, when));
        kc_timer_arm(c->timer, KC_MIN(left, LONGEST_SLEEP));
}

static void on_timer(void *arg)
{
        struct kc_kubelet_certs *c = arg;
        if (c->watch) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                kc_error_set(
                    &err, ETIMEDOUT, "certificate request was not signed: timed out waiting for the condition");
                failed(c, &err);
                return;
        }
        if (!c->asking)
                decide(c);
}

/* When it expires, and after that so often. */
static void arm_watchdog(struct kc_kubelet_certs *c)
{
        kc_time left = c->current.not_after - kc_clock_now(NULL);
        if (c->o.on_expired)
                kc_timer_arm(c->watchdog, left > 0 ? KC_MIN(left, LONGEST_SLEEP) : WATCH_PERIOD);
}

static void on_watchdog(void *arg)
{
        struct kc_kubelet_certs *c = arg;
        bool expired = c->current.not_after && !kc_kubelet_certs_valid(c);
        arm_watchdog(c);
        if (expired && c->server_healthy)
                c->o.on_expired(c->o.arg);
        else if (expired)
                kc_log_warn("The currently active client certificate has expired, but the server is not responsive. A "
                            "restart may be necessary to retrieve new initial credentials");
}

/* --- Life */

struct kc_kubelet_certs *kc_kubelet_certs_new(const struct kc_kubelet_cert_opts *o)
{
        struct kc_kubelet_certs *c = KC_NEW(struct kc_kubelet_certs);
        c->o = *o;
        c->dir = kc_strdup(o->dir);
        c->pair = kc_strdup(o->pair);
        c->signer = kc_strdup(o->signer);
        c->common_name = kc_asprintf("system:node:%s", o->node_name);
        c->path = kc_kubelet_cert_path(o->dir, o->pair);
        c->names = kc_strv_copy(o->names);
        c->timer = kc_timer_new(o->loop, on_timer, c);
        c->watchdog = kc_timer_new(o->loop, on_watchdog, c);
        c->retry = FIRST_RETRY;
        read_current(c);
        return c;
}

bool kc_kubelet_certs_valid(const struct kc_kubelet_certs *c)
{
        return c->current.not_after > kc_clock_now(NULL);
}

kc_time kc_kubelet_certs_expiry(const struct kc_kubelet_certs *c)
{
        return c->expiry;
}

void kc_kubelet_certs_start(struct kc_kubelet_certs *c)
{
        arm_watchdog(c);
        decide(c);
}

void kc_kubelet_certs_stop(struct kc_kubelet_certs *c)
{
        if (!c)
                return;
        c->stopped = true;
        kc_timer_disarm(c->timer);
        kc_timer_disarm(c->watchdog);
        forget_request(c);
}

void kc_kubelet_certs_free(struct kc_kubelet_certs *c)
{
        if (!c)
                return;
        forget_request(c);
        kc_timer_free(c->timer);
        kc_timer_free(c->watchdog);
        kc_cert_info_done(&c->current);
        kc_free(c->dir);
        kc_free(c->pair);
        kc_free(c->signer);
        kc_free(c->common_name);
        kc_free(c->path);
        kc_strv_free(c->names);
        kc_free(c);
}
