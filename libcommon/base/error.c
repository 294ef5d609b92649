/* Errors as values: errno, and for API errors what a metav1.Status carries. Any thread. */
#define KC_ERROR_IMPLEMENTATION
#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct {
        const char *reason;
        int errnum;
} known_reasons[] = {
    {KC_REASON_UNAUTHORIZED, EPERM},
    {KC_REASON_FORBIDDEN, EACCES},
    {KC_REASON_NOT_FOUND, ENOENT},
    {KC_REASON_ALREADY_EXISTS, EEXIST},
    {KC_REASON_CONFLICT, EAGAIN},
    {KC_REASON_GONE, ESTALE},
    {KC_REASON_INVALID, EINVAL},
    {KC_REASON_SERVER_TIMEOUT, ETIMEDOUT},
    {KC_REASON_STORE_READ_ERROR, EIO},
    {KC_REASON_TIMEOUT, ETIMEDOUT},
    {KC_REASON_TOO_MANY_REQUESTS, EBUSY},
    {KC_REASON_BAD_REQUEST, EINVAL},
    {KC_REASON_METHOD_NOT_ALLOWED, EIO},
    {KC_REASON_NOT_ACCEPTABLE, EIO},
    {KC_REASON_REQUEST_ENTITY_TOO_LARGE, EMSGSIZE},
    {KC_REASON_UNSUPPORTED_MEDIA_TYPE, EIO},
    {KC_REASON_INTERNAL_ERROR, EIO},
    {KC_REASON_EXPIRED, ESTALE},
    {KC_REASON_SERVICE_UNAVAILABLE, EHOSTUNREACH},
};

/* Reasons of other servers. They live for ever, so their number is bounded: one more becomes metav1's "Unknown". */
enum { MAX_INTERNED = 128 };
static pthread_mutex_t interned_lock = PTHREAD_MUTEX_INITIALIZER;
static char *interned[MAX_INTERNED]; /* guarded by interned_lock */
static size_t n_interned;            /* guarded by interned_lock */

static const char *intern(const char *reason, int *ret_errnum)
{
        *ret_errnum = EIO;
        if (!reason)
                return NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(known_reasons); i++) {
                if (strcmp(known_reasons[i].reason, reason) == 0) {
                        *ret_errnum = known_reasons[i].errnum;
                        return known_reasons[i].reason;
                }
        }
        const char *found = NULL;
        pthread_mutex_lock(&interned_lock);
        for (size_t i = 0; i < n_interned && !found; i++)
                if (strcmp(interned[i], reason) == 0)
                        found = interned[i];
        if (!found && n_interned < MAX_INTERNED)
                found = interned[n_interned++] = kc_strdup(reason);
        pthread_mutex_unlock(&interned_lock);
        return found ? found : "Unknown";
}

/* The message is taken; it may have been made from what err held. */
static void replace(struct kc_error *err, int errnum, int code, const char *reason, char *take_message)
{
        kc_error_done(err);
        *err = (struct kc_error){.errnum = errnum, .code = code, .reason = reason, .message = take_message};
}

int kc_error_set(struct kc_error *err, int errnum, const char *fmt, ...)
{
        /* An error must not look like success to callers that return our result. */
        errnum = errnum < 0 ? -errnum : errnum;
        if (errnum == 0)
                errnum = EIO;
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                char *message = kc_vasprintf(fmt, ap);
                va_end(ap);
                replace(err, errnum, 0, NULL, message);
        }
        return -errnum;
}

int kc_error_set_api(struct kc_error *err, int code, const char *reason, const char *fmt, ...)
{
        int errnum;
        reason = intern(reason, &errnum);
        if (err) {
                va_list ap;
                va_start(ap, fmt);
                char *message = kc_vasprintf(fmt, ap);
                va_end(ap);
                replace(err, errnum, code, reason, message);
        }
        return -errnum;
}

int kc_error_wrap(struct kc_error *err, const char *fmt, ...)
{
        if (!err)
                return -EIO;
        if (err->errnum == 0)
                err->errnum = EIO;
        va_list ap;
        va_start(ap, fmt);
        char *prefix = kc_vasprintf(fmt, ap);
        va_end(ap);
        char *message = kc_asprintf("%s: %s", prefix, kc_error_message(err));
        kc_free(prefix);
        kc_free(err->message);
        err->message = message;
        return -err->errnum;
}

struct kc_error_details *kc_error_details(struct kc_error *err)
{
        if (!err->details)
                err->details = KC_NEW(struct kc_error_details);
        return err->details;
}

void kc_error_add_cause(struct kc_error *err, const char *reason, const char *field, const char *message)
{
        if (!err)
                return;
        struct kc_error_details *d = kc_error_details(err);
        d->causes = kc_reallocarray(d->causes, d->n_causes + 1, sizeof(*d->causes));
        d->causes[d->n_causes++] = (struct kc_error_cause){
            .reason = kc_strdup(reason),
            .message = kc_strdup(message),
            .field = kc_strdup(field),
        };
}

bool kc_error_is(const struct kc_error *err, const char *reason)
{
        return err && err->reason && kc_streq(err->reason, reason);
}

void kc_error_move(struct kc_error *dst, struct kc_error *src)
{
        if (dst == src)
                return;
        if (!dst) {
                kc_error_done(src);
                return;
        }
        kc_error_done(dst);
        if (!src)
                return;
        *dst = *src;
        *src = KC_ERROR_INIT;
}

static struct kc_error_details *copy_details(const struct kc_error_details *d)
{
        struct kc_error_details *copy = KC_NEW(struct kc_error_details);
        copy->name = kc_strdup(d->name);
        copy->group = kc_strdup(d->group);
        copy->kind = kc_strdup(d->kind);
        copy->uid = kc_strdup(d->uid);
        copy->retry_after_seconds = d->retry_after_seconds;
        copy->causes = d->n_causes ? kc_calloc(d->n_causes, sizeof(*d->causes)) : NULL;
        copy->n_causes = d->n_causes;
        for (size_t i = 0; i < d->n_causes; i++) {
                copy->causes[i].reason = kc_strdup(d->causes[i].reason);
                copy->causes[i].message = kc_strdup(d->causes[i].message);
                copy->causes[i].field = kc_strdup(d->causes[i].field);
        }
        return copy;
}

void kc_error_copy(struct kc_error *dst, const struct kc_error *src)
{
        if (!dst || dst == src)
                return;
        kc_error_done(dst);
        if (!src)
                return;
        *dst = *src;
        dst->message = kc_strdup(src->message);
        dst->details = src->details ? copy_details(src->details) : NULL;
}

const char *kc_error_message(const struct kc_error *err)
{
        if (!err || (err->errnum == 0 && !err->message))
                return "no error";
        if (err->message)
                return err->message;
        const char *text = strerrordesc_np(err->errnum); /* strerror(3) has no static string for each thread */
        return text ? text : "unknown error";
}

static void free_details(struct kc_error_details *d)
{
        if (!d)
                return;
        for (size_t i = 0; i < d->n_causes; i++) {
                kc_free(d->causes[i].reason);
                kc_free(d->causes[i].message);
                kc_free(d->causes[i].field);
        }
        kc_free(d->causes);
        kc_free(d->name);
        kc_free(d->group);
        kc_free(d->kind);
        kc_free(d->uid);
        kc_free(d);
}

void kc_error_done(struct kc_error *err)
{
        if (!err)
                return;
        kc_free(err->message);
        free_details(err->details);
        *err = KC_ERROR_INIT;
}

const char *kc_errno_text(int errnum)
{
        static _Thread_local char text[128];
        const char *description = strerrordesc_np(errnum);
        (void)snprintf(text, sizeof(text), "%s", description ? description : "unknown error");
        /* "No such file", but "RFS specific error" */
        if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z')
                text[0] = (char)(text[0] - 'A' + 'a');
        return text;
}
