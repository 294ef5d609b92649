/* A FieldsV1 and two Pods as JSON on three lines: what can be read is written in one form only, the algebra holds, and
 * whatever two objects are, comparing, merging and pruning them ends well; applying twice is applying once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "api/managed.h"
#include "api/structured.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kc_json_limits limits = {.max_bytes = 1 << 14, .max_depth = 20, .max_nodes = 500};

static void check(bool ok)
{
        if (!ok)
                abort();
}

/* The next line as a tree of the caller's, or NULL. */
static struct json_object *line(const char **s, const char *end)
{
        const char *nl = *s < end ? memchr(*s, '\n', (size_t)(end - *s)) : NULL, *stop = nl ? nl : end;
        struct json_object *o = NULL;
        int r = kc_json_parse(*s, (size_t)(stop - *s), &limits, &o, NULL);
        *s = nl ? nl + 1 : end;
        return r == 0 ? o : NULL;
}

static const struct kc_fieldset *read_fields(struct kc_arena *a, const struct json_object *tree)
{
        const struct kc_fieldset *set = NULL, *again = NULL;
        if (kc_fieldset_decode(a, tree, &set, NULL) < 0)
                return NULL;
        struct kc_buf text = KC_BUF_INIT;
        struct json_object *parsed = NULL;
        kc_fieldset_write(&text, set);
        check(kc_json_parse(kc_buf_str(&text), text.len, NULL, &parsed, NULL) == 0);
        check(kc_fieldset_decode(a, parsed, &again, NULL) == 0);
        check(kc_fieldset_equal(set, again));
        struct json_object *encoded = kc_fieldset_encode(set);
        char *first = kc_json_to_str(encoded);
        check(strcmp(first, kc_buf_str(&text)) == 0);
        kc_free(first);
        kc_json_free(encoded);
        kc_json_free(parsed);
        kc_buf_done(&text);
        return set;
}

static void laws(struct kc_arena *a, const struct kc_fieldset *x, const struct kc_fieldset *y)
{
        const struct kc_fieldset *both = kc_fieldset_union(a, x, y), *common = kc_fieldset_intersection(a, x, y);
        const struct kc_fieldset *less = kc_fieldset_difference(a, x, y);
        check(kc_fieldset_size(both) + kc_fieldset_size(common) == kc_fieldset_size(x) + kc_fieldset_size(y));
        check(kc_fieldset_equal(kc_fieldset_union(a, less, common), x));
        check(kc_fieldset_empty(kc_fieldset_intersection(a, less, y)));
        check(kc_fieldset_empty(kc_fieldset_difference(a, kc_fieldset_leaves(a, x), x)));
}

/* Who owns something empty is taken to own what comes into it, upstream's way: the law does not hold then. */
static bool has_empty(const struct json_object *o)
{
        if (!o || (kc_json_is_obj(o) && kc_json_n_keys(o) == 0) || (kc_json_is_arr(o) && kc_json_len(o) == 0))
                return true;
        for (size_t i = 0; i < kc_json_len(o); i++)
                if (has_empty(kc_json_idx(o, i)))
                        return true;
        KC_JSON_FOREACH(o, key, value)
        {
                if (has_empty(value))
                        return true;
        }
        return false;
}

static void apply_twice(const struct json_object *live, const struct json_object *config, const struct kc_type *type)
{
        const struct kc_managed_kind k = {.type = type, .api_version = "v1", .kind = "Pod", .subresource = ""};
        const struct kc_managed_apply o = {.manager = "a", .force = true, .exists = true};
        struct kc_managers m = {0};
        struct json_object *once = NULL, *twice = NULL;
        check(kc_managed_apply(&m, &k, &o, live, config, &once, NULL) == 0);
        check(kc_managed_apply(&m, &k, &o, once ? once : live, config, &twice, NULL) == 0);
        check(!twice || has_empty(config));
        kc_json_free(twice);
        kc_managers_done(&m);
        kc_json_free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct kc_type *type = kc_schema_kind("", "v1", "Pod")->type;
        const char *s = (const char *)data, *end = s + size;
        struct json_object *fields = line(&s, end), *live = line(&s, end), *config = line(&s, end);
        struct kc_arena a = KC_ARENA_INIT;
        const struct kc_fieldset *set = read_fields(&a, fields);
        if (kc_json_is_obj(live) && kc_json_is_obj(config) && kc_codec_decode(live, type, NULL, NULL) == 0) {
                const struct kc_fieldset *of_live = kc_structured_set(&a, live, type);
                laws(&a, set, of_live);
                laws(&a, of_live, set);
                kc_json_free(kc_structured_remove(live, set, type));
                (void)kc_structured_reconcile(&a, set, live, type);
                if (kc_structured_check(config, type, NULL) == 0)
                        apply_twice(live, config, type);
        }
        kc_arena_done(&a);
        kc_json_free(fields);
        kc_json_free(live);
        kc_json_free(config);
        return 0;
}
