/* Helpers of the validation tests: objects are written as JSON with single quotes, and go through decoding and
 * defaulting as a request's body does; expected errors are "path: message" lines. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/patch.h"
#include "api/validation.h"
#include "base/mem.h"
#include "base/str.h"

static inline struct json_object *parse(const char *text)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(text, "'", "\"");
        KC_CLEANUP(kc_freep) char *quoted = kc_str_replace_all(s, "`", "'");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(quoted, strlen(quoted), NULL, &o, &err) < 0)
                fail_msg("%s: %s", quoted, kc_error_message(&err));
        return o;
}

/* base with a merge patch ("" for none), decoded and defaulted. */
static inline struct json_object *object(const struct kc_resource *r, const char *base, const char *patch)
{
        struct json_object *o = parse(base);
        struct kc_error err = KC_ERROR_INIT;
        if (*patch) {
                KC_CLEANUP(kc_json_freep) struct json_object *p = parse(patch);
                assert_int_equal(kc_patch_merge(&o, p, NULL), 0);
        }
        if (kc_codec_decode(o, r->type, NULL, &err) < 0)
                fail_msg("%s: %s", patch, kc_error_message(&err));
        kc_codec_default(o, r->type);
        kc_default_object(o, r);
        return o;
}

static inline char *error_lines(const struct kc_field_errors *l)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < l->n; i++)
                kc_buf_addf(&b, "%s%s: %s", i ? "\n" : "", l->v[i].field, l->v[i].message);
        return kc_buf_take_str(&b);
}

static inline void expect(struct kc_field_errors *l, const char *what, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = error_lines(l);
        kc_field_errors_done(l);
        if (strcmp(got, want) != 0)
                fail_msg("%s\ngot  %s\nwant %s", what, got, want);
}

static inline const struct kc_resource *kind(const char *group, const char *name)
{
        const struct kc_resource *r = kc_schema_kind(group, "v1", name);
        assert_non_null(r);
        return r;
}

static inline void expect_create(const struct kc_resource *r, const char *base, const char *patch, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = object(r, base, patch);
        struct kc_field_errors l = {0};
        kc_validate_create(o, r, &l);
        expect(&l, patch, want);
}

/* An update from base with old_patch to base with patch. */
static inline void expect_update(const struct kc_resource *r, const char *subresource, const char *base,
    const char *old_patch, const char *patch, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *old = object(r, base, old_patch), *o = object(r, base, patch);
        struct kc_field_errors l = {0};
        kc_json_set_str(kc_json_ensure_obj(o, "metadata"), "resourceVersion", "1");
        kc_json_set_str(kc_json_ensure_obj(old, "metadata"), "resourceVersion", "1");
        kc_validate_update(o, old, r, subresource, &l);
        expect(&l, patch, want);
}

#define LABEL_1123                                                                                                     \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "             \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN_1123                                                                                                 \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define LABEL_NAME                                                                                                     \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define LABEL_VALUE                                                                                                    \
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "      \
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "   \
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
