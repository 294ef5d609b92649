/* What server and client contexts have in common: defaults, CA stores, and reloading when files change. Any thread. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "tls/tls_internal.h"

enum { PEM_FILE_MAX = 16 * 1024 * 1024 };

const char *kc_tls_errors(void)
{
        static _Thread_local char text[512];
        size_t at = 0;
        unsigned long code;
        text[0] = '\0';
        while ((code = ERR_get_error())) {
                char one[256];
                ERR_error_string_n(code, one, sizeof(one));
                const char *reason = ERR_reason_error_string(code);
                int n = snprintf(text + at, sizeof(text) - at, "%s%s", at ? "; " : "", reason ? reason : one);
                if (n > 0)
                        at = KC_MIN(at + (size_t)n, sizeof(text) - 1);
        }
        return at ? text : "unknown TLS error";
}

int kc_tls_no_password(char *buf, int size, int writing, void *arg)
{
        (void)buf;
        (void)size;
        (void)writing;
        (void)arg;
        return -1;
}

SSL_CTX *tls_ctx_new(const SSL_METHOD *method)
{
        SSL_CTX *ctx = SSL_CTX_new(method);
        if (!ctx)
                return NULL;
        SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
        /* An idle connection keeps no record buffers; callers write from queues whose memory may move. */
        SSL_CTX_set_mode(
            ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        SSL_CTX_set_default_passwd_cb(ctx, kc_tls_no_password);
        return ctx;
}

int tls_store_add_pem(X509_STORE *store, const char *pem, size_t len, struct kc_error *err)
{
        BIO *bio = BIO_new_mem_buf(pem, (int)len);
        if (!bio)
                return kc_error_set(err, ENOMEM, "%s", kc_tls_errors());
        int n = 0, r = 0;
        X509 *cert;
        while (r == 0 && (cert = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL))) {
                if (!X509_STORE_add_cert(store, cert))
                        r = kc_error_set(err, EINVAL, "%s", kc_tls_errors());
                X509_free(cert);
                n++;
        }
        BIO_free(bio);
        /* The loop ends with "no start line" at the end of the text; anything else is a damaged certificate. */
        unsigned long last = ERR_peek_last_error();
        if (r == 0 && (n == 0 || ERR_GET_REASON(last) != PEM_R_NO_START_LINE))
                r = kc_error_set(err, EINVAL, n ? "damaged PEM certificate" : "no PEM certificate");
        ERR_clear_error();
        return r < 0 ? r : n;
}

int tls_store_add_file(X509_STORE *store, const char *path, struct kc_error *err)
{
        struct kc_buf pem = KC_BUF_INIT;
        int r = kc_file_read(path, PEM_FILE_MAX, &pem, err);
        if (r == 0) {
                r = tls_store_add_pem(store, kc_buf_str(&pem), pem.len, err);
                if (r < 0)
                        kc_error_wrap(err, "%s", path);
        }
        kc_buf_done(&pem);
        return r;
}

struct tls_file_stamp tls_file_stamp_of(const char *path)
{
        struct stat st;
        if (!path || stat(path, &st) < 0)
                return (struct tls_file_stamp){0};
        return (struct tls_file_stamp){.ino = st.st_ino,
            .size = st.st_size,
            .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

bool tls_file_stamp_equal(const struct tls_file_stamp *a, const struct tls_file_stamp *b)
{
        return a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

/* True if a file is not what it was; remembers what it is. */
static bool restamp(struct tls_reload *r)
{
        bool changed = false;
        for (int i = 0; i < TLS_MAX_FILES; i++) {
                struct tls_file_stamp now = tls_file_stamp_of(r->files[i]);
                changed = changed || !tls_file_stamp_equal(&now, &r->stamps[i]);
                r->stamps[i] = now;
        }
        return changed;
}

int tls_reload_init(struct tls_reload *r, struct kc_error *err)
{
        pthread_mutex_init(&r->lock, NULL);
        restamp(r); /* before reading: a change in between is seen at the next look */
        r->checked = kc_clock_mono(r->clock);
        return r->make(r->arg, &r->ctx, err);
}

void tls_reload_done(struct tls_reload *r)
{
        SSL_CTX_free(r->ctx);
        r->ctx = NULL;
        pthread_mutex_destroy(&r->lock);
}

static void reload(struct tls_reload *r)
{
        struct kc_error err = KC_ERROR_INIT;
        SSL_CTX *ctx;
        if (r->make(r->arg, &ctx, &err) < 0) {
                kc_log_error(&err, "Changed TLS files are not valid, using the previous ones");
                kc_error_done(&err);
                return;
        }
        SSL_CTX_free(r->ctx);
        r->ctx = ctx;
        r->generation++;
        kc_log_info("Reloaded TLS files", "file", r->files[0] ? r->files[0] : r->files[2]);
}

void tls_reload_recheck(struct tls_reload *r)
{
        pthread_mutex_lock(&r->lock);
        r->checked = kc_clock_mono(r->clock) - KC_TLS_RECHECK;
        pthread_mutex_unlock(&r->lock);
}

/* With the lock. */
static void look(struct tls_reload *r)
{
        kc_mono now = kc_clock_mono(r->clock);
        if (now - r->checked < KC_TLS_RECHECK)
                return;
        r->checked = now;
        if (restamp(r))
                reload(r);
}

SSL *tls_reload_ssl(struct tls_reload *r)
{
        pthread_mutex_lock(&r->lock);
        look(r);
        SSL *ssl = SSL_new(r->ctx);
        pthread_mutex_unlock(&r->lock);
        return ssl;
}

unsigned tls_reload_generation(struct tls_reload *r)
{
        pthread_mutex_lock(&r->lock);
        look(r);
        unsigned generation = r->generation;
        pthread_mutex_unlock(&r->lock);
        return generation;
}
