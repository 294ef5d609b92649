/* A document and a patch as JSON on two lines: whatever the patch, the document stays a tree; the merge patch between
 * two objects turns the one into the other; what kubectl apply computes applies. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/patch.h"
#include "api/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

static const struct kc_json_limits limits = {.max_bytes = 1 << 14, .max_depth = 20, .max_nodes = 500};

/* Tree of the caller's, or NULL. */
static struct json_object *parse(const char *s, size_t len)
{
        struct json_object *o = NULL;
        return kc_json_parse(s, len, &limits, &o, NULL) == 0 ? o : NULL;
}

static bool has_null(const struct json_object *o)
{
        if (!o)
                return true;
        KC_JSON_FOREACH(o, key, value)
        {
                if (has_null(value))
                        return true;
        }
        return false;
}

static void apply_each(const struct json_object *doc, const struct json_object *patch, const struct kc_type *type)
{
        struct json_object *a = kc_json_copy(doc), *b = kc_json_copy(doc), *c = kc_json_copy(doc);
        (void)kc_patch_json(&a, patch, NULL); /* whether they apply is not the question */
        if (kc_patch_merge(&b, patch, NULL) == 0) {
                struct json_object *once = kc_json_copy(b);
                check(kc_patch_merge(&b, patch, NULL) == 0);
                check(kc_json_equal(once, b));
                kc_json_free(once);
        }
        (void)kc_patch_strategic(&c, patch, type, NULL);
        kc_json_free(a);
        kc_json_free(b);
        kc_json_free(c);
}

static void differences(const struct json_object *a, const struct json_object *b, const struct kc_type *type)
{
        struct json_object *target = kc_json_copy(a), *patch = kc_patch_merge_diff(a, b), *three = NULL;
        if (patch && !has_null(a) && !has_null(b)) {
                check(kc_patch_merge(&target, patch, NULL) == 0);
                check(kc_json_equal(target, b));
        }
        kc_json_free(patch);
        kc_json_free(target);
        if (kc_patch_three_way_strategic(a, b, a, type, &three, NULL) == 0) {
                target = kc_json_copy(a);
                (void)kc_patch_strategic(&target, three, type, NULL); /* directives in a or b may be wrong */
                kc_json_free(target);
                kc_json_free(three);
        }
        if (kc_patch_three_way_merge(a, b, a, &three, NULL) == 0)
                kc_json_free(three);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *s = (const char *)data, *line = size ? memchr(s, '\n', size) : NULL;
        if (!line)
                return 0;
        const struct kc_type *type = kc_schema_kind("", "v1", "Pod")->type;
        struct json_object *doc = parse(s, (size_t)(line - s));
        struct json_object *patch = parse(line + 1, size - (size_t)(line + 1 - s));
        if (kc_json_is_obj(doc)) {
                apply_each(doc, patch, type);
                if (kc_json_is_obj(patch))
                        differences(doc, patch, type);
        }
        kc_json_free(doc);
        kc_json_free(patch);
        return 0;
}
