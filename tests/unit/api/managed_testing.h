/* An object as a server would keep it: what updates and applies make of it and of its managed fields. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/managed.h"
#include "api/structured.h"
#include "base/mem.h"
#include "base/str.h"

struct world {
        const struct kc_resource *row;
        struct json_object *obj;     /* canonical, without managedFields; NULL: does not exist */
        struct json_object *entries; /* managedFields or NULL */
        kc_time now;
        const char *subresource;
        const char *const *reset;
        struct kc_error err; /* of the last apply */
        bool changed;        /* by the last apply: the object or who owns it, times aside */
};

/* Single quotes stand for double ones. */
static inline struct json_object *w_parse(const char *text)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(text, "'", "\"");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(s, strlen(s), NULL, &o, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        return o;
}

static inline void w_init(struct world *w, const char *group, const char *version, const char *kind)
{
        *w = (struct world){.row = kc_schema_kind(group, version, kind), .now = 1700000000 * KC_SEC, .subresource = ""};
        assert_non_null(w->row);
}

static inline void w_done(struct world *w)
{
        kc_json_free(w->obj);
        kc_json_free(w->entries);
        kc_error_done(&w->err);
}

/* As it is decoded, without defaults. */
static inline struct json_object *w_decode(const struct world *w, struct json_object *o)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(w->row->group, w->row->version);
        struct kc_error err = KC_ERROR_INIT;
        kc_json_set_str(o, "kind", w->row->kind);
        kc_json_set_str(o, "apiVersion", api_version);
        if (kc_codec_decode(o, w->row->type, NULL, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return o;
}

static inline struct json_object *w_complete(const struct world *w, struct json_object *o)
{
        kc_codec_default(w_decode(w, o), w->row->type);
        return o;
}

static inline void w_kind(const struct world *w, char *api_version, struct kc_managed_kind *ret)
{
        *ret = (struct kc_managed_kind){.type = w->row->type,
            .api_version = api_version,
            .kind = w->row->kind,
            .subresource = w->subresource,
            .reset = w->reset};
}

static inline void w_keep_entries(struct world *w, struct kc_managers *m)
{
        struct json_object *entries = kc_managers_encode(m);
        kc_managers_done(m);
        kc_json_free(w->entries);
        w->entries = entries;
}

/* Takes the object. */
static inline void w_put_tree(struct world *w, const char *manager, struct json_object *take_obj)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(w->row->group, w->row->version);
        struct kc_managed_kind k;
        struct kc_managers m;
        w_kind(w, api_version, &k);
        (void)w_complete(w, take_obj);
        KC_CLEANUP(kc_json_freep)
        struct json_object *before = w->obj ? kc_json_copy(w->obj) : w_decode(w, json_object_new_object());
        assert_int_equal(kc_managers_decode(&m, w->entries, NULL), 0);
        kc_managed_update(&m, &k, before, take_obj, manager, w->now += KC_SEC);
        w_keep_entries(w, &m);
        kc_json_free(w->obj);
        w->obj = take_obj;
}

static inline void w_put(struct world *w, const char *manager, const char *text)
{
        w_put_tree(w, manager, w_parse(text));
}

/* 0, or the error, which w->err holds. */
static inline int w_apply_tree(struct world *w, const char *manager, bool force, struct json_object *config)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(w->row->group, w->row->version);
        struct kc_managed_kind k;
        struct kc_managers m;
        struct json_object *merged = NULL;
        w_kind(w, api_version, &k);
        kc_error_done(&w->err);
        if (!kc_json_get(config, "kind")) {
                kc_json_set_str(config, "kind", w->row->kind);
                kc_json_set_str(config, "apiVersion", api_version);
        }
        int r = kc_structured_check(config, w->row->type, &w->err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep)
        struct json_object *live = w->obj ? kc_json_copy(w->obj) : w_decode(w, json_object_new_object());
        const struct kc_managed_apply o = {
            .manager = manager, .force = force, .exists = w->obj != NULL, .now = w->now += KC_SEC};
        assert_int_equal(kc_managers_decode(&m, w->entries, NULL), 0);
        r = kc_managed_apply(&m, &k, &o, live, config, &merged, &w->err);
        if (r < 0) {
                kc_managers_done(&m);
                return r;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *old = kc_json_copy(w->entries);
        w_keep_entries(w, &m);
        w->changed = merged != NULL || !kc_json_equal(old, w->entries);
        if (merged || !w->obj) {
                kc_json_free(w->obj);
                w->obj = w_complete(w, merged ? merged : kc_json_copy(live));
        }
        return 0;
}

static inline int w_apply(struct world *w, const char *manager, bool force, const char *text)
{
        KC_CLEANUP(kc_json_freep) struct json_object *config = w_parse(text);
        return w_apply_tree(w, manager, force, config);
}

/* "manager operation[/subresource]" owns. NULL: has no entry. */
static inline const struct json_object *w_owned(const struct world *w, const char *manager, const char *operation)
{
        for (size_t i = 0; i < kc_json_len(w->entries); i++) {
                const struct json_object *e = kc_json_idx(w->entries, i);
                if (kc_streq(kc_json_str(e, "manager"), manager) && kc_streq(kc_json_str(e, "operation"), operation))
                        return kc_json_get(e, "fieldsV1");
        }
        return NULL;
}

static inline void assert_owns(const struct world *w, const char *manager, const char *operation, const char *want)
{
        const struct json_object *fields = w_owned(w, manager, operation);
        KC_CLEANUP(kc_freep) char *got = fields ? kc_json_to_str(fields) : kc_strdup("nothing");
        KC_CLEANUP(kc_freep) char *wanted = want ? kc_str_replace_all(want, "'", "\"") : kc_strdup("nothing");
        if (strcmp(got, wanted) != 0)
                fail_msg("%s %s owns\n%s, not\n%s", manager, operation, got, wanted);
}

static inline void assert_at(const struct world *w, const char *path, const char *want)
{
        const struct json_object *v = kc_json_at(w->obj, path);
        KC_CLEANUP(kc_freep) char *got = v ? kc_json_to_str(v) : kc_strdup("nothing");
        KC_CLEANUP(kc_freep) char *wanted = want ? kc_str_replace_all(want, "'", "\"") : kc_strdup("nothing");
        if (strcmp(got, wanted) != 0)
                fail_msg("%s is\n%s, not\n%s", path, got, wanted);
}
