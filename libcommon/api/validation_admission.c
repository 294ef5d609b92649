/* ValidatingWebhookConfigurations and MutatingWebhookConfigurations. Any thread. */
#include "api/validation_admission.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

const char *const kc_v_failure_policies[] = {"Fail", "Ignore", NULL};
const char *const kc_v_match_policies[] = {"Equivalent", "Exact", NULL};
const char *const kc_v_reinvocation_policies[] = {"IfNeeded", "Never", NULL};

/* --- Rules */

static bool has_star(const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), "*"))
                        return true;
        return false;
}

static void star_alone(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, const char *others)
{
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("if '*' is present, must not specify other %s", others);
        if (kc_json_len(list) > 1 && has_star(list))
                kc_v_invalid(v, p, list, detail);
}

/* resource/subresource, which an earlier resource/[*] or [*]/subresource includes already. */
static void subresource_rule(
    struct kc_v *v, const struct kc_vpath *p, const char *text, struct kc_map *any_sub, struct kc_map *any_resource)
{
        const char *sub = strchr(text, '/') + 1;
        KC_CLEANUP(kc_freep) char *resource = kc_strndup(text, (size_t)(sub - text - 1));
        KC_CLEANUP(kc_freep)
        char *by_resource = kc_asprintf("if '%s/*' is present, must not specify %s", resource, text);
        KC_CLEANUP(kc_freep) char *by_sub = kc_asprintf("if '*/%s' is present, must not specify %s", sub, text);
        if (kc_map_has(any_sub, resource))
                kc_v_invalid_str(v, p, text, by_resource);
        if (kc_map_has(any_resource, sub))
                kc_v_invalid_str(v, p, text, by_sub);
        if (kc_streq(sub, "*"))
                (void)kc_v_first(any_sub, resource); /* or again */
        if (kc_streq(resource, "*"))
                (void)kc_v_first(any_resource, sub); /* or again */
}

static void rule_resources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *any_sub = kc_map_new(NULL);
        KC_CLEANUP(kc_map_freep) struct kc_map *any_resource = kc_map_new(NULL);
        bool everything = false, star = false, plain = false;
        if (kc_json_len(list) == 0)
                kc_v_required(v, p, "");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                if (kc_str_empty(s)) {
                        kc_v_required(v, V_INDEX(p, i), "");
                        continue;
                }
                everything = everything || kc_streq(s, "*/*");
                star = star || kc_streq(s, "*");
                if (strchr(s, '/'))
                        subresource_rule(v, V_INDEX(p, i), s, any_sub, any_resource);
                else
                        plain = !kc_streq(s, "*"); /* the last one counts, upstream */
        }
        if (kc_json_len(list) > 1 && everything)
                kc_v_invalid(v, p, list, "if '*/*' is present, must not specify other resources");
        if (star && plain)
                kc_v_invalid(v, p, list, "if '*' is present, must not specify other resources without subresources");
}

void kc_v_rule_with_operations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule)
{
        static const char *const supported[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL};
        static const char *const scopes[] = {"*", "Cluster", "Namespaced", NULL};
        const struct json_object *operations = kc_json_get(rule, "operations"),
                                 *groups = kc_json_get(rule, "apiGroups");
        const struct json_object *versions = kc_json_get(rule, "apiVersions");
        const char *scope = kc_json_str(rule, "scope");
        if (kc_json_len(operations) == 0)
                kc_v_required(v, V_CHILD(p, "operations"), "");
        star_alone(v, V_CHILD(p, "operations"), operations, "operations");
        for (size_t i = 0; i < kc_json_len(operations); i++) {
                const char *s = kc_json_as_str(kc_json_idx(operations, i));
                if (!s || !kc_v_in(s, supported))
                        kc_v_not_supported(v, V_INDEX(V_CHILD(p, "operations"), i), s ? s : "", supported);
        }
        if (kc_json_len(groups) == 0)
                kc_v_required(v, V_CHILD(p, "apiGroups"), "");
        star_alone(v, V_CHILD(p, "apiGroups"), groups, "API groups");
        if (kc_json_len(versions) == 0)
                kc_v_required(v, V_CHILD(p, "apiVersions"), "");
        star_alone(v, V_CHILD(p, "apiVersions"), versions, "API versions");
        for (size_t i = 0; i < kc_json_len(versions); i++)
                if (kc_str_empty(kc_json_as_str(kc_json_idx(versions, i))))
                        kc_v_required(v, V_INDEX(V_CHILD(p, "apiVersions"), i), "");
        rule_resources(v, V_CHILD(p, "resources"), kc_json_get(rule, "resources"));
        if (scope && !kc_v_in(scope, scopes))
                kc_v_not_supported(v, V_CHILD(p, "scope"), scope, scopes);
}

/* --- Match conditions: the expressions are compiled elsewhere */

void kc_v_match_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *conditions)
{
        enum { MAX_CONDITIONS = 64 };
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        if (kc_json_len(conditions) > MAX_CONDITIONS)
                kc_v_too_many(v, p, kc_json_len(conditions), MAX_CONDITIONS);
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                const char *name = kc_v_str(c, "name");
                const struct kc_vpath *at = V_CHILD(V_INDEX(p, i), "name");
                if (kc_v_is_blank(kc_v_str(c, "expression")))
                        kc_v_required(v, V_CHILD(V_INDEX(p, i), "expression"), "");
                if (!*name) {
                        kc_v_required(v, at, "");
                        continue;
                }
                kc_v_name(v, at, name, kc_name_label_key);
                if (!kc_v_first(names, name))
                        kc_v_duplicate(v, at, name);
        }
}

/* --- Clients */

#define FORM "; desired format: https://host[/path]"

static void client_url(struct kc_v *v, const struct kc_vpath *p, const char *url)
{
        const char *colon = strstr(url, "://");
        KC_CLEANUP(kc_freep) char *scheme = kc_strndup(url, colon ? (size_t)(colon - url) : 0);
        const char *authority = colon ? colon + 3 : "";
        size_t n = strcspn(authority, "/?#");
        const char *at = memrchr(authority, '@', n), *fragment = strchr(url, '#'), *query = strchr(url, '?');
        KC_CLEANUP(kc_freep) char *user = at ? kc_strndup(authority, (size_t)(at - authority)) : NULL;
        if (strcspn(url, " \t\r\n\x7f") != strlen(url)) {
                KC_CLEANUP(kc_freep)
                char *detail =
                    kc_asprintf("url must be a valid URL: parse \"%s\": net/url: invalid control character in "
                                "URL" FORM,
                        url);
                kc_v_required(v, p, detail);
                return;
        }
        if (!kc_streq(scheme, "https"))
                kc_v_invalid_str(v, p, scheme, "'https' is the only allowed URL scheme" FORM);
        if (n == 0 || (at && at + 1 == authority + n))
                kc_v_invalid_str(v, p, "", "host must be specified" FORM);
        if (user)
                kc_v_invalid_str(v, p, user, "user information is not permitted in the URL");
        if (fragment && fragment[1])
                kc_v_invalid_str(v, p, fragment + 1, "fragments are not permitted in the URL");
        if (query && query[1] && !(fragment && fragment < query)) {
                KC_CLEANUP(kc_freep) char *text = kc_strndup(query + 1, strcspn(query + 1, "#"));
                kc_v_invalid_str(v, p, text, "query parameters are not permitted in the URL");
        }
}

static void service_path(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        if (!*path || kc_streq(path, "/"))
                return;
        if (kc_streq(path, "//")) {
                kc_v_invalid_str(v, p, path, "segment[0] may not be empty");
                return;
        }
        if (*path != '/')
                kc_v_invalid_str(v, p, path, "must start with a '/'");
        size_t len = strlen(path + 1);
        KC_CLEANUP(kc_freep)
        char *inner = kc_strndup(path + 1, len > 0 && path[len] == '/' ? len - 1 : len);
        KC_CLEANUP(kc_strv_freep) char **steps = kc_strv_split(inner, '/');
        for (size_t i = 0; steps[i]; i++) {
                struct kc_why why = {0};
                KC_CLEANUP(kc_freep) char *empty = kc_asprintf("segment[%zu] may not be empty", i);
                if (!*steps[i]) {
                        kc_v_invalid_str(v, p, path, empty);
                        continue;
                }
                kc_name_dns1123_subdomain(steps[i], &why);
                for (size_t j = 0; j < why.n; j++) {
                        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("segment[%zu]: %s", i, why.v[j]);
                        kc_v_invalid_str(v, p, path, detail);
                }
        }
}

static void client_service(struct kc_v *v, const struct kc_vpath *p, const struct json_object *service)
{
        int64_t port = kc_json_int(service, "port", 0);
        if (!*kc_v_str(service, "name"))
                kc_v_required(v, V_CHILD(p, "name"), "service name is required");
        if (!*kc_v_str(service, "namespace"))
                kc_v_required(v, V_CHILD(p, "namespace"), "service namespace is required");
        if (port < 1 || port > 65535)
                kc_v_invalid_int(
                    v, V_CHILD(p, "port"), port, "port is not valid: must be between 1 and 65535, inclusive");
        service_path(v, V_CHILD(p, "path"), kc_v_str(service, "path"));
}

void kc_v_webhook_client(struct kc_v *v, const struct kc_vpath *p, const struct json_object *client)
{
        const char *url = kc_json_str(client, "url");
        const struct json_object *service = kc_json_get(client, "service");
        if (!url == !service)
                kc_v_required(v, p, "exactly one of url or service is required");
        else if (url)
                client_url(v, V_CHILD(p, "url"), url);
        else
                client_service(v, V_CHILD(p, "service"), service);
}

static bool is_recognized(const char *version)
{
        return kc_streq(version, "v1") || kc_streq(version, "v1beta1");
}

static bool any_recognized(const struct json_object *versions)
{
        for (size_t i = 0; i < kc_json_len(versions); i++)
                if (is_recognized(kc_json_as_str(kc_json_idx(versions, i))))
                        return true;
        return false;
}

void kc_v_review_versions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *versions, bool recognized)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        if (kc_json_len(versions) == 0) {
                kc_v_required(v, p, "must specify one of v1, v1beta1");
                return;
        }
        for (size_t i = 0; i < kc_json_len(versions); i++) {
                const char *s = kc_json_as_str(kc_json_idx(versions, i));
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_invalid_str(v, V_INDEX(p, i), s ? s : "", "duplicate version");
                else
                        kc_v_name(v, V_INDEX(p, i), s ? s : "", kc_name_dns1035_label);
        }
        if (recognized && !any_recognized(versions))
                kc_v_invalid(v, p, versions, "must include at least one of v1, v1beta1");
}

/* --- Webhooks */

/* What holds for new configurations; an update tolerates what was there before. */
struct strictness {
        bool no_side_effects, recognized_versions, unique_names, match_conditions;
};

static void webhook(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *hook, bool mutating, const struct strictness *s)
{
        static const char *const any[] = {"None", "NoneOnDryRun", "Some", "Unknown", NULL};
        static const char *const none[] = {"None", "NoneOnDryRun", NULL};
        const char *const *effects = s->no_side_effects ? none : any;
        const char *failure = kc_json_str(hook, "failurePolicy"), *match = kc_json_str(hook, "matchPolicy");
        const char *effect = kc_json_str(hook, "sideEffects"), *again = kc_json_str(hook, "reinvocationPolicy");
        const struct json_object *rules = kc_json_get(hook, "rules");
        int64_t timeout = kc_json_int(hook, "timeoutSeconds", 10);
        kc_v_fully_qualified_name(v, V_CHILD(p, "name"), kc_v_str(hook, "name"));
        for (size_t i = 0; i < kc_json_len(rules); i++)
                kc_v_rule_with_operations(v, V_INDEX(V_CHILD(p, "rules"), i), kc_json_idx(rules, i));
        if (failure && !kc_v_in(failure, kc_v_failure_policies))
                kc_v_not_supported(v, V_CHILD(p, "failurePolicy"), failure, kc_v_failure_policies);
        if (match && !kc_v_in(match, kc_v_match_policies))
                kc_v_not_supported(v, V_CHILD(p, "matchPolicy"), match, kc_v_match_policies);
        if (!effect)
                kc_v_required(v, V_CHILD(p, "sideEffects"),
                    s->no_side_effects ? "must specify one of None, NoneOnDryRun"
                                       : "must specify one of None, NoneOnDryRun, Some, Unknown");
        else if (!kc_v_in(effect, effects))
                kc_v_not_supported(v, V_CHILD(p, "sideEffects"), effect, effects);
        if (timeout > 30 || timeout < 1)
                kc_v_invalid_int(
                    v, V_CHILD(p, "timeoutSeconds"), timeout, "the timeout value must be between 1 and 30 seconds");
        kc_v_label_selector(v, V_CHILD(p, "namespaceSelector"), kc_json_get(hook, "namespaceSelector"));
        kc_v_label_selector(v, V_CHILD(p, "objectSelector"), kc_json_get(hook, "objectSelector"));
        if (mutating && again && !kc_v_in(again, kc_v_reinvocation_policies))
                kc_v_not_supported(v, V_CHILD(p, "reinvocationPolicy"), again, kc_v_reinvocation_policies);
        kc_v_webhook_client(v, V_CHILD(p, "clientConfig"), kc_json_get(hook, "clientConfig"));
        if (s->match_conditions)
                kc_v_match_conditions(v, V_CHILD(p, "matchConditions"), kc_json_get(hook, "matchConditions"));
}

static void configuration(struct kc_v *v, const struct json_object *o, bool mutating, const struct strictness *s)
{
        const struct json_object *hooks = kc_json_get(o, "webhooks");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        for (size_t i = 0; i < kc_json_len(hooks); i++) {
                const struct json_object *hook = kc_json_idx(hooks, i);
                const struct kc_vpath *p = V_INDEX(V_CHILD(NULL, "webhooks"), i);
                const char *name = kc_v_str(hook, "name");
                webhook(v, p, hook, mutating, s);
                kc_v_review_versions(v, V_CHILD(p, "admissionReviewVersions"),
                    kc_json_get(hook, "admissionReviewVersions"), s->recognized_versions);
                if (s->unique_names && *name && !kc_v_first(names, name))
                        kc_v_duplicate(v, V_CHILD(p, "name"), name);
        }
}

static const struct strictness strict = {true, true, true, true};

static struct strictness strictness_of_update(const struct json_object *o, const struct json_object *old)
{
        static const char *const none[] = {"None", "NoneOnDryRun", NULL};
        const struct json_object *hooks = kc_json_get(old, "webhooks"), *now = kc_json_get(o, "webhooks");
        struct strictness s = strict;
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        s.match_conditions = kc_json_len(hooks) != kc_json_len(now);
        for (size_t i = 0; i < kc_json_len(hooks); i++) {
                const struct json_object *hook = kc_json_idx(hooks, i);
                const struct json_object *versions = kc_json_get(hook, "admissionReviewVersions");
                if (!kc_v_in(kc_v_str(hook, "sideEffects"), none))
                        s.no_side_effects = false;
                if (kc_json_len(versions) > 0 && !any_recognized(versions))
                        s.recognized_versions = false;
                if (!kc_v_first(names, kc_v_str(hook, "name")))
                        s.unique_names = false;
                if (!kc_v_equal(
                        kc_json_get(hook, "matchConditions"), kc_json_get(kc_json_idx(now, i), "matchConditions")))
                        s.match_conditions = true;
        }
        return s;
}

static void configuration_update(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, bool mutating)
{
        struct strictness s = strictness_of_update(o, old);
        configuration(v, o, mutating, &s);
        kc_v_meta_update(v, o, old);
}

void kc_v_create_validating_webhook_configuration(struct kc_v *v, const struct json_object *o)
{
        configuration(v, o, false, &strict);
}

void kc_v_update_validating_webhook_configuration(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        configuration_update(v, o, old, false);
}

void kc_v_create_mutating_webhook_configuration(struct kc_v *v, const struct json_object *o)
{
        configuration(v, o, true, &strict);
}

void kc_v_update_mutating_webhook_configuration(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        configuration_update(v, o, old, true);
}
