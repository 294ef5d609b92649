/* FlowSchemas and PriorityLevelConfigurations. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_PRECEDENCE = 10000, MAX_QUEUES = 10000000, MAX_HASH_BITS = 60 };

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

/* What the API server cannot do without: their specs are as they are. */
#define EVERYTHING                                                                                                     \
        "'resourceRules':[{'verbs':['*'],'apiGroups':['*'],'resources':['*'],'clusterScope':true,'namespaces':['*']}]" \
        ","                                                                                                            \
        "'nonResourceRules':[{'verbs':['*'],'nonResourceURLs':['*']}]"
static const struct {
        const char *kind, *name, *spec;
} mandatory[] = {
    {"FlowSchema", "exempt",
        "{'priorityLevelConfiguration':{'name':'exempt'},'matchingPrecedence':1,'rules':[{'subjects':[{'kind':'Group',"
        "'group':{'name':'system:masters'}}]," EVERYTHING "}]}"},
    {"FlowSchema", "catch-all",
        "{'priorityLevelConfiguration':{'name':'catch-all'},'matchingPrecedence':10000,'distinguisherMethod':{'type':"
        "'ByUser'},'rules':[{'subjects':[{'kind':'Group','group':{'name':'system:unauthenticated'}},{'kind':'Group',"
        "'group':{'name':'system:authenticated'}}]," EVERYTHING "}]}"},
    {"PriorityLevelConfiguration", "catch-all",
        "{'type':'Limited','limited':{'nominalConcurrencyShares':5,'limitResponse':{'type':'Reject'},"
        "'lendablePercent':0}}"},
    {"PriorityLevelConfiguration", "exempt", "{'type':'Exempt'}"},
};

static void mandatory_spec(struct kc_v *v, const struct json_object *o, const char *kind)
{
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        for (size_t i = 0; i < KC_ARRAY_LEN(mandatory); i++) {
                if (!kc_streq(mandatory[i].kind, kind) || !kc_streq(mandatory[i].name, name))
                        continue;
                bool level = kc_streq(kind, "PriorityLevelConfiguration") && kc_streq(name, "exempt");
                KC_CLEANUP(kc_json_freep) struct json_object *want = kc_json_build(mandatory[i].spec);
                KC_CLEANUP(kc_json_freep) struct json_object *have = kc_json_copy(kc_json_get(o, "spec"));
                KC_CLEANUP(kc_freep)
                char *detail =
                    level ? kc_asprintf("spec of '%s' except the 'spec.exempt' field must equal the fixed value", name)
                          : kc_asprintf("spec of '%s' must equal the fixed value", name);
                if (level && have)
                        kc_json_del(have, "exempt");
                if (!kc_v_equal(have, want))
                        kc_v_invalid(v, &spec_path, kc_json_get(o, "spec"), detail);
        }
}

static void conditions(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *list = kc_json_at(o, "status.conditions");
        KC_CLEANUP(kc_map_freep) struct kc_map *types = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct kc_vpath *p = V_CHILD(V_INDEX(V_CHILD2(NULL, "status", "conditions"), i), "type");
                const char *type = kc_v_str(kc_json_idx(list, i), "type");
                if (!kc_v_first(types, type))
                        kc_v_duplicate(v, p, type);
                if (!*type)
                        kc_v_required(v, p, "must not be empty");
        }
}

/* --- FlowSchemas */

static bool has_star(const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), "*"))
                        return true;
        return false;
}

/* False if the list needs no look at its elements. */
static bool required_list(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, const char *missing, const char *others)
{
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("if '*' is present, must not specify other %s", others);
        if (kc_json_len(list) == 0 && missing)
                kc_v_required(v, p, missing);
        else if (has_star(list) && kc_json_len(list) > 1)
                kc_v_invalid(v, p, list, detail);
        return kc_json_len(list) > 0 && !has_star(list);
}

static void verbs(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        static const char *const supported[] = {
            "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch", NULL};
        if (!required_list(v, p, list, "verbs must contain at least one value", "verbs"))
                return;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                if (s && kc_v_in(s, supported))
                        continue;
                struct kc_buf b = KC_BUF_INIT;
                kc_buf_adds(&b, "Unsupported value: ");
                kc_json_write(&b, list);
                for (size_t j = 0; supported[j]; j++)
                        kc_buf_addf(&b, "%s\"%s\"", j ? ", " : ": supported values: ", supported[j]);
                kc_v_add(v, "FieldValueNotSupported", p, kc_buf_str(&b));
                kc_buf_done(&b);
                return;
        }
}

static void url_path(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        const char *star = strchr(path, '*'), *why = NULL;
        size_t n = strlen(path);
        if (n == 0)
                why = "must not be empty";
        else if (kc_streq(path, "/"))
                return;
        else if (*path != '/')
                why = "must start with slash";
        else if (strchr(path, ' '))
                why = "must not contain white-space";
        else if (strstr(path, "//"))
                why = "must not contain double slash";
        else if (star && (star[1] || star[-1] != '/'))
                why = "wildcard can only do suffix matching";
        if (why)
                kc_v_invalid_str(v, p, path, why);
}

static void resource_rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule)
{
        const struct json_object *groups = kc_json_get(rule, "apiGroups"), *resources = kc_json_get(rule, "resources");
        const struct json_object *namespaces = kc_json_get(rule, "namespaces");
        bool cluster = kc_json_bool(rule, "clusterScope", false);
        verbs(v, V_CHILD(p, "verbs"), kc_json_get(rule, "verbs"));
        (void)required_list(v, V_CHILD(p, "apiGroups"), groups, "resource rules must supply at least one api group",
            "api groups"); /* groups may be anything */
        (void)required_list(v, V_CHILD(p, "resources"), resources, "resource rules must supply at least one resource",
            "resources"); /* and so may resources */
        if (!required_list(v, V_CHILD(p, "namespaces"), namespaces,
                cluster ? NULL : "resource rules that are not cluster scoped must supply at least one namespace",
                "namespaces"))
                return;
        for (size_t i = 0; i < kc_json_len(namespaces); i++) {
                const char *s = kc_json_as_str(kc_json_idx(namespaces, i));
                struct kc_why why = {0};
                kc_name_dns1123_label(s ? s : "", &why);
                for (size_t j = 0; j < why.n; j++) {
                        KC_CLEANUP(kc_freep)
                        char *detail =
                            kc_asprintf("each member of this list must be '*' or a DNS-1123 label; %s", why.v[j]);
                        kc_v_invalid_str(v, V_INDEX(V_CHILD(p, "namespaces"), i), s, detail);
                }
        }
}

static void url_rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule)
{
        const struct json_object *urls = kc_json_get(rule, "nonResourceURLs");
        const struct kc_vpath *at = V_CHILD(p, "nonResourceURLs");
        verbs(v, V_CHILD(p, "verbs"), kc_json_get(rule, "verbs"));
        if (!required_list(v, at, urls, "nonResourceURLs must contain at least one value", "non-resource URLs"))
                return;
        for (size_t i = 0; i < kc_json_len(urls); i++) {
                const char *s = kc_json_as_str(kc_json_idx(urls, i));
                url_path(v, V_INDEX(at, i), s ? s : "");
        }
}

static void service_account(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        const char *name = kc_v_str(o, "name"), *ns = kc_v_str(o, "namespace");
        if (*name && !kc_streq(name, "*"))
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_dns1123_subdomain);
        if (*ns)
                kc_v_name(v, V_CHILD(p, "namespace"), ns, kc_name_dns1123_label);
        else
                kc_v_required(v, V_CHILD(p, "namespace"), "must specify namespace for service account");
}

static void subject(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        static const char *const kinds[] = {"Group", "ServiceAccount", "User", NULL};
        static const struct {
                const char *kind, *field;
        } fields[] = {{"ServiceAccount", "serviceAccount"}, {"User", "user"}, {"Group", "group"}};
        const char *kind = kc_v_str(s, "kind");
        if (!kc_v_in(kind, kinds)) {
                kc_v_not_supported(v, V_CHILD(p, "kind"), kind, kinds);
                return;
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                const char *field = fields[i].field;
                const struct json_object *o = kc_json_get(s, field);
                KC_CLEANUP(kc_freep)
                char *needed = kc_asprintf("%s is required when subject kind is '%s'", field, fields[i].kind);
                if (!kc_streq(kind, fields[i].kind))
                        continue;
                if (!o) {
                        kc_v_required(v, V_CHILD(p, field), needed);
                        continue;
                }
                if (!*kc_v_str(o, "name"))
                        kc_v_required(v, V_CHILD2(p, field, "name"), "");
                if (i == 0)
                        service_account(v, V_CHILD(p, field), o);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                const char *field = fields[i].field;
                KC_CLEANUP(kc_freep)
                char *unwanted = kc_asprintf("%s is forbidden when subject kind is not '%s'", field, fields[i].kind);
                if (!kc_streq(kind, fields[i].kind) && kc_json_get(s, field))
                        kc_v_forbidden(v, V_CHILD(p, field), unwanted);
        }
}

static void flow_rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule)
{
        const struct json_object *subjects = kc_json_get(rule, "subjects");
        const struct json_object *resources = kc_json_get(rule, "resourceRules");
        const struct json_object *urls = kc_json_get(rule, "nonResourceRules");
        if (kc_json_len(subjects) == 0)
                kc_v_required(v, V_CHILD(p, "subjects"), "subjects must contain at least one value");
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                subject(v, V_INDEX(V_CHILD(p, "subjects"), i), kc_json_idx(subjects, i));
        if (kc_json_len(resources) + kc_json_len(urls) == 0)
                kc_v_required(v, p, "at least one of resourceRules and nonResourceRules has to be non-empty");
        for (size_t i = 0; i < kc_json_len(resources); i++)
                resource_rule(v, V_INDEX(V_CHILD(p, "resourceRules"), i), kc_json_idx(resources, i));
        for (size_t i = 0; i < kc_json_len(urls); i++)
                url_rule(v, V_INDEX(V_CHILD(p, "nonResourceRules"), i), kc_json_idx(urls, i));
}

static void precedence(struct kc_v *v, const struct json_object *o)
{
        int64_t n = kc_json_int_at(o, "spec.matchingPrecedence", 0);
        const struct kc_vpath *p = V_CHILD(&spec_path, "matchingPrecedence");
        if (n <= 0)
                kc_v_invalid_int(v, p, n, "must be a positive value");
        if (n > MAX_PRECEDENCE)
                kc_v_invalid_int(v, p, n, "must not be greater than 10000");
        if (n == 1 && !kc_streq(kc_v_str(kc_json_get(o, "metadata"), "name"), "exempt"))
                kc_v_invalid_int(v, p, n, "only the schema named 'exempt' may have matchingPrecedence 1");
}

void kc_v_create_flow_schema(struct kc_v *v, const struct json_object *o)
{
        static const char *const methods[] = {"ByNamespace", "ByUser", NULL};
        const struct json_object *spec = kc_json_get(o, "spec"), *rules = kc_json_get(spec, "rules");
        const struct json_object *method = kc_json_get(spec, "distinguisherMethod");
        const char *level = kc_v_str(kc_json_get(spec, "priorityLevelConfiguration"), "name");
        const struct kc_vpath *level_path = V_CHILD2(&spec_path, "priorityLevelConfiguration", "name");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        precedence(v, o);
        if (method && !kc_v_in(kc_v_str(method, "type"), methods)) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(method);
                KC_CLEANUP(kc_freep)
                char *message =
                    kc_asprintf("Unsupported value: %s: supported values: \"ByNamespace\", \"ByUser\"", text);
                kc_v_add(v, "FieldValueNotSupported", V_CHILD2(&spec_path, "distinguisherMethod", "type"), message);
        }
        if (*level)
                kc_v_name(v, level_path, level, kc_name_dns1123_subdomain);
        else
                kc_v_required(v, level_path, "must reference a priority level");
        for (size_t i = 0; i < kc_json_len(rules); i++)
                flow_rule(v, V_INDEX(V_CHILD(&spec_path, "rules"), i), kc_json_idx(rules, i));
        mandatory_spec(v, o, "FlowSchema");
        conditions(v, o);
}

void kc_v_update_flow_schema(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status"))
                conditions(v, o);
        else
                kc_v_create_flow_schema(v, o);
        kc_v_meta_update(v, o, old);
}

/* --- PriorityLevelConfigurations */

/* Does dealing a hand from a deck take more bits than a hash has: deck^hand > 2^60? */
static bool exceeds_hash(int64_t deck, int64_t hand)
{
        uint64_t n = 1;
        for (int64_t i = 0; deck > 1 && i < hand; i++) {
                if (n > (UINT64_C(1) << MAX_HASH_BITS) / (uint64_t)deck)
                        return true;
                n *= (uint64_t)deck;
        }
        return false;
}

static void positive(struct kc_v *v, const struct kc_vpath *p, int64_t n)
{
        if (n <= 0)
                kc_v_invalid_int(v, p, n, "must be positive");
}

static void queuing(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q)
{
        int64_t queues = kc_json_int(q, "queues", 0), hand = kc_json_int(q, "handSize", 0);
        const struct kc_vpath *at = V_CHILD(p, "handSize");
        positive(v, V_CHILD(p, "queueLengthLimit"), kc_json_int(q, "queueLengthLimit", 0));
        positive(v, V_CHILD(p, "queues"), queues);
        if (queues > MAX_QUEUES)
                kc_v_invalid_int(v, V_CHILD(p, "queues"), queues, "must not be greater than 10000000");
        positive(v, at, hand);
        if (hand <= 0)
                return;
        KC_CLEANUP(kc_freep)
        char *too_many = kc_asprintf("should not be greater than queues (%lld)", (long long)queues);
        KC_CLEANUP(kc_freep)
        char *too_long = kc_asprintf("required entropy bits of deckSize %lld and handSize %lld should not be greater "
                                     "than 60",
            (long long)queues, (long long)hand);
        if (hand > queues)
                kc_v_invalid_int(v, at, hand, too_many);
        else if (exceeds_hash(queues, hand))
                kc_v_invalid_int(v, at, hand, too_long);
}

static void limit_response(struct kc_v *v, const struct kc_vpath *p, const struct json_object *response)
{
        static const char *const types[] = {"Queue", "Reject", NULL};
        const char *type = kc_v_str(response, "type");
        const struct json_object *q = kc_json_get(response, "queuing");
        if (!kc_v_in(type, types))
                kc_v_not_supported(v, V_CHILD(p, "type"), type, types);
        else if (kc_streq(type, "Reject") && q)
                kc_v_forbidden(v, V_CHILD(p, "queuing"), "must be nil if limited.limitResponse.type is not Limited");
        else if (kc_streq(type, "Queue") && !q)
                kc_v_required(v, V_CHILD(p, "queuing"), "must not be empty if limited.limitResponse.type is Limited");
        else if (kc_streq(type, "Queue"))
                queuing(v, V_CHILD(p, "queuing"), q);
}

static void shares(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        int64_t n = kc_json_int(o, "nominalConcurrencyShares", 0);
        if (n < 0)
                kc_v_invalid_int(v, V_CHILD(p, "nominalConcurrencyShares"), n, "must be a non-negative integer");
}

static void lendable(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        int64_t n = kc_json_int(o, "lendablePercent", 0);
        if (n < 0 || n > 100)
                kc_v_invalid_int(v, V_CHILD(p, "lendablePercent"), n, "must be between 0 and 100, inclusive");
}

static void limited(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        int64_t borrow = kc_json_int(o, "borrowingLimitPercent", 0);
        shares(v, p, o);
        limit_response(v, V_CHILD(p, "limitResponse"), kc_json_get(o, "limitResponse"));
        lendable(v, p, o);
        if (borrow < 0)
                kc_v_invalid_int(
                    v, V_CHILD(p, "borrowingLimitPercent"), borrow, "if specified, must be a non-negative integer");
}

void kc_v_create_priority_level_configuration(struct kc_v *v, const struct json_object *o)
{
        static const char *const types[] = {"Exempt", "Limited", NULL};
        const struct json_object *spec = kc_json_get(o, "spec"), *limits = kc_json_get(spec, "limited");
        const struct json_object *exempt = kc_json_get(spec, "exempt");
        const char *type = kc_v_str(spec, "type");
        bool named_exempt = kc_streq(kc_v_str(kc_json_get(o, "metadata"), "name"), "exempt");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (named_exempt != kc_streq(type, "Exempt"))
                kc_v_invalid_str(
                    v, V_CHILD(&spec_path, "type"), type, "type must be 'Exempt' if and only if name is 'exempt'");
        if (kc_streq(type, "Exempt")) {
                if (limits)
                        kc_v_forbidden(v, V_CHILD(&spec_path, "limited"), "must be nil if the type is not Limited");
                shares(v, V_CHILD(&spec_path, "exempt"), exempt);
                lendable(v, V_CHILD(&spec_path, "exempt"), exempt);
        } else if (kc_streq(type, "Limited")) {
                if (exempt)
                        kc_v_forbidden(v, V_CHILD(&spec_path, "exempt"), "must be nil if the type is Limited");
                if (!limits)
                        kc_v_required(v, V_CHILD(&spec_path, "limited"), "must not be empty when type is Limited");
                else
                        limited(v, V_CHILD(&spec_path, "limited"), limits);
        } else {
                kc_v_not_supported(v, V_CHILD(&spec_path, "type"), type, types);
        }
        mandatory_spec(v, o, "PriorityLevelConfiguration");
        conditions(v, o);
}

void kc_v_update_priority_level_configuration(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status"))
                conditions(v, o);
        else
                kc_v_create_priority_level_configuration(v, o);
        kc_v_meta_update(v, o, old);
}
