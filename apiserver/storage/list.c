/* GET and LIST: from the index as it is, from one kept for a paginated list, or, for old revisions, from the store. Any
 * thread; blocks where it says so. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/cache_internal.h"
#include "storage/token.h"

enum { LIST_STORE_PAGE = 500 };

int kc_cache_get(struct kc_cache_resource *r, const char *ns, const char *name, const struct kc_cache_read *read,
    struct kc_cache_entry **ret, int64_t *ret_revision, struct kc_error *err)
{
        int result = kc_cache_wait(r, read, err);
        if (result < 0)
                return result;
        KC_CLEANUP(kc_error_done) struct kc_error e = KC_ERROR_INIT;
        struct index_root *root = cache_resource_snapshot(r, ret_revision, &e);
        if (!root) {
                result = -e.errnum;
                if (err)
                        kc_error_move(err, &e);
                return result;
        }
        KC_CLEANUP(kc_freep) char *key = kc_cache_resource_key(r, r->namespaced ? ns : NULL, name);
        struct kc_cache_entry *found = index_get(root, key);
        if (found)
                *ret = kc_cache_entry_ref(found);
        else
                result = kc_error_set(err, ENOENT, "no key %s", key);
        index_unref(root);
        return result;
}

void kc_cache_list_done(struct kc_cache_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_cache_entry_unref(l->v[i]);
        kc_free(l->v);
        kc_free(l->continue_token);
        *l = (struct kc_cache_list){0};
}

/* A list being made. */
struct making {
        struct kc_cache_resource *r;
        const struct kc_cache_list_opts *o;
        size_t limit;
        char *scope;    /* prefix of the keys that are asked for */
        char *from_key; /* the first one */
        struct kc_cache_list *ret;
        size_t cap;
};

static void add(struct making *m, struct kc_cache_entry *take_e)
{
        struct kc_cache_list *l = m->ret;
        if (l->n == m->cap) {
                m->cap = m->cap ? m->cap * 2 : 64;
                l->v = kc_reallocarray(l->v, m->cap, sizeof(struct kc_cache_entry *));
        }
        l->v[l->n++] = take_e;
}

static bool wanted(const struct making *m, const struct kc_cache_entry *e)
{
        if (m->o->name && strcmp(m->o->name, kc_cache_entry_name(e)) != 0)
                return false;
        return !m->o->match || m->o->match(e, m->o->match_arg);
}

static bool full(const struct making *m)
{
        return m->limit > 0 && m->ret->n == m->limit;
}

/* The page is full and there may be more behind last. */
static void to_be_continued(struct making *m, const char *last, int64_t remaining)
{
        m->ret->continue_token = list_token_encode(last, m->r->prefix, m->ret->revision);
        m->ret->remaining = m->o->match || m->o->name ? -1 : remaining;
}

/* --- From an index */

/* The position behind all keys of the scope. */
static struct index_pos scope_end(const struct index_root *root, const char *scope)
{
        KC_CLEANUP(kc_freep) char *end = kc_strdup(scope);
        end[strlen(end) - 1]++; /* a slash, or the end of a name: never 0xff */
        return index_seek(root, end);
}

static bool before(struct index_pos a, struct index_pos b)
{
        return a.leaf < b.leaf || (a.leaf == b.leaf && a.at < b.at);
}

static void list_index(struct making *m, const struct index_root *root)
{
        struct index_pos pos = index_seek(root, m->from_key), end = scope_end(root, m->scope);
        while (before(pos, end)) {
                struct kc_cache_entry *e = index_next(root, &pos);
                if (!wanted(m, e))
                        continue;
                add(m, kc_cache_entry_ref(e));
                if (full(m) && before(pos, end)) {
                        to_be_continued(m, kc_cache_entry_key(e), (int64_t)index_between(root, pos, end));
                        return;
                }
        }
}

/* --- From the store */

static int list_store(struct making *m, int64_t revision, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *from = kc_strdup(m->from_key);
        m->ret->revision = revision;
        for (;;) {
                struct kc_store_list page;
                struct kc_store_list_opts so = {
                    .prefix = m->scope,
                    .from_key = from,
                    .limit = m->limit && !m->o->match && !m->o->name ? m->limit : LIST_STORE_PAGE,
                    .revision = revision,
                };
                int r = kc_store_list(m->r->cache->store, &so, &page, err);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < page.n; i++) {
                        struct kc_store_kv *kv = &page.kvs[i];
                        struct kc_cache_entry *e;
                        if (cache_resource_entry(m->r, kv->key, kc_bytes_data(kv->value), kc_bytes_len(kv->value),
                                kv->mod_revision, &e, NULL) < 0)
                                continue; /* the load has complained about it */
                        if (!wanted(m, e)) {
                                kc_cache_entry_unref(e);
                                continue;
                        }
                        add(m, e);
                        bool more = i + 1 < page.n || page.more;
                        if (full(m) && more) {
                                to_be_continued(m, kv->key, page.count - (int64_t)i - 1);
                                kc_store_list_done(&page);
                                return 0;
                        }
                }
                bool more = page.more && page.n > 0;
                if (more) {
                        kc_free(from);
                        from = kc_asprintf("%s\x01", page.kvs[page.n - 1].key);
                }
                kc_store_list_done(&page);
                if (!more)
                        return 0;
        }
}

/* As it was at the revision: from a kept index, or from the store. */
static int list_exact(struct making *m, int64_t revision, struct kc_error *err)
{
        struct index_root *root = cache_resource_kept(m->r, revision);
        if (!root)
                return list_store(m, revision, err);
        m->ret->revision = revision;
        list_index(m, root);
        index_unref(root);
        return 0;
}

/* As it is. */
static int list_now(struct making *m, const struct kc_cache_read *read, struct kc_error *err)
{
        int r = kc_cache_wait(m->r, read, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_error_done) struct kc_error e = KC_ERROR_INIT;
        struct index_root *root = cache_resource_snapshot(m->r, &m->ret->revision, &e);
        if (!root) {
                r = -e.errnum;
                if (err)
                        kc_error_move(err, &e);
                return r;
        }
        list_index(m, root);
        if (m->ret->continue_token)
                cache_resource_keep(m->r, root, m->ret->revision);
        index_unref(root);
        return 0;
}

/* --- Pages */

static int list_continued(struct making *m, struct kc_error *err)
{
        struct list_token token;
        int r = list_token_decode(m->o->continue_token, m->r->prefix, &token, err);
        if (r < 0)
                return r;
        if (strcmp(token.from_key, m->scope) > 0) {
                kc_free(m->from_key);
                m->from_key = KC_TAKE(token.from_key);
        }
        kc_free(token.from_key);
        if (token.revision < 0)
                return list_now(m, &(struct kc_cache_read){.match = KC_CACHE_CONSISTENT}, err);
        KC_CLEANUP(kc_error_done) struct kc_error e = KC_ERROR_INIT;
        r = list_exact(m, token.revision, &e);
        if (r == -ESTALE) {
                kc_cache_list_done(m->ret);
                m->ret->continue_token = list_token_encode(m->from_key, m->r->prefix, -1);
                return kc_err_gone(err,
                    "The provided continue parameter is too old to display a consistent list result. You can start a "
                    "new "
                    "list without the continue parameter, or use the continue token in this response to retrieve the "
                    "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                    "objects that were created, modified, or deleted between the time the first chunk was returned and "
                    "now may show up in the list.");
        }
        if (r < 0 && err)
                kc_error_move(err, &e);
        return r;
}

static int list_at(struct making *m, int64_t revision, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error e = KC_ERROR_INIT;
        struct kc_cache_read read = {.match = KC_CACHE_NOT_OLDER, .revision = revision};
        int r = kc_cache_wait(m->r, &read, &e);
        if (r == 0)
                r = list_exact(m, revision, &e);
        if (r == -ESTALE)
                return kc_err_gone(err, "The resourceVersion for the provided list is too old.");
        if (r < 0 && err)
                kc_error_move(err, &e);
        return r;
}

int kc_cache_list(
    struct kc_cache_resource *r, const struct kc_cache_list_opts *o, struct kc_cache_list *ret, struct kc_error *err)
{
        *ret = (struct kc_cache_list){.remaining = -1};
        struct making m = {.r = r, .o = o, .limit = o->limit, .ret = ret};
        m.scope = o->name && (!r->namespaced || !kc_str_empty(o->ns)) ? kc_cache_resource_key(r, o->ns, o->name)
                                                                      : cache_resource_scope(r, o->ns);
        m.from_key = kc_strdup(m.scope);
        int result;
        if (!kc_str_empty(o->continue_token)) {
                result = list_continued(&m, err);
        } else if (o->read.match == KC_CACHE_EXACT) {
                result = list_at(&m, o->read.revision, err);
        } else {
                if (o->read.match == KC_CACHE_NOT_OLDER && o->read.revision == 0)
                        m.limit = 0;
                result = list_now(&m, &o->read, err);
        }
        kc_free(m.scope);
        kc_free(m.from_key);
        if (result < 0 && result != -ESTALE)
                kc_cache_list_done(ret);
        return result;
}
