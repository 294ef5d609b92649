/* Verification of client certificates apart from the handshake: each request asks again, so that a CA that is taken out
 * of its bundle ends also what is connected. Any thread: one lock, held without I/O but for reading a changed bundle.
 */
#include "tls/verifier.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "tls/tls_internal.h"

/* Certificates that are remembered, and for how long. */
enum { REMEMBERED_MAX = 1024, BUNDLE_MAX = 16 * 1024 * 1024 };
#define REMEMBERED_FOR (300 * KC_SEC)

struct kc_tls_verifier {
        char *path;
        const struct kc_clock *clock;
        pthread_mutex_t lock; /* innermost; guards what follows */
        X509_STORE *store;
        char *pem;
        kc_mono checked;
        struct tls_file_stamp stamp;
        struct kc_map *good; /* fingerprint -> struct good */
};

struct good {
        kc_mono until;
        kc_time not_after;
};

/* Reads the bundle. In place of the former one only when it is good. */
static int load(struct kc_tls_verifier *v, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        int r = kc_file_read(v->path, BUNDLE_MAX, &pem, err);
        if (r < 0)
                return r;
        X509_STORE *store = X509_STORE_new();
        if (!store)
                return kc_error_set(err, ENOMEM, "%s", kc_tls_errors());
        r = tls_store_add_pem(store, kc_buf_str(&pem), pem.len, err);
        if (r < 0) {
                X509_STORE_free(store);
                return kc_error_wrap(err, "%s", v->path);
        }
        X509_STORE_free(v->store);
        kc_free(v->pem);
        v->store = store;
        v->pem = kc_buf_take_str(&pem);
        kc_map_clear(v->good);
        return 0;
}

int kc_tls_verifier_new(
    const char *ca_file, const struct kc_clock *clock, struct kc_tls_verifier **ret, struct kc_error *err)
{
        struct kc_tls_verifier *v = KC_NEW(struct kc_tls_verifier);
        v->path = kc_strdup(ca_file);
        v->clock = clock;
        v->good = kc_map_new(kc_free);
        pthread_mutex_init(&v->lock, NULL);
        v->stamp = tls_file_stamp_of(ca_file);
        v->checked = kc_clock_mono(clock);
        int r = load(v, err);
        if (r < 0) {
                kc_tls_verifier_free(v);
                return r;
        }
        *ret = v;
        return 0;
}

void kc_tls_verifier_free(struct kc_tls_verifier *v)
{
        if (!v)
                return;
        X509_STORE_free(v->store);
        kc_map_free(v->good);
        kc_free(v->pem);
        kc_free(v->path);
        pthread_mutex_destroy(&v->lock);
        kc_free(v);
}

/* With the lock. */
static void look_at_file(struct kc_tls_verifier *v)
{
        kc_mono now = kc_clock_mono(v->clock);
        if (now - v->checked < KC_TLS_RECHECK)
                return;
        v->checked = now;
        struct tls_file_stamp stamp = tls_file_stamp_of(v->path);
        if (tls_file_stamp_equal(&stamp, &v->stamp))
                return;
        v->stamp = stamp;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (load(v, &err) < 0)
                kc_log_error(&err, "Changed CA bundle is not valid, using the previous one");
        else
                kc_log_info("Reloaded CA bundle", "file", v->path);
}

/* With the lock. */
static bool is_remembered(struct kc_tls_verifier *v, const struct kc_tls_peer *p)
{
        const struct good *g = kc_map_get(v->good, p->fingerprint);
        return g && kc_clock_mono(v->clock) < g->until && kc_clock_now(NULL) < g->not_after;
}

static void remember(struct kc_tls_verifier *v, const struct kc_tls_peer *p)
{
        if (kc_map_len(v->good) >= REMEMBERED_MAX)
                kc_map_clear(v->good);
        struct good *g = KC_NEW(struct good);
        *g = (struct good){.until = kc_clock_mono(v->clock) + REMEMBERED_FOR, .not_after = p->not_after};
        (void)kc_map_set(v->good, p->fingerprint, g);
}

static const char *words_of(int error)
{
        switch (error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
                return "certificate has expired or is not yet valid";
        case X509_V_ERR_INVALID_PURPOSE:
                return "certificate specifies an incompatible key usage";
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
                return "certificate signed by unknown authority";
        default:
                return X509_verify_cert_error_string(error);
        }
}

static int verify(X509_STORE *store, const struct kc_tls_peer *p, struct kc_error *err)
{
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        int error = X509_V_ERR_OUT_OF_MEM;
        if (ctx && X509_STORE_CTX_init(ctx, store, sk_X509_value(p->chain, 0), p->chain) == 1 &&
            X509_STORE_CTX_set_default(ctx, "ssl_client") == 1) {
                error = X509_V_OK;
                if (X509_verify_cert(ctx) != 1) {
                        error = X509_STORE_CTX_get_error(ctx);
                        if (error == X509_V_OK)
                                error = X509_V_ERR_UNSPECIFIED;
                }
        }
        X509_STORE_CTX_free(ctx);
        ERR_clear_error();
        return error == X509_V_OK ? 0 : kc_error_set(err, EACCES, "x509: %s", words_of(error));
}

int kc_tls_verifier_check(struct kc_tls_verifier *v, const struct kc_tls_peer *p, struct kc_error *err)
{
        pthread_mutex_lock(&v->lock);
        look_at_file(v);
        bool known = is_remembered(v, p);
        X509_STORE *store = v->store;
        if (!known)
                X509_STORE_up_ref(store);
        pthread_mutex_unlock(&v->lock);
        if (known)
                return 0;
        int r = verify(store, p, err);
        pthread_mutex_lock(&v->lock);
        if (r == 0 && store == v->store)
                remember(v, p);
        pthread_mutex_unlock(&v->lock);
        X509_STORE_free(store);
        return r;
}

char *kc_tls_verifier_pem(struct kc_tls_verifier *v)
{
        pthread_mutex_lock(&v->lock);
        look_at_file(v);
        char *pem = kc_strdup(v->pem);
        pthread_mutex_unlock(&v->lock);
        return pem;
}

static void merge(STACK_OF(X509) * into, const char *pem)
{
        BIO *bio = BIO_new_mem_buf(pem, -1);
        X509 *cert;
        while (bio && (cert = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL))) {
                /* A failed addition is one more certificate that the peers of this bundle do not trust. */
                if (X509_cmp_current_time(X509_get0_notAfter(cert)) > 0)
                        (void)X509_add_cert(into, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP);
                X509_free(cert);
        }
        BIO_free(bio);
        ERR_clear_error();
}

char *kc_tls_merge_bundles(const char *a, const char *b)
{
        STACK_OF(X509) *all = sk_X509_new_null();
        BIO *out = BIO_new(BIO_s_mem());
        if (a)
                merge(all, a);
        if (b)
                merge(all, b);
        for (int i = 0; out && i < sk_X509_num(all); i++)
                (void)PEM_write_bio_X509(out, sk_X509_value(all, i)); /* into memory */
        char *text = NULL;
        long len = out ? BIO_get_mem_data(out, &text) : 0;
        char *merged = len > 0 ? kc_strndup(text, (size_t)len) : kc_strdup("");
        BIO_free(out);
        sk_X509_pop_free(all, X509_free);
        return merged;
}
