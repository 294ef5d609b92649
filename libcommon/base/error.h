/* Errors: functions return 0 or a negative errno and fill a struct kc_error given as the last parameter.
 *
 *   { errnum: EEXIST, code: 409, reason: "AlreadyExists", message: "pods \"a\" already exists", details -> ... }
 *
 * errnum is always set; code and reason (metav1.StatusReason) only where the error is, or becomes, an API Status.
 * Callers decide on errnum or reason, never on the message. A NULL err is allowed everywhere: nothing is recorded. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

/* metav1.StatusReason values. */
#define KC_REASON_UNAUTHORIZED "Unauthorized"
#define KC_REASON_FORBIDDEN "Forbidden"
#define KC_REASON_NOT_FOUND "NotFound"
#define KC_REASON_ALREADY_EXISTS "AlreadyExists"
#define KC_REASON_CONFLICT "Conflict"
#define KC_REASON_GONE "Gone"
#define KC_REASON_INVALID "Invalid"
#define KC_REASON_SERVER_TIMEOUT "ServerTimeout"
#define KC_REASON_STORE_READ_ERROR "StorageReadError"
#define KC_REASON_TIMEOUT "Timeout"
#define KC_REASON_TOO_MANY_REQUESTS "TooManyRequests"
#define KC_REASON_BAD_REQUEST "BadRequest"
#define KC_REASON_METHOD_NOT_ALLOWED "MethodNotAllowed"
#define KC_REASON_NOT_ACCEPTABLE "NotAcceptable"
#define KC_REASON_REQUEST_ENTITY_TOO_LARGE "RequestEntityTooLarge"
#define KC_REASON_UNSUPPORTED_MEDIA_TYPE "UnsupportedMediaType"
#define KC_REASON_INTERNAL_ERROR "InternalError"
#define KC_REASON_EXPIRED "Expired"
#define KC_REASON_SERVICE_UNAVAILABLE "ServiceUnavailable"

/* metav1.StatusCause: one bad field of an Invalid error, and the like. All heap strings, any may be NULL. */
struct kc_error_cause {
        char *reason; /* "FieldValueInvalid", ... */
        char *message;
        char *field; /* "spec.containers[0].name" */
};

/* metav1.StatusDetails. */
struct kc_error_details {
        char *name, *group, *kind, *uid;
        int retry_after_seconds; /* 0: none */
        struct kc_error_cause *causes;
        size_t n_causes;
};

struct kc_error {
        int errnum;         /* positive errno; 0: no error */
        int code;           /* HTTP status; 0: not an API error */
        const char *reason; /* one of KC_REASON_* (interned, never freed), or NULL */
        char *message;
        struct kc_error_details *details; /* NULL: none */
};

#define KC_ERROR_INIT ((struct kc_error){0})

/* Replaces what err holds. Returns -errnum, so that callers can `return kc_error_set(...)`. */
int kc_error_set(struct kc_error *err, int errnum, const char *fmt, ...) KC_PRINTF(3, 4);
/* The same for an API error; errnum is derived from the reason (NotFound ENOENT, AlreadyExists EEXIST, Conflict EAGAIN,
 * Forbidden EACCES, Unauthorized EPERM, Invalid and BadRequest EINVAL, Gone and Expired ESTALE, timeouts ETIMEDOUT,
 * TooManyRequests EBUSY, RequestEntityTooLarge EMSGSIZE, ServiceUnavailable EUNAVAIL-like EHOSTUNREACH, else EIO).
 * An unknown reason string is interned. */
int kc_error_set_api(struct kc_error *err, int code, const char *reason, const char *fmt, ...) KC_PRINTF(4, 5);
/* Prefixes the message with "<fmt...>: "; errnum, code, reason and details stay. Returns -err->errnum. */
int kc_error_wrap(struct kc_error *err, const char *fmt, ...) KC_PRINTF(2, 3);
/* The details, allocated on first use. err must not be NULL. */
struct kc_error_details *kc_error_details(struct kc_error *err);
void kc_error_add_cause(struct kc_error *err, const char *reason, const char *field, const char *message);
/* True if the error's reason is that one. */
bool kc_error_is(const struct kc_error *err, const char *reason);
/* dst takes all of src; src is empty afterwards. What dst held is freed. */
void kc_error_move(struct kc_error *dst, struct kc_error *src);
void kc_error_copy(struct kc_error *dst, const struct kc_error *src);
/* message, or strerror(errnum), or "no error". Borrowed. */
const char *kc_error_message(const struct kc_error *err);
/* What an errno means, as Go says it: "no such file or directory". Static per thread. */
const char *kc_errno_text(int errnum);
/* Frees what err holds and makes it empty. */
void kc_error_done(struct kc_error *err);

#if defined(__clang_analyzer__) && !defined(KC_ERROR_IMPLEMENTATION)
/* What the contract says, for an analyzer that sees one source file at a time. */
static inline int kc_error_negative(int r)
{
        if (r >= 0)
                __builtin_unreachable();
        return r;
}
#define kc_error_set(...) kc_error_negative(kc_error_set(__VA_ARGS__))
#define kc_error_set_api(...) kc_error_negative(kc_error_set_api(__VA_ARGS__))
#define kc_error_wrap(...) kc_error_negative(kc_error_wrap(__VA_ARGS__))
#endif
