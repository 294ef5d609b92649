/* Server-side apply. Pure: any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec_internal.h"
#include "api/managed_internal.h"
#include "api/object.h"
#include "api/status.h"
#include "base/str.h"

#define BEFORE_FIRST_APPLY "before-first-apply"
#define KUBECTL "kubectl"

/* --- conflicts */

struct conflicts {
        struct kc_manager *managers; /* in the order of messages */
        const struct kc_fieldset **sets;
        size_t n, total;
};

static void print_manager(struct kc_buf *b, const struct kc_manager *x)
{
        kc_quote_add(b, x->name);
        if (!kc_str_empty(x->subresource)) {
                kc_buf_adds(b, " with subresource ");
                kc_quote_add(b, x->subresource);
        }
        if (!x->applied)
                kc_buf_addf(b, " using %s", x->api_version);
}

struct printing {
        struct kc_error *err;
        struct kc_buf *list; /* "- .a\n- .b\n" */
        const char *cause;
};

static void print_path(const struct kc_path_element *path, size_t n, void *arg)
{
        struct printing *p = arg;
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        for (size_t i = 0; i < n; i++)
                kc_path_element_format(&text, &path[i]);
        kc_error_add_cause(p->err, "FieldManagerConflict", kc_buf_str(&text), p->cause);
        kc_buf_addf(p->list, "\n- %s", kc_buf_str(&text));
}

/* errors.NewApplyConflict */
static int conflict_error(const struct conflicts *c, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error causes = KC_ERROR_INIT;
        kc_buf_addf(&text, "Apply failed with %zu conflict%s: ", c->total, c->total == 1 ? "" : "s");
        for (size_t i = 0; i < c->n; i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf cause = KC_BUF_INIT;
                KC_CLEANUP(kc_buf_done) struct kc_buf list = KC_BUF_INIT;
                struct printing p = {.err = &causes, .list = &list};
                kc_buf_adds(&cause, "conflict with ");
                print_manager(&cause, &c->managers[i]);
                p.cause = kc_buf_str(&cause);
                kc_fieldset_each(c->sets[i], print_path, &p);
                if (c->total == 1) {
                        kc_buf_addf(&text, "%s: %s", kc_buf_str(&cause), kc_buf_str(&list) + strlen("\n- "));
                } else {
                        kc_buf_adds(&text, i ? "\nconflicts with " : "conflicts with ");
                        print_manager(&text, &c->managers[i]);
                        kc_buf_addf(&text, ":%s", kc_buf_str(&list));
                }
        }
        int r = kc_error_set_api(err, 409, KC_REASON_CONFLICT, "%s", kc_buf_str(&text));
        const struct kc_error_details *d = causes.details;
        for (size_t i = 0; err && d && i < d->n_causes; i++)
                kc_error_add_cause(err, d->causes[i].reason, d->causes[i].field, d->causes[i].message);
        return r;
}

/* Out of what each manager would lose; allowed is not counted. */
static void collect(
    struct kc_managers *m, const struct kc_fieldset **lost, const struct kc_fieldset *allowed, struct conflicts *ret)
{
        *ret = (struct conflicts){0};
        ret->managers = kc_arena_alloc(&m->arena, m->n * sizeof(*ret->managers));
        ret->sets = kc_arena_alloc(&m->arena, m->n * sizeof(*ret->sets));
        for (size_t i = 0; i < m->n; i++) {
                const struct kc_fieldset *set = kc_fieldset_difference(&m->arena, lost[i], allowed);
                if (!set)
                        continue;
                size_t at = ret->n++;
                for (; at > 0 && strcmp(ret->managers[at - 1].name, m->v[i].name) > 0; at--) {
                        ret->managers[at] = ret->managers[at - 1];
                        ret->sets[at] = ret->sets[at - 1];
                }
                ret->managers[at] = m->v[i];
                ret->sets[at] = set;
                ret->total += kc_fieldset_size(set);
        }
}

/* --- what client-side apply has left: fields that it applied and that are still so may be taken over */

static const struct kc_fieldset *last_applied(struct kc_managers *m, const struct kc_managed_kind *k,
    const struct json_object *live, struct json_object **ret_own)
{
        const char *text = kc_meta_annotation(live, KC_LAST_APPLIED);
        struct kc_structured_diff diff;
        if (kc_str_empty(text) || kc_json_parse(text, strlen(text), NULL, ret_own, NULL) < 0)
                return NULL;
        if (!kc_streq(kc_json_str(*ret_own, "apiVersion"), k->api_version) ||
            kc_structured_check(*ret_own, k->type, NULL) < 0)
                return NULL;
        struct kc_arena *a = &m->arena;
        const struct kc_fieldset *set = kc_structured_set(a, *ret_own, k->type);
        kc_structured_compare(a, *ret_own, live, k->type, &diff);
        set = kc_fieldset_difference(a, set, diff.modified);
        set = kc_fieldset_difference(a, set, diff.added);
        return kc_fieldset_difference(a, set, diff.removed);
}

static int check_conflicts(struct kc_managers *m, const struct kc_managed_kind *k, const struct kc_managed_apply *o,
    const struct json_object *live, const struct json_object *merged, const struct kc_manager *self,
    struct kc_error *err)
{
        const struct kc_fieldset **lost = kc_arena_alloc(&m->arena, m->n * sizeof(const struct kc_fieldset *));
        KC_CLEANUP(kc_json_freep) struct json_object *last = NULL;
        struct conflicts c;
        kc_managed_take(m, k, live, merged, self, lost, NULL);
        collect(m, lost, NULL, &c);
        if (c.n > 0 && strcmp(o->manager, KUBECTL) == 0)
                collect(m, lost, last_applied(m, k, live, &last), &c);
        return c.n > 0 ? conflict_error(&c, err) : 0;
}

void kc_managed_sync_last_applied(struct json_object *obj, const struct json_object *config)
{
        enum { MAX_ANNOTATIONS = 256 << 10 };
        if (kc_str_empty(kc_meta_annotation(obj, KC_LAST_APPLIED)))
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(config);
        struct json_object *annotations = kc_json_at_mut(copy, "metadata.annotations");
        kc_json_del(annotations, KC_LAST_APPLIED);
        /* An unstructured object without annotations has none. */
        if (annotations && kc_json_n_keys(annotations) == 0)
                kc_json_del(kc_json_get_mut(copy, "metadata"), "annotations");
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        kc_json_write_sorted(&text, copy);
        kc_buf_addc(&text, '\n');
        struct json_object *of_obj = kc_json_at_mut(obj, "metadata.annotations");
        kc_json_set_str(of_obj, KC_LAST_APPLIED, kc_buf_str(&text));
        size_t size = 0;
        KC_JSON_FOREACH(of_obj, key, val)
        size += strlen(key) + strlen(kc_json_as_str(val) ? kc_json_as_str(val) : "");
        if (size > MAX_ANNOTATIONS)
                kc_json_del(of_obj, KC_LAST_APPLIED);
}

/* --- apply */

/* An object that nobody has tracked: all that it has is somebody's from before. */
static void track(struct kc_managers *m, const struct kc_managed_kind *k, const struct kc_managed_apply *o,
    const struct json_object *live)
{
        KC_CLEANUP(kc_json_freep) struct json_object *zero = NULL;
        if (m->n > 0 || !o->exists)
                return;
        zero = kc_codec_zero(k->type);
        kc_managed_update(m, k, zero, live, BEFORE_FIRST_APPLY, o->now);
}

int kc_managed_apply(struct kc_managers *m, const struct kc_managed_kind *k, const struct kc_managed_apply *o,
    const struct json_object *live, const struct json_object *config, struct json_object **ret, struct kc_error *err)
{
        struct kc_arena *a = &m->arena;
        struct kc_manager like = {.name = o->manager,
                              .api_version = k->api_version,
                              .subresource = k->subresource,
                              .applied = true},
                          last = {0};
        track(m, k, o, live);
        kc_managed_reconcile(m, k, live);
        const struct kc_manager *before = kc_managers_find(m, &like);
        if (before)
                last = *before;
        like.time = last.time;
        like.set = kc_managed_filter(a, k, kc_structured_set(a, config, k->type));
        struct kc_manager *self = kc_managers_put(m, &like);
        KC_CLEANUP(kc_json_freep)
        struct json_object *merged =
            kc_managed_prune(m, k, kc_structured_merge(live, config, k->type), self, before ? &last : NULL);
        int r = o->force ? 0 : check_conflicts(m, k, o, live, merged, self, err);
        if (r < 0)
                return r;
        kc_managed_take(m, k, live, merged, self, NULL, NULL);
        self = kc_managers_find(m, &like);
        bool changed = !kc_structured_equal(live, merged);
        if (self) {
                self->set = kc_managed_strip(a, self->set);
                if (changed)
                        self->time = kc_managers_time(m, o->now);
                else if (before && kc_streq(last.api_version, self->api_version) &&
                         kc_fieldset_equal(self->set, last.set))
                        self->source = last.source;
                if (kc_fieldset_empty(self->set))
                        kc_managers_remove(m, (size_t)(self - m->v));
        }
        *ret = changed ? KC_TAKE(merged) : NULL;
        return 0;
}
