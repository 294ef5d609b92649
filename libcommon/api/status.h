/* metav1.Status: the one place where API errors are built and turned into JSON and back. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

/* Appends s in double quotes, escaped as Go's %q. NULL: "". */
void kc_quote_add(struct kc_buf *b, const char *s);
/* Appends the value as Go's %v prints it: keys of maps in order. */
void kc_go_value_add(struct kc_buf *b, const struct json_object *v);

/* Upstream's apierrors constructors. resource is the plural, group "" for core. All return the negative errno. */
int kc_err_not_found(struct kc_error *err, const char *group, const char *resource, const char *name);
int kc_err_already_exists(struct kc_error *err, const char *group, const char *resource, const char *name);
/* "Operation cannot be fulfilled on pods \"a\": <why>" */
int kc_err_conflict(struct kc_error *err, const char *group, const char *resource, const char *name, const char *why);
int kc_err_bad_request(struct kc_error *err, const char *fmt, ...) KC_PRINTF(2, 3);
int kc_err_forbidden(struct kc_error *err, const char *group, const char *resource, const char *name, const char *why);
int kc_err_unauthorized(struct kc_error *err);
int kc_err_method_not_supported(struct kc_error *err, const char *group, const char *resource, const char *action);
int kc_err_internal(struct kc_error *err, const char *fmt, ...) KC_PRINTF(2, 3);
int kc_err_gone(struct kc_error *err, const char *message);                                     /* 410 Expired */
int kc_err_too_large_resource_version(struct kc_error *err, uint64_t wanted, uint64_t current); /* 504 Timeout */
int kc_err_too_many_requests(struct kc_error *err, const char *message, int retry_after_seconds);

/* Field errors (field.ErrorList). Collected while validating, then turned into one Invalid error.
 * detail: upstream's text; value: printed as JSON (strings as %q), NULL: "null". A list ends at 1,000 errors or 1 MiB
 * of text: further ones are left out. */
struct kc_field_errors {
        struct kc_error_cause *v;
        size_t n, cap;
        size_t bytes; /* of all messages */
};
void kc_field_required(struct kc_field_errors *l, const char *path, const char *detail);
void kc_field_invalid(struct kc_field_errors *l, const char *path, const struct json_object *value, const char *detail);
void kc_field_invalid_str(struct kc_field_errors *l, const char *path, const char *value, const char *detail);
void kc_field_invalid_int(struct kc_field_errors *l, const char *path, int64_t value, const char *detail);
/* valid: NULL-terminated, printed as given: supported values: "A", "B" */
void kc_field_not_supported(struct kc_field_errors *l, const char *path, const char *value, const char *const *valid);
void kc_field_duplicate(struct kc_field_errors *l, const char *path, const char *value);
void kc_field_duplicate_json(struct kc_field_errors *l, const char *path, const struct json_object *value);
void kc_field_forbidden(struct kc_field_errors *l, const char *path, const char *detail);
void kc_field_not_found(struct kc_field_errors *l, const char *path, const char *value);
void kc_field_too_long(struct kc_field_errors *l, const char *path, int max);
void kc_field_too_many(struct kc_field_errors *l, const char *path, int actual, int max);
void kc_field_internal(struct kc_field_errors *l, const char *path, const char *detail);
/* Expected type mismatch found in typed validation. */
void kc_field_type_invalid(
    struct kc_field_errors *l, const char *path, const struct json_object *value, const char *detail);
/* "<path>: <message>", or several as "[..., ...]" without repetitions. Heap. */
char *kc_field_errors_text(const struct kc_field_errors *l);
/* The general form: reason "FieldValueInvalid" or the like, message the whole text behind the path. */
void kc_field_add(struct kc_field_errors *l, const char *reason, const char *path, const char *message);
void kc_field_errors_done(struct kc_field_errors *l);
/* 422 Invalid: "Pod \"a\" is invalid: [spec.x: ..., ...]" with all causes. Empties the list. */
int kc_err_invalid(
    struct kc_error *err, const char *group, const char *kind, const char *name, struct kc_field_errors *l);

/* {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",...}; an err without a code becomes 500
 * InternalError. The caller's. */
struct json_object *kc_status_from_error(const struct kc_error *err);
/* {"status":"Success","details":{name,group,kind,uid}} as DELETE answers. */
struct json_object *kc_status_success(const char *group, const char *resource, const char *name, const char *uid);
/* The inverse: an HTTP error response (body may be no Status at all) as an error. Returns the negative errno. */
int kc_error_from_response(struct kc_error *err, int code, const char *body, size_t len);
