/* ResourceClaims, ResourceClaimTemplates and DeviceClasses; ResourceSlices: validation_slices.c. The expressions of
 * selectors are compiled elsewhere. Any thread. */
#include "api/validation_devices.h"

#include <ctype.h>
#include <string.h>

#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

enum {
        MAX_RESERVATIONS = 256,
        MAX_RESULTS = 32,
        MAX_EXPRESSION = 10 << 10,
        MAX_POOL_NAME = 253,
        MAX_ID = 32,
        MAX_CONDITIONS = 8,
        MAX_IPS = 16,
        MAX_INTERFACE = 256,
        MAX_ADDRESS = 128,
        MAX_BINDING = 4,
};

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

typedef void (*check_fn)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg);

/* --- Lists and names */

void kc_v_each(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, int max, check_fn check, const void *arg)
{
        if (max >= 0 && kc_json_len(list) > (size_t)max) {
                kc_v_too_many(v, p, kc_json_len(list), max);
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++)
                check(v, V_INDEX(p, i), kc_json_idx(list, i), arg);
}

void kc_v_each_of_set(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, int max,
    const char *key, check_fn check, const void *arg)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        kc_v_each(v, p, list, max, check, arg);
        for (size_t i = 0; (max < 0 || kc_json_len(list) <= (size_t)max) && i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                const char *s = key ? kc_json_str(o, key) : kc_json_as_str(o);
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_duplicate(v, V_INDEX(p, i), s ? s : "");
        }
}

void kc_v_pool_name(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        if (!*name) {
                kc_v_required(v, p, "");
                return;
        }
        if (strlen(name) > MAX_POOL_NAME)
                kc_v_too_long(v, p, MAX_POOL_NAME);
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(name, '/');
        for (size_t i = 0; parts[i]; i++)
                kc_v_name(v, p, parts[i], kc_name_dns1123_subdomain);
}

void kc_v_device_name(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        if (*name)
                kc_v_name(v, p, name, kc_name_dns1123_label);
        else
                kc_v_required(v, p, "");
}

static void c_identifier(struct kc_v *v, const struct kc_vpath *p, const char *id)
{
        if (strlen(id) > MAX_ID)
                kc_v_too_long(v, p, MAX_ID);
        kc_v_name(v, p, id, kc_name_c_identifier);
}

void kc_v_device_qualified_name(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        const char *slash = strchr(name, '/');
        if (!slash) {
                c_identifier(v, p, name);
                return;
        }
        if (strchr(slash + 1, '/'))
                return; /* as upstream, which leaves them alone */
        KC_CLEANUP(kc_freep) char *domain = kc_strndup(name, (size_t)(slash - name));
        if (*domain)
                kc_v_csi_driver_name(v, p, domain);
        else
                kc_v_invalid_str(v, p, "", "the domain must not be empty");
        if (slash[1])
                c_identifier(v, p, slash + 1);
        else
                kc_v_invalid_str(v, p, "", "the name must not be empty");
}

static void fully_qualified_attribute(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        kc_v_device_qualified_name(v, p, name);
        if (!strchr(name, '/'))
                kc_v_invalid_str(v, p, name, "a fully qualified name must be a domain and a name separated by a slash");
}

static void raw_object(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        KC_CLEANUP(kc_freep) char *text = o ? kc_json_to_str(o) : NULL;
        if (!o)
                kc_v_required(v, p, "");
        else if (strlen(text) > KC_V_MAX_PARAMETERS)
                kc_v_too_long(v, p, KC_V_MAX_PARAMETERS);
        else if (!kc_json_is_obj(o))
                kc_v_invalid_str(v, p, "<value omitted>", "must be a valid JSON object");
}

static void uid(struct kc_v *v, const struct kc_vpath *p, const char *s)
{
        static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        size_t n = strlen(s);
        bool lower = true, valid = n == strlen(shape);
        for (size_t i = 0; valid && i < n; i++) {
                lower = lower && !isupper((unsigned char)s[i]);
                valid = shape[i] == '-' ? s[i] == '-' : isxdigit((unsigned char)s[i]) != 0;
        }
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("error validating uid: invalid UUID length: %zu", n);
        if (!valid)
                kc_v_invalid_str(v, p, s, n == strlen(shape) ? "error validating uid: invalid UUID format" : detail);
        else if (!lower)
                kc_v_invalid_str(v, p, s,
                    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase "
                    "hexadecimal characters");
}

/* --- Requests */

static void selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const struct json_object *cel = kc_json_get(o, "cel");
        (void)arg; /* none */
        if (!cel)
                kc_v_required(v, V_CHILD(p, "cel"), "");
        else if (strlen(kc_v_str(cel, "expression")) > MAX_EXPRESSION)
                kc_v_too_long(v, V_CHILD2(p, "cel", "expression"), MAX_EXPRESSION);
}

static void toleration(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        static const char *const operators[] = {"Equal", "Exists", NULL};
        static const char *const effects[] = {"NoExecute", "NoSchedule", "None", NULL};
        const char *key = kc_v_str(o, "key"), *operator= kc_v_str(o, "operator"), *value = kc_v_str(o, "value");
        const char *effect = kc_v_str(o, "effect");
        (void)arg; /* none */
        if (*key)
                kc_v_name(v, V_CHILD(p, "key"), key, kc_name_label_key);
        if (kc_streq(operator, "Exists")) {
                if (*value)
                        kc_v_invalid_str(v, V_CHILD(p, "value"), value, "must be empty for operator `Exists`");
        } else if (kc_streq(operator, "Equal")) {
                kc_v_name(v, V_CHILD(p, "value"), value, kc_name_label_value);
        } else {
                kc_v_enum(v, V_CHILD(p, "operator"), operator, operators);
        }
        if (*effect && !kc_v_in(effect, effects))
                kc_v_not_supported(v, V_CHILD(p, "effect"), effect, effects);
}

static void allocation_mode(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const char *const modes[] = {"All", "ExactCount", NULL};
        const char *mode = kc_v_str(o, "allocationMode");
        int64_t count = kc_json_int(o, "count", 0);
        if (!kc_v_in(mode, modes))
                kc_v_not_supported(v, V_CHILD(p, "allocationMode"), mode, modes);
        else if (kc_streq(mode, "All") && count != 0)
                kc_v_invalid_int(v, V_CHILD(p, "count"), count, "must not be specified when allocationMode is 'All'");
        else if (kc_streq(mode, "ExactCount") && count <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "count"), count, "must be greater than zero");
}

static void exact_request(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        const char *class = kc_v_str(o, "deviceClassName");
        if (*class)
                kc_v_name(v, V_CHILD(p, "deviceClassName"), class, kc_name_dns1123_subdomain);
        else
                kc_v_required(v, V_CHILD(p, "deviceClassName"), "");
        kc_v_each(v, V_CHILD(p, "selectors"), kc_json_get(o, "selectors"), KC_V_MAX_SELECTORS, selector, NULL);
        allocation_mode(v, p, o);
        kc_v_each(v, V_CHILD(p, "tolerations"), kc_json_get(o, "tolerations"), -1, toleration, NULL);
}

static void sub_request(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        (void)arg; /* none */
        kc_v_device_name(v, V_CHILD(p, "name"), kc_v_str(o, "name"));
        exact_request(v, p, o);
}

static void request(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        enum { MAX_ALTERNATIVES = 8 };
        static const char one[] = "exactly one of `exactly` or `firstAvailable` is required";
        const struct json_object *exactly = kc_json_get(o, "exactly"), *first = kc_json_get(o, "firstAvailable");
        (void)arg; /* none */
        kc_v_device_name(v, V_CHILD(p, "name"), kc_v_str(o, "name"));
        if (!exactly && kc_json_len(first) == 0)
                kc_v_required(v, p, one);
        else if (exactly && kc_json_len(first) > 0)
                kc_v_invalid(v, p, NULL,
                    "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set");
        else if (exactly)
                exact_request(v, V_CHILD(p, "exactly"), exactly);
        else
                kc_v_each_of_set(v, V_CHILD(p, "firstAvailable"), first, MAX_ALTERNATIVES, "name", sub_request, NULL);
}

/* "request" or "request/alternative" of a claim's devices. */
static bool is_request(const struct json_object *devices, const char *name)
{
        const char *slash = strchr(name, '/');
        KC_CLEANUP(kc_freep) char *main_name = kc_strndup(name, slash ? (size_t)(slash - name) : strlen(name));
        const struct json_object *o = kc_json_find(kc_json_get(devices, "requests"), "name", main_name);
        return o && (!slash || kc_json_find(kc_json_get(o, "firstAvailable"), "name", slash + 1));
}

/* arg: the devices of the claim. */
static void request_reference(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        static const char detail[] =
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        const char *name = kc_json_as_str(o) ? kc_json_as_str(o) : "";
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(name, '/');
        if (kc_strv_len(parts) > 2) {
                kc_v_invalid_str(v, p, name, detail);
                return;
        }
        if (kc_strv_len(parts) == 0)
                kc_v_device_name(v, p, "");
        for (size_t i = 0; parts[i]; i++)
                kc_v_device_name(v, p, parts[i]);
        if (!is_request(arg, name))
                kc_v_invalid_str(v, p, name, detail);
}

static void request_references(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const struct json_object *devices)
{
        kc_v_each_of_set(
            v, V_CHILD(p, "requests"), kc_json_get(o, "requests"), KC_V_MAX_REQUESTS, NULL, request_reference, devices);
}

static void constraint(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *match = kc_json_str(o, "matchAttribute"), *distinct = kc_json_str(o, "distinctAttribute");
        request_references(v, p, o, arg);
        if (match)
                fully_qualified_attribute(v, V_CHILD(p, "matchAttribute"), match);
        else if (distinct)
                fully_qualified_attribute(v, V_CHILD(p, "distinctAttribute"), distinct);
        else
                kc_v_required(v, p,
                    "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are "
                    "set");
}

static void configuration(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        const struct json_object *opaque = kc_json_get(o, "opaque");
        if (!opaque) {
                kc_v_required(v, V_CHILD(p, "opaque"), "");
                return;
        }
        kc_v_csi_driver_name(v, V_CHILD2(p, "opaque", "driver"), kc_v_str(opaque, "driver"));
        raw_object(v, V_CHILD2(p, "opaque", "parameters"), kc_json_get(opaque, "parameters"));
}

static void claim_configuration(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        request_references(v, p, o, arg);
        configuration(v, p, o);
}

void kc_v_claim_devices(struct kc_v *v, const struct kc_vpath *p, const struct json_object *devices)
{
        enum { MAX_CONSTRAINTS = 32 };
        kc_v_each_of_set(
            v, V_CHILD(p, "requests"), kc_json_get(devices, "requests"), KC_V_MAX_REQUESTS, "name", request, NULL);
        kc_v_each(
            v, V_CHILD(p, "constraints"), kc_json_get(devices, "constraints"), MAX_CONSTRAINTS, constraint, devices);
        kc_v_each(
            v, V_CHILD(p, "config"), kc_json_get(devices, "config"), KC_V_MAX_CONFIGS, claim_configuration, devices);
}

/* --- Claims */

void kc_v_create_resource_claim(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_claim_devices(v, V_CHILD(&spec_path, "devices"), kc_json_at(o, "spec.devices"));
}

static void label_name(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *s = kc_json_as_str(o);
        (void)arg; /* none */
        kc_v_name(v, p, s ? s : "", kc_name_label_key);
}

void kc_v_binding_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        const struct json_object *waits = kc_json_get(o, "bindingConditions");
        const struct json_object *fails = kc_json_get(o, "bindingFailureConditions");
        const struct kc_vpath *wait_path = V_CHILD(p, "bindingConditions");
        const struct kc_vpath *fail_path = V_CHILD(p, "bindingFailureConditions");
        KC_CLEANUP(kc_map_freep) struct kc_map *known = kc_v_index(waits, NULL), *seen = kc_map_new(NULL);
        kc_v_each(v, wait_path, waits, MAX_BINDING, label_name, NULL);
        kc_v_each(v, fail_path, fails, MAX_BINDING, label_name, NULL);
        kc_v_repeated(v, wait_path, waits);
        for (size_t i = 0; i < kc_json_len(fails); i++) {
                const char *s = kc_json_as_str(kc_json_idx(fails, i));
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_duplicate(v, V_INDEX(fail_path, i), s ? s : "");
                if (kc_map_has(known, s ? s : ""))
                        kc_v_invalid_str(v, V_INDEX(fail_path, i), s ? s : "",
                            "bindingFailureConditions must not overlap with bindingConditions");
        }
        if (kc_json_len(waits) == 0 && kc_json_len(fails) > 0)
                kc_v_invalid(v, wait_path, waits, "bindingConditions are required to use bindingFailureConditions");
        if (kc_json_len(fails) == 0 && kc_json_len(waits) > 0)
                kc_v_invalid(v, fail_path, fails, "bindingFailureConditions are required to use bindingConditions");
}

static void allocation_result(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *share = kc_json_str(o, "shareID");
        KC_CLEANUP(kc_json_freep) struct json_object *name = json_object_new_string(kc_v_str(o, "request"));
        request_reference(v, V_CHILD(p, "request"), name, arg);
        kc_v_csi_driver_name(v, V_CHILD(p, "driver"), kc_v_str(o, "driver"));
        kc_v_pool_name(v, V_CHILD(p, "pool"), kc_v_str(o, "pool"));
        kc_v_device_name(v, V_CHILD(p, "device"), kc_v_str(o, "device"));
        kc_v_binding_conditions(v, p, o);
        if (share)
                uid(v, V_CHILD(p, "shareID"), share);
}

static void allocation_config(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        static const char *const sources[] = {"FromClaim", "FromClass", NULL};
        kc_v_enum(v, V_CHILD(p, "source"), kc_v_str(o, "source"), sources);
        claim_configuration(v, p, o, arg);
}

static void consumer(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        static const char *const keys[] = {"resource", "name", "uid"};
        (void)arg; /* none */
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                if (!*kc_v_str(o, keys[i]))
                        kc_v_required(v, V_CHILD(p, keys[i]), "");
}

/* driver/pool/device[/share]; heap. */
static char *device_id(const struct json_object *o)
{
        const char *share = kc_v_str(o, "shareID");
        return kc_asprintf("%s/%s/%s%s%s", kc_v_str(o, "driver"), kc_v_str(o, "pool"), kc_v_str(o, "device"),
            *share ? "/" : "", share);
}

static void interface_address(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *s = kc_json_as_str(o);
        (void)arg;                         /* none */
        (void)kc_v_cidr(v, p, s ? s : ""); /* noted if invalid */
}

static void network_data(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        if (strlen(kc_v_str(o, "interfaceName")) > MAX_INTERFACE)
                kc_v_too_long(v, V_CHILD(p, "interfaceName"), MAX_INTERFACE);
        if (strlen(kc_v_str(o, "hardwareAddress")) > MAX_ADDRESS)
                kc_v_too_long(v, V_CHILD(p, "hardwareAddress"), MAX_ADDRESS);
        kc_v_each_of_set(v, V_CHILD(p, "ips"), kc_json_get(o, "ips"), MAX_IPS, NULL, interface_address, NULL);
}

/* arg: the devices that are allocated, by their IDs. */
static void device_status(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        const char *share = kc_json_str(o, "shareID");
        const struct json_object *conditions = kc_json_get(o, "conditions");
        KC_CLEANUP(kc_freep) char *id = device_id(o);
        kc_v_csi_driver_name(v, V_CHILD(p, "driver"), kc_v_str(o, "driver"));
        kc_v_pool_name(v, V_CHILD(p, "pool"), kc_v_str(o, "pool"));
        kc_v_device_name(v, V_CHILD(p, "device"), kc_v_str(o, "device"));
        if (share)
                uid(v, V_CHILD(p, "shareID"), share);
        if (!kc_map_has(arg, id))
                kc_v_invalid_str(v, p, id, "must be an allocated device in the claim");
        if (kc_json_len(conditions) > MAX_CONDITIONS)
                kc_v_too_many(v, V_CHILD(p, "conditions"), kc_json_len(conditions), MAX_CONDITIONS);
        kc_v_conditions(v, V_CHILD(p, "conditions"), conditions);
        if (kc_json_get(o, "data"))
                raw_object(v, V_CHILD(p, "data"), kc_json_get(o, "data"));
        network_data(v, V_CHILD(p, "networkData"), kc_json_get(o, "networkData"));
}

static void device_statuses(struct kc_v *v, const struct json_object *status)
{
        const struct json_object *devices = kc_json_get(status, "devices");
        const struct json_object *results = kc_json_at(status, "allocation.devices.results");
        const struct kc_vpath *p = V_CHILD(&status_path, "devices");
        KC_CLEANUP(kc_map_freep) struct kc_map *allocated = kc_map_new(NULL), *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(results); i++) {
                KC_CLEANUP(kc_freep) char *id = device_id(kc_json_idx(results, i));
                (void)kc_v_first(allocated, id); /* or again */
        }
        kc_v_each(v, p, devices, -1, device_status, allocated);
        for (size_t i = 0; i < kc_json_len(devices); i++) {
                KC_CLEANUP(kc_freep) char *id = device_id(kc_json_idx(devices, i));
                if (!kc_v_first(seen, id))
                        kc_v_duplicate(v, V_INDEX(p, i), id);
        }
}

static void allocation(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *result = kc_json_at(o, "status.allocation");
        const struct json_object *requests = kc_json_at(o, "spec.devices");
        const struct kc_vpath *p = V_CHILD(&status_path, "allocation");
        kc_v_each(v, V_CHILD2(p, "devices", "results"), kc_json_at(result, "devices.results"), MAX_RESULTS,
            allocation_result, requests);
        kc_v_each(v, V_CHILD2(p, "devices", "config"), kc_json_at(result, "devices.config"), 2 * KC_V_MAX_CONFIGS,
            allocation_config, requests);
        if (kc_json_get(result, "nodeSelector"))
                kc_v_node_selector(v, V_CHILD(p, "nodeSelector"), kc_json_get(result, "nodeSelector"));
}

/* Whom a claim is reserved for: not for anybody new when it is being deleted. */
static void reservations(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *list = kc_json_at(o, "status.reservedFor");
        const struct kc_vpath *p = V_CHILD(&status_path, "reservedFor");
        KC_CLEANUP(kc_map_freep) struct kc_map *before = kc_v_index(kc_json_at(old, "status.reservedFor"), "uid");
        bool added = false;
        for (size_t i = 0; i < kc_json_len(list); i++)
                added = added || !kc_map_has(before, kc_v_str(kc_json_idx(list, i), "uid"));
        if (kc_json_len(list) > 0 && !kc_json_at(o, "status.allocation"))
                kc_v_forbidden(v, p, "may not be specified when `allocated` is not set");
        else if (added && kc_json_at(o, "metadata.deletionTimestamp"))
                kc_v_forbidden(
                    v, p, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set");
}

static void claim_status(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *now = kc_json_at(o, "status.allocation"),
                                 *before = kc_json_at(old, "status.allocation");
        kc_v_each_of_set(v, V_CHILD(&status_path, "reservedFor"), kc_json_at(o, "status.reservedFor"), MAX_RESERVATIONS,
            "uid", consumer, NULL);
        device_statuses(v, kc_json_get(o, "status"));
        reservations(v, o, old);
        if (now && before)
                kc_v_immutable(v, V_CHILD(&status_path, "allocation"), now, before);
        else if (now)
                allocation(v, o);
}

void kc_v_update_resource_claim(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status")) {
                kc_v_meta_update(v, o, old);
                claim_status(v, o, old);
                return;
        }
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_meta_update(v, o, old);
        kc_v_immutable(v, &spec_path, kc_json_get(o, "spec"), kc_json_get(old, "spec"));
}

/* --- Templates */

void kc_v_create_resource_claim_template(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *meta = kc_json_at(o, "spec.metadata");
        const struct kc_vpath *p = V_CHILD(&spec_path, "metadata");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_template_meta(v, p, meta);
        kc_v_claim_devices(v, V_CHILD2(&spec_path, "spec", "devices"), kc_json_at(o, "spec.spec.devices"));
}

void kc_v_update_resource_claim_template(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_immutable(v, &spec_path, kc_json_get(o, "spec"), kc_json_get(old, "spec"));
}

/* --- Classes */

static void class_configuration(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg)
{
        (void)arg; /* none */
        configuration(v, p, o);
}

void kc_v_create_device_class(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *name = kc_json_str(spec, "extendedResourceName");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        kc_v_each(
            v, V_CHILD(&spec_path, "selectors"), kc_json_get(spec, "selectors"), KC_V_MAX_SELECTORS, selector, NULL);
        kc_v_each(
            v, V_CHILD(&spec_path, "config"), kc_json_get(spec, "config"), KC_V_MAX_CONFIGS, class_configuration, NULL);
        if (name && !kc_v_is_extended_resource(name))
                kc_v_invalid_str(
                    v, V_CHILD(&spec_path, "extendedResourceName"), name, "must be a valid extended resource name");
}

void kc_v_update_device_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_create_device_class(v, o);
        kc_v_meta_update(v, o, old);
}
