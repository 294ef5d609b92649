/* ResourceSlices: what a driver says about its devices. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/validation_devices.h"
#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

enum {
        MAX_DEVICES = 128,
        MAX_ADVANCED_DEVICES = 64, /* with taints, counters or lists of values */
        MAX_PROPERTIES = 32,
        MAX_VALUE = 64,
        MAX_TAINTS = 16,
        MAX_COUNTER_SETS = 8,
        MAX_COUNTERS = 32,
        MAX_CONSUMPTIONS = 2,
        MAX_VALUES = 10,
};

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

/* --- Attributes */

/* Skips an identifier; false if there is none at *s or if it is a number with leading zeros and those do not go. */
static bool identifier(const char **s, bool numeric_only, bool leading_zeros)
{
        const char *start = *s;
        bool number = true;
        while (isdigit((unsigned char)**s) || (!numeric_only && (isalpha((unsigned char)**s) || **s == '-'))) {
                number = number && isdigit((unsigned char)**s);
                (*s)++;
        }
        return *s > start && (leading_zeros || !number || *start != '0' || *s == start + 1);
}

static bool identifiers(const char **s, bool leading_zeros)
{
        bool valid = identifier(s, false, leading_zeros);
        while (valid && **s == '.') {
                (*s)++;
                valid = identifier(s, false, leading_zeros);
        }
        return valid;
}

static bool is_semver(const char *s)
{
        for (int i = 0; i < 3; i++) {
                if (i > 0 && *s++ != '.')
                        return false;
                if (!identifier(&s, true, false))
                        return false;
        }
        if (*s == '-') {
                s++;
                if (!identifiers(&s, false))
                        return false;
        }
        if (*s == '+') {
                s++;
                if (!identifiers(&s, true))
                        return false;
        }
        return !*s;
}

static void text_value(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *s = kc_json_as_str(o);
        const bool *is_version = arg;
        if (*is_version && !is_semver(s ? s : ""))
                kc_v_invalid_str(v, p, s ? s : "", "must be a string compatible with semver.org spec 2.0.0");
        if (s && strlen(s) > MAX_VALUE)
                kc_v_too_long(v, p, MAX_VALUE);
}

static void attribute(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const char *const keys[] = {"bool", "int", "string", "version", "bools", "ints", "strings", "versions"};
        int n = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++) {
                const struct json_object *value = kc_json_get(o, keys[i]);
                const struct kc_vpath *at = V_CHILD(p, keys[i]);
                bool is_version = kc_str_has_prefix(keys[i], "version");
                bool is_text = is_version || kc_str_has_prefix(keys[i], "string");
                if (!value)
                        continue;
                n++;
                if (is_text && !kc_json_is_arr(value))
                        text_value(v, at, value, &is_version);
                if (kc_json_is_arr(value) && kc_json_len(value) == 0)
                        kc_v_invalid(v, at, value, "must not be empty if specified");
                if (is_text && kc_json_is_arr(value))
                        kc_v_each(v, at, value, -1, text_value, &is_version);
        }
        if (n == 0)
                kc_v_invalid_str(v, p, "", "exactly one value must be specified");
        else if (n > 1)
                kc_v_invalid(v, p, o, "exactly one value must be specified");
}

/* --- Capacity */

/* "<before> <quantity>"; the value is that of q. */
static void invalid_quantity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q, const char *detail,
    const struct kc_quantity *other)
{
        char value[KC_QUANTITY_LEN], text[KC_QUANTITY_LEN];
        struct kc_quantity n = {0};
        (void)kc_v_read_quantity(q, &n); /* decoding saw to it */
        KC_CLEANUP(kc_freep)
        char *why = other ? kc_asprintf("%s%s", detail, kc_quantity_format(other, text)) : kc_strdup(detail);
        kc_v_invalid_str(v, p, kc_quantity_format(&n, value), why);
}

static void valid_values(struct kc_v *v, const struct kc_vpath *p, const struct json_object *policy,
    const struct kc_quantity *capacity, const struct kc_quantity *usual)
{
        const struct json_object *list = kc_json_get(policy, "validValues");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        struct kc_quantity before = {0}, n = {0};
        size_t len = kc_json_len(list);
        bool found = false;
        for (size_t i = 0; i < len; i++) {
                (void)kc_v_read_quantity(kc_json_idx(list, i), &n); /* decoding saw to it */
                if (i > 0 && kc_quantity_cmp(&before, &n) > 0)
                        invalid_quantity(
                            v, V_INDEX(p, i), kc_json_idx(list, i), "values must be sorted in ascending order", NULL);
                before = n;
        }
        if (len > MAX_VALUES)
                kc_v_too_many(v, p, len, MAX_VALUES);
        for (size_t i = 0; len <= MAX_VALUES && i < len; i++) {
                (void)kc_v_read_quantity(kc_json_idx(list, i), &n); /* decoding saw to it */
                if (kc_quantity_cmp(&n, capacity) > 0)
                        invalid_quantity(
                            v, V_INDEX(p, i), kc_json_idx(list, i), "option is larger than capacity value: ", capacity);
                found = found || kc_quantity_cmp(&n, usual) == 0;
        }
        for (size_t i = 0; len <= MAX_VALUES && i < len; i++) {
                (void)kc_v_read_quantity(kc_json_idx(list, i), &n); /* decoding saw to it */
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("%lld", (long long)kc_quantity_value(&n));
                if (!kc_v_first(seen, key))
                        kc_v_duplicate(v, V_INDEX(p, i), key);
        }
        if (!found)
                invalid_quantity(v, p, kc_json_get(policy, "default"),
                    "default value is not valid according to the requestPolicy", NULL);
}

/* q is the lower bound plus a multiple of step. */
static void on_step(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q,
    const struct kc_quantity *step, const struct kc_quantity *min)
{
        char by[KC_QUANTITY_LEN], from[KC_QUANTITY_LEN];
        struct kc_quantity n = {0};
        (void)kc_v_read_quantity(q, &n); /* decoding saw to it */
        int64_t distance = 0, width = kc_quantity_value(step);
        if (__builtin_sub_overflow(kc_quantity_value(&n), kc_quantity_value(min), &distance) || width <= 0 ||
            distance % width == 0)
                return;
        KC_CLEANUP(kc_freep)
        char *why = kc_asprintf("value is not a multiple of a given step (%s) from (%s)", kc_quantity_format(step, by),
            kc_quantity_format(min, from));
        invalid_quantity(v, p, q, why, NULL);
}

static void range_step(struct kc_v *v, const struct kc_vpath *p, const struct json_object *policy,
    const struct kc_quantity *capacity, const struct kc_quantity *min)
{
        const struct json_object *range = kc_json_get(policy, "validRange"), *o = kc_json_get(range, "step");
        const struct kc_vpath *at = V_CHILD(p, "step");
        char text[KC_QUANTITY_LEN];
        struct kc_quantity step = {0}, sum = *min;
        if (!kc_v_read_quantity(o, &step))
                return;
        if (step.nano <= 0) {
                invalid_quantity(v, at, o, "must be greater than zero", NULL);
                return;
        }
        kc_quantity_add(&sum, &step);
        KC_CLEANUP(kc_freep)
        char *why = kc_asprintf("one step %s is larger than capacity value: ", kc_quantity_format(&sum, text));
        if (kc_quantity_cmp(&sum, capacity) > 0)
                invalid_quantity(v, at, o, why, capacity);
        on_step(v, at, kc_json_get(policy, "default"), &step, min);
        if (kc_json_get(range, "max"))
                on_step(v, at, kc_json_get(range, "max"), &step, min);
}

static void valid_range(struct kc_v *v, const struct kc_vpath *p, const struct json_object *policy,
    const struct kc_quantity *capacity, const struct kc_quantity *usual)
{
        const struct json_object *range = kc_json_get(policy, "validRange"), *q = kc_json_get(policy, "default");
        const struct json_object *lower = kc_json_get(range, "min"), *upper = kc_json_get(range, "max");
        struct kc_quantity min = {0}, max = {0};
        if (!kc_v_read_quantity(lower, &min)) {
                kc_v_required(v, V_CHILD(p, "min"), "required when validRange is defined");
                return;
        }
        if (kc_quantity_cmp(&min, capacity) > 0)
                invalid_quantity(v, V_CHILD(p, "min"), lower, "min is larger than capacity value: ", capacity);
        if (kc_quantity_cmp(usual, &min) < 0)
                invalid_quantity(v, V_CHILD(p, "default"), q, "default is less than min: ", &min);
        if (kc_v_read_quantity(upper, &max)) {
                if (kc_quantity_cmp(&min, &max) > 0)
                        invalid_quantity(v, V_CHILD(p, "max"), lower, "min is larger than max: ", &max);
                if (kc_quantity_cmp(&max, capacity) > 0)
                        invalid_quantity(v, V_CHILD(p, "max"), upper, "max is larger than capacity value: ", capacity);
                if (kc_quantity_cmp(usual, &max) > 0)
                        invalid_quantity(v, V_CHILD(p, "default"), q, "default is more than max: ", &max);
        }
        range_step(v, p, policy, capacity, &min);
}

static void request_policy(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const struct kc_quantity *capacity)
{
        const struct json_object *range = kc_json_get(o, "validRange");
        bool has_values = kc_json_len(kc_json_get(o, "validValues")) > 0;
        struct kc_quantity usual = {0};
        bool has_default = kc_v_read_quantity(kc_json_get(o, "default"), &usual);
        if (has_values && range)
                kc_v_forbidden(v, p,
                    "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the "
                    "same time");
        else if (has_values && !has_default)
                kc_v_required(v, V_CHILD(p, "default"), "required when validValues is defined");
        else if (has_values)
                valid_values(v, V_CHILD(p, "validValues"), o, capacity, &usual);
        else if (range && !has_default)
                kc_v_required(v, V_CHILD(p, "default"), "required when validRange is defined");
        else if (range)
                valid_range(v, V_CHILD(p, "validRange"), o, capacity, &usual);
}

static void capacities(struct kc_v *v, const struct kc_vpath *p, const struct json_object *device)
{
        KC_JSON_FOREACH(kc_json_get(device, "capacity"), key, o)
        {
                const struct json_object *policy = kc_json_get(o, "requestPolicy");
                const struct kc_vpath *at = V_CHILD(V_KEY(p, key), "requestPolicy");
                struct kc_quantity capacity = {0};
                (void)kc_v_read_quantity(kc_json_get(o, "value"), &capacity); /* decoding saw to it */
                kc_v_device_qualified_name(v, p, key);
                if (policy && kc_json_bool(device, "allowMultipleAllocations", false))
                        request_policy(v, at, policy, &capacity);
                else if (policy)
                        kc_v_forbidden(v, at, "allowMultipleAllocations must be true");
        }
}

/* --- Devices */

static void taint(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        static const char *const effects[] = {"NoExecute", "NoSchedule", "None", NULL};
        (void)arg; /* none */
        kc_v_name(v, V_CHILD(p, "key"), kc_v_str(o, "key"), kc_name_label_key);
        kc_v_name(v, V_CHILD(p, "value"), kc_v_str(o, "value"), kc_name_label_value);
        kc_v_enum(v, V_CHILD(p, "effect"), kc_v_str(o, "effect"), effects);
}

/* Of a set, or of what a device takes from one; name: the key of its name. */
static void counters(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *name)
{
        const struct json_object *map = kc_json_get(o, "counters");
        kc_v_device_name(v, V_CHILD(p, name), kc_v_str(o, name));
        if (kc_json_n_keys(map) == 0)
                kc_v_required(v, V_CHILD(p, "counters"), "");
        if (kc_json_n_keys(map) > MAX_COUNTERS) {
                kc_v_too_many(v, V_CHILD(p, "counters"), kc_json_n_keys(map), MAX_COUNTERS);
                return;
        }
        KC_JSON_FOREACH(map, key, counter)
        {
                (void)counter; /* any quantity will do */
                kc_v_name(v, V_CHILD(p, "counters"), key, kc_name_dns1123_label);
        }
}

static void consumption(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        (void)arg; /* none */
        counters(v, p, o, "counterSet");
}

static void counter_set(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        (void)arg; /* none */
        counters(v, p, o, "name");
}

static const char unset_or_true[] = "must be either unset or set to true";

/* Appends the name of a field that is set. */
static void note_field(struct kc_buf *set, size_t *n, const char *key)
{
        kc_buf_addf(set, "%s`%s`", *n ? ", " : "", key);
        (*n)++;
}

/* What nodes the slice or device at p is for: notes which fields say so. */
static void nodes(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool is_slice, struct kc_buf *set, size_t *n)
{
        const char *node = kc_json_str(o, "nodeName");
        const struct json_object *selector = kc_json_get(o, "nodeSelector");
        const struct json_object *terms = kc_json_get(selector, "nodeSelectorTerms");
        const char *const flags[] = {"allNodes", is_slice ? "perDeviceNodeSelection" : NULL};
        if (node && *node) {
                note_field(set, n, "nodeName");
                kc_v_name(v, V_CHILD(p, "nodeName"), node, kc_name_dns1123_subdomain);
        } else if (node) {
                kc_v_invalid_str(v, V_CHILD(p, "nodeName"), node,
                    is_slice ? "must be either unset or set to a non-empty string" : "must not be empty");
        }
        if (selector) {
                note_field(set, n, "nodeSelector");
                kc_v_node_selector(v, V_CHILD(p, "nodeSelector"), selector);
                if (is_slice && kc_json_len(terms) != 1)
                        kc_v_invalid(v, V_CHILD2(p, "nodeSelector", "nodeSelectorTerms"), terms,
                            "must have exactly one node selector term");
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(flags) && flags[i]; i++) {
                if (kc_json_bool(o, flags[i], false))
                        note_field(set, n, flags[i]);
                else if (kc_json_get(o, flags[i]))
                        kc_v_invalid(v, V_CHILD(p, flags[i]), kc_json_get(o, flags[i]), unset_or_true);
        }
}

static void device_nodes(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool per_device)
{
        static const char one[] =
            "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set "
            "to true in the ResourceSlice spec";
        KC_CLEANUP(kc_buf_done) struct kc_buf set = KC_BUF_INIT;
        size_t n = 0;
        if (!per_device) {
                if (kc_json_get(o, "nodeName") || kc_json_get(o, "nodeSelector") || kc_json_get(o, "allNodes"))
                        kc_v_invalid(v, p, NULL,
                            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is "
                            "set to true in the ResourceSlice spec");
                return;
        }
        kc_buf_addf(&set, "{");
        nodes(v, p, o, false, &set, &n);
        kc_buf_addf(&set, "}");
        if (n == 0)
                kc_v_required(v, p, one);
        else if (n > 1)
                kc_v_invalid_str(v, p, kc_buf_str(&set), one);
}

struct slice {
        const struct json_object *spec;
        struct kc_map *before; /* the devices of the old one, by name */
};

/* arg: the slice. */
static void device(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const struct slice *slice = arg;
        const struct json_object *attributes = kc_json_get(o, "attributes");
        const char *name = kc_v_str(o, "name");
        const struct json_object *old = slice->before ? kc_map_get(slice->before, name) : NULL;
        size_t n = kc_json_n_keys(attributes) + kc_json_n_keys(kc_json_get(o, "capacity"));
        kc_v_device_name(v, V_CHILD(p, "name"), name);
        if (n > MAX_PROPERTIES)
                kc_v_invalid_int(v, p, (int64_t)n, "the total number of attributes and capacities must not exceed 32");
        KC_JSON_FOREACH(attributes, key, value)
        {
                kc_v_device_qualified_name(v, V_CHILD(p, "attributes"), key);
                attribute(v, V_KEY(V_CHILD(p, "attributes"), key), value);
        }
        if (!old || !kc_v_equal(kc_json_get(old, "capacity"), kc_json_get(o, "capacity")))
                capacities(v, V_CHILD(p, "capacity"), o);
        if (!old || !kc_v_equal(kc_json_get(old, "taints"), kc_json_get(o, "taints")))
                kc_v_each(v, V_CHILD(p, "taints"), kc_json_get(o, "taints"), MAX_TAINTS, taint, NULL);
        kc_v_each_of_set(v, V_CHILD(p, "consumesCounters"), kc_json_get(o, "consumesCounters"), MAX_CONSUMPTIONS,
            "counterSet", consumption, NULL);
        device_nodes(v, p, o, kc_json_bool(slice->spec, "perDeviceNodeSelection", false));
        kc_v_binding_conditions(v, p, o);
}

/* --- Slices */

static bool is_advanced(const struct json_object *devices)
{
        for (size_t i = 0; i < kc_json_len(devices); i++) {
                const struct json_object *o = kc_json_idx(devices, i);
                if (kc_json_len(kc_json_get(o, "taints")) > 0 || kc_json_len(kc_json_get(o, "consumesCounters")) > 0)
                        return true;
                KC_JSON_FOREACH(kc_json_get(o, "attributes"), key, value)
                {
                        (void)key; /* whatever it is called */
                        if (kc_json_get(value, "bools") || kc_json_get(value, "ints") ||
                            kc_json_get(value, "strings") || kc_json_get(value, "versions"))
                                return true;
                }
        }
        return false;
}

static void pool(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        int64_t count = kc_json_int(o, "resourceSliceCount", 0), generation = kc_json_int(o, "generation", 0);
        kc_v_pool_name(v, V_CHILD(p, "name"), kc_v_str(o, "name"));
        if (count <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "resourceSliceCount"), count, "must be greater than zero");
        if (generation < 0)
                kc_v_invalid_int(v, V_CHILD(p, "generation"), generation, "must be greater than or equal to zero");
}

static void slice_nodes(struct kc_v *v, const struct json_object *spec)
{
        static const char one[] =
            "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
        KC_CLEANUP(kc_buf_done) struct kc_buf set = KC_BUF_INIT;
        size_t n = 0;
        kc_buf_addf(&set, "{");
        nodes(v, &spec_path, spec, true, &set, &n);
        kc_buf_addf(&set, "}");
        KC_CLEANUP(kc_freep) char *several = kc_asprintf("%s, but multiple fields are set", one);
        if (n == 0)
                kc_v_required(v, &spec_path, one);
        else if (n > 1)
                kc_v_invalid_str(v, &spec_path, kc_buf_str(&set), several);
}

static void unchanged(struct kc_v *v, const struct json_object *spec, const struct json_object *old)
{
        kc_v_immutable(
            v, V_CHILD2(&spec_path, "pool", "name"), kc_json_at(spec, "pool.name"), kc_json_at(old, "pool.name"));
        kc_v_immutable(v, V_CHILD(&spec_path, "driver"), kc_json_get(spec, "driver"), kc_json_get(old, "driver"));
        kc_v_immutable(v, V_CHILD(&spec_path, "nodeName"), kc_json_get(spec, "nodeName"), kc_json_get(old, "nodeName"));
}

/* old: NULL on creation. */
static void slice_spec(struct kc_v *v, const struct json_object *spec, const struct json_object *old)
{
        const struct json_object *devices = kc_json_get(spec, "devices"), *sets = kc_json_get(spec, "sharedCounters");
        KC_CLEANUP(kc_map_freep) struct kc_map *before = old ? kc_v_index(kc_json_get(old, "devices"), "name") : NULL;
        const struct slice slice = {spec, before};
        kc_v_csi_driver_name(v, V_CHILD(&spec_path, "driver"), kc_v_str(spec, "driver"));
        pool(v, V_CHILD(&spec_path, "pool"), kc_json_get(spec, "pool"));
        if (old)
                unchanged(v, spec, old);
        slice_nodes(v, spec);
        if (sets && devices)
                kc_v_invalid_str(v, &spec_path, "", "only one of `sharedCounters` or `devices` is allowed");
        kc_v_each_of_set(v, V_CHILD(&spec_path, "devices"), devices,
            is_advanced(devices) ? MAX_ADVANCED_DEVICES : MAX_DEVICES, "name", device, &slice);
        kc_v_each_of_set(v, V_CHILD(&spec_path, "sharedCounters"), sets, MAX_COUNTER_SETS, "name", counter_set, NULL);
}

void kc_v_create_resource_slice(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        slice_spec(v, kc_json_get(o, "spec"), NULL);
}

void kc_v_update_resource_slice(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        slice_spec(v, kc_json_get(o, "spec"), kc_json_get(old, "spec"));
}
