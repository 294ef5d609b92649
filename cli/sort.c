/* --sort-by, as kubectl compares: times, quantities, numbers, and strings in natural order (p2 before p10). Stable. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/quantity.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/printer_object.h"
#include "json/jsonpath.h"

struct sortable {
        struct json_object *element;
        const struct json_object *value; /* NULL: the field is not there */
        size_t at;
};

/* Runs of digits compare as numbers. */
static int natural_order(const char *a, const char *b)
{
        while (*a && *b) {
                if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
                        while (*a == '0' && isdigit((unsigned char)a[1]))
                                a++;
                        while (*b == '0' && isdigit((unsigned char)b[1]))
                                b++;
                        size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
                        int c = na != nb ? (na < nb ? -1 : 1) : strncmp(a, b, na);
                        if (c)
                                return c;
                        a += na;
                        b += nb;
                } else if (*a != *b) {
                        return (unsigned char)*a - (unsigned char)*b;
                } else {
                        a++;
                        b++;
                }
        }
        return (unsigned char)*a - (unsigned char)*b;
}

static int compare_strings(const char *a, const char *b)
{
        kc_time ta, tb;
        struct kc_quantity qa, qb;
        if (kc_time_parse(a, &ta) == 0 && kc_time_parse(b, &tb) == 0)
                return ta < tb ? -1 : ta > tb;
        if (kc_quantity_parse(a, &qa) == 0 && kc_quantity_parse(b, &qb) == 0)
                return kc_quantity_cmp(&qa, &qb);
        return natural_order(a, b);
}

static int compare_values(const struct json_object *a, const struct json_object *b)
{
        if (!a || !b)
                return (a != NULL) - (b != NULL); /* what has none comes first */
        enum json_type t = json_object_get_type(a);
        if (t == json_type_string && json_object_get_type(b) == json_type_string)
                return compare_strings(kc_json_as_str(a), kc_json_as_str(b));
        double x = json_object_get_double(a), y = json_object_get_double(b);
        return x < y ? -1 : x > y;
}

static int compare(const void *a, const void *b)
{
        const struct sortable *x = a, *y = b;
        int c = compare_values(x->value, y->value);
        return c ? c : x->at < y->at ? -1 : 1;
}

static int find_value(
    const struct kc_jsonpath *p, const struct json_object *o, const struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values values = {0};
        int r = kc_jsonpath_find(p, o, true, &values, err);
        *ret = r == 0 && values.n > 0 ? values.v[0] : NULL;
        return r;
}

int kc_sort_by(struct json_object *array, const char *path, bool rows, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *relaxed = NULL;
        KC_CLEANUP(kc_jsonpath_freep) struct kc_jsonpath *p = NULL;
        size_t n = kc_json_len(array);
        KC_CLEANUP(kc_freep) struct sortable *v = kc_calloc(n + 1, sizeof(*v));
        bool found = n == 0;
        int r = kc_jsonpath_relax(path, &relaxed, err);
        if (r == 0)
                r = kc_jsonpath_parse(relaxed, &p, err);
        for (size_t i = 0; i < n && r == 0; i++) {
                v[i] = (struct sortable){.element = kc_json_idx_mut(array, i), .at = i};
                r = find_value(p, rows ? kc_json_get(v[i].element, "object") : v[i].element, &v[i].value, err);
                found = found || v[i].value;
        }
        if (r < 0)
                return r;
        if (!found && !rows) /* kubectl forgives it in tables */
                return kc_error_set(
                    err, ENOENT, "couldn't find any field with path \"%s\" in the list of objects", relaxed);
        qsort(v, n, sizeof(*v), compare);
        for (size_t i = 0; i < n; i++)
                v[i].element = kc_json_copy(v[i].element);
        for (size_t i = 0; i < n; i++)
                json_object_array_put_idx(array, i, v[i].element);
        return 0;
}
