/* JSON Patch (RFC 6902) as the library behind upstream applies it: negative indexes count from the end, and a test for
 * null passes where there is nothing. Pure functions: any thread. */
#include "api/patch.h"

#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

/* What all copies of one patch may add, in bytes of JSON. */
enum { MAX_OPERATIONS = 10000, MAX_COPIED = 3 << 20 };

/* A JSON pointer resolved up to its last token. */
struct place {
        struct json_object *parent; /* NULL: the document itself */
        char *token;
};

static void place_done(struct place *p)
{
        kc_free(p->token);
}

/* Everything that cannot be applied is the same to a client. */
static int rejected(struct kc_error *err)
{
        return kc_error_set_api(
            err, 422, KC_REASON_INVALID, "the server rejected our request due to an error in our request");
}

static char *unescape(const char *s, size_t len)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < len; i++) {
                if (s[i] == '~' && i + 1 < len && (s[i + 1] == '0' || s[i + 1] == '1'))
                        kc_buf_addc(&b, s[++i] == '0' ? '~' : '/');
                else
                        kc_buf_addc(&b, s[i]);
        }
        return kc_buf_take_str(&b);
}

/* An index of an array that holds n elements. */
static bool parse_index(const char *token, size_t n, size_t *ret)
{
        int64_t i;
        if (kc_str_to_i64(token, &i) < 0)
                return false;
        if (i < 0)
                i += (int64_t)n;
        if (i < 0 || i >= (int64_t)n)
                return false;
        *ret = (size_t)i;
        return true;
}

/* The child, which may be null; false if there is none. */
static bool get_child(struct json_object *parent, const char *token, struct json_object **ret)
{
        size_t i;
        if (kc_json_is_obj(parent))
                return json_object_object_get_ex(parent, token, ret);
        if (!kc_json_is_arr(parent) || !parse_index(token, kc_json_len(parent), &i))
                return false;
        *ret = json_object_array_get_idx(parent, i);
        return true;
}

static bool resolve(struct json_object *doc, const char *path, struct place *ret)
{
        *ret = (struct place){0};
        if (!*path)
                return true;
        if (*path != '/')
                return false;
        struct json_object *at = doc;
        for (const char *s = path + 1;;) {
                size_t len = strcspn(s, "/");
                char *token = unescape(s, len);
                if (!s[len]) {
                        *ret = (struct place){.parent = at, .token = token};
                        return kc_json_is_obj(at) || kc_json_is_arr(at);
                }
                bool found = get_child(at, token, &at);
                kc_free(token);
                if (!found)
                        return false;
                s += len + 1;
        }
}

static bool read_place(struct json_object *doc, const struct place *p, struct json_object **ret)
{
        if (!p->parent) {
                *ret = doc;
                return true;
        }
        return get_child(p->parent, p->token, ret);
}

static void set_root(struct json_object **doc, struct json_object *take_v)
{
        kc_json_free(*doc);
        *doc = take_v;
}

/* Puts v before element i of the array; i may be its length. */
static bool insert(struct json_object *array, size_t i, struct json_object *take_v)
{
        size_t n = kc_json_len(array);
        kc_json_push(array, NULL);
        for (; n > i; n--) {
                struct json_object *moved = json_object_array_get_idx(array, n - 1);
                if (json_object_array_put_idx(array, n, json_object_get(moved)) < 0) {
                        kc_json_free(moved);
                        kc_json_free(take_v);
                        return false;
                }
        }
        return json_object_array_put_idx(array, i, take_v) == 0;
}

static bool add(struct json_object **doc, const struct place *p, struct json_object *take_v)
{
        size_t i;
        if (!p->parent) {
                set_root(doc, take_v);
        } else if (kc_json_is_obj(p->parent)) {
                kc_json_set(p->parent, p->token, take_v);
        } else if (strcmp(p->token, "-") == 0) {
                kc_json_push(p->parent, take_v);
        } else if (parse_index(p->token, kc_json_len(p->parent) + 1, &i)) {
                return insert(p->parent, i, take_v);
        } else {
                kc_json_free(take_v);
                return false;
        }
        return true;
}

static bool replace(struct json_object **doc, const struct place *p, struct json_object *take_v)
{
        struct json_object *old;
        size_t i;
        if (!read_place(*doc, p, &old)) {
                kc_json_free(take_v);
                return false;
        }
        if (!p->parent)
                set_root(doc, take_v);
        else if (kc_json_is_obj(p->parent))
                kc_json_set(p->parent, p->token, take_v);
        else if (parse_index(p->token, kc_json_len(p->parent), &i))
                return json_object_array_put_idx(p->parent, i, take_v) == 0;
        return true;
}

static bool remove_at(const struct place *p)
{
        struct json_object *old;
        size_t i;
        if (!p->parent || !get_child(p->parent, p->token, &old))
                return false;
        if (kc_json_is_obj(p->parent)) {
                kc_json_del(p->parent, p->token);
                return true;
        }
        return parse_index(p->token, kc_json_len(p->parent), &i) && json_object_array_del_idx(p->parent, i, 1) == 0;
}

static size_t json_size(const struct json_object *o)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, o);
        size_t n = b.len;
        kc_buf_done(&b);
        return n;
}

/* move and copy. The target is resolved after the source is gone, as the RFC has it. */
static bool transfer(
    struct json_object **doc, const struct json_object *op, const char *path, bool is_move, size_t *copied)
{
        const char *from = kc_json_str(op, "from");
        struct place source, target;
        struct json_object *v = NULL, *copy = NULL;
        bool ok = from && resolve(*doc, from, &source);
        if (!from)
                return false;
        if (ok && read_place(*doc, &source, &v)) {
                copy = kc_json_copy(v);
                ok = !is_move || remove_at(&source);
                if (!is_move)
                        ok = (*copied += json_size(v)) <= MAX_COPIED;
        } else {
                ok = false;
        }
        place_done(&source);
        if (!ok) {
                kc_json_free(copy);
                return false;
        }
        ok = resolve(*doc, path, &target);
        if (ok)
                ok = add(doc, &target, copy);
        else
                kc_json_free(copy);
        place_done(&target);
        return ok;
}

static bool test(struct json_object *doc, const struct place *p, const struct json_object *want)
{
        struct json_object *v = NULL;
        if (!read_place(doc, p, &v))
                return want == NULL && kc_json_is_obj(p->parent);
        return kc_json_equal(v, want);
}

static bool apply(struct json_object **doc, const struct json_object *op, size_t *copied)
{
        const char *name = kc_json_str(op, "op"), *path = kc_json_str(op, "path");
        const struct json_object *value = kc_json_get(op, "value");
        if (!name || !path)
                return false;
        if (strcmp(name, "move") == 0 || strcmp(name, "copy") == 0)
                return transfer(doc, op, path, *name == 'm', copied);
        struct place p;
        bool ok = resolve(*doc, path, &p);
        if (ok && strcmp(name, "add") == 0)
                ok = add(doc, &p, kc_json_copy(value));
        else if (ok && strcmp(name, "replace") == 0)
                ok = replace(doc, &p, kc_json_copy(value));
        else if (ok && strcmp(name, "remove") == 0)
                ok = remove_at(&p);
        else if (ok && strcmp(name, "test") == 0)
                ok = test(*doc, &p, value);
        else
                ok = false;
        place_done(&p);
        return ok;
}

int kc_patch_json(struct json_object **doc, const struct json_object *ops, struct kc_error *err)
{
        size_t n = kc_json_len(ops), copied = 0;
        if (!kc_json_is_arr(ops))
                return kc_err_bad_request(err, "json: cannot unmarshal %s into Go value of type jsonpatch.Patch",
                    kc_json_is_obj(ops)   ? "object"
                    : kc_json_as_str(ops) ? "string"
                                          : "value");
        if (n > MAX_OPERATIONS)
                return kc_error_set_api(err, 413, KC_REASON_REQUEST_ENTITY_TOO_LARGE,
                    "Request entity too large: The allowed maximum operations in a JSON patch is %d, got %zu",
                    MAX_OPERATIONS, n);
        for (size_t i = 0; i < n; i++) {
                if (!kc_json_is_obj(kc_json_idx(ops, i)))
                        return kc_err_bad_request(
                            err, "json: cannot unmarshal value into Go value of type jsonpatch.Operation");
        }
        for (size_t i = 0; i < n; i++) {
                if (!apply(doc, kc_json_idx(ops, i), &copied))
                        return rejected(err);
        }
        return 0;
}
